//! Other tools' dictionaries: read as ours, and ours written as theirs. A file per format; `coder.rs` is the one place where their
//! conventions become ours.
//!
//! A file from elsewhere is data. Pickles are read by one file of ours (`pickle.rs`), which calls nothing.

mod archive;
mod circuit_tracer;
mod coder;
mod dictionary_learning;
mod e2e_sae;
mod errors;
mod fields;
mod folder;
mod four_matrices;
mod gemma_scope;
mod goodfire;
mod limits;
mod llama_scope;
mod npy;
mod openai;
mod pickle;
mod place;
mod saelens;
mod saelens_transcoder;
mod sparse_coding;
mod sparsify;
mod tensors;
mod torch;
mod transcoder;
mod yaml;

pub use archive::pack;

use api::{BosPolicy, HookPoint, Objective, ResidualFrame};
use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::dictionary::{Dictionary, DictionaryError, Normaliser};
use coder::Coder;
use errors::refuse;
use transcoder::Transcoder;

pub use place::{Beside, Place};

/// Whose files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// SAELens: `cfg.json`, `sae_weights.safetensors`.
    SaeLens,
    /// dictionary_learning: `ae.pt`, `config.json`.
    DictionaryLearning,
    /// sparsify: `cfg.json`, `sae.safetensors`.
    Sparsify,
    /// OpenAI: a `.pt`.
    OpenAi,
    /// Gemma Scope: `params.npz` or `params.safetensors`.
    GemmaScope,
    /// e2e_sae: a `.pt` with a `.yaml`.
    E2eSae,
    /// sparse_coding: `learned_dicts.pt`.
    SparseCoding,
    /// Llama Scope: `hyperparams.json`, `checkpoints/final.safetensors`.
    LlamaScope,
    /// Goodfire, and qresearch of DeepSeek-R1: a `.pt`.
    Goodfire,
    /// Qwen Scope: `layerN.sae.pt`.
    QwenScope,
    /// Dictionaries of GPT-2's attention (Kissane and others 2024): a `.pt` with a `_cfg.json`.
    AttentionSaes,
    /// circuit-tracer: `layer_N.safetensors`, `config.yaml`.
    CircuitTracer,
}

/// What can be read, as messages list it.
const READ: &str = "a folder with cfg.json and sae_weights.safetensors (SAELens) or sae.safetensors (sparsify), ae.pt \
                    (dictionary_learning), params.npz or params.safetensors (Gemma Scope), final_config.yaml and samples_N.pt (e2e_sae), \
                    learned_dicts.pt (sparse_coding), hyperparams.json and checkpoints/final.safetensors (Llama Scope) or a single .pt, \
                    or one of these files, or a .pt of e2e_sae, OpenAI, Goodfire or Qwen Scope, or a layer_N.safetensors (circuit-tracer)";

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::SaeLens => "SAELens",
            Format::DictionaryLearning => "dictionary_learning",
            Format::Sparsify => "sparsify",
            Format::OpenAi => "OpenAI",
            Format::GemmaScope => "Gemma Scope",
            Format::E2eSae => "e2e_sae",
            Format::SparseCoding => "sparse_coding",
            Format::LlamaScope => "Llama Scope",
            Format::Goodfire => "Goodfire",
            Format::QwenScope => "Qwen Scope",
            Format::AttentionSaes => "attention-output SAEs",
            Format::CircuitTracer => "circuit-tracer",
        })
    }
}

/// Which dictionary of a file that holds several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Choice {
    /// That at this hook point (e2e_sae).
    pub at: Option<HookPoint>,
    /// That of this number, from 0 (sparse_coding).
    pub index: Option<usize>,
    /// As a transcoder that reads here, where the file does not say it.
    pub read_at: Option<HookPoint>,
    /// How the dictionary sees activations, where more is known of that than the file says (SAELens, Llama Scope).
    pub normaliser: Option<Normaliser>,
}

/// What a file says of its dictionary beside the weights. Where it says nothing there is nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Whose file.
    pub format: Format,
    /// The language model, as the tool calls it.
    pub model: Option<String>,
    /// The hook point, as the file calls it; of a transcoder, where it writes.
    pub hook: Option<String>,
    /// How what is there differs from what is at ours.
    pub beside: Beside,
    /// Where a transcoder reads.
    pub reads: Option<Place>,
    /// How the tool reads the residual stream.
    pub residual: Option<ResidualFrame>,
    /// What it was trained to do, where that is an objective of ours.
    pub objective: Option<Objective>,
    /// Learning rate.
    pub lr: Option<f64>,
    /// Seed.
    pub seed: Option<u64>,
    /// Tokens it was trained on.
    pub tokens: Option<u64>,
    /// Tokens per context.
    pub n_ctx: Option<usize>,
    /// What the BOS token opened.
    pub bos: Option<BosPolicy>,
    /// log10 of how often each feature fires, plus 1e-10 [d_sae].
    pub log_sparsity: Option<Vec<f32>>,
    /// How the dictionary sees activations.
    pub normaliser: Normaliser,
}

impl Facts {
    /// Nothing but the format.
    pub fn new(format: Format) -> Self {
        Self {
            format,
            model: None,
            hook: None,
            beside: Beside::Nothing,
            reads: None,
            residual: None,
            objective: None,
            lr: None,
            seed: None,
            tokens: None,
            n_ctx: None,
            bos: None,
            log_sparsity: None,
            normaliser: Normaliser::default(),
        }
    }

    /// The hook point, where the file names one that we know.
    pub fn at(&self) -> Option<HookPoint> {
        place::place(self.hook.as_ref()?).map(|place| place.at)
    }
}

/// A dictionary from elsewhere.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The dictionary.
    pub dictionary: Dictionary<f32>,
    /// What else the file says.
    pub facts: Facts,
}

/// Reads a dictionary from a folder or a file, of whichever format it is.
///
/// # Errors
/// Files of no known format, and files of a known one that cannot be used, with what was found and what is supported.
pub fn read(path: &Path, choice: &Choice) -> Result<Imported, DictionaryError> {
    let weights = weights_file(path)?;
    let name = weights
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let folder = weights
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    match name.as_str() {
        saelens::WEIGHTS if llama_scope::is_distilled(folder) => llama_scope::read_distilled(folder, choice),
        saelens::WEIGHTS => saelens::read(folder, choice),
        sparsify::WEIGHTS => sparsify::read(folder, choice),
        dictionary_learning::WEIGHTS => dictionary_learning::read(&weights),
        _ if let Some(folder) = llama_scope::folder_of(&weights) => llama_scope::read(&folder),
        _ if name.ends_with(".npz") || gemma_scope::WEIGHTS.contains(&name.as_str()) => gemma_scope::read(&weights, choice),
        _ if [".pt", ".pth", ".bin"].iter().any(|ending| name.ends_with(ending)) => read_torch(&weights, choice),
        _ => match circuit_tracer::layer(&name) {
            Some(layer) => circuit_tracer::read(&weights, layer, choice),
            None => Err(refuse(&weights, format!("a file of no known format; expected {READ}"))),
        },
    }
}

/// The file that holds the weights of what lies at `path`, a folder or that file.
///
/// # Errors
/// Where there is nothing, and a folder in which no format's file is.
pub fn weights_file(path: &Path) -> Result<PathBuf, DictionaryError> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if !path.is_dir() {
        return Err(refuse(path, "there is no such file or folder"));
    }
    let names = [
        saelens::WEIGHTS,
        sparsify::WEIGHTS,
        dictionary_learning::WEIGHTS,
        sparse_coding::WEIGHTS,
        llama_scope::WEIGHTS,
    ];
    let found = names
        .into_iter()
        .chain(gemma_scope::WEIGHTS)
        .map(|name| path.join(name))
        .find(|file| file.is_file());
    match found {
        Some(file) => Ok(file),
        None if path.join(e2e_sae::CONFIG).is_file() => e2e_sae::latest(path),
        None => folder::only_torch(path).ok_or_else(|| refuse(path, format!("holds {}; expected {READ}", folder::names(path)))),
    }
}

/// A `.pt` is told by what is in it.
fn read_torch(path: &Path, choice: &Choice) -> Result<Imported, DictionaryError> {
    let saved = torch::Saved::open(path)?;
    if sparse_coding::is_known(&saved) {
        return sparse_coding::read(path, choice);
    }
    if dictionary_learning::is_interrupted(&saved) {
        return dictionary_learning::read(path);
    }
    let tensors = saved.tensors(saved.state_dict()?)?;
    if openai::is_known(&tensors) {
        return openai::read(path);
    }
    if e2e_sae::is_known(path, &tensors) {
        return e2e_sae::read(path, choice);
    }
    if goodfire::is_known(path, &tensors) {
        return goodfire::read(path);
    }
    if four_matrices::is_known(path, &tensors) {
        return four_matrices::read(path);
    }
    if dictionary_learning::is_known(&tensors) {
        return dictionary_learning::read(path);
    }
    let found = format!("holds the tensors {}", tensors.names());
    Err(refuse(
        path,
        format!("{found}; expected those of dictionary_learning, e2e_sae, OpenAI, Goodfire, Qwen Scope or sparse_coding"),
    ))
}

/// Writes `dictionary`, which sees activations as `facts` say, in their format. Activations come out in the model's units, but where
/// each token has a scale of its own.
///
/// # Errors
/// A format that is not written, a dictionary that the format cannot say, and files that cannot be written.
pub fn write(
    dictionary: &Dictionary<f32>,
    facts: &Facts,
    frequencies: Option<&[f32]>,
    folder: &Path,
) -> Result<(), DictionaryError> {
    let scale = match facts.normaliser {
        Normaliser::Scale(scale) => scale,
        Normaliser::Token(_) => 1.0,
    };
    let message = |message| refuse(folder, message);
    if let Some(transcoder) = Transcoder::of(dictionary, scale).map_err(message)? {
        return match facts.format {
            Format::SaeLens => saelens::write_transcoder(folder, &transcoder, facts, frequencies),
            Format::Sparsify => sparsify::write_transcoder(folder, &transcoder, facts),
            other => Err(refuse(
                folder,
                format!(
                    "found a {}; transcoders are written as saelens and sparsify have them, not as {other}",
                    dictionary.kind().name()
                ),
            )),
        };
    }
    let coder = Coder::of(dictionary, scale).map_err(message)?;
    match facts.format {
        Format::SaeLens => saelens::write(folder, &coder, facts, frequencies),
        Format::DictionaryLearning => dictionary_learning::write(folder, &coder, facts),
        Format::Sparsify => sparsify::write(folder, coder, facts),
        Format::OpenAi => openai::write(folder, coder, facts),
        Format::GemmaScope => gemma_scope::write(folder, coder, facts),
        Format::E2eSae => e2e_sae::write(folder, coder, facts),
        Format::SparseCoding => sparse_coding::write(folder, coder, facts),
        other => Err(refuse(
            folder,
            format!(
                "{other}'s files are read, not written; expected saelens, dictionary_learning, sparsify, openai, gemma_scope, e2e_sae \
                 or sparse_coding"
            ),
        )),
    }
}
