//! SAELens' transcoders: the same folders (`saelens.rs`), with `d_out`, two hook points, and `W_skip` [d_out, d_in] where there is a skip
//! connection.
//!
//! encode: z = x W_enc + b_enc, whatever `apply_b_dec_to_input` says; W_enc [d_in, d_sae], W_dec [d_sae, d_out].

use serde_json::json;
use std::path::Path;

use super::{
    Choice, Facts, Imported,
    coder::{Coder, Rows, Rule},
    errors::{io, refuse},
    fields::Fields,
    folder::{in_folder, write_json, write_safetensors},
    place::{Beside, Place, place, reading},
    saelens::{CONFIG, WEIGHTS, language, wanted},
    tensors::{Array, Tensors, transposed},
    transcoder::Transcoder,
};
use crate::dictionary::DictionaryError;

/// Their architectures.
pub const ARCHITECTURES: [&str; 4] = [
    "transcoder",
    "skip_transcoder",
    "jumprelu_transcoder",
    "jumprelu_skip_transcoder",
];

/// Reads a folder whose config says one of [`ARCHITECTURES`], of which `facts` has been read.
///
/// # Errors
/// Tensors that do not fit, and a place that nobody says.
pub fn read(folder: &Path, config: &Fields, facts: Facts, choice: &Choice) -> Result<Imported, DictionaryError> {
    let path = in_folder(folder, CONFIG)?;
    let architecture = config.text("architecture")?.unwrap_or_default();
    let skips = architecture.contains("skip");
    if config.text("activation_fn")?.is_some_and(|name| name != "relu") {
        return Err(config.refuse("activation_fn", "relu"));
    }
    config.off("apply_b_dec_to_input", "a transcoder's b_dec is as wide as what it writes")?;
    let [d_in, d_out, d_sae] = [wanted(config, "d_in")?, wanted(config, "d_out")?, wanted(config, "d_sae")?];
    let tensors = Tensors::open(&in_folder(folder, WEIGHTS)?)?;
    let mut known = vec!["W_enc", "b_enc", "W_dec", "b_dec"];
    known.extend(skips.then_some("W_skip"));
    let rule = if architecture.starts_with("jumprelu") {
        known.push("threshold");
        Rule::Jump {
            threshold: tensors.take("threshold", &[d_sae])?,
        }
    } else {
        Rule::Relu
    };
    tensors.only(&known)?;
    let language = language(config)?;
    let named = language.text("hook_name")?;
    let is_folded = language.object("model_from_pretrained_kwargs")?.flag("fold_ln", true)?;
    let said = named.and_then(place).map(|place| match place.beside {
        // whether gain and bias are in it is up to how the model was loaded
        Beside::Nothing if !is_folded && place.at.is_norm() => Place {
            beside: Beside::GainOfLayerNorm,
            ..place
        },
        _ => place,
    });
    let at_norms = if is_folded { Beside::Nothing } else { Beside::GainOfLayerNorm };
    let from = reading(&path, said, named, choice, at_norms)?;
    let coder = Coder {
        w_enc: tensors.take_transposed("W_enc", [d_in, d_sae])?,
        b_enc: tensors.take("b_enc", &[d_sae])?,
        w_dec: tensors.take("W_dec", &[d_sae, d_out])?,
        b_dec: tensors.take("b_dec", &[d_out])?,
        subtracts: false,
        rows: Rows::Free,
        rule,
    };
    let transcoder = Transcoder {
        read_at: from.at,
        w_skip: skips.then(|| tensors.take("W_skip", &[d_out, d_in])).transpose()?,
        coder,
    };
    let dictionary = transcoder.into_dictionary().map_err(|message| refuse(&path, message))?;
    let to = language.text("hook_name_out")?;
    let facts = Facts {
        hook: to.map(str::to_owned),
        beside: to.and_then(place).map_or(Beside::Nothing, |place| place.beside),
        reads: Some(from),
        ..facts
    };
    Ok(Imported { dictionary, facts })
}

/// Writes a folder: `transcoder`, which writes at `facts`' place, with what `config` says of a dictionary of any architecture.
///
/// # Errors
/// A rule that none of their architectures has, and files that cannot be written.
pub fn write(
    folder: &Path,
    transcoder: &Transcoder,
    facts: &Facts,
    mut config: serde_json::Value,
) -> Result<(), DictionaryError> {
    let Transcoder { read_at, w_skip, coder } = transcoder;
    let (d_out, d_sae) = (coder.b_dec.len(), coder.b_enc.len());
    let d_in = coder.w_enc.len() / d_sae;
    let mut tensors = vec![
        ("W_enc", Array::f32(&[d_in, d_sae], &transposed(&coder.w_enc, d_in))),
        ("b_enc", Array::f32(&[d_sae], &coder.b_enc)),
        ("W_dec", Array::f32(&[d_sae, d_out], &coder.w_dec)),
        ("b_dec", Array::f32(&[d_out], &coder.b_dec)),
    ];
    let architecture = match &coder.rule {
        Rule::Relu => ["transcoder", "skip_transcoder"],
        Rule::Jump { threshold } => {
            tensors.push(("threshold", Array::f32(&[d_sae], threshold)));
            ["jumprelu_transcoder", "jumprelu_skip_transcoder"]
        }
        _ => {
            let message =
                "found a topk transcoder; SAELens has none: it has transcoder and jumprelu_transcoder, with and without skip";
            return Err(refuse(folder, message));
        }
    };
    if let Some(w_skip) = w_skip {
        tensors.push(("W_skip", Array::f32(&[d_out, d_in], w_skip)));
    }
    config["architecture"] = json!(architecture[usize::from(w_skip.is_some())]);
    (config["d_in"], config["d_out"]) = (json!(d_in), json!(d_out));
    let is_z = read_at.to_string().ends_with("hook_z");
    config["reshape_activations"] = json!(if is_z { "hook_z" } else { "none" });
    config["metadata"]["hook_name"] = json!(read_at);
    config["metadata"]["hook_name_out"] = json!(facts.hook);
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    write_safetensors(&folder.join(WEIGHTS), &tensors)?;
    write_json(&folder.join(CONFIG), &config)
}
