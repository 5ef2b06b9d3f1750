//! `saescope demo`: the set that is shipped with the program, and how it is made.

use anyhow::{Context as _, Result, bail};
use api::{CorpusInfo, CorpusReading, Difference, JobId, ModelInfo};
use clap::Args;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use super::{
    Global, runs,
    say::{note, say},
    workspace,
};
use crate::{
    demo::{About, Bundle, Recipe, collect, install, installed},
    jobs::{Ended, import, request},
    workspace::Workspace,
};

/// The set that is shipped with the program: a storyworld model, a text and dictionaries, all made by the program itself
///
/// The first start of saescope serve in a new data folder puts it there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  saescope demo
  saescope demo --add --data results
  saescope demo --rebuild --data building --out demo

A rebuild takes about an hour on two cores. What was interrupted goes on from its checkpoints.")]
pub struct Demo {
    /// Put what is missing of it into the data folder
    #[arg(long, conflicts_with = "rebuild")]
    add: bool,
    /// Make it again from seeds, in the data folder, and say how it differs from the shipped one
    #[arg(long)]
    rebuild: bool,
    /// Make it by this recipe, and not by the shipped set's [default: demo/recipe.json, as it was compiled in]
    #[arg(long, value_name = "FILE", requires = "rebuild")]
    recipe: Option<PathBuf>,
    /// Write the set that was made again to this folder
    #[arg(long, value_name = "FOLDER", requires = "rebuild")]
    out: Option<PathBuf>,
}

impl Demo {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            if self.rebuild {
                let recipe = self.recipe.as_deref().map_or_else(Recipe::shipped, Recipe::read)?;
                return rebuild(&workspace, &recipe, self.out.as_deref()).await;
            }
            let bundle = Bundle::embedded()?.context("this program was built without its demo; build it where demo/ is")?;
            if self.add {
                add(&workspace, &bundle).await?;
            } else {
                about(&workspace, &bundle)?;
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

async fn add(workspace: &Arc<Workspace>, bundle: &Bundle) -> Result<()> {
    match install(workspace, bundle).await? {
        Some(job) => say!(
            "the demo is in '{}'; job {job} computes its metrics again once a server runs",
            folder(workspace)
        )?,
        None => say!("the demo is in '{}' already, whole", folder(workspace))?,
    }
    Ok(())
}

fn about(workspace: &Workspace, bundle: &Bundle) -> Result<()> {
    let About { recipe, runs, .. } = &bundle.about;
    let n: usize = runs.iter().map(|run| run.dictionaries.len()).sum();
    say!(
        "this program ships version {} of the demo: the model '{}', {} stories, {n} dictionaries",
        recipe.version,
        recipe.model.name,
        recipe.text.n
    )?;
    let has = match installed(workspace.store.data())? {
        None => "has none".to_owned(),
        Some(mark) if !mark.whole => format!("has a part of version {}", mark.version),
        Some(mark) => format!("has version {}", mark.version),
    };
    say!("'{}' {has}", folder(workspace))
}

fn folder(workspace: &Workspace) -> String {
    workspace.store.data().display().to_string()
}

async fn rebuild(workspace: &Arc<Workspace>, recipe: &Recipe, out: Option<&Path>) -> Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    tokio::spawn(runs::stop_on_signal(stop.clone()));
    let owner = workspace.owner("saescope demo");

    stories(workspace, recipe.pretraining, &recipe.model.corpus.0).await?;
    let command = recipe.model.command();
    let ids = runs::jobs(workspace, vec![(recipe.model.clone(), command)], false).await?;
    if !run(workspace, &ids, &owner, &stop).await? {
        return Ok(ExitCode::from(130));
    }
    let source = format!("made by job {}", ids[0]);
    let models = workspace.store.models().await?;
    let model: ModelInfo = models
        .into_iter()
        .find(|model| model.source == source)
        .context("the model is not in the registry")?;

    stories(workspace, recipe.text, &recipe.corpus()?.0).await?;
    let mut jobs: Vec<(usize, JobId)> = Vec::new();
    for asked in &recipe.sweeps {
        let asked = api::SweepRequest {
            model: model.id.clone(),
            ..asked.clone()
        };
        let resolved = request::resolve_here(workspace, &asked).await?;
        let ids = runs::jobs(workspace, request::with_commands(&asked, resolved.runs), false).await?;
        if !run(workspace, &ids, &owner, &stop).await? {
            return Ok(ExitCode::from(130));
        }
        let first = jobs.len();
        jobs.extend(ids.into_iter().map(|id| (first, id)));
    }

    let scratch = tempfile::tempdir_in(workspace.store.data())?;
    let out = out.map_or_else(|| scratch.path().join("demo"), Path::to_owned);
    let made = collect(workspace, recipe, &model, &jobs, &out, &|line| note!("{line}")).await?;
    say!("the set is {} bytes, in '{}'", size(&out)?, out.display())?;
    match Bundle::embedded()? {
        None => say!("this program ships none to compare it with")?,
        Some(shipped) => compare(&made, &Bundle::read(&out)?, &shipped)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The corpus of that name, its file written where it is missing.
async fn stories(workspace: &Arc<Workspace>, stories: crate::demo::Stories, name: &str) -> Result<CorpusInfo> {
    let folder = workspace.store.data().join("stories");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make '{}'", folder.display()))?;
    let path = folder.join(format!("{}-{}.jsonl", stories.seed, stories.n));
    if !path.exists() {
        stories.write(&path)?;
    }
    let added = import::corpus(workspace, &path, "saescope storyworld", Some(name), &CorpusReading::default()).await?;
    if added.id.0 != name {
        bail!(
            "'{}' has another corpus called '{name}'; give a new data folder with --data",
            folder.display()
        );
    }
    Ok(added)
}

/// Runs the jobs; false where the user stopped them.
async fn run(workspace: &Arc<Workspace>, ids: &[JobId], owner: &str, stop: &Arc<AtomicBool>) -> Result<bool> {
    for &id in ids {
        match runs::run_or_follow(workspace, id, owner, stop).await? {
            Ended::Done(_) => {}
            Ended::Failed(message) => bail!("job {id}: {message}"),
            Ended::Cancelled => bail!("job {id} was cancelled; the same command goes on from its checkpoint"),
            Ended::Lost => bail!("job {id} was taken over by another process"),
            Ended::Released => {
                runs::cancel_queued(workspace, ids).await?;
                note!("stopped; the same command goes on from the checkpoint");
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Says how what was made again differs from what is shipped: file by file in bits, and metric by metric.
fn compare(made: &About, bundle: &Bundle, shipped: &Bundle) -> Result<()> {
    let (mut n_files, mut n_same) = (0, 0);
    let mut same = |name: &str| -> Result<()> {
        n_files += 1;
        n_same += usize::from(
            shipped
                .file(name)
                .is_ok_and(|file| bundle.file(name).is_ok_and(|made| made == file)),
        );
        Ok(())
    };
    same("model/model.safetensors")?;
    let dictionaries = |about: &About| about.runs.iter().flat_map(|run| run.dictionaries.clone()).collect::<Vec<_>>();
    let (ours, theirs) = (dictionaries(made), dictionaries(&shipped.about));
    for dictionary in &ours {
        same(&dictionary.file)?;
    }
    say!("{n_same} of {n_files} files of weights have the same bits as the shipped ones")?;
    if ours.len() != theirs.len() {
        say!("{} dictionaries; shipped are {}", ours.len(), theirs.len())?;
    }
    let (mut n, mut n_beyond) = (0, 0);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        for stored in theirs.info.metrics.iter().filter(|m| m.name != "train_seconds") {
            let same = |m: &&api::Measurement| m.name == stored.name && m.at == stored.at && m.tokens == stored.tokens;
            let found = ours.info.metrics.iter().find(same).map(|m| m.value);
            let difference = Difference {
                stored: stored.clone(),
                found,
            };
            n += 1;
            if difference.is_beyond_rounding() {
                n_beyond += 1;
                let found = found.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
                say!("{}: {} is {found}, shipped {}", ours.file, stored.name, stored.value)?;
            }
        }
    }
    say!("{} of {n} metrics are those of the shipped set, to rounding", n - n_beyond)
}

fn size(folder: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        total += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Kind;
    use api::Job;
    use serde_json::json;

    /// A set that is made in seconds.
    fn recipe() -> Recipe {
        let stories = |n: u64| json!({"version": engine::corpus::storyworld::VERSION, "seed": 0, "n": n});
        let evaluation = json!({"n_tokens": 400, "validation_tokens": 300, "every_steps": 5});
        serde_json::from_value(json!({
            "version": 7,
            "pretraining": stories(120),
            "model": {
                "name": "tiny", "corpus": "learnt", "tokenizer": {"from": "trained", "vocab_size": 300},
                "shape": {"n_layers": 2, "d_model": 16, "n_heads": 2, "n_ctx": 1024}, "batch": 1, "tokens": 5000, "lr": 0.01,
                "schedule": {"warmup_steps": 2, "min_lr_factor": 0.1}, "adam": {"beta1": 0.9, "beta2": 0.99, "eps": 1e-8},
                "weight_decay": 0.1, "max_grad_norm": 1.0, "seed": 0, "dtype": "f16", "log_every_steps": 2,
                "checkpoint_every_steps": 10, "evaluation": evaluation
            },
            "questions": {"n_prompts": 3, "n_stories": 3, "seed": 5},
            "text": stories(60),
            "known": {"version": engine::corpus::storyworld::VERSION, "seed": 9, "n": 20},
            "sweeps": [{
                "model": "tiny", "corpus": "told", "at": "blocks.1.hook_resid_pre", "objectives": ["local", "e2e"],
                "coefficient": "0.1,1", "lr": "1e-3", "max_grad_norm": 10.0, "input_scale": "none",
                "initial_weights": "published", "d_sae": 24, "n_ctx": 64, "batch": 2, "tokens": 1500, "seeds": [0, 1],
                "eval_tokens": 400, "validation_tokens": 300
            }]
        }))
        .unwrap()
    }

    async fn workspace(data: &Path) -> Arc<Workspace> {
        Arc::new(Workspace::open(data, 2, Kind::Cpu.open().unwrap()).await.unwrap())
    }

    /// Runs the job here.
    async fn done(workspace: &Arc<Workspace>, id: JobId) -> Job {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = runs::run_or_follow(workspace, id, "a test", &stop).await.unwrap();
        assert!(matches!(ended, Ended::Done(_)), "{ended:?}");
        workspace.store.job(id).await.unwrap().unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_set_is_made_to_the_same_bits_put_into_a_folder_and_verified() {
        let place = tempfile::tempdir().unwrap();
        let mut sets = Vec::new();
        for name in ["first", "second"] {
            let (data, out) = (place.path().join(name), place.path().join(format!("{name}-set")));
            let workspace = workspace(&data).await;
            let recipe = recipe();
            assert_eq!(rebuild(&workspace, &recipe, Some(&out)).await.unwrap(), ExitCode::SUCCESS);
            // done already: nothing is trained again, and the folder is replaced
            assert_eq!(rebuild(&workspace, &recipe, Some(&out)).await.unwrap(), ExitCode::SUCCESS);
            assert_eq!(workspace.store.dictionaries().await.unwrap().len(), 8);
            sets.push(Bundle::read(&out).unwrap());
        }
        let [first, second] = &sets[..] else { panic!("two sets") };
        assert_eq!(first.about.model_hash, second.about.model_hash);
        for run in &first.about.runs {
            for made in &run.dictionaries {
                assert!(
                    first.file(&made.file).unwrap() == second.file(&made.file).unwrap(),
                    "{}",
                    made.file
                );
            }
        }

        // into a folder in which somebody has something else of these names
        let here = workspace(&place.path().join("here")).await;
        let other = place.path().join("told.txt");
        fs::write(&other, "Nothing of the kind.\n\nNothing at all.\n").unwrap();
        import::corpus(&here, &other, "mine", Some("told"), &CorpusReading::default())
            .await
            .unwrap();
        let job = install(&here, first).await.unwrap().expect("a verification");
        assert_eq!(
            installed(here.store.data()).unwrap().map(|mark| (mark.version, mark.whole)),
            Some((7, true))
        );
        let corpora = here.store.corpora().await.unwrap();
        assert_eq!(
            corpora.iter().map(|c| c.id.0.as_str()).collect::<Vec<_>>(),
            ["told", "told-2"]
        );
        let dictionaries = here.store.dictionaries().await.unwrap();
        assert_eq!(dictionaries.len(), 8);
        assert!(
            dictionaries
                .iter()
                .all(|d| d.verified.is_none() && d.metric("ce_increase").is_some())
        );
        assert!(!here.store.history(dictionaries[0].job, 0).await.unwrap().is_empty());
        done(&here, job).await;
        for d in here.store.dictionaries().await.unwrap() {
            let verified = d.verified.expect("verified");
            assert!(
                verified.holds() && verified.n_same == verified.n_values && verified.n_values > 10,
                "{verified:?}"
            );
        }

        // twice is once
        assert_eq!(install(&here, first).await.unwrap(), None);
        assert_eq!(here.store.dictionaries().await.unwrap().len(), 8);

        // what is stored but not true is found out
        let mut lies = dictionaries[0].metrics.clone();
        let lie = lies.iter_mut().find(|m| m.name == "l0").unwrap();
        lie.value *= 1.01;
        here.store.set_metrics(dictionaries[0].id, &lies, None).await.unwrap();
        let config = api::VerifyConfig {
            model: dictionaries[0].model.clone(),
            corpus: dictionaries[0].corpus.clone(),
            dictionaries: vec![dictionaries[0].id],
        };
        let job = here.store.enqueue(&[(config.clone(), config.command())]).await.unwrap()[0];
        done(&here, job).await;
        let verified = here
            .store
            .dictionary(dictionaries[0].id)
            .await
            .unwrap()
            .unwrap()
            .verified
            .unwrap();
        assert_eq!(
            verified
                .differences
                .iter()
                .map(|d| d.stored.name.as_str())
                .collect::<Vec<_>>(),
            ["l0"]
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_interrupted_installation_goes_on() {
        let place = tempfile::tempdir().unwrap();
        let set = place.path().join("set");
        let maker = workspace(&place.path().join("maker")).await;
        rebuild(&maker, &recipe(), Some(&set)).await.unwrap();
        let bundle = Bundle::read(&set).unwrap();
        // a file that is missing is what ends it here
        let last = &bundle.about.runs[1].dictionaries[1].file;
        let bytes = fs::read(set.join(last)).unwrap();
        fs::remove_file(set.join(last)).unwrap();
        let here = workspace(&place.path().join("here")).await;
        let error = format!("{:#}", install(&here, &bundle).await.unwrap_err());
        assert!(error.contains(last), "{error}");
        assert_eq!(installed(here.store.data()).unwrap().map(|mark| mark.whole), Some(false));
        assert_eq!(here.store.dictionaries().await.unwrap().len(), 4);
        fs::write(set.join(last), bytes).unwrap();
        assert!(install(&here, &bundle).await.unwrap().is_some());
        assert_eq!(here.store.dictionaries().await.unwrap().len(), 8);
        assert_eq!(here.store.models().await.unwrap().len(), 1);
        assert_eq!(here.store.corpora().await.unwrap().len(), 1);
    }
}
