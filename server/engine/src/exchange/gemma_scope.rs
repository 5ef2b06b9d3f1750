//! Gemma Scope: a folder with `params.npz`, or, in its second release, with `params.safetensors`, whose names are in lower case.
//!
//! encode: z = x W_enc + b_enc, c = ReLU(z) · 1[z > threshold]; the decoder's bias is not subtracted from the input.
//! The place is in the folder's path: `…-res/layer_20/width_16k/average_l0_71`.
//!
//! Transcoders (`…-transcoders`, `transcoder/…`) read in front of the MLP and write behind it. The first release has the norm's gain folded
//! into the model (its paper, "Language model technical details" of the transcoders), so that they read before the gain; the second's read the output of the model's own
//! `pre_feedforward_layernorm`, and may have an `affine_skip_connection` [d_in, d_out].

use api::{HookPoint, ResidualFrame, Site};
use std::{collections::BTreeMap, path::Path};

use super::{
    Choice, Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::refuse,
    fields::Fields,
    npy::read_npz,
    place::{Beside, Place, reading},
    tensors::{Tensors, transposed},
    transcoder::Transcoder,
};
use crate::dictionary::DictionaryError;

/// The weights' files of the two releases.
pub const WEIGHTS: [&str; 2] = ["params.npz", "params.safetensors"];
/// The second release's skip connections.
const SKIP: &str = "affine_skip_connection";

/// Reads a weights' file.
///
/// # Errors
/// Tensors that do not fit, those of a transcoder across layers, and one that says neither by its path nor by its config where it reads.
pub fn read(path: &Path, choice: &Choice) -> Result<Imported, DictionaryError> {
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
    let parts = parts(path);
    if parts.iter().any(|part| part == "clt" || part.starts_with("clt_")) {
        let message =
            "it is of a transcoder across layers, which writes at many; expected a dictionary, or a transcoder of one layer";
        return Err(refuse(path, message));
    }
    let is_transcoder = is_of_transcoders(&parts) || tensors.has(SKIP) || choice.read_at.is_some();
    let known = names.values().copied().chain(is_transcoder.then_some(SKIP));
    tensors.only(&known.collect::<Vec<_>>())?;
    let ([d_in, d_sae], [_, d_out]) = (tensors.dims(names["W_enc"])?, tensors.dims(names["W_dec"])?);
    let coder = Coder {
        w_enc: tensors.take_transposed(names["W_enc"], [d_in, d_sae])?,
        b_enc: tensors.take(names["b_enc"], &[d_sae])?,
        w_dec: tensors.take(names["W_dec"], &[d_sae, if is_transcoder { d_out } else { d_in }])?,
        b_dec: tensors.take(names["b_dec"], &[if is_transcoder { d_out } else { d_in }])?,
        subtracts: false,
        rows: Rows::Free,
        rule: Rule::Jump {
            threshold: tensors.take(names["threshold"], &[d_sae])?,
        },
    };
    if is_transcoder {
        let layer = layer(&parts);
        let from = reading(path, layer.and_then(|layer| before_mlp(path, layer, is_npz)), None, choice)?;
        let skip = tensors.has(SKIP).then(|| tensors.take(SKIP, &[d_in, d_out]));
        let transcoder = Transcoder {
            read_at: from.at,
            w_skip: skip.transpose()?.map(|rows| transposed(&rows, d_out)),
            coder,
        };
        let dictionary = transcoder.into_dictionary().map_err(|message| refuse(path, message))?;
        let facts = Facts {
            hook: layer.map(|layer| HookPoint::block(layer, Site::MlpOut).to_string()),
            reads: Some(from),
            residual: Some(ResidualFrame::Raw),
            ..Facts::new(Format::GemmaScope)
        };
        return Ok(Imported { dictionary, facts });
    }
    let dictionary = coder.into_dictionary().map_err(|message| refuse(path, message))?;
    let facts = Facts {
        hook: hook(&parts).map(|at| at.to_string()),
        residual: Some(ResidualFrame::Raw),
        ..Facts::new(Format::GemmaScope)
    };
    Ok(Imported { dictionary, facts })
}

/// A path's names.
fn parts(path: &Path) -> Vec<String> {
    path.components()
        .map(|c| c.as_os_str().to_string_lossy().into_owned())
        .collect()
}

fn layer(parts: &[String]) -> Option<usize> {
    parts.iter().rev().find_map(|part| {
        let rest = &part[part.find("layer_")? + "layer_".len()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().ok()
    })
}

/// Where the transcoders of `layer` read: what the norm before the MLP makes of the stream, in the second release with its gain, which its
/// config says as `….pre_feedforward_layernorm.output`; none where that says something else.
fn before_mlp(path: &Path, layer: usize, is_first: bool) -> Option<Place> {
    let at = HookPoint::block(layer, Site::Ln2);
    if is_first {
        return Some(Place {
            at,
            beside: Beside::Nothing,
        });
    }
    let config = path.with_file_name("config.json");
    let said = match config.is_file() {
        true => Fields::open(&config).ok()?.text("hf_hook_point_in").ok()?.map(str::to_owned),
        false => None,
    };
    let is_norm = said.is_none_or(|name| name.ends_with("pre_feedforward_layernorm.output"));
    is_norm.then_some(Place {
        at,
        beside: Beside::Gain,
    })
}

/// The layer and the site, where the path says both: the repository's name ends in `-res`, `-mlp` or `-att`, and in the second
/// release a folder is called `resid_post`, `mlp_out` or `attn_out`, with the layer in the next one's name.
fn hook(parts: &[String]) -> Option<HookPoint> {
    let layer = layer(parts)?;
    let site = parts.iter().rev().find_map(|part| site(part))?;
    Some(HookPoint::block(layer, site))
}

fn site(part: &str) -> Option<Site> {
    match part {
        _ if part.ends_with("-res") || part.starts_with("resid_post") => Some(Site::ResidPost),
        _ if part.ends_with("-mlp") || part.starts_with("mlp_out") => Some(Site::MlpOut),
        _ if part.ends_with("-att") => Some(Site::Z),
        _ => None,
    }
}

/// Whether the path is one of transcoders: the repository's name ends in `-transcoders`, or the folder is `transcoder` or `transcoder_all`. The
/// name that says something and is nearest to the file decides.
fn is_of_transcoders(parts: &[String]) -> bool {
    let says = |part: &String| {
        let is_theirs = part.ends_with("-transcoders") || part == "transcoder" || part.starts_with("transcoder_");
        if is_theirs { Some(true) } else { site(part).map(|_| false) }
    };
    parts.iter().rev().find_map(says).unwrap_or(false)
}
