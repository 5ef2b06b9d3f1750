//! Gemma Scope: a folder with `params.npz`, or, in its second release, with `params.safetensors`, whose names are in lower case.
//!
//! encode: z = x W_enc + b_enc, c = ReLU(z) · 1[z > threshold]; the decoder's bias is not subtracted from the input.
//! The place is in the folder's path: `…-res/layer_20/width_16k/average_l0_71`.

use api::{HookPoint, ResidualFrame, Site};
use std::{collections::BTreeMap, path::Path};

use super::{
    Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::refuse,
    npy::read_npz,
    tensors::Tensors,
};
use crate::dictionary::DictionaryError;

/// The weights' files of the two releases.
pub const WEIGHTS: [&str; 2] = ["params.npz", "params.safetensors"];

/// Reads a weights' file.
///
/// # Errors
/// Tensors that do not fit, and those of a transcoder.
pub fn read(path: &Path) -> Result<Imported, DictionaryError> {
    let is_npz = path.extension().is_some_and(|e| e == "npz");
    let tensors = if is_npz { read_npz(path)? } else { Tensors::open(path)? };
    let pairs = [
        ("W_enc", "w_enc"),
        ("W_dec", "w_dec"),
        ("b_enc", "b_enc"),
        ("b_dec", "b_dec"),
        ("threshold", "threshold"),
    ];
    let names: BTreeMap<&str, &str> = pairs
        .into_iter()
        .map(|(upper, lower)| (upper, if tensors.has(upper) { upper } else { lower }))
        .collect();
    if tensors.has("affine_skip_connection") {
        let message = "tensor 'affine_skip_connection' makes it a transcoder with a skip connection; expected a dictionary";
        return Err(refuse(path, message));
    }
    tensors.only(&names.values().copied().collect::<Vec<_>>())?;
    let [d_in, d_sae] = tensors.dims(names["W_enc"])?;
    let coder = Coder {
        w_enc: tensors.take_transposed(names["W_enc"], [d_in, d_sae])?,
        b_enc: tensors.take(names["b_enc"], &[d_sae])?,
        w_dec: tensors.take(names["W_dec"], &[d_sae, d_in])?,
        b_dec: tensors.take(names["b_dec"], &[d_in])?,
        subtracts: false,
        rows: Rows::Free,
        rule: Rule::Jump {
            threshold: tensors.take(names["threshold"], &[d_sae])?,
        },
    };
    let dictionary = coder.into_dictionary().map_err(|message| refuse(path, message))?;
    let facts = Facts {
        hook: hook(path).map(|at| at.to_string()),
        residual: Some(ResidualFrame::Raw),
        ..Facts::new(Format::GemmaScope)
    };
    Ok(Imported { dictionary, facts })
}

/// The layer and the site, where the path says both: the repository's name ends in `-res`, `-mlp` or `-att`, and in the second
/// release a folder is called `resid_post`, `mlp_out` or `attn_out`, with the layer in the next one's name.
fn hook(path: &Path) -> Option<HookPoint> {
    let parts: Vec<String> = path
        .components()
        .map(|c| c.as_os_str().to_string_lossy().into_owned())
        .collect();
    let layer = parts.iter().rev().find_map(|part| {
        let rest = &part[part.find("layer_")? + "layer_".len()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().ok()
    })?;
    let site = parts.iter().rev().find_map(|part| match part.as_str() {
        _ if part.ends_with("-res") || part.starts_with("resid_post") => Some(Site::ResidPost),
        _ if part.ends_with("-mlp") || part.starts_with("mlp_out") => Some(Site::MlpOut),
        _ if part.ends_with("-att") => Some(Site::Z),
        _ => None,
    })?;
    Some(HookPoint::block(layer, site))
}
