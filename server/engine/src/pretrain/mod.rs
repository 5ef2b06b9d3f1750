//! Pretraining: a new GPT-2 from random weights, trained to predict the next token of a corpus.
//!
//! A run stops at any step and goes on from its last checkpoint to the same bits, whatever the number of threads. What it
//! makes is a Hugging Face folder like any other.

mod checkpoint;
mod folder;
mod initial;
mod learner;
mod loss;
mod memory;
mod pass;
mod run;

pub use checkpoint::discard as discard_checkpoint;
pub use folder::{Facts, write as write_folder};
pub use initial::{config_json, new_model};
pub use learner::Learner;
pub use loss::{Measured, documents, measure};
pub use memory::needs;
pub use pass::Pass;
pub use run::{Inputs, Outcome, Pretrained, run};

use crate::{corpus::CorpusError, model::ModelError};

/// Why a run cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum PretrainError {
    /// The model cannot do what was asked.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The text or the tokenizer cannot be used.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The config does not fit the text or the tokenizer.
    #[error(transparent)]
    Config(#[from] api::ConfigError),
    /// A loss or gradient is NaN or infinite; no weight has moved.
    #[error(
        "step {step}: the loss is {loss} and the gradient's norm {grad_norm}; try a smaller learning rate; the last checkpoint, of step {kept}, is kept"
    )]
    NotFinite {
        /// The step, from 0.
        step: usize,
        /// The step that the last checkpoint stands at; 0 before the first.
        kept: usize,
        /// The loss.
        loss: f64,
        /// The gradient's norm.
        grad_norm: f64,
    },
    /// A weight is NaN or infinite after the last step.
    #[error("'{tensor}' is no longer finite; try a smaller learning rate")]
    Weights {
        /// The tensor.
        tensor: String,
    },
    /// A checkpoint or the model's folder cannot be read or written.
    #[error("{path}: {message}")]
    File {
        /// The file or folder.
        path: String,
        /// What was found.
        message: String,
    },
}
