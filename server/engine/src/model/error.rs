//! What can be wrong with a model folder or with a request to a model.

use api::HookPoint;
use std::path::PathBuf;

/// Why a model could not be loaded or run. The message names the file, the field or the tensor.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The system refused to read a file.
    #[error("cannot read '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file that a model folder needs is not there.
    #[error("'{}' has no {file}; {advice}", folder.display())]
    Missing {
        /// The model folder.
        folder: PathBuf,
        /// What was looked for.
        file: String,
        /// What to do.
        advice: &'static str,
    },
    /// A file is truncated or is not what its name says.
    #[error("'{}' is damaged or not {expected}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the file should be.
        expected: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// A field of `config.json` is absent, of the wrong kind, or asks for something that the forward pass cannot do.
    #[error("'{}': {field} is {found}; expected {expected}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The field.
        field: String,
        /// Its value.
        found: String,
        /// What would have been understood.
        expected: String,
    },
    /// The checkpoint lacks a tensor.
    #[error("the checkpoint in '{}' has no tensor '{name}'", folder.display())]
    NoTensor {
        /// The model folder.
        folder: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor's shape is not the one that `config.json` implies.
    #[error("tensor '{name}' has shape {found:?}; config.json implies {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the config implies.
        expected: Vec<usize>,
    },
    /// A tensor's numbers are stored in a type that is not read.
    #[error("tensor '{name}' is stored as {found}; expected F32, F64, F16 or BF16")]
    Dtype {
        /// The tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// A weight is NaN or infinite, or too large for f32.
    #[error(
        "tensor '{name}' holds {found} at {index:?}; expected finite numbers: the model is damaged, and nothing that it gives could be \
         measured"
    )]
    NotFinite {
        /// The tensor.
        name: String,
        /// The number.
        found: f64,
        /// Where it stands.
        index: Vec<usize>,
    },
    /// What the model gives is not finite, without any dictionary in it.
    #[error(
        "it is the model: it gives {found} at {at}, at position {position} of a context (token id {token}), with no dictionary in it, and \
         nothing can be trained or measured on that; look at its weights and their type, or take another model"
    )]
    Clean {
        /// The hook point, or what comes after the last one.
        at: String,
        /// The number.
        found: f32,
        /// Where in the context.
        position: usize,
        /// The token there.
        token: u32,
    },
    /// The centred frame was asked of a model whose norms see the mean.
    #[error(
        "residual frame 'centred' needs LayerNorm, which ignores the mean over d_model; {family} uses RMSNorm, so its \
         outputs would change; use 'raw'"
    )]
    Frame {
        /// The model's family.
        family: super::Family,
    },
    /// The model has no such hook point.
    #[error("the model has no hook point '{at}': {reason}")]
    NoHookPoint {
        /// What was asked for.
        at: HookPoint,
        /// What exists.
        reason: String,
    },
    /// A pass was asked to end before it begins.
    #[error("cannot run from '{from}' to '{to}': it lies below")]
    Order {
        /// The cut.
        from: HookPoint,
        /// The requested end.
        to: HookPoint,
    },
    /// A context is empty or longer than the model allows.
    #[error("a context of {found} tokens; expected 1 to {n_ctx}, the model's n_ctx")]
    Context {
        /// Its length.
        found: usize,
        /// The longest.
        n_ctx: usize,
    },
    /// A token id lies outside the vocabulary.
    #[error("token id {id} at position {position} is outside the model's vocabulary of {d_vocab}; is this its tokenizer?")]
    Token {
        /// The id.
        id: u32,
        /// Where in the context.
        position: usize,
        /// The vocabulary's size.
        d_vocab: usize,
    },
    /// The value given for a cut does not have the cut's shape.
    #[error("{found} numbers given for '{at}'; expected {n_tokens} tokens × {width}")]
    Value {
        /// The cut point.
        at: HookPoint,
        /// How many numbers came.
        found: usize,
        /// Tokens of the cut.
        n_tokens: usize,
        /// Width of the cut point.
        width: usize,
    },
}
