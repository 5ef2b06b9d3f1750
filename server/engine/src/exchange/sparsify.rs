//! sparsify's folders: `cfg.json` and `sae.safetensors`, one per hook point, named as the module is: `layers.5`, `layers.5.mlp`.
//!
//! encode: the k largest of ReLU(W (x − b_dec) + b); both matrices are [d_sae, d_in]. Older versions had `signed`: no ReLU, and the k of
//! largest size with their signs. Later ones pass over that field, so that it is read and not written.
//!
//! A transcoder (`transcode`) reads a module's input and writes its output, takes no bias from the input, and may have a skip connection
//! W_skip [d_out, d_in]. An MLP's input is what the norm before it gives, gain and bias included.

use api::{HookPoint, ResidualFrame, Site};
use serde_json::json;
use std::path::Path;

use super::{
    Choice, Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::{io, refuse},
    fields::Fields,
    folder::{in_folder, write_json, write_safetensors},
    limits,
    place::{Beside, Place, reading},
    tensors::{Array, Tensors},
    transcoder::Transcoder,
};
use crate::dictionary::DictionaryError;

/// The weights' file.
pub const WEIGHTS: &str = "sae.safetensors";
const CONFIG: &str = "cfg.json";

/// Reads a folder.
///
/// # Errors
/// Options that change the output in a way that is not done here, and tensors that do not fit.
pub fn read(folder: &Path, choice: &Choice) -> Result<Imported, DictionaryError> {
    let path = in_folder(folder, CONFIG)?;
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
    if transcodes {
        config.off(
            "signed",
            "a transcoder of the k largest sizes with their signs is none of ours",
        )?;
    }
    let signed = config.flag("signed", false)?;
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
        rule: if signed { Rule::AbsTopK { k } } else { Rule::TopK { k } },
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
            // what a norm gives to a module is behind its gain, whoever says at which norm
            let from = reading(folder, said, name.as_deref(), choice, Beside::Gain)?;
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
        n_ctx: n_ctx(&config, folder)?,
        ..Facts::new(Format::Sparsify)
    };
    Ok(Imported { dictionary, facts })
}

/// Tokens per context: what we write into the dictionary's config, or what a run leaves in its own, in the folder above.
fn n_ctx(config: &Fields, folder: &Path) -> Result<Option<usize>, DictionaryError> {
    const FIELD: &str = "ctx_len";
    if let Some(n_ctx) = config.count(FIELD)? {
        return Ok(Some(n_ctx));
    }
    let run = folder.parent().unwrap_or(Path::new("")).join("config.json");
    // some other folder's config may lie there
    let fields = Some(run)
        .filter(|path| path.is_file())
        .and_then(|path| Fields::open(&path).ok());
    Ok(fields.and_then(|fields| fields.count(FIELD).ok().flatten()))
}

/// Writes a folder, whose name says the place (`layers.5`) and is the caller's.
///
/// # Errors
/// What they have not: other rules, input scales and residual streams, and places before a norm's gain; and files that cannot be written.
pub fn write(folder: &Path, mut coder: Coder, facts: &Facts) -> Result<(), DictionaryError> {
    let Rule::TopK { k } = coder.rule else {
        return Err(limits::other_kind(folder, facts, &coder.rule, "topk"));
    };
    limits::sees_activations(folder, facts)?;
    limits::residual(folder, facts, ResidualFrame::Raw)?;
    if let Some(at) = facts.at().filter(|at| at.is_norm()) {
        let message =
            format!("found a dictionary at {at}, before the norm's gain; sparsify's read what a module gives, behind it");
        return Err(refuse(folder, message));
    }
    coder.centre(true);
    save(folder, &coder, (k, facts.n_ctx), None, false)
}

/// As [`write`], of a transcoder, which `facts` say to read behind the norm's gain where it reads at a norm.
///
/// # Errors
/// As [`write`]; and places that are not the input and the output of one module, and widths that differ.
pub fn write_transcoder(folder: &Path, transcoder: &Transcoder, facts: &Facts) -> Result<(), DictionaryError> {
    let Transcoder { read_at, w_skip, coder } = transcoder;
    let Rule::TopK { k } = coder.rule else {
        return Err(limits::other_kind(folder, facts, &coder.rule, "topk"));
    };
    limits::sees_activations(folder, facts)?;
    limits::residual(folder, facts, ResidualFrame::Raw)?;
    let (d_in, d_out) = (coder.w_enc.len() / coder.b_enc.len(), coder.b_dec.len());
    if d_in != d_out {
        let message = format!("found a transcoder from {d_in} dimensions to {d_out}; sparsify's are as wide on both sides");
        return Err(refuse(folder, message));
    }
    let behind = Place {
        at: *read_at,
        beside: Beside::Gain,
    };
    if read_at.is_norm() && facts.reads != Some(behind) {
        let message = format!("found a transcoder that reads {read_at}, before the norm's gain; sparsify's read behind it");
        return Err(refuse(folder, message));
    }
    let of_module = |layer| {
        let modules = [
            (Site::Ln2, Site::MlpOut),
            (Site::Ln1, Site::AttnOut),
            (Site::ResidPre, Site::ResidPost),
        ];
        modules.map(|(from, to)| (HookPoint::block(layer, from), HookPoint::block(layer, to)))
    };
    let to = facts.at();
    let is_one = read_at.layer().map(of_module).is_some_and(|modules| {
        let mut modules = modules.into_iter().filter(|(from, _)| from == read_at);
        modules.any(|(_, written)| to.is_none_or(|to| to == written))
    });
    if !is_one {
        let to = to.map_or_else(|| "another place".to_owned(), |to| to.to_string());
        let message = format!(
            "found a transcoder from {read_at} to {to}; sparsify's are of one module: from ln2.hook_normalized to hook_mlp_out, from \
             ln1.hook_normalized to hook_attn_out or from hook_resid_pre to hook_resid_post of a block"
        );
        return Err(refuse(folder, message));
    }
    save(folder, coder, (k, facts.n_ctx), w_skip.as_deref(), true)
}

fn save(
    folder: &Path,
    coder: &Coder,
    (k, n_ctx): (usize, Option<usize>),
    w_skip: Option<&[f32]>,
    transcodes: bool,
) -> Result<(), DictionaryError> {
    let (d_in, d_sae) = (coder.b_dec.len(), coder.b_enc.len());
    let mut tensors = vec![
        ("encoder.weight", Array::f32(&[d_sae, d_in], &coder.w_enc)),
        ("encoder.bias", Array::f32(&[d_sae], &coder.b_enc)),
        ("W_dec", Array::f32(&[d_sae, d_in], &coder.w_dec)),
        ("b_dec", Array::f32(&[d_in], &coder.b_dec)),
    ];
    tensors.extend(w_skip.map(|rows| ("W_skip", Array::f32(&[d_in, d_in], rows))));
    let config = json!({
        "activation": "topk",
        "expansion_factor": d_sae.div_ceil(d_in),
        // it is of training alone
        "normalize_decoder": !transcodes,
        "num_latents": d_sae,
        "k": k,
        "multi_topk": false,
        "skip_connection": w_skip.is_some(),
        "transcode": transcodes,
        "d_in": d_in,
        // sparsify leaves out what it does not know
        "ctx_len": n_ctx,
    });
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    write_safetensors(&folder.join(WEIGHTS), &tensors)?;
    write_json(&folder.join(CONFIG), &config)
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
