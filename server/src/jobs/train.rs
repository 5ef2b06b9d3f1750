//! The training job: model, tokens, training, and its dictionaries into the registry.

use anyhow::{Context as _, Result, ensure};
use api::{DictionaryConfig, DictionaryId, DictionaryInfo, ModelInfo, Origin, TrainConfig};
use engine::train::{ActivationCache, Finished, Inputs, Outcome, Trained, findings};
use std::path::{Path, PathBuf};

use super::{
    execute::Stage,
    recorder::Recorder,
    tokens::{Encoding, tokens},
};
use crate::{
    imported::staged_file,
    room::{self, Moment, Work},
};

/// Trains the job's dictionaries. None when it was told to stop, and kept a checkpoint.
///
/// # Errors
/// Whatever keeps it from training; the last checkpoint is kept.
pub fn train(stage: &Stage<'_>, config: &TrainConfig) -> Result<Option<Vec<DictionaryId>>> {
    let store = &stage.workspace.store;
    let info = stage.runtime.block_on(store.model(&config.model))?;
    let info = info.with_context(|| format!("there is no model '{}' in the registry any more", config.model))?;
    room::check(stage.workspace, config, &info, Work::Run, Moment::Begins)?;
    stage.begin("loading the model");
    let pool = stage.workspace.job_pool()?;
    check_unchanged(&info)?;
    let model = pool.install(|| stage.workspace.models.get(info.folder.as_ref(), &info.hash, config.residual))?;
    let encoding = Encoding {
        tokenizer: &Path::new(&info.folder).join("tokenizer.json"),
        d_vocab: info.d_vocab,
        hash: &info.hash,
    };
    let Some(tokens) = pool.install(|| tokens(stage, &config.corpus, &config.packing, encoding))? else {
        return Ok(None);
    };
    let (folder, activations) = (store.job_folder(stage.job.id), store.activations_folder());
    let cache = ActivationCache {
        folder: &activations,
        max_bytes: activation_cache_bytes()?,
    };
    stage.begin("preparing");
    let from = files(stage, config)?;
    let mut recorder = Recorder::new(stage);
    let outcome = pool.install(|| {
        let backend = stage.workspace.device.backend(&model)?;
        let inputs = Inputs {
            config,
            from: &from,
            backend: &*backend,
            model_hash: &info.hash,
            tokens: &tokens,
            folder: &folder,
            cache: Some(cache),
        };
        engine::train::run(inputs, &mut recorder)
    });
    recorder.written()?;
    match outcome? {
        Outcome::Stopped { .. } => Ok(None),
        Outcome::Done(trained) => register(stage, config, trained).map(Some),
    }
}

/// For each dictionary the file of the one that it begins from, where it begins from one.
fn files(stage: &Stage<'_>, config: &TrainConfig) -> Result<Vec<Option<PathBuf>>> {
    let store = &stage.workspace.store;
    let file = |(index, dictionary): (usize, &DictionaryConfig)| -> Result<Option<PathBuf>> {
        if let Origin::Imported { source, .. } = &dictionary.origin {
            let file = staged_file(store, config, index);
            ensure!(
                file.is_file(),
                "what was read from '{source}' is not there any more: import it again"
            );
            return Ok(Some(file));
        }
        let parent = dictionary.origin.parent();
        Ok(parent
            .map(|id| stage.runtime.block_on(store.verify_dictionary(id)))
            .transpose()?)
    };
    config.dictionaries.iter().enumerate().map(file).collect()
}

/// How large the activations that are kept on disk may become: 32 GiB, or what the environment says.
fn activation_cache_bytes() -> Result<u64> {
    const NAME: &str = "SAESCOPE_CACHE_GIB";
    let Some(text) = std::env::var_os(NAME) else {
        return Ok(32 << 30);
    };
    let gib = text
        .to_str()
        .and_then(|text| text.parse::<f64>().ok())
        .filter(|gib| *gib >= 0.0);
    let gib = gib.with_context(|| format!("{NAME}: found {text:?}; expected a number of GiB, 32 say"))?;
    Ok((gib * f64::from(1 << 30)) as u64)
}

/// A result names its model: it must be the one that was added under that name.
pub fn check_unchanged(info: &ModelInfo) -> Result<()> {
    let found = engine::model::content_hash(info.folder.as_ref())?;
    ensure!(
        found == info.hash,
        "'{}' has changed since it was added as model '{}': found the hash {found}, expected {}; put the former files back, or add the new ones",
        info.folder,
        info.id,
        info.hash
    );
    Ok(())
}

/// Moves the dictionaries into the registry and ends the job, all or nothing.
fn register(stage: &Stage<'_>, config: &TrainConfig, trained: Vec<Trained>) -> Result<Vec<DictionaryId>> {
    let (job, store) = (stage.job, &stage.workspace.store);
    let history = stage.runtime.block_on(store.history(job.id, 0))?;
    let dictionaries = trained
        .into_iter()
        .enumerate()
        .map(|(index, trained)| {
            let findings = findings(Finished {
                config: &config.dictionaries[index],
                index,
                n_steps: config.n_steps(),
                history: &history,
                metrics: &trained.metrics,
                reference: trained.reference,
            });
            let info = DictionaryInfo {
                id: DictionaryId(0), // the registry numbers it, takes its checksum and its time
                job: job.id,
                sweep: job.sweep,
                model: config.model.clone(),
                corpus: config.corpus.clone(),
                at: config.at,
                residual: config.residual,
                input_scale: config.input_scale,
                config: trained.config,
                tokens: config.n_steps() as u64 * (config.batch_tokens() * config.accumulation) as u64,
                n_passes: trained.n_passes,
                evaluated_on: config.evaluation.split,
                metrics: trained.metrics,
                density: Some(trained.density),
                findings,
                verified: None,
                checksum: String::new(),
                created: 0,
                command: String::new(),
            };
            (info, trained.file)
        })
        .collect();
    let ids = stage.runtime.block_on(store.finish_with(job.id, stage.owner, dictionaries))?;
    // three times the weights of every dictionary, of no use any more; a leftover costs room and nothing else
    if let Err(error) = engine::train::discard_checkpoint(&store.job_folder(job.id)) {
        tracing::warn!(job = %job.id, %error, "the checkpoint of a finished run could not be removed");
    }
    let is_import = |origin: &Origin| matches!(origin, Origin::Imported { .. });
    for (index, _) in config.dictionaries.iter().enumerate().filter(|(_, d)| is_import(&d.origin)) {
        // the registry has its own file of it now
        let _ = std::fs::remove_file(staged_file(store, config, index));
    }
    Ok(ids)
}
