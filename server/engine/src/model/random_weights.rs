//! A model's twin with random weights: the control that says how much of what a dictionary finds is the architecture's and the text's,
//! and not learnt (Heap et al. 2025, "Sparse autoencoders can interpret randomly initialized transformers", arXiv 2501.17727: its
//! variant in which the embeddings are drawn anew as well).
//!
//! Each matrix and each bias of a linear layer is drawn from a normal distribution with that tensor's own mean and standard deviation, so
//! that activations keep about the size that they had. Norms are kept, gains and biases: they have no directions to forget, and gains
//! drawn anew would, where a few are large, change the size of everything behind them. So is what is not learnt at all (masks, rotary frequencies).

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{
    Dtype, SafeTensors,
    tensor::{TensorView, serialize_to_file},
};
use sha2::{Digest, Sha256};
use std::{fs, path::Path};

use super::{ModelError, checkpoint::weight_files};
use crate::kernel::normal;

/// Writes to `to`, a folder that exists, the twin of the model in `from`: the same files, with weights drawn from `seed`. A tensor's
/// numbers depend on the seed, its name and its own statistics alone.
///
/// # Errors
/// When a file cannot be read or written, or is not what its name says.
pub fn randomise(from: &Path, to: &Path, seed: u64) -> Result<(), ModelError> {
    let read = |path: &Path, source| ModelError::Read {
        path: path.to_owned(),
        source,
    };
    let weights = weight_files(from)?;
    for entry in fs::read_dir(from).map_err(|e| read(from, e))? {
        let path = entry.map_err(|e| read(from, e))?.path();
        let is_weights = path.extension().is_some_and(|extension| extension == "safetensors");
        if let (false, true, Some(name)) = (is_weights, path.is_file(), path.file_name()) {
            fs::copy(&path, to.join(name)).map_err(|e| read(&path, e))?;
        }
    }
    for path in weights {
        let bytes = crate::file::read(&path).map_err(|e| read(&path, e))?;
        let damaged = |reason: String| ModelError::Damaged {
            path: path.clone(),
            expected: "a safetensors file",
            reason,
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
        let drawn: Vec<_> = tensors
            .iter()
            .map(|(name, view)| (name, drawn(name, &view, seed), view))
            .collect();
        let views = drawn
            .iter()
            .map(|(name, data, view)| {
                let data = data.as_deref().unwrap_or(view.data());
                Ok((*name, TensorView::new(view.dtype(), view.shape().to_vec(), data)?))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| damaged(e.to_string()))?;
        let place = to.join(path.file_name().unwrap_or_default());
        serialize_to_file(views, header.metadata().clone(), &place).map_err(|e| damaged(e.to_string()))?;
    }
    Ok(())
}

/// Whether a tensor of this name and shape is drawn anew.
fn is_drawn(name: &str, shape: &[usize]) -> bool {
    // ln_1, ln_f; input_layernorm, final_layer_norm, q_norm, norm
    let is_norm = name.contains("ln_") || name.contains("norm");
    let is_matrix = shape.len() == 2;
    let is_bias = shape.len() == 1 && name.ends_with(".bias");
    !is_norm && (is_matrix || is_bias)
}

/// New numbers in the tensor's own type; none where the old ones stay.
fn drawn(name: &str, view: &TensorView<'_>, seed: u64) -> Option<Vec<u8>> {
    if !is_drawn(name, view.shape()) {
        return None;
    }
    let halves = || bytemuck::pod_collect_to_vec::<u8, u16>(view.data());
    let numbers: Vec<f64> = match view.dtype() {
        Dtype::F32 => {
            let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
            numbers.into_iter().map(f64::from).collect()
        }
        Dtype::F16 => halves().into_iter().map(|bits| half::f16::from_bits(bits).to_f64()).collect(),
        Dtype::BF16 => halves()
            .into_iter()
            .map(|bits| half::bf16::from_bits(bits).to_f64())
            .collect(),
        Dtype::F64 => bytemuck::pod_collect_to_vec(view.data()),
        _ => return None,
    };
    let n = numbers.len().max(1) as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let size = (numbers.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    let mut rng = of_tensor(name, seed);
    let number = || mean + size * normal(&mut rng);
    let new = std::iter::repeat_with(number).take(numbers.len());
    Some(match view.dtype() {
        Dtype::F32 => new.flat_map(|v| (v as f32).to_le_bytes()).collect(),
        Dtype::F64 => new.flat_map(f64::to_le_bytes).collect(),
        Dtype::F16 => new.flat_map(|v| half::f16::from_f64(v).to_le_bytes()).collect(),
        _ => new.flat_map(|v| half::bf16::from_f64(v).to_le_bytes()).collect(),
    })
}

/// A generator of the tensor's own.
fn of_tensor(name: &str, seed: u64) -> impl RngCore {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(name.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_and_biases_are_drawn_and_norms_are_not() {
        for (name, shape, is) in [
            ("transformer.wte.weight", &[100, 8][..], true),
            ("transformer.h.0.attn.c_attn.weight", &[8, 24], true),
            ("transformer.h.0.attn.c_attn.bias", &[24], true),
            ("transformer.h.0.attn.bias", &[1, 1, 16, 16], false),
            ("transformer.h.0.ln_1.bias", &[8], false),
            ("transformer.ln_f.weight", &[8], false),
            ("gpt_neox.layers.0.post_attention_layernorm.bias", &[8], false),
            ("gpt_neox.layers.0.attention.rotary_emb.inv_freq", &[4], false),
            ("model.layers.0.self_attn.q_norm.weight", &[4], false),
            ("model.norm.weight", &[8], false),
            ("lm_head.weight", &[100, 8], true),
        ] {
            assert_eq!(is_drawn(name, shape), is, "{name}");
        }
    }
}
