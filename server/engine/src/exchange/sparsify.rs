//! sparsify's folders: `cfg.json` and `sae.safetensors`, one per hook point, named as the module is: `layers.5`, `layers.5.mlp`.
//!
//! encode: the k largest of ReLU(W (x − b_dec) + b); both matrices are [d_sae, d_in].
//!
//! A transcoder (`transcode`) reads a module's input and writes its output, takes no bias from the input, and may have a skip connection
//! W_skip [d_out, d_in]. An MLP's input is what the norm before it gives, gain and bias included.

use api::{HookPoint, ResidualFrame, Site};
use std::path::Path;

use super::{
    Choice, Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::refuse,
    fields::Fields,
    folder::in_folder,
    place::{Beside, Place, reading},
    tensors::Tensors,
    transcoder::Transcoder,
};
use crate::dictionary::DictionaryError;

/// The weights' file.
pub const WEIGHTS: &str = "sae.safetensors";

/// Reads a folder.
///
/// # Errors
/// Options that change the output in a way that is not done here, and tensors that do not fit.
pub fn read(folder: &Path, choice: &Choice) -> Result<Imported, DictionaryError> {
    let path = in_folder(folder, "cfg.json")?;
    let config = Fields::open(&path)?;
    match config.text("activation")? {
        None | Some("topk") => {}
        Some(_) => return Err(config.refuse("activation", "topk")),
    }
    for (field, why) in [
        ("embed_skip", "a skip connection from the embedding is no dictionary"),
        ("gram_lookup", "the table of n-grams is not in the file"),
    ] {
        config.off(field, why)?;
    }
    let transcodes = config.flag("transcode", false)?;
    if !transcodes {
        config.off(
            "skip_connection",
            "a skip connection of what it is to reconstruct is no dictionary",
        )?;
    }
    let skips = config.flag("skip_connection", false)?;
    let tensors = Tensors::open(&in_folder(folder, WEIGHTS)?)?;
    let mut known = vec!["encoder.weight", "encoder.bias", "W_dec", "b_dec"];
    known.extend(skips.then_some("W_skip"));
    tensors.only(&known)?;
    let [d_sae, d_in] = tensors.dims("encoder.weight")?;
    let named = config.count("num_latents")?.unwrap_or(0);
    // 0 stands for the expansion factor times the width
    if named != 0 && named != d_sae {
        return Err(config.refuse("num_latents", &format!("{d_sae}, as encoder.weight has")));
    }
    if config.count("d_in")?.is_some_and(|n| n != d_in) {
        return Err(config.refuse("d_in", &format!("{d_in}, as encoder.weight has")));
    }
    // the config's own default
    let k = config.count("k")?.unwrap_or(32);
    if !(1..=d_sae).contains(&k) {
        return Err(config.refuse("k", &format!("features per token, 1 to {d_sae}")));
    }
    let coder = Coder {
        w_enc: tensors.take("encoder.weight", &[d_sae, d_in])?,
        b_enc: tensors.take("encoder.bias", &[d_sae])?,
        w_dec: tensors.take("W_dec", &[d_sae, d_in])?,
        b_dec: tensors.take("b_dec", &[d_in])?,
        subtracts: !transcodes,
        rows: Rows::Free,
        rule: Rule::TopK { k },
    };
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let module = name.as_deref().and_then(module);
    let (dictionary, reads) = match transcodes {
        false => (coder.into_dictionary(), None),
        true => {
            let said = module.map(|(layer, site)| match site {
                Site::MlpOut => (HookPoint::block(layer, Site::Ln2), Beside::Gain),
                Site::AttnOut => (HookPoint::block(layer, Site::Ln1), Beside::Gain),
                _ => (HookPoint::resid_pre(layer), Beside::Nothing),
            });
            let said = said.map(|(at, beside)| Place { at, beside });
            let from = reading(folder, said, name.as_deref(), choice)?;
            let transcoder = Transcoder {
                read_at: from.at,
                // theirs are as wide on both sides
                w_skip: skips.then(|| tensors.take("W_skip", &[d_in, d_in])).transpose()?,
                coder,
            };
            (transcoder.into_dictionary(), Some(from))
        }
    };
    let dictionary = dictionary.map_err(|message| refuse(folder, message))?;
    let facts = Facts {
        hook: module.map(|(layer, site)| HookPoint::block(layer, site).to_string()),
        beside: match module {
            Some((_, Site::MlpOut | Site::AttnOut)) => Beside::PostNorm,
            _ => Beside::Nothing,
        },
        reads,
        residual: Some(ResidualFrame::Raw),
        ..Facts::new(Format::Sparsify)
    };
    Ok(Imported { dictionary, facts })
}

/// The block of a module, and where its output is: `layers.5` or `h.5` is a block, with `.mlp`, `.attn` or `.self_attn` a part of it.
fn module(module: &str) -> Option<(usize, Site)> {
    let parts: Vec<&str> = module.split('.').collect();
    let layers = parts.iter().position(|part| ["layers", "h"].contains(part))?;
    let layer = parts.get(layers + 1)?.parse().ok()?;
    let site = match parts[layers + 2..] {
        [] => Site::ResidPost,
        ["mlp"] => Site::MlpOut,
        ["attn" | "self_attn" | "attention"] => Site::AttnOut,
        _ => return None,
    };
    Some((layer, site))
}
