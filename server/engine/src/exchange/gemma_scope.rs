//! Gemma Scope: a folder with `params.npz`, or, in its second release, with `params.safetensors`, whose names are in lower case.
//!
//! encode: z = x W_enc + b_enc, c = ReLU(z) · 1[z > threshold]; the decoder's bias is not subtracted from the input.
//! The place is in the folder's path: `…-res/layer_20/width_16k/average_l0_71`. Those of `…-res/embedding/…` see the embedding e as the matrix
//! has it; `hook_embed` is behind the model's factor √d, at √d e: of that they are a dictionary with W_enc / √d, √d W_dec and √d b_dec.
//!
//! Transcoders (`…-transcoders`, `transcoder/…`) read in front of the MLP and write behind it. The first release has the norm's gain folded
//! into the model (its paper, "Language model technical details" of the transcoders), so that they read before the gain; the second's read the output of the model's own
//! `pre_feedforward_layernorm`, and may have an `affine_skip_connection` [d_in, d_out].

use api::{HookPoint, ResidualFrame, Site};
use std::{collections::BTreeMap, path::Path};

use super::{
    Choice, Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::{io, refuse},
    fields::Fields,
    folder::write_archive,
    limits,
    npy::{npz_file, read_npz},
    place::{Beside, Place, reading},
    tensors::{Array, Tensors, transposed},
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
        let said = layer.and_then(|layer| before_mlp(path, layer, is_npz));
        // the first release has the gain folded into the model
        let at_norms = if is_npz { Beside::Nothing } else { Beside::Gain };
        let from = reading(path, said, None, choice, at_norms)?;
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
    let at = hook(&parts);
    let coder = match at {
        Some(HookPoint::Embed) => coder.of_scaled(1.0 / (d_in as f64).sqrt()),
        _ => coder,
    };
    let dictionary = coder.into_dictionary().map_err(|message| refuse(path, message))?;
    let facts = Facts {
        hook: at.map(|at| at.to_string()),
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
/// release a folder is called `resid_post`, `mlp_out` or `attn_out`, with the layer in the next one's name. `attn_out` are the heads' outputs
/// as well: their configs say `self_attn.o_proj.input`. What is of the embedding lies in a folder of that name in the layer's place.
fn hook(parts: &[String]) -> Option<HookPoint> {
    let is_of_embedding = |part: &String| match part.as_str() {
        "embedding" => Some(true),
        _ => part.contains("layer_").then_some(false),
    };
    if parts.iter().rev().find_map(is_of_embedding) == Some(true) {
        return Some(HookPoint::Embed);
    }
    let layer = layer(parts)?;
    let site = parts.iter().rev().find_map(|part| site(part))?;
    Some(HookPoint::block(layer, site))
}

fn site(part: &str) -> Option<Site> {
    match part {
        _ if part.ends_with("-res") || part.starts_with("resid_post") => Some(Site::ResidPost),
        _ if part.ends_with("-mlp") || part.starts_with("mlp_out") => Some(Site::MlpOut),
        _ if part.ends_with("-att") || part.starts_with("attn_out") => Some(Site::Z),
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

/// Writes a folder with `params.npz`. The place is what the folder's path says, which is the caller's. ReLU is JumpReLU with thresholds of 0,
/// and one threshold for all features is the same for each.
///
/// # Errors
/// What they have not: other rules, input scales and residual streams, an embedding's in a folder that does not say it; and a file that
/// cannot be written, or would be of 4 GiB or more.
pub fn write(folder: &Path, mut coder: Coder, facts: &Facts) -> Result<(), DictionaryError> {
    let d_sae = coder.b_enc.len();
    let threshold = match &coder.rule {
        Rule::Jump { threshold } => threshold.clone(),
        Rule::Relu => vec![0.0; d_sae],
        Rule::BatchTopK { threshold, .. } => vec![threshold.max(0.0) as f32; d_sae],
        rule => {
            return Err(limits::other_kind(
                folder,
                facts,
                rule,
                "jumprelu, of which relu and batchtopk are cases",
            ));
        }
    };
    limits::sees_activations(folder, facts)?;
    limits::residual(folder, facts, ResidualFrame::Raw)?;
    let is_of_embedding = facts.at() == Some(HookPoint::Embed);
    if is_of_embedding != (hook(&parts(folder)) == Some(HookPoint::Embed)) {
        let found = if is_of_embedding { "hook_embed" } else { "another place" };
        let message = format!(
            "found a dictionary at {found}; Gemma Scope's of the embedding lie in a folder 'embedding', by which they are told, and others do not"
        );
        return Err(refuse(folder, message));
    }
    if is_of_embedding {
        // to them the embedding is without the model's factor
        let size = (coder.b_dec.len() as f64).sqrt();
        coder = coder.of_scaled(size);
    }
    coder.centre(false);
    let d_in = coder.b_dec.len();
    let tensors = [
        ("W_enc", Array::f32(&[d_in, d_sae], &transposed(&coder.w_enc, d_in))),
        ("W_dec", Array::f32(&[d_sae, d_in], &coder.w_dec)),
        ("b_enc", Array::f32(&[d_sae], &coder.b_enc)),
        ("b_dec", Array::f32(&[d_in], &coder.b_dec)),
        ("threshold", Array::f32(&[d_sae], &threshold)),
    ];
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    write_archive(&folder.join(WEIGHTS[0]), npz_file(&tensors))
}
