//! circuit-tracer's per-layer transcoders (`mwhanna/qwen3-…-transcoders`, `mntss/transcoder-…`): a file `layer_N.safetensors` for each
//! block, and `config.yaml` beside them, which names the hook points within a block.
//!
//! encode: z = W_enc x + b_enc, c = ReLU(z), or z · 1[z > threshold]; ŷ = c W_dec + W_skip x + b_dec. W_enc and W_dec are a row per feature,
//! W_skip [d_out, d_in].

use api::ResidualFrame;
use std::path::Path;

use super::{
    Choice, Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::refuse,
    place::{Beside, place, reading},
    tensors::Tensors,
    transcoder::Transcoder,
    yaml,
};
use crate::dictionary::DictionaryError;

const CONFIG: &str = "config.yaml";
const THRESHOLD: &str = "activation_function.threshold";

/// The block of a weights' file; none where it is not called as theirs are.
pub fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("layer_")?.strip_suffix(".safetensors")?.parse().ok()
}

/// Reads a weights' file, of block `layer`.
///
/// # Errors
/// Tensors that do not fit, options that change the output in a way that is not done here, and a place that nobody says.
pub fn read(path: &Path, layer: usize, choice: &Choice) -> Result<Imported, DictionaryError> {
    let beside = path.with_file_name(CONFIG);
    let config = if beside.is_file() { Some(yaml::open(&beside)?) } else { None };
    let text = |name: &str| -> Result<Option<String>, DictionaryError> {
        match &config {
            Some(config) => Ok(config.text(name)?.map(str::to_owned)),
            None => Ok(None),
        }
    };
    if let Some(config) = &config {
        if config.text("model_kind")?.is_some_and(|kind| kind != "transcoder_set") {
            return Err(config.refuse("model_kind", "transcoder_set"));
        }
        // theirs keeps the k largest where they are below 0, too
        if config
            .text("activation")?
            .is_some_and(|name| !["relu", "jump_relu"].contains(&name))
        {
            return Err(config.refuse("activation", "relu or jump_relu"));
        }
    }
    let tensors = Tensors::open(path)?;
    tensors.only(&["W_enc", "b_enc", "W_dec", "b_dec", "W_skip", THRESHOLD])?;
    let ([d_sae, d_in], [_, d_out]) = (tensors.dims("W_enc")?, tensors.dims("W_dec")?);
    let rule = match tensors.has(THRESHOLD) {
        true => Rule::Jump {
            threshold: tensors.take(THRESHOLD, &[d_sae])?,
        },
        false => Rule::Relu,
    };
    let [from, to] = [text("feature_input_hook")?, text("feature_output_hook")?];
    let [from, to] = [from, to].map(|site| site.map(|site| format!("blocks.{layer}.{site}")));
    // its config names points of TransformerLens', and without one there is nothing to say that it is another
    let from = reading(path, None, from.as_deref(), choice, Beside::Nothing)?;
    let coder = Coder {
        w_enc: tensors.take("W_enc", &[d_sae, d_in])?,
        b_enc: tensors.take("b_enc", &[d_sae])?,
        w_dec: tensors.take("W_dec", &[d_sae, d_out])?,
        b_dec: tensors.take("b_dec", &[d_out])?,
        subtracts: false,
        rows: Rows::Free,
        rule,
    };
    let skip = tensors.has("W_skip").then(|| tensors.take("W_skip", &[d_out, d_in]));
    let transcoder = Transcoder {
        read_at: from.at,
        w_skip: skip.transpose()?,
        coder,
    };
    let dictionary = transcoder.into_dictionary().map_err(|message| refuse(path, message))?;
    let facts = Facts {
        model: text("model_name")?,
        beside: to.as_deref().and_then(place).map_or(Beside::Nothing, |place| place.beside),
        hook: to,
        reads: Some(from),
        residual: Some(ResidualFrame::Raw),
        ..Facts::new(Format::CircuitTracer)
    };
    Ok(Imported { dictionary, facts })
}
