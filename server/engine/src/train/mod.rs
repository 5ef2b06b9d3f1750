//! Training: the run, its step, the optimiser, the schedule and the checkpoints.
//!
//! A run trains all its dictionaries from one pass over the text, each exactly as if it were alone. It stops at any step and
//! goes on from its last checkpoint to the same bits, whatever the number of threads.

pub mod adam;
mod backend;
pub mod buffer;
mod checkpoint;
mod feed;
mod findings;
mod fit;
mod left_out;
mod memory;
mod pass;
mod reference;
mod resample;
mod results;
mod run;
pub mod schedule;
mod start;
mod step;
mod target;
mod trainee;

pub use backend::{Backend, Cpu, Device, Steps};
pub use buffer::ActivationCache;
pub use checkpoint::discard as discard_checkpoint;
pub use findings::{Finished, Reference, findings};
pub use memory::{measuring_needs, needs};
pub use results::{evaluate, firings, hardest_tokens, measured_context};
pub use run::{Inputs, Observer, Outcome, Trained, run};
pub use step::Stepper;
pub use trainee::Trainee;

use crate::{corpus::CorpusError, dictionary::DictionaryError, model::ModelError};

/// Why a run cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The model cannot do what was asked.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The text cannot be used.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// A dictionary's file cannot be read or written.
    #[error(transparent)]
    Dictionary(#[from] DictionaryError),
    /// The config does not fit the model or the text.
    #[error(transparent)]
    Config(#[from] api::ConfigError),
    /// A loss or gradient is NaN or infinite; no parameter has moved.
    #[error("dictionary {dictionary}: the loss is {loss} and the gradient's norm {grad_norm}; try a smaller learning rate")]
    NotFinite {
        /// Index into the config's dictionaries.
        dictionary: usize,
        /// The loss.
        loss: f64,
        /// The gradient's norm.
        grad_norm: f64,
    },
    /// A parameter is NaN or infinite after a step that no loss has been computed from yet.
    #[error("dictionary {dictionary}: '{tensor}' is no longer finite; try a smaller learning rate")]
    Weights {
        /// Index into the config's dictionaries.
        dictionary: usize,
        /// The parameter.
        tensor: &'static str,
    },
    /// The device does not do what it should; no parameter has moved.
    #[error("{device}: {message}")]
    Device {
        /// What it is called.
        device: String,
        /// What it said.
        message: String,
    },
    /// One of these, with the step at which it came.
    #[error("step {step}: {cause}; {}", kept_words(*kept))]
    Step {
        /// The step, from 0.
        step: usize,
        /// The step that the last checkpoint stands at; 0 before the first.
        kept: usize,
        /// What happened.
        cause: Box<TrainError>,
    },
    /// Activations on disk cannot be read or written.
    #[error("{path}: {message}")]
    Activations {
        /// The file or folder.
        path: String,
        /// What was found.
        message: String,
    },
    /// A checkpoint cannot be read or written.
    #[error("{path}: {message}")]
    Checkpoint {
        /// The file.
        path: String,
        /// What was found.
        message: String,
    },
}

fn kept_words(step: usize) -> String {
    match step {
        0 => "no checkpoint had been made yet".into(),
        step => format!("the last checkpoint, of step {step}, is kept"),
    }
}
