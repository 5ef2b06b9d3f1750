//! sparse_coding's `learned_dicts.pt` (Cunningham et al. 2023, HoagyC/sparse_coding): a pickled list of pairs, of a `TiedSAE` or
//! `UntiedSAE` and its hyperparameters. The objects are read as their attributes; no class is made.
//!
//! Tied: x' = s ∘ R (x − t), c = ReLU(M̂ x' + b), x̂ = Rᵀ (M̂ᵀ c / s) + t, with unit rows M̂; R, s and t are the identity unless the run
//! whitened its activations. Untied: c = ReLU(W x + b), x̂ = D̂ᵀ c.
//!
//! Only the tied class has a bias of the decoder's (t), so that what is written is tied, or has none.

use api::Objective;
use std::path::Path;

use super::{
    Choice, Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::{io, refuse},
    folder::write_archive,
    limits,
    pickle::{Id, Node, Pickle},
    tensors::{Array, Tensors},
    torch::{Saved, Value, file_of},
};
use crate::{
    dictionary::{Dictionary, DictionaryError, Tied},
    kernel::sum_squares,
};

/// The list's file.
pub const WEIGHTS: &str = "learned_dicts.pt";
/// Smallest norm that a row is divided by.
const MIN_NORM: f32 = 1e-8;
/// Where their classes are, as pickles name them.
const MODULE: &str = "autoencoders.learned_dict";

/// A dictionary of the list: its class, its attributes, its hyperparameters.
type Learned<'a> = (&'static str, &'a [(Id, Id)], &'a [(Id, Id)]);

/// Whether a file holds their objects.
pub fn is_known(saved: &Saved) -> bool {
    !learned(saved).is_empty()
}

/// The dictionaries of a file.
fn learned(saved: &Saved) -> Vec<Learned<'_>> {
    let pickle = saved.pickle();
    match pickle.root() {
        Node::List(all) => all.iter().filter_map(|id| one(pickle, pickle.get(*id))).collect(),
        node => one(pickle, node).into_iter().collect(),
    }
}

/// An object alone, or with its hyperparameters.
fn one<'a>(pickle: &'a Pickle, node: &'a Node) -> Option<Learned<'a>> {
    match node {
        Node::Object(class, attributes) => Some((class, attributes, &[])),
        Node::List(pair) => match pair.iter().map(|id| pickle.get(*id)).collect::<Vec<_>>()[..] {
            [Node::Object(class, attributes), Node::Dict(hyperparameters)] => Some((class, attributes, hyperparameters)),
            _ => None,
        },
        _ => None,
    }
}

/// Reads one dictionary of a file.
///
/// # Errors
/// Several where none is chosen, and tensors that do not fit.
pub fn read(path: &Path, choice: &Choice) -> Result<Imported, DictionaryError> {
    let saved = Saved::open(path)?;
    let all = learned(&saved);
    let chosen = match (choice.index, all.len()) {
        (Some(index), n) => all
            .get(index)
            .ok_or_else(|| refuse(path, format!("holds {n} dictionaries; found no number {index} among them")))?,
        (None, 1) => &all[0],
        (None, n) => {
            let message = format!(
                "holds {n} dictionaries; choose one by its number, 0 to {}",
                n.saturating_sub(1)
            );
            return Err(refuse(path, message));
        }
    };
    let (class, attributes, hyperparameters) = *chosen;
    let tensors = saved.tensors(attributes)?;
    let dictionary = match class {
        "UntiedSAE" => untied(&tensors),
        _ => {
            let normalises = saved.pickle().entries(attributes).find(|(name, _)| *name == "norm_encoder");
            tied(&tensors, !matches!(normalises, Some((_, Node::Bool(false)))))
        }
    }?;
    let l1 = saved.pickle().entries(hyperparameters).find_map(|(name, value)| match value {
        Node::Float(value) if name == "l1_alpha" => Some(*value),
        _ => None,
    });
    // their penalty is not divided by the width, their squared error is
    let objective = l1.map(|l1| Objective::Local {
        sparsity: l1 * dictionary.d_in() as f64,
    });
    Ok(Imported {
        dictionary,
        facts: Facts {
            objective,
            ..Facts::new(Format::SparseCoding)
        },
    })
}

fn untied(tensors: &Tensors) -> Result<Dictionary<f32>, DictionaryError> {
    tensors.only(&["encoder", "decoder", "encoder_bias"])?;
    let [d_sae, d_in] = tensors.dims("encoder")?;
    let coder = Coder {
        w_enc: tensors.take("encoder", &[d_sae, d_in])?,
        b_enc: tensors.take("encoder_bias", &[d_sae])?,
        w_dec: tensors.take("decoder", &[d_sae, d_in])?,
        b_dec: vec![0.0; d_in],
        subtracts: false,
        rows: Rows::Normalised,
        rule: Rule::Relu,
    };
    coder.into_dictionary().map_err(|message| refuse(tensors.path(), message))
}

/// [d, d].
fn identity(d: usize) -> Vec<f32> {
    (0..d * d).map(|i| if i / d == i % d { 1.0 } else { 0.0 }).collect()
}

fn tied(tensors: &Tensors, normalises: bool) -> Result<Dictionary<f32>, DictionaryError> {
    tensors.only(&["encoder", "encoder_bias", "center_trans", "center_rot", "center_scale"])?;
    let [d_sae, d_in] = tensors.dims("encoder")?;
    let (encoder, bias) = (
        tensors.take("encoder", &[d_sae, d_in])?,
        tensors.take("encoder_bias", &[d_sae])?,
    );
    let or_else = |name: &str, shape: &[usize], default: &dyn Fn() -> Vec<f32>| match tensors.has(name) {
        true => tensors.take(name, shape),
        false => Ok(default()),
    };
    let identity = || identity(d_in);
    let shift = or_else("center_trans", &[d_in], &|| vec![0.0; d_in])?;
    let rotation = or_else("center_rot", &[d_in, d_in], &identity)?;
    let scale = or_else("center_scale", &[d_in], &|| vec![1.0; d_in])?;
    if let Some(s) = scale.iter().find(|s| **s == 0.0) {
        return Err(refuse(
            tensors.path(),
            format!("tensor 'center_scale' holds {s}; expected numbers other than 0"),
        ));
    }
    let is_plain = shift.iter().all(|t| *t == 0.0) && scale.iter().all(|s| *s == 1.0) && rotation == identity();
    if is_plain && normalises {
        return Ok(Dictionary::Tied(Tied::new(encoder, bias)));
    }
    let unit: Vec<f32> = encoder
        .chunks_exact(d_in)
        .flat_map(|row| {
            let norm = sum_squares(row).sqrt().max(MIN_NORM);
            row.iter().map(move |w| w / norm)
        })
        .collect();
    // rows times a diagonal, then times R
    let turned = |rows: &[f32], by: &dyn Fn(f32) -> f64| -> Vec<f32> {
        let row = |row: &[f32]| -> Vec<f32> {
            let weights: Vec<f64> = row.iter().zip(&scale).map(|(w, s)| f64::from(*w) * by(*s)).collect();
            let column = |u: usize| {
                weights
                    .iter()
                    .enumerate()
                    .map(|(c, w)| w * f64::from(rotation[c * d_in + u]))
                    .sum::<f64>() as f32
            };
            (0..d_in).map(column).collect()
        };
        rows.chunks_exact(d_in).flat_map(row).collect()
    };
    let coder = Coder {
        w_enc: turned(if normalises { &unit } else { &encoder }, &f64::from),
        b_enc: bias,
        w_dec: turned(&unit, &|s| 1.0 / f64::from(s)),
        b_dec: shift,
        subtracts: true,
        rows: Rows::Free,
        rule: Rule::Relu,
    };
    coder.into_dictionary().map_err(|message| refuse(tensors.path(), message))
}

/// Writes a folder with a list of one dictionary.
///
/// # Errors
/// What they have not: other rules and input scales, and a decoder's bias where the encoder is not the decoder; and a file that cannot be
/// written, or would be of 4 GiB or more.
pub fn write(folder: &Path, mut coder: Coder, facts: &Facts) -> Result<(), DictionaryError> {
    if coder.rule != Rule::Relu {
        return Err(limits::other_kind(folder, facts, &coder.rule, "relu"));
    }
    limits::sees_activations(folder, facts)?;
    let (d_in, d_sae) = (coder.b_dec.len(), coder.b_enc.len());
    let has_bias = |coder: &Coder| coder.b_dec.iter().any(|b| *b != 0.0);
    let is_tied = coder.w_enc == coder.w_dec && coder.clone().with_unit_rows().w_dec == coder.w_dec;
    let is_tied = is_tied && (coder.subtracts || !has_bias(&coder));
    if !is_tied {
        coder.centre(false);
        if has_bias(&coder) {
            let message = "found a bias of the decoder; sparse_coding's UntiedSAE has none, and its TiedSAE subtracts it from the input of \
                           an encoder that is the decoder";
            return Err(refuse(folder, message));
        }
        coder = coder.with_unit_rows();
    }
    let rows = |rows: &[f32]| Array::f32(&[d_sae, d_in], rows);
    let mut arrays = vec![
        ("encoder", rows(&coder.w_enc)),
        ("encoder_bias", Array::f32(&[d_sae], &coder.b_enc)),
    ];
    if is_tied {
        arrays.push(("center_trans", Array::f32(&[d_in], &coder.b_dec)));
        arrays.push(("center_rot", Array::f32(&[d_in, d_in], &identity(d_in))));
        arrays.push(("center_scale", Array::f32(&[d_in], &vec![1.0; d_in])));
    } else {
        arrays.push(("decoder", rows(&coder.w_dec)));
    }
    let mut attributes: Vec<_> = arrays.iter().map(|(name, array)| (*name, Value::Tensor(array))).collect();
    attributes.extend(is_tied.then_some(("norm_encoder", Value::Flag(true))));
    attributes.push(("n_feats", Value::Int(d_sae)));
    attributes.push(("activation_size", Value::Int(d_in)));
    let class = if is_tied { "TiedSAE" } else { "UntiedSAE" };
    let mut hyperparameters = vec![("dict_size", Value::Int(d_sae))];
    // as it is read: theirs is not divided by the width
    if let Some(Objective::Local { sparsity }) = facts.objective {
        hyperparameters.push(("l1_alpha", Value::Float(sparsity / d_in as f64)));
    }
    let pair = Value::Tuple(vec![Value::Object([MODULE, class], attributes), Value::Dict(hyperparameters)]);
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    write_archive(&folder.join(WEIGHTS), file_of(&Value::List(vec![pair])))
}
