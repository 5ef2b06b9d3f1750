//! The verification job: the metrics of dictionaries computed again from their weights, and held against those that are stored.

use anyhow::{Context as _, Result};
use api::{
    DictionaryId, DictionaryInfo, Difference, HookPoint, KnownFeatures, Measurement, ModelInfo, Progress, ResidualFrame,
    TrainConfig, Verified, VerifyConfig,
};
use engine::metrics::known::Options;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};
use store::End;

use super::{
    execute::Stage,
    tokens::{Encoding, tokens},
    train::check_unchanged,
};
use crate::{
    known::measure_files,
    room::{self, Moment, Work},
};

/// Dictionaries that are measured in one pass over the model: those of one run.
struct Group {
    config: TrainConfig,
    dictionaries: Vec<(DictionaryInfo, PathBuf)>,
}

/// Measures the job's dictionaries, run by run, and notes how each compares. None when it was told to stop; what was noted until
/// then stays.
///
/// # Errors
/// Whatever keeps a dictionary from being measured: a file that is damaged, a model or a text that has changed.
pub fn verify(stage: &Stage<'_>, config: &VerifyConfig) -> Result<Option<()>> {
    let store = &stage.workspace.store;
    let model = stage.runtime.block_on(store.model(&config.model))?;
    let model = model.with_context(|| format!("there is no model '{}' in the registry any more", config.model))?;
    check_unchanged(&model)?;
    let groups = groups(stage, &config.dictionaries)?;
    let Some(known) = measure_known(stage, &model, &groups)? else {
        return Ok(None);
    };
    let of = groups.len();
    let mut n_differing = 0;
    for (index, group) in groups.into_iter().enumerate() {
        let Some(found) = measure(stage, &model, &group, (index + 1, of))? else {
            return Ok(None);
        };
        for ((info, _), mut found) in group.dictionaries.iter().zip(found) {
            found.extend(known.get(&info.id).into_iter().flatten().cloned());
            let verified = compare(&info.metrics, &found);
            n_differing += usize::from(!verified.holds());
            stage.runtime.block_on(store.set_verified(info.id, &verified))?;
        }
    }
    let of = config.dictionaries.len();
    stage.begin(&match n_differing {
        0 => format!("verified {of} of {of}"),
        n => format!("{n} of {of} differ from what is stored"),
    });
    stage
        .runtime
        .block_on(store.finish(stage.job.id, stage.owner, End::Done(Vec::new())))?;
    Ok(Some(()))
}

/// The dictionaries by the run that made them, each with its weights' file, which has the checksum that it was written with.
fn groups(stage: &Stage<'_>, ids: &[DictionaryId]) -> Result<Vec<Group>> {
    let store = &stage.workspace.store;
    let mut groups: Vec<Group> = Vec::new();
    for &id in ids {
        let info = stage.runtime.block_on(store.dictionary(id))?;
        let info = info.with_context(|| format!("there is no dictionary {id}"))?;
        let file = stage.runtime.block_on(store.verify_dictionary(id))?;
        let same_run = |group: &&mut Group| group.dictionaries.iter().any(|(other, _)| other.job == info.job);
        if let Some(group) = groups.iter_mut().find(same_run) {
            group.dictionaries.push((info, file));
            continue;
        }
        let job = stage.runtime.block_on(store.job(info.job))?;
        let config = job.and_then(|job| job.config.training().cloned());
        let mut config = config.with_context(|| format!("job {} trained no dictionary", info.job))?;
        config.evaluation.split = info.evaluated_on;
        groups.push(Group {
            config,
            dictionaries: vec![(info, file)],
        });
    }
    Ok(groups)
}

fn measure(
    stage: &Stage<'_>,
    model: &ModelInfo,
    group: &Group,
    (index, of): (usize, usize),
) -> Result<Option<Vec<Vec<Measurement>>>> {
    let config = &group.config;
    let measured = TrainConfig {
        dictionaries: group.dictionaries.iter().map(|(info, _)| info.config.clone()).collect(),
        ..config.clone()
    };
    room::check(stage.workspace, &measured, model, Work::Measure, Moment::Begins)?;
    let pool = stage.workspace.job_pool()?;
    let weights = pool.install(|| {
        stage
            .workspace
            .models
            .get(model.folder.as_ref(), &model.hash, config.residual)
    })?;
    let encoding = Encoding {
        tokenizer: &Path::new(&model.folder).join("tokenizer.json"),
        d_vocab: model.d_vocab,
        hash: &model.hash,
    };
    let Some(tokens) = pool.install(|| tokens(stage, &config.corpus, &config.packing, encoding))? else {
        return Ok(None);
    };
    let files: Vec<PathBuf> = group.dictionaries.iter().map(|(_, file)| file.clone()).collect();
    let mut progress = |done, total| {
        stage.progress(Progress {
            stage: format!("measuring run {index} of {of} again"),
            done,
            total,
            unit: "tokens".into(),
            rate: 0.0,
        });
        !stage.should_stop()
    };
    let found = pool.install(|| {
        let backend = stage.workspace.device.backend(&weights)?;
        engine::train::evaluate(&files, &*backend, &tokens, config, &mut progress)
    })?;
    let found = found.into_iter().map(|found| found.metrics).collect();
    Ok((!stage.should_stop()).then_some(found))
}

/// What the dictionaries know of storyworld's labels, of those of which that is stored: each on the stories that it was measured on,
/// those that share them in one pass.
fn measure_known(
    stage: &Stage<'_>,
    model: &ModelInfo,
    groups: &[Group],
) -> Result<Option<HashMap<DictionaryId, Vec<Measurement>>>> {
    type Place = (HookPoint, ResidualFrame, u64, u64);
    let mut places: Vec<(Place, Vec<DictionaryId>, Vec<PathBuf>)> = Vec::new();
    for (info, file) in groups.iter().flat_map(|group| &group.dictionaries) {
        let Some(known) = stage.runtime.block_on(stage.workspace.store.known(info.id))? else {
            continue;
        };
        let place = (info.at, info.residual, known.seed, known.n_stories);
        match places.iter_mut().find(|(other, ..)| *other == place) {
            Some((_, ids, files)) => {
                ids.push(info.id);
                files.push(file.clone());
            }
            None => places.push((place, vec![info.id], vec![file.clone()])),
        }
    }
    let pool = stage.workspace.job_pool()?;
    let mut all = HashMap::new();
    for ((at, residual, seed, n_stories), ids, files) in places {
        let observe = |what: &'static str, done, total| {
            stage.progress(Progress {
                stage: format!("known features: {what}"),
                done,
                total,
                unit: String::new(),
                rate: 0.0,
            });
            !stage.should_stop()
        };
        let options = Options { seed, n_stories };
        let found = pool.install(|| measure_files(stage.workspace, model, (at, residual), &files, options, &observe))?;
        let Some(found) = found else { return Ok(None) };
        all.extend(ids.into_iter().zip(found.iter().map(KnownFeatures::measurements)));
    }
    Ok(Some(all))
}

/// Holds what is stored against what was found. What only the run itself can measure is left out, and so is what this program
/// measures beyond what is stored.
fn compare(stored: &[Measurement], found: &[Measurement]) -> Verified {
    let pairs = stored.iter().filter_map(|stored| {
        let same = |m: &&Measurement| m.name == stored.name && m.at == stored.at && m.tokens == stored.tokens;
        let found = found.iter().find(same)?;
        Some((stored, found))
    });
    let mut verified = Verified {
        when: 0, // the registry's to say
        program: env!("CARGO_PKG_VERSION").into(),
        n_values: 0,
        n_same: 0,
        differences: Vec::new(),
    };
    for (stored, found) in pairs {
        verified.n_values += 1;
        verified.n_same += u64::from(stored.value.to_bits() == found.value.to_bits());
        let difference = Difference {
            stored: stored.clone(),
            found: Some(found.value),
        };
        // over other tokens, or by another definition, it is another figure
        let is_another = (stored.version, stored.n_tokens) != (found.version, found.n_tokens);
        if is_another || difference.is_beyond_rounding() {
            verified.differences.push(difference);
        }
    }
    verified
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(name: &str, value: f64) -> Measurement {
        Measurement {
            name: name.into(),
            version: 1,
            at: None,
            tokens: api::TokenSet::Ordinary,
            n_tokens: 100,
            value,
            interval: None,
        }
    }

    #[test]
    fn bits_rounding_and_differences_are_told_apart() {
        let stored = [
            ("ce_increase", 0.2),
            ("l0", 10.0),
            ("alive", 300.0),
            ("mse", 1.0),
            ("grad_norm", 3.0),
        ];
        let found = [
            ("ce_increase", 0.2),
            ("l0", 10.0001),
            ("alive", 298.0),
            ("mse", 1.01),
            ("other", 3.0),
        ];
        let [stored, found] = [stored, found].map(|all| all.map(|(name, value)| measurement(name, value)));
        let verified = compare(&stored, &found);
        // grad_norm is the run's own; "other" is not stored
        assert_eq!((verified.n_values, verified.n_same), (4, 1));
        assert_eq!(verified.differences.len(), 1);
        assert_eq!(
            (verified.differences[0].stored.name.as_str(), verified.differences[0].found),
            ("mse", Some(1.01))
        );
        assert!(!verified.holds());
    }

    #[test]
    fn other_tokens_are_another_figure() {
        let stored = [measurement("l0", 10.0)];
        let found = [Measurement {
            n_tokens: 99,
            ..measurement("l0", 10.0)
        }];
        assert!(!compare(&stored, &found).holds());
    }
}
