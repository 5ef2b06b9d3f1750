//! A corpus as the tokens of one model: packed on first use, opened afterwards.

use anyhow::{Result, anyhow};
use api::{CorpusInfo, ModelInfo, Packing, Progress};
use engine::corpus::{CorpusError, TokenFile, pack};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use store::Store;

use super::execute::Stage;

/// How often progress is told while packing.
const EVERY: Duration = Duration::from_millis(500);

/// The tokens of the job's corpus; none when the job was told to stop.
///
/// # Errors
/// As [`pack_corpus`]; a corpus that is no longer in the registry.
pub fn tokens(stage: &Stage<'_>, model: &ModelInfo) -> Result<Option<TokenFile>> {
    let config = &stage.job.config;
    let store = &stage.workspace.store;
    let corpus = stage.runtime.block_on(store.corpus(&config.corpus))?;
    let corpus = corpus.ok_or_else(|| anyhow!("there is no corpus '{}' in the registry any more", config.corpus))?;
    stage.begin("tokenising");
    let began = Instant::now();
    let mut told = began;
    pack_corpus(store, model, &corpus, &config.packing, &mut |done, total| {
        if told.elapsed() >= EVERY {
            told = Instant::now();
            let rate = done as f64 / began.elapsed().as_secs_f64();
            stage.progress(Progress {
                stage: "tokenising".into(),
                done,
                total,
                unit: "documents".into(),
                rate,
            });
        }
        !stage.should_stop()
    })
}

/// The tokens of `corpus` under `packing`, by the tokenizer of `model`; none when `progress` (documents done, in all) says
/// to stop. Call it in a pool of threads: it uses the current one.
///
/// # Errors
/// What the engine cannot read, and a source that is not what was added to the registry.
pub fn pack_corpus(
    store: &Store,
    model: &ModelInfo,
    corpus: &CorpusInfo,
    packing: &Packing,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<TokenFile>> {
    let tokenizer = Path::new(&model.folder).join("tokenizer.json");
    let folder = store.corpus_folder(&corpus.id, packing, &model.hash);
    let tokens = match pack(corpus.path.as_ref(), &tokenizer, model.d_vocab, packing, &folder, progress) {
        Ok(tokens) => tokens,
        Err(CorpusError::Stopped) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let found = &tokens.manifest().source_hash;
    // a token file that was given as the corpus names the text that it was made from
    if *found != corpus.hash && corpus.format != "token_file" {
        return Err(anyhow!(
            "'{}' has changed since it was added as corpus '{}': found the hash {found}, expected {}; put the former text back, or add the new one",
            corpus.path,
            corpus.id,
            corpus.hash
        ));
    }
    Ok(Some(tokens))
}
