//! The pretraining job: tokenizer, tokens, training, and the new model into the registry.

use anyhow::{Context as _, Result, ensure};
use api::{HistoryPoint, ModelInfo, PretrainConfig, TokenizerSource};
use engine::{
    corpus::{END_OF_TEXT, SpecialTokens, file_hash, load_tokenizer, special_tokens, train_tokenizer},
    file::write_atomic,
    pretrain::{Facts, Inputs, Outcome, Pretrained, run, write_folder},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use store::End;

use super::{
    execute::Stage,
    import,
    recorder::Recorder,
    tokens::{Encoding, files, known_corpus, tokens},
};
use crate::room::{self, Moment};

/// Trains the job's model. None when it was told to stop, and kept a checkpoint.
///
/// # Errors
/// Whatever keeps it from training; the last checkpoint is kept.
pub fn pretrain(stage: &Stage<'_>, config: &PretrainConfig) -> Result<Option<ModelInfo>> {
    let pool = stage.workspace.job_pool()?;
    let folder = stage.workspace.store.job_folder(stage.job.id);
    stage.begin("preparing the tokenizer");
    let tokenizer = pool.install(|| Tokenizer::prepare(stage, config, &folder))?;
    let encoding = Encoding {
        tokenizer: &tokenizer.file,
        d_vocab: tokenizer.d_vocab,
        hash: &tokenizer.sha256,
    };
    let Some(tokens) = pool.install(|| tokens(stage, &config.corpus, &config.packing(), encoding))? else {
        return Ok(None);
    };
    stage.begin("preparing");
    room::check_pretraining(stage.workspace, config, Some(tokenizer.d_vocab), Moment::Begins)?;
    let mut recorder = Recorder::new(stage);
    let inputs = Inputs {
        config,
        tokens: &tokens,
        folder: &folder,
    };
    let outcome = pool.install(|| run(inputs, &mut recorder));
    recorder.written()?;
    match outcome? {
        Outcome::Stopped { .. } => Ok(None),
        Outcome::Done(done) => register(stage, config, &tokenizer, &done).map(Some),
    }
}

/// The tokenizer of a job, in a folder of its own inside the job's.
struct Tokenizer {
    file: PathBuf,
    d_vocab: usize,
    sha256: String,
    special: SpecialTokens,
}

impl Tokenizer {
    /// The one that a run which was interrupted has left, or a new one.
    fn prepare(stage: &Stage<'_>, config: &PretrainConfig, folder: &Path) -> Result<Self> {
        let folder = folder.join("tokenizer");
        let file = folder.join("tokenizer.json");
        if !file.exists() {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make '{}'", folder.display()))?;
            let (json, about) = match &config.tokenizer {
                TokenizerSource::Trained { vocab_size } => {
                    let corpus = known_corpus(stage, &config.corpus)?;
                    let json = train_tokenizer(files(&corpus), *vocab_size)?;
                    (json, about(Some(END_OF_TEXT.into()), Some(END_OF_TEXT.into())))
                }
                TokenizerSource::Given { path, sha256 } => given(Path::new(path), sha256)?,
            };
            // the tokenizer last: where it is, what belongs to it is there, too
            for (name, text) in [("tokenizer_config.json", about), ("tokenizer.json", json)] {
                let file = folder.join(name);
                write_atomic(&file, text.as_bytes()).with_context(|| format!("cannot write '{}'", file.display()))?;
            }
        }
        let special = special_tokens(&folder)?;
        ensure!(
            special.bos.is_some(),
            "the tokenizer has no BOS token, which opens each document; name one as bos_token in tokenizer_config.json beside it"
        );
        let vocabulary = load_tokenizer(&folder, usize::MAX)?;
        let largest = vocabulary.get_vocab(true).into_values().max();
        Ok(Self {
            d_vocab: largest.map_or(0, |id| id as usize + 1),
            sha256: file_hash(&file)?,
            special,
            file,
        })
    }

    /// A special token with its text.
    fn named(&self, id: Option<u32>) -> Result<Option<(u32, String)>> {
        let tokenizer = load_tokenizer(self.file.parent().unwrap_or(Path::new(".")), usize::MAX)?;
        Ok(id.and_then(|id| Some((id, tokenizer.id_to_token(id)?))))
    }
}

/// A tokenizer that was given as a file, and what names its special tokens.
fn given(path: &Path, sha256: &str) -> Result<(String, String)> {
    let text = engine::file::read_to_string(path).with_context(|| format!("cannot read '{}'", path.display()))?;
    let found = file_hash(path)?;
    ensure!(
        found == sha256,
        "'{}' has changed since the job was asked for: found the hash {found}, expected {sha256}",
        path.display()
    );
    let beside = path.parent().unwrap_or(Path::new("."));
    let special = special_tokens(beside)?;
    let tokenizer = load_tokenizer(beside, usize::MAX)?;
    let text_of = |id: Option<u32>| id.and_then(|id| tokenizer.id_to_token(id));
    Ok((text, about(text_of(special.bos), text_of(special.eos))))
}

fn about(bos: Option<String>, eos: Option<String>) -> String {
    serde_json::json!({ "bos_token": bos, "eos_token": eos }).to_string()
}

/// Writes the model's folder, moves it to the registry's models and ends the job.
fn register(stage: &Stage<'_>, config: &PretrainConfig, tokenizer: &Tokenizer, done: &Pretrained) -> Result<ModelInfo> {
    stage.begin("writing the model");
    let job = stage.job;
    let store = &stage.workspace.store;
    let written = store.job_folder(job.id).join("model");
    if written.exists() {
        // of a run that was killed in this moment
        fs::remove_dir_all(&written).with_context(|| format!("cannot remove '{}'", written.display()))?;
    }
    let (bos, eos) = (
        tokenizer.named(tokenizer.special.bos)?,
        tokenizer.named(tokenizer.special.eos)?,
    );
    let readme = readme(config, &job.command, done);
    let facts = Facts {
        config,
        tokenizer: &tokenizer.file,
        bos: bos.as_ref().map(|(id, text)| (*id, text.as_str())),
        eos: eos.as_ref().map(|(id, text)| (*id, text.as_str())),
        readme: &readme,
    };
    write_folder(&done.trainable, facts, &written)?;
    let described = import::describe(stage.workspace, &written)?;
    let last = HistoryPoint {
        step: config.n_steps(),
        tokens: done.n_tokens,
        dictionary: 0,
        values: BTreeMap::from([
            ("final/loss".to_string(), done.measured.loss),
            ("tokens_per_second".to_string(), throughput(done)),
        ]),
    };
    let source = format!("made by job {}", job.id);
    let added = stage.runtime.block_on(async {
        store.append_history(job.id, &[last]).await?;
        let added = import::moved_model(stage.workspace, &written, described, &source, &config.name.0).await?;
        store.finish(job.id, stage.owner, End::Done(Vec::new())).await?;
        anyhow::Ok(added)
    })?;
    // the model is safe; what is left over costs room and nothing else
    if let Err(error) = engine::pretrain::discard_checkpoint(&store.job_folder(job.id)) {
        tracing::warn!(job = %job.id, %error, "the checkpoint of a finished run could not be removed");
    }
    Ok(added)
}

/// Predictions per second of training.
fn throughput(done: &Pretrained) -> f64 {
    done.n_tokens as f64 / done.seconds.max(1e-9)
}

/// What the model's folder says of itself.
fn readme(config: &PretrainConfig, command: &str, done: &Pretrained) -> String {
    let facts = done.trainable.model().facts();
    let command = command.replace(" --", " \\\n    --");
    let shape = config.shape;
    format!(
        "# {}\n\n\
         A GPT-2 of {} blocks, d_model {}, {} heads, n_ctx {}, {} tokens in the vocabulary: {} parameters, in {}. \
         Trained from random weights on the corpus `{}`, with seed {}:\n\n\
         ```sh\n{command}\n```\n\n\
         | | |\n|---|---|\n\
         | loss on {}, each document from its first token | {:.4} nats per token |\n\
         | measured on | {} tokens of {} documents |\n\
         | trained on | {} tokens, {:.2} passes over the text |\n\
         | throughput | {:.0} tokens per second, {:.0} s |\n",
        config.name,
        facts.n_layers,
        facts.d_model,
        facts.n_heads,
        shape.n_ctx,
        facts.d_vocab,
        facts.n_params,
        config.dtype,
        config.corpus,
        config.seed,
        config.evaluation.split.text(),
        done.measured.loss,
        done.measured.n_tokens,
        done.measured.n_documents,
        done.n_tokens,
        done.n_passes,
        throughput(done),
        done.seconds,
    )
}
