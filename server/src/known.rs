//! Known features of registered dictionaries: measured in one pass over the stories per hook point, and kept with their metrics.

use anyhow::{Context as _, Result};
use api::{ConfigError, DictionaryInfo, HookPoint, KnownFeatures, ModelInfo, ResidualFrame};
use engine::{
    corpus::{load_tokenizer, special_tokens},
    dictionary,
    metrics::{
        Subject,
        known::{Observe, Options, Reader, measure},
    },
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::workspace::Workspace;

/// Measures `dictionaries` and keeps what was found. Those of one model and hook point share its pass; each such group is kept
/// as soon as it is measured. None when `observe` ended it.
///
/// # Errors
/// Models, tokenizers and dictionaries that cannot be read.
pub async fn measure_and_keep(
    workspace: &Arc<Workspace>,
    dictionaries: Vec<DictionaryInfo>,
    options: Options,
    observe: Arc<Observe<'static>>,
) -> Result<Option<Vec<(DictionaryInfo, KnownFeatures)>>> {
    let mut all = Vec::with_capacity(dictionaries.len());
    for group in groups(dictionaries) {
        let Some(found) = measure_group(workspace, &group, options, observe.clone()).await? else {
            return Ok(None);
        };
        for (info, known) in group.into_iter().zip(found) {
            workspace.store.set_known(info.id, &known).await?;
            all.push((info, known));
        }
    }
    Ok(Some(all))
}

/// Dictionaries that read the same activations, together, in the order of the first of each group.
fn groups(dictionaries: Vec<DictionaryInfo>) -> Vec<Vec<DictionaryInfo>> {
    let mut groups: Vec<Vec<DictionaryInfo>> = Vec::new();
    for one in dictionaries {
        let same = |group: &&mut Vec<DictionaryInfo>| {
            let first = &group[0];
            (&first.model, first.at, first.residual) == (&one.model, one.at, one.residual)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

async fn measure_group(
    workspace: &Arc<Workspace>,
    group: &[DictionaryInfo],
    options: Options,
    observe: Arc<Observe<'static>>,
) -> Result<Option<Vec<KnownFeatures>>> {
    let first = &group[0];
    let (at, residual) = (first.at, first.residual);
    let model = workspace.store.model(&first.model).await?;
    let model = model.with_context(|| format!("there is no model '{}'", first.model))?;
    let mut files = Vec::with_capacity(group.len());
    for one in group {
        files.push(workspace.store.verify_dictionary(one.id).await?);
    }
    let pool = workspace.job_pool()?;
    let workspace = workspace.clone();
    let work = move || measure_files(&workspace, &model, (at, residual), &files, options, &*observe);
    tokio::task::spawn_blocking(move || pool.install(work)).await?
}

/// Measures the dictionaries in `files`, all at one hook point of a model, on the threads of the current pool. None when `observe`
/// ended it.
///
/// # Errors
/// Models, tokenizers and dictionaries that cannot be read.
pub fn measure_files(
    workspace: &Workspace,
    model: &ModelInfo,
    (at, residual): (HookPoint, ResidualFrame),
    files: &[PathBuf],
    options: Options,
    observe: &Observe<'_>,
) -> Result<Option<Vec<KnownFeatures>>> {
    let folder = Path::new(&model.folder);
    let weights = workspace.models.get(folder, &model.hash, residual)?;
    let tokenizer = load_tokenizer(folder, weights.facts().d_vocab)?;
    let reader = Reader {
        model: &weights,
        tokenizer: &tokenizer,
        bos: special_tokens(folder)?.within(model.d_vocab).bos,
    };
    let loaded = files
        .iter()
        .map(|file| dictionary::load(file))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some((dictionary, _)) = loaded.iter().find(|(dictionary, _)| dictionary.kind().read_at().is_some()) {
        let message = format!(
            "found a {}, which reads elsewhere than it writes; what dictionaries know is measured where both are one",
            dictionary.kind().name()
        );
        return Err(ConfigError::new("dictionary", message).into());
    }
    let subjects: Vec<Subject<'_>> = loaded
        .iter()
        .map(|(dictionary, file)| Subject {
            dictionary,
            normaliser: file.normaliser,
        })
        .collect();
    Ok(measure(reader, at, &subjects, options, observe)?)
}
