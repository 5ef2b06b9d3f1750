//! dictionary_learning's folders: `ae.pt`, a state dict, and `config.json`, which says of what class. Where the config is missing, the
//! tensors' names say it.
//!
//! Biases are in the model's units (they are rescaled before saving). `AutoEncoder` has unit columns by construction only: a file's
//! columns are taken as they are, as `decode` does.
//!
//! While a run goes on with `backup_steps`, and after one that was interrupted, the file holds what it takes to resume: `step`, `ae` (the
//! state dict), `optimizer`, `config` and, where activations are normalised, `norm_factor`, by which they are divided. The biases of `ae`
//! are those of divided activations: they are taken `norm_factor` times, as `scale_biases` does at a run's end.

use api::{HookPoint, Site};
use serde_json::{Value, json};
use std::path::Path;

use super::{
    Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::{io, refuse},
    fields::Fields,
    folder::{write_archive, write_json},
    pickle::{Id, Node},
    tensors::{Array, Tensors, transposed},
    torch::{Saved, state_dict_file},
};
use crate::dictionary::{DictionaryError, Normaliser};

/// The weights' file.
pub const WEIGHTS: &str = "ae.pt";
const CONFIG: &str = "config.json";
/// Classes, with the tensors by which each is told from the others.
const CLASSES: &[(&str, &[&str])] = &[
    ("MatryoshkaBatchTopKSAE", &["group_sizes", "W_enc"]),
    ("GatedAutoEncoder", &["r_mag", "gate_bias"]),
    ("JumpReluAutoEncoder", &["W_enc", "threshold"]),
    ("BatchTopKSAE", &["encoder.weight", "b_dec", "k"]),
    ("AutoEncoder", &["encoder.weight", "bias"]),
    ("AutoEncoderNew", &["encoder.weight", "decoder.bias"]),
];

/// Whether a state dict looks like one of its classes.
pub fn is_known(tensors: &Tensors) -> bool {
    class_of(tensors).is_some()
}

fn class_of(tensors: &Tensors) -> Option<&'static str> {
    let has_all = |names: &[&str]| names.iter().all(|name| tensors.has(name));
    CLASSES.iter().find(|(_, names)| has_all(names)).map(|(class, _)| *class)
}

/// Whether a file is what a run leaves that was interrupted.
pub fn is_interrupted(saved: &Saved) -> bool {
    inside(saved, "ae").is_some()
}

/// A dictionary inside a file's.
fn inside<'a>(saved: &'a Saved, name: &str) -> Option<&'a [(Id, Id)]> {
    match member(saved, name)? {
        Node::Dict(entries) => Some(entries),
        _ => None,
    }
}

fn member<'a>(saved: &'a Saved, name: &str) -> Option<&'a Node> {
    let Node::Dict(entries) = saved.pickle().root() else {
        return None;
    };
    let mut entries = saved.pickle().entries(entries);
    entries.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// The config inside an interrupted run's file, which is the `trainer` of `config.json`.
fn own_config(saved: &Saved) -> Option<Fields> {
    let field = |(name, node): (&str, &Node)| {
        let value = match node {
            Node::Text(text) => json!(text),
            Node::Int(n) => json!(n),
            Node::Float(number) => json!(number),
            Node::Bool(flag) => json!(flag),
            _ => Value::Null,
        };
        (name.to_owned(), value)
    };
    let fields = saved.pickle().entries(inside(saved, "config")?).map(field);
    Some(Fields::new(saved.path(), fields.collect()))
}

/// What an interrupted run divides activations by.
fn norm_factor(saved: &Saved) -> Result<f64, DictionaryError> {
    let found = match member(saved, "norm_factor") {
        None | Some(Node::None) => return Ok(1.0),
        Some(Node::Float(number)) => Some(*number),
        Some(Node::Int(n)) => Some(*n as f64),
        Some(_) => None,
    };
    if member(saved, "optimizer").is_none() {
        // what goes on has its optimiser; a file without may be of a run that is done, whose biases are scaled already
        let message = "has a norm_factor beside 'ae' and no optimizer: whether its biases are taken times it already is not said; \
                       expected what a run leaves that was interrupted, or the state dict alone";
        return Err(refuse(saved.path(), message));
    }
    let is_size = |number: &f64| number.is_finite() && *number > 0.0;
    found.filter(is_size).ok_or_else(|| {
        let found = found.map_or_else(|| "no number".to_owned(), |number| number.to_string());
        refuse(
            saved.path(),
            format!("its norm_factor, by which its run divides activations, is {found}; expected a number above 0"),
        )
    })
}

/// Reads `ae.pt` at `path`, and the config beside it, or inside it where its run was interrupted.
///
/// # Errors
/// Unknown classes, and tensors that do not fit.
pub fn read(path: &Path) -> Result<Imported, DictionaryError> {
    let saved = Saved::open(path)?;
    let (state, divisor) = match inside(&saved, "ae") {
        Some(state) => (state, norm_factor(&saved)?),
        None => (saved.state_dict()?, 1.0),
    };
    let tensors = saved.tensors(state)?;
    let config_path = path.with_file_name(CONFIG);
    let (config, buffer) = match config_path.is_file() {
        true => {
            let all = Fields::open(&config_path)?;
            (Some(all.object("trainer")?), Some(all.object("buffer")?))
        }
        false => (own_config(&saved), None),
    };
    let named = config.as_ref().map(|config| config.text("dict_class")).transpose()?.flatten();
    let names = || CLASSES.iter().map(|(class, _)| *class).collect::<Vec<_>>().join(", ") + ", AutoEncoderTopK";
    let class = match named {
        Some(class) => class,
        None => class_of(&tensors).ok_or_else(|| {
            let found = format!("holds the tensors {}", tensors.names());
            refuse(path, format!("{found}; expected those of dictionary_learning's {}", names()))
        })?,
    };
    let coder = match class {
        "AutoEncoder" => linear(&tensors, "bias", &["encoder.bias"], Rule::Relu)?,
        "AutoEncoderNew" => {
            let mut coder = linear(&tensors, "decoder.bias", &["encoder.bias"], Rule::Relu)?;
            coder.subtracts = false;
            coder
        }
        "GatedAutoEncoder" => gated(&tensors)?,
        "AutoEncoderTopK" => {
            let k = k(&tensors, config.as_ref())?;
            linear(&tensors, "b_dec", &["encoder.bias", "k", "threshold"], Rule::TopK { k })?
        }
        // the tensors of the two are the same: only the config tells which it is
        "BatchTopKSAE" if named.is_none() => {
            let message = "holds the tensors that AutoEncoderTopK and BatchTopKSAE have in common; \
                           expected a config.json beside it whose trainer.dict_class says which it is";
            return Err(refuse(path, message));
        }
        "BatchTopKSAE" => {
            let rule = batch(&tensors, config.as_ref(), Vec::new())?;
            linear(&tensors, "b_dec", &["encoder.bias", "k", "threshold"], rule)?
        }
        "JumpReluAutoEncoder" => {
            let [_, d_sae] = tensors.dims("W_enc")?;
            let threshold = tensors.take("threshold", &[d_sae])?;
            matrices(&tensors, false, Rule::Jump { threshold }, &["threshold"])?
        }
        "MatryoshkaBatchTopKSAE" => {
            let [_, d_sae] = tensors.dims("W_enc")?;
            let groups = tensors.counts("group_sizes")?;
            let total = groups.iter().try_fold(0usize, |sum, size| sum.checked_add(*size));
            if total != Some(d_sae) {
                let message = format!("tensor 'group_sizes' is {groups:?}; expected sizes that sum to {d_sae}");
                return Err(refuse(path, message));
            }
            let rule = batch(&tensors, config.as_ref(), groups)?;
            matrices(&tensors, true, rule, &["k", "threshold", "group_sizes"])?
        }
        other => {
            let message = format!("field 'trainer.dict_class' is '{other}'; expected {}", names());
            return Err(refuse(if config_path.is_file() { &config_path } else { path }, message));
        }
    };
    let coder = if divisor == 1.0 { coder } else { coder.of_divided(divisor) };
    let dictionary = coder.into_dictionary().map_err(|message| refuse(path, message))?;
    let facts = match config {
        None => Facts::new(Format::DictionaryLearning),
        Some(trainer) => facts(&trainer)?,
    };
    let n_ctx = buffer.map(|buffer| buffer.count("ctx_len")).transpose()?.flatten();
    Ok(Imported {
        dictionary,
        facts: Facts { n_ctx, ..facts },
    })
}

/// Those with torch's `Linear`: `encoder.weight` [d_sae, d_in], `decoder.weight` [d_in, d_sae].
fn linear(tensors: &Tensors, b_dec: &str, others: &[&str], rule: Rule) -> Result<Coder, DictionaryError> {
    tensors.only(&[others, &[b_dec, "encoder.weight", "decoder.weight"]].concat())?;
    let [d_sae, d_in] = tensors.dims("encoder.weight")?;
    Ok(Coder {
        w_enc: tensors.take("encoder.weight", &[d_sae, d_in])?,
        b_enc: tensors.take("encoder.bias", &[d_sae])?,
        w_dec: tensors.take_transposed("decoder.weight", [d_in, d_sae])?,
        b_dec: tensors.take(b_dec, &[d_in])?,
        subtracts: true,
        rows: Rows::Free,
        rule,
    })
}

fn gated(tensors: &Tensors) -> Result<Coder, DictionaryError> {
    let names = [
        "decoder_bias",
        "r_mag",
        "gate_bias",
        "mag_bias",
        "encoder.weight",
        "decoder.weight",
    ];
    tensors.only(&names)?;
    let [d_sae, d_in] = tensors.dims("encoder.weight")?;
    Ok(Coder {
        w_enc: tensors.take("encoder.weight", &[d_sae, d_in])?,
        b_enc: tensors.take("gate_bias", &[d_sae])?,
        w_dec: tensors.take_transposed("decoder.weight", [d_in, d_sae])?,
        b_dec: tensors.take("decoder_bias", &[d_in])?,
        subtracts: true,
        rows: Rows::Free,
        rule: Rule::Gated {
            r_mag: tensors.take("r_mag", &[d_sae])?,
            b_mag: tensors.take("mag_bias", &[d_sae])?,
        },
    })
}

/// Those with `W_enc` [d_in, d_sae] and `W_dec` [d_sae, d_in].
fn matrices(tensors: &Tensors, subtracts: bool, rule: Rule, others: &[&str]) -> Result<Coder, DictionaryError> {
    tensors.only(&[others, &["W_enc", "b_enc", "W_dec", "b_dec"]].concat())?;
    let [d_in, d_sae] = tensors.dims("W_enc")?;
    Ok(Coder {
        w_enc: tensors.take_transposed("W_enc", [d_in, d_sae])?,
        b_enc: tensors.take("b_enc", &[d_sae])?,
        w_dec: tensors.take("W_dec", &[d_sae, d_in])?,
        b_dec: tensors.take("b_dec", &[d_in])?,
        subtracts,
        rows: Rows::Free,
        rule,
    })
}

/// k, from the tensors or, in older files, from the config.
fn k(tensors: &Tensors, config: Option<&Fields>) -> Result<usize, DictionaryError> {
    let k = match tensors.has("k") {
        true => tensors.counts("k")?.first().copied(),
        false => config.map(|config| config.count("k")).transpose()?.flatten(),
    };
    k.filter(|k| *k > 0).ok_or_else(|| {
        refuse(
            tensors.path(),
            "k, the features per token, is neither a tensor above 0 nor in config.json",
        )
    })
}

fn batch(tensors: &Tensors, config: Option<&Fields>, groups: Vec<usize>) -> Result<Rule, DictionaryError> {
    Ok(Rule::BatchTopK {
        k: k(tensors, config)?,
        threshold: tensors.number("threshold")?,
        decay: config.map(|config| config.number("threshold_beta")).transpose()?.flatten(),
        groups,
    })
}

fn facts(trainer: &Fields) -> Result<Facts, DictionaryError> {
    let layer = trainer.count("layer")?;
    let submodule = trainer.text("submodule_name")?;
    // nnsight's modules have no names of hook points: these are the ones that are unmistakable
    let at = match (submodule, layer) {
        // as we write it
        (Some(name), _) if name.parse::<HookPoint>().is_ok() => name.parse().ok(),
        (Some(name), Some(layer)) if name.starts_with("resid_post") => Some(HookPoint::block(layer, Site::ResidPost)),
        (Some(name), Some(layer)) if name.starts_with("mlp_out") => Some(HookPoint::block(layer, Site::MlpOut)),
        (Some(name), Some(layer)) if name.starts_with("attn_out") => Some(HookPoint::block(layer, Site::AttnOut)),
        _ => None,
    };
    Ok(Facts {
        model: trainer.text("lm_name")?.map(str::to_owned),
        hook: at.map(|at| at.to_string()),
        // it reads transformers' own activations
        residual: Some(api::ResidualFrame::Raw),
        lr: trainer.number("lr")?,
        seed: trainer.count("seed")?.map(|seed| seed as u64),
        ..Facts::new(Format::DictionaryLearning)
    })
}

/// Writes a folder.
///
/// # Errors
/// Where each token has a scale of its own, and when a file cannot be written, or would be of 4 GiB or more.
pub fn write(folder: &Path, coder: &Coder, facts: &Facts) -> Result<(), DictionaryError> {
    if let Normaliser::Token(_) = facts.normaliser {
        let message = format!(
            "found the input scale {}; dictionary_learning's dictionaries see the activations themselves",
            facts.normaliser.input_scale()
        );
        return Err(refuse(folder, message));
    }
    let mut coder = coder.clone();
    let (d_in, d_sae) = (coder.b_dec.len(), coder.b_enc.len());
    let unknown = |kind: &str| {
        Err(refuse(
            folder,
            format!("found {kind}, which is none of dictionary_learning's classes"),
        ))
    };
    let class = match &coder.rule {
        Rule::AbsTopK { .. } => return unknown("the k of largest size with their signs"),
        Rule::MatchingPursuit(_) => return unknown("matching pursuit"),
        Rule::Relu => "AutoEncoder",
        Rule::Gated { .. } => "GatedAutoEncoder",
        Rule::Jump { .. } => "JumpReluAutoEncoder",
        Rule::TopK { .. } => "AutoEncoderTopK",
        Rule::BatchTopK { groups, .. } if !groups.is_empty() => "MatryoshkaBatchTopKSAE",
        Rule::BatchTopK { .. } => "BatchTopKSAE",
    };
    coder.centre(class != "JumpReluAutoEncoder");
    let vector = |values: &[f32]| Array::f32(&[d_sae], values);
    let encoder = ("encoder.weight", Array::f32(&[d_sae, d_in], &coder.w_enc));
    let decoder = ("decoder.weight", Array::f32(&[d_in, d_sae], &transposed(&coder.w_dec, d_in)));
    let bias = |name| (name, vector(&coder.b_enc));
    let b_dec = |name| (name, Array::f32(&[d_in], &coder.b_dec));
    let matrices = || {
        vec![
            ("W_enc", Array::f32(&[d_in, d_sae], &transposed(&coder.w_enc, d_in))),
            bias("b_enc"),
            ("W_dec", Array::f32(&[d_sae, d_in], &coder.w_dec)),
            b_dec("b_dec"),
        ]
    };
    let mut trainer = json!({
        "dict_class": class,
        "activation_dim": d_in,
        "dict_size": d_sae,
        "lm_name": facts.model,
        "layer": facts.at().and_then(HookPoint::layer),
        "submodule_name": facts.hook,
    });
    let tensors = match &coder.rule {
        Rule::Relu => vec![b_dec("bias"), encoder, bias("encoder.bias"), decoder],
        Rule::Gated { r_mag, b_mag } => vec![
            b_dec("decoder_bias"),
            ("r_mag", vector(r_mag)),
            bias("gate_bias"),
            ("mag_bias", vector(b_mag)),
            encoder,
            decoder,
        ],
        Rule::Jump { threshold } => {
            let mut tensors = matrices();
            tensors.push(("threshold", vector(threshold)));
            tensors
        }
        Rule::AbsTopK { .. } | Rule::MatchingPursuit(_) => Vec::new(),
        Rule::TopK { k } | Rule::BatchTopK { k, .. } => {
            trainer["k"] = json!(k);
            let (threshold, groups) = match &coder.rule {
                Rule::BatchTopK { threshold, groups, .. } => (*threshold as f32, &groups[..]),
                _ => (-1.0, &[][..]),
            };
            let mut tensors = match groups {
                [] => vec![b_dec("b_dec"), decoder, encoder, bias("encoder.bias")],
                sizes => {
                    let mut tensors = matrices();
                    tensors.push(("group_sizes", Array::i64(sizes)));
                    tensors
                }
            };
            tensors.push(("k", Array::i32(i32::try_from(*k).unwrap_or(i32::MAX))));
            tensors.push(("threshold", Array::f32(&[], &[threshold])));
            tensors
        }
    };
    let buffer = facts.n_ctx.map_or_else(|| json!({}), |n_ctx| json!({"ctx_len": n_ctx}));
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    write_archive(&folder.join(WEIGHTS), state_dict_file(&tensors))?;
    write_json(&folder.join(CONFIG), &json!({"trainer": trainer, "buffer": buffer}))
}
