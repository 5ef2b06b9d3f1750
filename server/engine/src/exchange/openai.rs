//! OpenAI's files (openai/sparse_autoencoder): one `.pt`, a state dict with the activation's name among its entries.
//!
//! encode: z = W (x − pre_bias) + latent_bias; the decoder's matrix is [d_in, d_sae]. Where the activation is TopK, their code normalises
//! each token, and takes that back in the output (`normalize = activation_class_name == "TopK"`). The place is in the path that the file
//! was published under: `gpt2-small/resid_post_mlp_v5_32k/autoencoders/8.pt`. Their models are read without centring.
//!
//! As normalisation goes by the activation's name, a topk dictionary can be said under layer norm alone, and a ReLU one without it.

use api::{HookPoint, ResidualFrame, Site};
use std::path::Path;

use super::{
    Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::{io, refuse},
    folder::write_archive,
    limits,
    pickle::{Id, Node},
    tensors::{Array, Tensors, transposed},
    torch::{Saved, Value, file_of},
};
use crate::dictionary::{DictionaryError, Normaliser, TokenNorm};

/// What training keeps beside the weights.
const STATISTICS: [&str; 3] = ["stats_last_nonzero", "latents_activation_frequency", "latents_mean_square"];
/// Their names of places, and ours.
const PLACES: [(&str, Site); 5] = [
    ("mlp_post_act", Site::MlpPost),
    ("resid_delta_attn", Site::AttnOut),
    ("resid_delta_mlp", Site::MlpOut),
    ("resid_post_attn", Site::ResidMid),
    ("resid_post_mlp", Site::ResidPost),
];

/// Whether a state dict looks like theirs.
pub fn is_known(tensors: &Tensors) -> bool {
    tensors.has("pre_bias") && tensors.has("latent_bias") && tensors.has("encoder.weight")
}

/// Reads a file.
///
/// # Errors
/// An activation that is neither ReLU nor TopK, and tensors that do not fit.
pub fn read(path: &Path) -> Result<Imported, DictionaryError> {
    let saved = Saved::open(path)?;
    let entries = saved.state_dict()?;
    let mut tensors = saved.tensors(entries)?;
    STATISTICS.iter().for_each(|name| tensors.drop(name));
    tensors.only(&["pre_bias", "latent_bias", "encoder.weight", "decoder.weight"])?;
    let [d_sae, d_in] = tensors.dims("encoder.weight")?;
    let (rule, normaliser) = match named(&saved, entries, "activation") {
        None => (Rule::Relu, Normaliser::default()),
        Some(Node::Text(name)) if name == "ReLU" => (Rule::Relu, Normaliser::default()),
        Some(Node::Text(name)) if name == "TopK" => {
            let k = k(&saved, entries, d_sae)?;
            (Rule::TopK { k }, Normaliser::Token(TokenNorm::Layer))
        }
        Some(Node::Text(name)) => {
            return Err(refuse(path, format!("its activation is '{name}'; expected ReLU or TopK")));
        }
        Some(_) => return Err(refuse(path, "its activation is no name; expected ReLU or TopK")),
    };
    let coder = Coder {
        w_enc: tensors.take("encoder.weight", &[d_sae, d_in])?,
        b_enc: tensors.take("latent_bias", &[d_sae])?,
        w_dec: tensors.take_transposed("decoder.weight", [d_in, d_sae])?,
        b_dec: tensors.take("pre_bias", &[d_in])?,
        subtracts: true,
        rows: Rows::Free,
        rule,
    };
    let dictionary = coder.into_dictionary().map_err(|message| refuse(path, message))?;
    let facts = Facts {
        hook: hook(path).map(|at| at.to_string()),
        residual: Some(ResidualFrame::Raw),
        normaliser,
        ..Facts::new(Format::OpenAi)
    };
    Ok(Imported { dictionary, facts })
}

fn named<'a>(saved: &'a Saved, entries: &'a [(Id, Id)], name: &str) -> Option<&'a Node> {
    let mut entries = saved.pickle().entries(entries);
    entries.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// k of a TopK activation, whose own state says also what is done to the k largest.
fn k(saved: &Saved, entries: &[(Id, Id)], d_sae: usize) -> Result<usize, DictionaryError> {
    let Some(Node::Dict(state)) = named(saved, entries, "activation_state_dict") else {
        let message = "its activation is TopK, and it has no activation_state_dict; expected one with k and postact_fn";
        return Err(refuse(saved.path(), message));
    };
    match named(saved, state, "postact_fn") {
        None => {}
        Some(Node::Text(name)) if name == "ReLU" => {}
        found => {
            let found = match found {
                Some(Node::Text(name)) => format!("'{name}'"),
                _ => "no name".into(),
            };
            let message = format!("its activation's postact_fn is {found}; expected ReLU, without which codes may be negative");
            return Err(refuse(saved.path(), message));
        }
    }
    let k = match named(saved, state, "k") {
        Some(Node::Int(k)) => usize::try_from(*k).ok().filter(|k| (1..=d_sae).contains(k)),
        _ => None,
    };
    k.ok_or_else(|| {
        let message = format!("its activation's k is no number of features; expected 1 to {d_sae}");
        refuse(saved.path(), message)
    })
}

/// The layer and the site, where the path says both.
fn hook(path: &Path) -> Option<HookPoint> {
    let layer = path.file_stem()?.to_str()?.parse().ok()?;
    let parts = path.components().rev().map(|c| c.as_os_str().to_string_lossy().into_owned());
    let site = parts.into_iter().find_map(|part| {
        let is_there = |name: &str| {
            part.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("_v"))
        };
        PLACES.iter().find(|(name, _)| is_there(name)).map(|(_, site)| *site)
    })?;
    Some(HookPoint::block(layer, site))
}

/// The layer of a place that they have. What enters a block has left the one before it.
fn layer(at: HookPoint) -> Option<usize> {
    match at {
        HookPoint::Block {
            layer,
            site: Site::ResidPre,
        } => layer.checked_sub(1),
        HookPoint::Block { layer, site } => PLACES.iter().any(|(_, theirs)| *theirs == site).then_some(layer),
        _ => None,
    }
}

/// Writes a folder with one file, called by its layer as theirs are. The place is what the folder's path says, which is the caller's.
///
/// # Errors
/// What they have not: other rules, other input scales for them, other residual streams; and a file that cannot be written, or would be of
/// 4 GiB or more.
pub fn write(folder: &Path, mut coder: Coder, facts: &Facts) -> Result<(), DictionaryError> {
    let (activation, state, expected) = match coder.rule {
        Rule::Relu => ("ReLU", Vec::new(), Normaliser::default()),
        Rule::TopK { k } => (
            "TopK",
            vec![("k", Value::Int(k)), ("postact_fn", Value::Text("ReLU"))],
            Normaliser::Token(TokenNorm::Layer),
        ),
        _ => return Err(limits::other_kind(folder, facts, &coder.rule, "relu and topk")),
    };
    let is_as_expected = match expected {
        // one number is in the weights
        Normaliser::Scale(_) => matches!(facts.normaliser, Normaliser::Scale(_)),
        each @ Normaliser::Token(_) => facts.normaliser == each,
    };
    if !is_as_expected {
        let (found, expected) = (facts.normaliser.input_scale(), expected.input_scale());
        let message = format!("found the input scale {found}; OpenAI's dictionaries with {activation} have {expected}");
        return Err(refuse(folder, message));
    }
    limits::residual(folder, facts, ResidualFrame::Raw)?;
    coder.centre(true);
    let (d_in, d_sae) = (coder.b_dec.len(), coder.b_enc.len());
    let statistics = [
        Array::i64(&vec![0; d_sae]),
        Array::f32(&[d_sae], &vec![1.0; d_sae]),
        Array::f32(&[d_sae], &vec![0.0; d_sae]),
    ];
    let tensors = [
        ("pre_bias", Array::f32(&[d_in], &coder.b_dec)),
        ("latent_bias", Array::f32(&[d_sae], &coder.b_enc)),
        ("encoder.weight", Array::f32(&[d_sae, d_in], &coder.w_enc)),
        ("decoder.weight", Array::f32(&[d_in, d_sae], &transposed(&coder.w_dec, d_in))),
    ];
    // their code loads strictly: what training counts has to be there, and begins as theirs does
    let all = tensors
        .iter()
        .map(|(name, array)| (*name, array))
        .chain(STATISTICS.into_iter().zip(&statistics));
    let mut entries: Vec<(&str, Value<'_>)> = all.map(|(name, array)| (name, Value::Tensor(array))).collect();
    entries.push(("activation", Value::Text(activation)));
    entries.push(("activation_state_dict", Value::Ordered(state)));
    let name = match facts.at().and_then(layer) {
        Some(layer) => format!("{layer}.pt"),
        None => "autoencoder.pt".into(),
    };
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    write_archive(&folder.join(name), file_of(&Value::Ordered(entries)))
}
