//! Goodfire's files and qresearch's of DeepSeek-R1: one `.pt` each, a state dict of two linear layers, with the layer at the end of its
//! name: `Llama-3.3-70B-Instruct-SAE-l50.pt`.
//!
//! encode: ReLU(W x + b); the decoder's bias is not subtracted from the input. Both are of a block's output.

use api::{HookPoint, ResidualFrame, Site};
use std::path::Path;

use super::{
    Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::refuse,
    tensors::Tensors,
    torch::Saved,
};
use crate::dictionary::DictionaryError;

/// Whether a state dict looks like one of theirs. The second's has common names, and is told by the file's.
pub fn is_known(path: &Path, tensors: &Tensors) -> bool {
    tensors.has("encoder_linear.weight")
        || (tensors.has("encoder.weight") && tensors.has("decoder.bias") && layer(path).is_some())
}

/// The layer in the file's name.
fn layer(path: &Path) -> Option<usize> {
    let name = path.file_stem()?.to_str()?;
    name.rsplit_once("-SAE-l")?.1.parse().ok()
}

/// Reads a file.
///
/// # Errors
/// Tensors that do not fit.
pub fn read(path: &Path) -> Result<Imported, DictionaryError> {
    let saved = Saved::open(path)?;
    let tensors = saved.tensors(saved.state_dict()?)?;
    let [encoder, decoder] = match tensors.has("encoder_linear.weight") {
        true => ["encoder_linear", "decoder_linear"],
        false => ["encoder", "decoder"],
    };
    let [w_enc, b_enc, w_dec, b_dec] = [(encoder, "weight"), (encoder, "bias"), (decoder, "weight"), (decoder, "bias")]
        .map(|(layer, part)| format!("{layer}.{part}"));
    tensors.only(&[&w_enc, &b_enc, &w_dec, &b_dec])?;
    let [d_sae, d_in] = tensors.dims(&w_enc)?;
    let coder = Coder {
        w_enc: tensors.take(&w_enc, &[d_sae, d_in])?,
        b_enc: tensors.take(&b_enc, &[d_sae])?,
        w_dec: tensors.take_transposed(&w_dec, [d_in, d_sae])?,
        b_dec: tensors.take(&b_dec, &[d_in])?,
        subtracts: false,
        rows: Rows::Free,
        rule: Rule::Relu,
    };
    let dictionary = coder.into_dictionary().map_err(|message| refuse(path, message))?;
    let facts = Facts {
        hook: layer(path).map(|layer| HookPoint::block(layer, Site::ResidPost).to_string()),
        residual: Some(ResidualFrame::Raw),
        ..Facts::new(Format::Goodfire)
    };
    Ok(Imported { dictionary, facts })
}
