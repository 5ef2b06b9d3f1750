//! A dictionary's file: safetensors with the parameters, and in its metadata everything that is needed to use them.

use api::{DictionaryConfig, HookPoint, ResidualFrame, WeightType};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, path::Path};

use super::{Dictionary, Normaliser, Tensor};

/// The metadata's key and the format's version.
const KEY: &str = "saescope";
const VERSION: u32 = 1;

/// What a dictionary's file says beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DictionaryFile {
    /// Version of the format.
    pub version: u32,
    /// Kind, width, objective, learning rate and seed.
    pub config: DictionaryConfig,
    /// Where it reads and writes.
    pub at: HookPoint,
    /// How it reads the residual stream.
    pub residual: ResidualFrame,
    /// How it sees activations.
    #[serde(rename = "scale")]
    pub normaliser: Normaliser,
    /// SHA-256 of the model's folder, in hexadecimal.
    pub model_hash: String,
}

impl DictionaryFile {
    /// Of the current version.
    pub fn new(
        config: DictionaryConfig,
        at: HookPoint,
        residual: ResidualFrame,
        normaliser: Normaliser,
        model_hash: String,
    ) -> Self {
        Self {
            version: VERSION,
            config,
            at,
            residual,
            normaliser,
            model_hash,
        }
    }
}

/// A dictionary's file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DictionaryError {
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// Not what a dictionary's file holds.
    #[error("{path}: {message}")]
    Format {
        /// The file.
        path: String,
        /// What was found and expected.
        message: String,
    },
}

/// How often each feature fired on the text that its dictionary was measured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// Tokens on which it fired [d_sae].
    pub firings: Vec<u32>,
    /// Of so many.
    pub n_tokens: u64,
}

/// The names of both in a file.
const FIRINGS: [&str; 2] = ["firings", "firings_tokens"];

/// Writes `dictionary` to `path`, atomically, with its weights rounded to `weights`.
///
/// # Errors
/// When the file cannot be written.
pub fn save(
    dictionary: &Dictionary<f32>,
    file: &DictionaryFile,
    weights: WeightType,
    path: &Path,
) -> Result<(), DictionaryError> {
    write(dictionary, file, None, weights, path)
}

/// The same with whole weights, and with what it was measured to do.
///
/// # Errors
/// As [`save`].
pub fn save_measured(
    dictionary: &Dictionary<f32>,
    file: &DictionaryFile,
    fired: &Fired,
    path: &Path,
) -> Result<(), DictionaryError> {
    write(dictionary, file, Some(fired), WeightType::F32, path)
}

fn write(
    dictionary: &Dictionary<f32>,
    file: &DictionaryFile,
    fired: Option<&Fired>,
    weights: WeightType,
    path: &Path,
) -> Result<(), DictionaryError> {
    let format = |message: String| refuse(path, message);
    let json = serde_json::to_string(file).map_err(|e| format(e.to_string()))?;
    let dtype = match weights {
        WeightType::F32 => Dtype::F32,
        WeightType::F16 => Dtype::F16,
    };
    // what is no weight is not rounded: a count of tokens does not fit into a half
    let rounded = dictionary.parameters().0.iter().map(|t| (t, dtype, packed(&t.data, weights)));
    let whole = dictionary
        .state()
        .iter()
        .map(|t| (t, Dtype::F32, packed(&t.data, WeightType::F32)));
    let tensors: Vec<_> = rounded.chain(whole).collect();
    let weights = tensors
        .iter()
        .map(|(t, dtype, bytes)| Ok((t.name, TensorView::new(*dtype, t.shape.clone(), bytes)?)));
    let of = fired.map_or(0, |fired| fired.n_tokens).to_le_bytes();
    let fired = fired.into_iter().flat_map(|fired| {
        let (n, bytes) = (fired.firings.len(), bytemuck::cast_slice(&fired.firings));
        let views = [
            TensorView::new(Dtype::U32, vec![n], bytes),
            TensorView::new(Dtype::U64, vec![1], &of),
        ];
        FIRINGS.into_iter().zip(views).map(|(name, view)| Ok((name, view?)))
    });
    let views = weights
        .chain(fired)
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| format(e.to_string()))?;
    let bytes =
        safetensors::serialize(views, Some(HashMap::from([(KEY.to_string(), json)]))).map_err(|e| format(e.to_string()))?;
    crate::file::write_atomic(path, &bytes).map_err(|source| DictionaryError::Io {
        path: path.display().to_string(),
        source,
    })
}

/// Little-endian bytes.
fn packed(numbers: &[f32], weights: WeightType) -> Vec<u8> {
    match weights {
        WeightType::F32 => bytemuck::cast_slice(numbers).to_vec(),
        WeightType::F16 => numbers.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect(),
    }
}

fn refuse(path: &Path, message: String) -> DictionaryError {
    DictionaryError::Format {
        path: path.display().to_string(),
        message,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, DictionaryError> {
    crate::file::read(path).map_err(|source| DictionaryError::Io {
        path: path.display().to_string(),
        source,
    })
}

/// Reads a dictionary.
///
/// # Errors
/// When the file is missing, damaged, or not a dictionary's of a version this program knows.
pub fn load(path: &Path) -> Result<(Dictionary<f32>, DictionaryFile), DictionaryError> {
    let format = |message: String| refuse(path, message);
    let bytes = read(path)?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| format(format!("not a safetensors file: {e}")))?;
    let json = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| {
        format(format!(
            "its metadata has no '{KEY}'; expected a dictionary written by saescope"
        ))
    })?;
    let file: DictionaryFile = serde_json::from_str(json).map_err(|e| format(format!("metadata '{KEY}': {e}")))?;
    if file.version != VERSION {
        return Err(format(format!(
            "version {}; this program reads version {VERSION}",
            file.version
        )));
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| format(format!("not a safetensors file: {e}")))?;
    let view = |name: &str| {
        let found = tensors.tensor(name);
        found.map_err(|_| format(format!("tensor '{name}' is missing")))
    };
    let fill = |tensor: &mut Tensor<f32>| -> Result<(), DictionaryError> {
        let (name, shape) = (tensor.name, &tensor.shape[..]);
        let view = view(name)?;
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 if view.shape() == shape => bytemuck::pod_collect_to_vec(view.data()),
            Dtype::F16 if view.shape() == shape => {
                let halves: Vec<u16> = bytemuck::pod_collect_to_vec(view.data());
                halves.into_iter().map(|bits| half::f16::from_bits(bits).to_f32()).collect()
            }
            dtype => {
                let found = view.shape();
                return Err(format(format!(
                    "tensor '{name}' is {dtype:?} {found:?}; expected F32 or F16 {shape:?}"
                )));
            }
        };
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(format(format!(
                "tensor '{name}' holds {} at {i}; expected finite numbers",
                values[i]
            ))),
            None => {
                tensor.data = values;
                Ok(())
            }
        }
    };
    // every kind's first tensor has a row per feature
    let rows = Dictionary::<f32>::zeros(file.config.kind, (1, 1), 1).parameters().0[0].name;
    let Some(d_in) = view(rows)?.shape().get(1).copied() else {
        return Err(format(format!("tensor '{rows}' has one dimension; expected [d_sae, d_in]")));
    };
    let d_out = match file.config.kind.read_at() {
        Some(_) => {
            let width = view("W_dec")?.shape().get(1).copied().filter(|d_out| *d_out > 0);
            width.ok_or_else(|| format("tensor 'W_dec' has no width; expected [d_sae, d_out]".into()))?
        }
        None => d_in,
    };
    let mut dictionary = Dictionary::zeros(file.config.kind, (d_in, d_out), file.config.d_sae);
    let mut result = Ok(());
    dictionary.update_state(|state| result = state.iter_mut().try_for_each(&fill));
    result?;
    let mut result = Ok(());
    dictionary.update(|parameters| result = parameters.0.iter_mut().try_for_each(&fill));
    result?;
    Ok((dictionary, file))
}

/// Reads how often a dictionary's features fired; none where its file does not say it.
///
/// # Errors
/// As [`load`].
pub fn load_fired(path: &Path) -> Result<Option<Fired>, DictionaryError> {
    let format = |message: String| refuse(path, message);
    let bytes = read(path)?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| format(format!("not a safetensors file: {e}")))?;
    let [Ok(firings), Ok(n_tokens)] = FIRINGS.map(|name| tensors.tensor(name)) else {
        return Ok(None);
    };
    match (firings.dtype(), n_tokens.dtype(), n_tokens.data().try_into()) {
        (Dtype::U32, Dtype::U64, Ok(n_tokens)) => Ok(Some(Fired {
            firings: bytemuck::pod_collect_to_vec(firings.data()),
            n_tokens: u64::from_le_bytes(n_tokens),
        })),
        (firings, n_tokens, _) => {
            let [ours, theirs] = FIRINGS;
            Err(format(format!(
                "tensors '{ours}' and '{theirs}' are {firings:?} and {n_tokens:?}; expected U32 [d_sae] and U64 [1]"
            )))
        }
    }
}
