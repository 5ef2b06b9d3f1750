//! sparsify's folders: `cfg.json` and `sae.safetensors`, one per hook point, named as the module is: `layers.5`, `layers.5.mlp`.
//!
//! encode: the k largest of ReLU(W (x − b_dec) + b); both matrices are [d_sae, d_in].

use api::{HookPoint, ResidualFrame, Site};
use std::path::Path;

use super::{
    Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::refuse,
    fields::Fields,
    folder::in_folder,
    tensors::Tensors,
};
use crate::dictionary::DictionaryError;

/// The weights' file.
pub const WEIGHTS: &str = "sae.safetensors";

/// Reads a folder.
///
/// # Errors
/// Options that change the output in a way that is not done here, and tensors that do not fit.
pub fn read(folder: &Path) -> Result<Imported, DictionaryError> {
    let path = in_folder(folder, "cfg.json")?;
    let config = Fields::open(&path)?;
    match config.text("activation")? {
        None | Some("topk") => {}
        Some(_) => return Err(config.refuse("activation", "topk")),
    }
    for (field, why) in [
        ("transcode", "a transcoder reads one hook point and writes another"),
        ("skip_connection", "a skip connection is no dictionary"),
        ("embed_skip", "a skip connection is no dictionary"),
        ("gram_lookup", "the table of n-grams is not in the file"),
    ] {
        config.off(field, why)?;
    }
    let tensors = Tensors::open(&in_folder(folder, WEIGHTS)?)?;
    tensors.only(&["encoder.weight", "encoder.bias", "W_dec", "b_dec"])?;
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
        subtracts: true,
        rows: Rows::Free,
        rule: Rule::TopK { k },
    };
    let dictionary = coder.into_dictionary().map_err(|message| refuse(folder, message))?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let facts = Facts {
        hook: name.and_then(|name| hook(&name)).map(|at| at.to_string()),
        residual: Some(ResidualFrame::Raw),
        ..Facts::new(Format::Sparsify)
    };
    Ok(Imported { dictionary, facts })
}

/// The hook point of a module's output: `layers.5` or `h.5` is a block, with `.mlp`, `.attn` or `.self_attn` a part of it.
fn hook(module: &str) -> Option<HookPoint> {
    let parts: Vec<&str> = module.split('.').collect();
    let layers = parts.iter().position(|part| ["layers", "h"].contains(part))?;
    let layer = parts.get(layers + 1)?.parse().ok()?;
    let site = match parts[layers + 2..] {
        [] => Site::ResidPost,
        ["mlp"] => Site::MlpOut,
        ["attn" | "self_attn" | "attention"] => Site::AttnOut,
        _ => return None,
    };
    Some(HookPoint::block(layer, site))
}
