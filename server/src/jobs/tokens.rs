//! A corpus as the tokens of one model: packed on first use, opened afterwards.

use anyhow::{Result, anyhow};
use api::{CorpusId, CorpusInfo, ModelInfo, Packing, Progress};
use engine::corpus::{CorpusError, CorpusFiles, TokenFile, pack};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use store::Store;

use super::execute::Stage;

/// How often progress is told while packing.
const EVERY: Duration = Duration::from_millis(500);

/// The tokenizer that a corpus is packed with.
#[derive(Clone, Copy, Debug)]
pub struct Encoding<'a> {
    /// Its `tokenizer.json`; special tokens are read from the files beside it.
    pub tokenizer: &'a Path,
    /// Entries of the model's vocabulary.
    pub d_vocab: usize,
    /// What names the packed text among others of the same corpus: the hash of the model or of the tokenizer.
    pub hash: &'a str,
}

/// The tokens of a job's corpus; none when the job was told to stop.
///
/// # Errors
/// As [`pack_corpus`]; a corpus that is no longer in the registry.
pub fn tokens(stage: &Stage<'_>, corpus: &CorpusId, packing: &Packing, encoding: Encoding<'_>) -> Result<Option<TokenFile>> {
    let store = &stage.workspace.store;
    let corpus = known_corpus(stage, corpus)?;
    stage.begin("tokenising");
    let began = Instant::now();
    let mut told = began;
    pack_encoded(store, encoding, &corpus, packing, &mut |done, total| {
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

/// The corpus as the registry has it.
///
/// # Errors
/// When it is no longer there.
pub fn known_corpus(stage: &Stage<'_>, corpus: &CorpusId) -> Result<CorpusInfo> {
    let known = stage.runtime.block_on(stage.workspace.store.corpus(corpus))?;
    known.ok_or_else(|| anyhow!("there is no corpus '{corpus}' in the registry any more"))
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
    let encoding = Encoding {
        tokenizer: &Path::new(&model.folder).join("tokenizer.json"),
        d_vocab: model.d_vocab,
        hash: &model.hash,
    };
    pack_encoded(store, encoding, corpus, packing, progress)
}

/// The corpus' files, read as they were when it was added.
pub fn files(corpus: &CorpusInfo) -> CorpusFiles {
    CorpusFiles {
        path: corpus.path.clone().into(),
        reading: corpus.reading.clone(),
    }
}

fn pack_encoded(
    store: &Store,
    encoding: Encoding<'_>,
    corpus: &CorpusInfo,
    packing: &Packing,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<TokenFile>> {
    let Encoding {
        tokenizer,
        d_vocab,
        hash,
    } = encoding;
    let folder = store.corpus_folder(&corpus.id, packing, hash);
    let tokens = match pack(files(corpus), tokenizer, d_vocab, packing, &folder, progress) {
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
