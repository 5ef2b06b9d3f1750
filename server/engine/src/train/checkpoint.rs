//! Checkpoints: everything that the rest of a run depends on, in one file that is either whole or not there.

use api::TrainConfig;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fs, path::Path};

use super::{TrainError, target::Search, trainee::Trainee};
use crate::dictionary::{Normaliser, Tensor};

const KEY: &str = "saescope_checkpoint";
const VERSION: u32 = 1;
/// The file's name in a job's folder.
pub const NAME: &str = "checkpoint.safetensors";

/// What a checkpoint says beside weights and moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Version of the format.
    pub version: u32,
    /// The run's config; another one does not resume it.
    pub config: TrainConfig,
    /// SHA-256 of the training text's tokens and of the model that they belong to.
    pub inputs: String,
    /// Optimiser steps made.
    pub step: usize,
    /// How the dictionaries see activations.
    #[serde(rename = "scale")]
    pub normaliser: Normaliser,
    /// Per dictionary: Σ of the gradient norms over the run's last half, and their number.
    pub grad_norms: Vec<(f64, usize)>,
    /// Per dictionary: seconds of one thread.
    pub seconds: Vec<f64>,
    /// Per dictionary: where its search for λ is.
    #[serde(default)]
    pub searches: Vec<Search>,
}

impl State {
    /// Before the first step.
    pub fn new(config: &TrainConfig, inputs: String, normaliser: Normaliser) -> Self {
        let n = config.dictionaries.len();
        Self {
            version: VERSION,
            config: config.clone(),
            inputs,
            step: 0,
            normaliser,
            grad_norms: vec![(0.0, 0); n],
            seconds: vec![0.0; n],
            searches: vec![Search::default(); n],
        }
    }
}

/// Writes a checkpoint to `folder`.
///
/// # Errors
/// When the file cannot be written; the former checkpoint is there then.
pub fn save(folder: &Path, state: &State, trainees: &[Trainee<f32>]) -> Result<(), TrainError> {
    let path = folder.join(NAME);
    let failed = |message: String| TrainError::Checkpoint {
        path: path.display().to_string(),
        message,
    };
    let json = serde_json::to_string(state).map_err(|e| failed(e.to_string()))?;
    let mut views = Vec::new();
    for (k, trainee) in trainees.iter().enumerate() {
        for (part, tensors) in [
            ("w", &trainee.dictionary.parameters().0[..]),
            ("s", trainee.dictionary.state()),
            ("m", &trainee.adam.first.0),
            ("v", &trainee.adam.second.0),
            ("r", trainee.silent()),
        ] {
            for tensor in tensors {
                let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytemuck::cast_slice(&tensor.data))
                    .map_err(|e| failed(e.to_string()))?;
                views.push((format!("{k}.{part}.{}", tensor.name), view));
            }
        }
    }
    let bytes =
        safetensors::serialize(views, Some(HashMap::from([(KEY.to_string(), json)]))).map_err(|e| failed(e.to_string()))?;
    crate::file::write_atomic(&path, &bytes).map_err(|e| failed(e.to_string()))
}

/// Removes the checkpoint in `folder`, if there is one: for finished runs, whose dictionaries are safe elsewhere.
///
/// # Errors
/// The system's.
pub fn discard(folder: &Path) -> std::io::Result<()> {
    match fs::remove_file(folder.join(NAME)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Reads the checkpoint in `folder`, if there is one, into `trainees`.
///
/// # Errors
/// When it is damaged, of another version, or of another config, model or text.
pub fn load(folder: &Path, expected: &State, trainees: &mut [Trainee<f32>]) -> Result<Option<State>, TrainError> {
    let path = folder.join(NAME);
    let failed = |message: String| TrainError::Checkpoint {
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
        .ok_or_else(|| failed("not a checkpoint".into()))?;
    let state: State = serde_json::from_str(json).map_err(|e| failed(format!("metadata: {e}")))?;
    if state.version != VERSION {
        return Err(failed(format!(
            "version {}; this program reads version {VERSION}",
            state.version
        )));
    }
    if state.config != expected.config || state.inputs != expected.inputs {
        return Err(failed(
            "belongs to another config, model or text; remove it to start over".into(),
        ));
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| failed(format!("damaged: {e}")))?;
    let read = |k: usize, part: &str, into: &mut [Tensor<f32>]| -> Result<(), TrainError> {
        for tensor in into {
            let name = format!("{k}.{part}.{}", tensor.name);
            let view = tensors
                .tensor(&name)
                .map_err(|_| failed(format!("tensor '{name}' is missing")))?;
            if view.dtype() != Dtype::F32 || view.shape() != tensor.shape {
                return Err(failed(format!(
                    "tensor '{name}' has shape {:?}; expected {:?}",
                    view.shape(),
                    tensor.shape
                )));
            }
            tensor.data = bytemuck::pod_collect_to_vec(view.data());
        }
        Ok(())
    };
    for (k, trainee) in trainees.iter_mut().enumerate() {
        let mut result = Ok(());
        trainee.dictionary.update_state(|state| result = read(k, "s", state));
        result?;
        let mut result = Ok(());
        trainee
            .dictionary
            .update(|parameters| result = read(k, "w", &mut parameters.0));
        result?;
        read(k, "m", &mut trainee.adam.first.0)?;
        read(k, "v", &mut trainee.adam.second.0)?;
        read(k, "r", trainee.silent_mut())?;
        trainee.resume(state.step, state.searches.get(k).copied().unwrap_or_default());
        trainee.seconds = state.seconds[k];
    }
    Ok(Some(state))
}
