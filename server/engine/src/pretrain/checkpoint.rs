//! Checkpoints: everything that the rest of a run depends on, in one file that is either whole or not there.

use api::PretrainConfig;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fs, path::Path};

use super::{PretrainError, learner::Learner};

const KEY: &str = "saescope_pretrain_checkpoint";
const VERSION: u32 = 1;
/// The file's name in a job's folder.
const NAME: &str = "checkpoint.safetensors";

/// What a checkpoint says beside weights and moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u32,
    /// The run's config; another one does not resume it.
    config: PretrainConfig,
    /// SHA-256 of the training text's tokens and of the tokenizer.
    inputs: String,
    /// Optimiser steps made.
    pub step: usize,
    /// Seconds that the steps took.
    pub seconds: f64,
}

impl State {
    /// Before the first step.
    pub fn new(config: &PretrainConfig, inputs: String) -> Self {
        Self {
            version: VERSION,
            config: config.clone(),
            inputs,
            step: 0,
            seconds: 0.0,
        }
    }
}

/// Writes a checkpoint to `folder`, unless a weight is NaN or infinite: the former one is better then.
///
/// # Errors
/// When a weight is not finite, or the file cannot be written; the former checkpoint is there then.
pub fn save(folder: &Path, state: &State, learner: &Learner<f32>) -> Result<(), PretrainError> {
    let numbers = learner.trainable.numbers();
    let mut tensors = learner.trainable.tensors().iter();
    if let Some(tensor) = tensors.find(|t| numbers[t.place.clone()].iter().any(|x| !x.is_finite())) {
        return Err(PretrainError::Weights {
            tensor: tensor.name.clone(),
        });
    }
    let path = folder.join(NAME);
    let failed = |message: String| PretrainError::File {
        path: path.display().to_string(),
        message,
    };
    let json = serde_json::to_string(state).map_err(|e| failed(e.to_string()))?;
    let views = [("weights", numbers), ("first", &learner.first), ("second", &learner.second)].map(|(name, numbers)| {
        TensorView::new(Dtype::F32, vec![numbers.len()], bytemuck::cast_slice(numbers)).map(|view| (name, view))
    });
    let views = views
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| failed(e.to_string()))?;
    let metadata = HashMap::from([(KEY.to_string(), json)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| failed(e.to_string()))?;
    crate::file::write_atomic(&path, &bytes).map_err(|e| failed(e.to_string()))
}

/// Removes the checkpoint in `folder`, if there is one: for finished runs, whose model is safe elsewhere.
///
/// # Errors
/// The system's.
pub fn discard(folder: &Path) -> std::io::Result<()> {
    match fs::remove_file(folder.join(NAME)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Reads the checkpoint in `folder`, if there is one, into `learner`.
///
/// # Errors
/// When it is damaged, of another version, or of another config, text or tokenizer.
pub fn load(folder: &Path, expected: &State, learner: &mut Learner<f32>) -> Result<Option<State>, PretrainError> {
    let path = folder.join(NAME);
    let failed = |message: String| PretrainError::File {
        path: path.display().to_string(),
        message,
    };
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e.to_string())),
    };
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| failed(format!("damaged: {e}")))?;
    let json = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(KEY))
        .ok_or_else(|| failed("not a checkpoint of pretraining".into()))?;
    let state: State = serde_json::from_str(json).map_err(|e| failed(format!("metadata: {e}")))?;
    if state.version != VERSION {
        return Err(failed(format!(
            "version {}; this program reads version {VERSION}",
            state.version
        )));
    }
    if state.config != expected.config || state.inputs != expected.inputs {
        return Err(failed(
            "belongs to another config, text or tokenizer; remove it to start over".into(),
        ));
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| failed(format!("damaged: {e}")))?;
    let n = learner.trainable.numbers().len();
    let read = |name: &str| -> Result<Vec<f32>, PretrainError> {
        let view = tensors
            .tensor(name)
            .map_err(|_| failed(format!("tensor '{name}' is missing")))?;
        if view.dtype() != Dtype::F32 || view.shape() != [n] {
            return Err(failed(format!(
                "tensor '{name}' has shape {:?}; expected [{n}]",
                view.shape()
            )));
        }
        Ok(bytemuck::pod_collect_to_vec(view.data()))
    };
    let weights = read("weights")?;
    learner.trainable.update(|numbers| numbers.copy_from_slice(&weights));
    learner.first = read("first")?;
    learner.second = read("second")?;
    learner.steps = state.step;
    Ok(Some(state))
}
