//! A set made of what was trained in a data folder: weights as halves, and the metrics of these, measured again.

use anyhow::{Context as _, Result};
use api::{
    Density, DictionaryId, DictionaryInfo, HistoryPoint, HookPoint, Job, JobId, Measurement, ModelInfo, ResidualFrame,
    TrainConfig, WeightType,
};
use engine::metrics::{Evaluated, known::Options};
use flate2::{Compression, write::GzEncoder};
use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    bundle::{About, FORM, Made, Run},
    recipe::{Recipe, Stories},
};
use crate::{behaviours, jobs::pack_corpus, known::measure_files, workspace::Workspace};

/// Points of a dictionary's curves that are kept, about.
const N_POINTS: usize = 40;

/// Writes the set to `out`, in the place of what is there: the model in the folder of `model`, and the dictionaries of `jobs`, each
/// with the place in the list of its sweep's first run.
///
/// # Errors
/// A job that is not done; the registry's, the engine's and the system's. `out` is then as it was.
pub async fn collect(
    workspace: &Arc<Workspace>,
    recipe: &Recipe,
    model: &ModelInfo,
    jobs: &[(usize, JobId)],
    out: &Path,
    say: &dyn Fn(String),
) -> Result<About> {
    let parent = out
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let staging = tempfile::Builder::new().prefix(".demo-").tempdir_in(parent);
    let staging = staging.with_context(|| format!("cannot write to '{}'", parent.display()))?;
    for folder in ["model", "dictionaries", "known", "runs"] {
        fs::create_dir(staging.path().join(folder))?;
    }
    let model_files = copy_model(model, staging.path())?;
    say("asking the model".into());
    describe_model(workspace, recipe, model, &staging.path().join("model/README.md")).await?;
    let mut runs: Vec<Run> = Vec::new();
    let mut n_dictionaries = 0;
    for (sweep, id) in jobs {
        let job = workspace
            .store
            .job(*id)
            .await?
            .with_context(|| format!("there is no job {id}"))?;
        say(format!(
            "job {id}: rounding and measuring {} dictionaries",
            job.dictionaries.len()
        ));
        let run = run(workspace, model, &job, *sweep, staging.path(), &mut n_dictionaries).await?;
        runs.push(run);
    }
    say("measuring what they know".into());
    known(workspace, recipe, model, &mut runs, staging.path()).await?;
    let corpus = workspace.store.corpus(recipe.corpus()?).await?;
    let about = About {
        form: FORM,
        recipe: recipe.clone(),
        model_hash: model.hash.clone(),
        model_files,
        corpus_hash: corpus.context("the text is not in the registry")?.hash,
        runs,
    };
    write_json(&staging.path().join("about.json"), &about)?;
    write_json(&staging.path().join("recipe.json"), recipe)?;
    replace(staging, out)?;
    Ok(about)
}

fn copy_model(model: &ModelInfo, to: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(&model.folder).with_context(|| format!("cannot read '{}'", model.folder))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        fs::copy(Path::new(&model.folder).join(&name), to.join("model").join(&name)).with_context(|| format!("'{name}'"))?;
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}

/// Adds to the model's README how its text is made and what it has learnt.
async fn describe_model(workspace: &Arc<Workspace>, recipe: &Recipe, model: &ModelInfo, readme: &Path) -> Result<()> {
    let Stories { seed, n, .. } = recipe.pretraining;
    let questions = recipe.questions;
    let learnt = behaviours::learnt(workspace, model, questions).await?;
    let text = fs::read_to_string(readme).with_context(|| format!("cannot read '{}'", readme.display()))?;
    let text = format!(
        "{text}\nIts text is the first {n} stories of seed {seed}:\n\n```sh\nsaescope storyworld --stories {n} --seed {seed} --out stories\n```\n\n\
         What it has learnt, asked with stories of a seed that it has not read:\n\n\
         ```\n$ saescope behaviours --model {} --prompts {} --stories {} --seed {}\n{}\n```\n",
        model.id,
        questions.n_prompts,
        questions.n_stories,
        questions.seed,
        learnt.lines().join("\n")
    );
    fs::write(readme, text).with_context(|| format!("cannot write '{}'", readme.display()))
}

async fn run(
    workspace: &Arc<Workspace>,
    model: &ModelInfo,
    job: &Job,
    sweep: usize,
    to: &Path,
    n_dictionaries: &mut usize,
) -> Result<Run> {
    let (started, finished) = job
        .started
        .zip(job.finished)
        .with_context(|| format!("job {} is not done", job.id))?;
    let config = job
        .config
        .training()
        .with_context(|| format!("job {} trains no dictionaries", job.id))?;
    let mut files = Vec::new();
    let mut infos = Vec::new();
    for id in &job.dictionaries {
        let info = workspace
            .store
            .dictionary(*id)
            .await?
            .with_context(|| format!("there is no dictionary {id}"))?;
        let from = workspace.store.verify_dictionary(*id).await?;
        let (dictionary, facts) = engine::dictionary::load(&from)?;
        *n_dictionaries += 1;
        let file = format!("dictionaries/{n_dictionaries:02}.safetensors");
        let path = to.join(&file);
        engine::dictionary::save(&dictionary, &facts, WeightType::F16, &path)?;
        let checksum = store::checksum(&path)?;
        files.push((file, path, checksum));
        infos.push(info);
    }
    let paths = files.iter().map(|(_, path, _)| path.clone()).collect();
    let measured = measure(workspace, model, config, paths).await?;
    let dictionaries = files.into_iter().zip(infos).zip(measured);
    let history = thinned(workspace.store.history(job.id, 0).await?);
    let history_file = format!("runs/{n_dictionaries:02}.jsonl.gz");
    let lines = history.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    pack(&to.join(&history_file), (lines.join("\n") + "\n").as_bytes())?;
    Ok(Run {
        config: job.config.clone(),
        command: job.command.clone(),
        sweep,
        started,
        finished,
        history: history_file,
        dictionaries: dictionaries
            .map(|(((file, _, checksum), info), measured)| made(file, checksum, info, measured))
            .collect(),
    })
}

/// What only the run itself can measure (its gradients, its cost) stays as it is.
fn made(file: String, checksum: String, info: DictionaryInfo, measured: Evaluated) -> Made {
    let density = Density::new(&measured.firings, measured.n_tokens);
    let mut metrics = measured.metrics;
    let is_new = |m: &&Measurement| metrics.iter().any(|n| n.name == m.name);
    let is_known = |m: &&Measurement| m.name.starts_with("known_"); // of the weights before rounding
    let own: Vec<_> = info.metrics.iter().filter(|m| !is_new(m) && !is_known(m)).cloned().collect();
    metrics.extend(own);
    let info = DictionaryInfo {
        id: DictionaryId(0),
        job: JobId(0),
        sweep: JobId(0),
        metrics,
        density: Some(density),
        verified: None,
        checksum,
        command: String::new(), // the run's
        ..info
    };
    let known = file.replace("dictionaries/", "known/").replace(".safetensors", ".json.gz");
    Made { file, known, info }
}

async fn measure(
    workspace: &Arc<Workspace>,
    model: &ModelInfo,
    config: &TrainConfig,
    files: Vec<PathBuf>,
) -> Result<Vec<Evaluated>> {
    let corpus = workspace.store.corpus(&config.corpus).await?;
    let corpus = corpus.with_context(|| format!("there is no corpus '{}'", config.corpus))?;
    let (shared, model, config, pool) = (workspace.clone(), model.clone(), config.clone(), workspace.job_pool()?);
    let work = move || {
        let weights = shared.models.get(model.folder.as_ref(), &model.hash, config.residual)?;
        let tokens = pack_corpus(&shared.store, &model, &corpus, &config.packing, &mut |_, _| true)?;
        let tokens = tokens.context("tokenising was stopped")?;
        let backend = shared.device.backend(&weights)?;
        Ok(engine::train::evaluate(&files, &*backend, &tokens, &config, &mut |_, _| {
            true
        })?)
    };
    tokio::task::spawn_blocking(move || pool.install(work)).await?
}

/// What the dictionaries know of storyworld's labels, those of one hook point in one pass; the metrics among their others.
async fn known(workspace: &Arc<Workspace>, recipe: &Recipe, model: &ModelInfo, runs: &mut [Run], folder: &Path) -> Result<()> {
    let options = Options {
        seed: recipe.known.seed,
        n_stories: recipe.known.n,
    };
    let mut places: Vec<(HookPoint, ResidualFrame)> = Vec::new();
    for info in runs.iter().flat_map(|run| &run.dictionaries).map(|made| &made.info) {
        if !places.contains(&(info.at, info.residual)) {
            places.push((info.at, info.residual));
        }
    }
    for place in places {
        let made = runs.iter_mut().flat_map(|run| &mut run.dictionaries);
        let made: Vec<&mut Made> = made.filter(|made| (made.info.at, made.info.residual) == place).collect();
        let files: Vec<PathBuf> = made.iter().map(|made| folder.join(&made.file)).collect();
        let (shared, model, pool) = (workspace.clone(), model.clone(), workspace.job_pool()?);
        let work = move || measure_files(&shared, &model, place, &files, options, &|_, _, _| true);
        let found = tokio::task::spawn_blocking(move || pool.install(work)).await??;
        for (made, known) in made.into_iter().zip(found.context("measuring was stopped")?) {
            let json = serde_json::to_vec(&known)?;
            pack(&folder.join(&made.known), &json)?;
            made.info.metrics.extend(known.measurements());
        }
    }
    Ok(())
}

/// Every so many points of each dictionary, and all that hold a validation.
fn thinned(history: Vec<HistoryPoint>) -> Vec<HistoryPoint> {
    let mut n_of: BTreeMap<usize, usize> = BTreeMap::new();
    for point in &history {
        *n_of.entry(point.dictionary).or_default() += 1;
    }
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    let keeps = |point: &HistoryPoint| {
        let index = seen.entry(point.dictionary).or_default();
        let every = n_of[&point.dictionary].div_ceil(N_POINTS);
        let is_kept = index.is_multiple_of(every) || point.values.keys().any(|name| name.starts_with("validation/"));
        *index += 1;
        is_kept
    };
    let mut keeps = keeps;
    history.into_iter().filter(|point| keeps(point)).collect()
}

/// Writes `bytes` gzipped: the same bytes make the same file.
fn pack(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = GzEncoder::new(fs::File::create(path)?, Compression::best());
        file.write_all(bytes)?;
        file.finish()?.sync_all()
    };
    write().with_context(|| format!("cannot write '{}'", path.display()))
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(value)? + "\n";
    fs::write(path, json).with_context(|| format!("cannot write '{}'", path.display()))
}

/// Puts the finished folder in the place of the former one.
fn replace(staging: tempfile::TempDir, out: &Path) -> Result<()> {
    let former = out.with_extension("former");
    if out.exists() {
        fs::rename(out, &former).with_context(|| format!("cannot move '{}'", out.display()))?;
    }
    if let Err(error) = fs::rename(staging.path(), out) {
        let _ = fs::rename(&former, out);
        return Err(error).with_context(|| format!("cannot write '{}'", out.display()));
    }
    drop(staging.keep()); // it has its name now
    if former.exists() {
        fs::remove_dir_all(&former).with_context(|| format!("cannot remove '{}'", former.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinned_curves_keep_every_validation() {
        let point = |step: usize, name: &str| HistoryPoint {
            step,
            tokens: 0,
            dictionary: step % 2,
            values: BTreeMap::from([(name.to_string(), 1.0)]),
        };
        let history: Vec<_> = (0..400)
            .map(|step| point(step, if step == 7 { "validation/l0" } else { "loss" }))
            .collect();
        let kept = thinned(history);
        assert!((80..=82).contains(&kept.len()), "{}", kept.len());
        assert!(kept.iter().any(|point| point.step == 7));
        assert!(kept.is_sorted_by_key(|point| point.step));
    }
}
