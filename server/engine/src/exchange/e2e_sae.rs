//! The checkpoints of end-to-end dictionary learning (Braun et al. 2024, ApolloResearch/e2e_sae): as published, a `.pt` with `encoder.weight`,
//! `encoder.bias`, `decoder.weight`, `decoder.bias` and a `.yaml` of the same name; as their runs leave them, `samples_N.pt` with a
//! dictionary per hook point and `final_config.yaml`.
//!
//! encode: ReLU(W x + b); decode with columns divided by their lengths, which the published ones have been already. Their models are
//! TransformerLens', so that the residual stream is the centred one. λ and the other coefficients are in our units.

use api::{HookPoint, Objective, ResidualFrame};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

use super::{
    Choice, Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::{io, refuse},
    fields::Fields,
    folder::write_archive,
    limits,
    tensors::{Array, Tensors, transposed},
    torch::{Saved, state_dict_file},
    yaml,
};
use crate::{dictionary::DictionaryError, file::write_atomic};

/// The config of a run's folder.
pub const CONFIG: &str = "final_config.yaml";
/// The last part of the name of a run's first tensor.
const ENCODER: &str = ".encoder.0.weight";

/// Whether a state dict looks like theirs: with a config beside it, or with hook points in its names.
pub fn is_known(path: &Path, tensors: &Tensors) -> bool {
    let is_flat = tensors.has("encoder.weight") && tensors.has("decoder.bias");
    (is_flat && config_of(path).is_some()) || !hooks(tensors).is_empty()
}

/// The config that belongs to a checkpoint.
fn config_of(path: &Path) -> Option<PathBuf> {
    [path.with_extension("yaml"), path.with_file_name(CONFIG)]
        .into_iter()
        .find(|path| path.is_file())
}

/// The hook points of a run's checkpoint, as its tensors are called: with hyphens for points.
fn hooks(tensors: &Tensors) -> Vec<String> {
    tensors
        .all_names()
        .filter_map(|name| name.strip_suffix(ENCODER))
        .map(str::to_owned)
        .collect()
}

/// The checkpoint of a run's folder: that of the most samples.
///
/// # Errors
/// A folder without one.
pub fn latest(folder: &Path) -> Result<PathBuf, DictionaryError> {
    let entries = std::fs::read_dir(folder).map_err(|e| io(folder, e))?;
    let samples = |path: &Path| -> Option<u64> {
        path.file_name()?
            .to_str()?
            .strip_prefix("samples_")?
            .strip_suffix(".pt")?
            .parse()
            .ok()
    };
    let found = entries
        .flatten()
        .map(|e| e.path())
        .filter_map(|path| Some((samples(&path)?, path)));
    let missing = || {
        refuse(
            folder,
            format!("has {CONFIG} and no samples_N.pt; expected a checkpoint beside it"),
        )
    };
    found.max().map(|(_, path)| path).ok_or_else(missing)
}

/// Reads a checkpoint.
///
/// # Errors
/// Several dictionaries where none is chosen, and tensors that do not fit.
pub fn read(path: &Path, choice: &Choice) -> Result<Imported, DictionaryError> {
    let saved = Saved::open(path)?;
    let tensors = saved.tensors(saved.state_dict()?)?;
    let mut facts = match config_of(path) {
        Some(path) => facts(&yaml::open(&path)?)?,
        None => Facts::new(Format::E2eSae),
    };
    facts.residual = Some(ResidualFrame::Centred);
    let hooks = hooks(&tensors);
    let (prefix, encoder) = match &hooks[..] {
        [] => (String::new(), "encoder"),
        all => {
            let wanted = choice.at.map(|at| at.to_string().replace('.', "-"));
            let hook = match (&wanted, all) {
                (None, [only]) => only,
                (Some(wanted), _) => all.iter().find(|hook| *hook == wanted).ok_or_else(|| several(path, all))?,
                _ => return Err(several(path, all)),
            };
            facts.hook = Some(hook.replace('-', "."));
            (format!("{hook}."), "encoder.0")
        }
    };
    if hooks.is_empty() {
        tensors.only(&["encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"])?;
    }
    let name = |part: &str| format!("{prefix}{part}");
    let [d_sae, d_in] = tensors.dims(&name(&format!("{encoder}.weight")))?;
    let coder = Coder {
        w_enc: tensors.take(&name(&format!("{encoder}.weight")), &[d_sae, d_in])?,
        b_enc: tensors.take(&name(&format!("{encoder}.bias")), &[d_sae])?,
        w_dec: tensors.take_transposed(&name("decoder.weight"), [d_in, d_sae])?,
        b_dec: tensors.take(&name("decoder.bias"), &[d_in])?,
        subtracts: false,
        rows: Rows::Normalised,
        rule: Rule::Relu,
    };
    let dictionary = coder.into_dictionary().map_err(|message| refuse(path, message))?;
    Ok(Imported { dictionary, facts })
}

fn several(path: &Path, hooks: &[String]) -> DictionaryError {
    let names: Vec<String> = hooks.iter().map(|hook| hook.replace('-', ".")).collect();
    refuse(
        path,
        format!("holds dictionaries at {}; choose one by its hook point", names.join(", ")),
    )
}

fn facts(config: &Fields) -> Result<Facts, DictionaryError> {
    let data = config.object("train_data")?;
    let (samples, n_ctx) = (config.count("n_samples")?, data.count("n_ctx")?);
    let saes = config.object("saes")?;
    // one, or a list of them
    let position = match saes.get("sae_positions") {
        Some(Value::Array(all)) if all.len() == 1 => all[0].as_str(),
        Some(value) => value.as_str(),
        None => None,
    };
    Ok(Facts {
        model: config.text("tlens_model_name")?.map(str::to_owned),
        hook: position.filter(|hook| hook.parse::<HookPoint>().is_ok()).map(str::to_owned),
        objective: objective(&config.object("loss")?)?,
        lr: config.number("lr")?,
        seed: config.count("seed")?.map(|seed| seed as u64),
        tokens: samples.zip(n_ctx).map(|(samples, n_ctx)| samples as u64 * n_ctx as u64),
        n_ctx,
        ..Facts::new(Format::E2eSae)
    })
}

/// The objective, where it is one of ours.
fn objective(loss: &Fields) -> Result<Option<Objective>, DictionaryError> {
    let coefficient =
        |term: &str, name: &str| -> Result<f64, DictionaryError> { Ok(loss.object(term)?.number(name)?.unwrap_or(0.0)) };
    let penalty = loss.object("sparsity")?;
    if penalty.number("p_norm")?.is_some_and(|p| p != 1.0) || loss.get("out_to_orig").is_some() {
        return Ok(None);
    }
    let sparsity = penalty.number("coeff")?.unwrap_or(0.0);
    let (kl, reconstruction) = (coefficient("logits_kl", "coeff")?, coefficient("out_to_in", "coeff")?);
    let downstream = coefficient("in_to_orig", "total_coeff")?;
    Ok(match (kl > 0.0, downstream > 0.0) {
        (false, false) if reconstruction == 1.0 => Some(Objective::Local { sparsity }),
        (true, false) if reconstruction == 0.0 => Some(Objective::E2e { sparsity, kl }),
        (_, true) if reconstruction == 0.0 => Some(Objective::E2eDs {
            sparsity,
            kl,
            downstream,
        }),
        _ => None,
    })
}

/// Writes a run's folder, with one dictionary.
///
/// # Errors
/// What they have not: other rules, input scales and residual streams; a place that nobody says, as it is in the tensors' names; and files
/// that cannot be written, or would be of 4 GiB or more.
pub fn write(folder: &Path, mut coder: Coder, facts: &Facts) -> Result<(), DictionaryError> {
    if coder.rule != Rule::Relu {
        return Err(limits::other_kind(folder, facts, &coder.rule, "relu"));
    }
    limits::sees_activations(folder, facts)?;
    limits::residual(folder, facts, ResidualFrame::Centred)?;
    let unplaced = || refuse(folder, "found no hook point; e2e_sae's tensors are called by theirs");
    let hook = facts.at().ok_or_else(unplaced)?.to_string();
    coder.centre(false);
    let coder = coder.with_unit_rows();
    let (d_in, d_sae) = (coder.b_dec.len(), coder.b_enc.len());
    let names = ["encoder.0.weight", "encoder.0.bias", "decoder.weight", "decoder.bias"];
    let names = names.map(|name| format!("{}.{name}", hook.replace('.', "-")));
    let arrays = [
        Array::f32(&[d_sae, d_in], &coder.w_enc),
        Array::f32(&[d_sae], &coder.b_enc),
        Array::f32(&[d_in, d_sae], &transposed(&coder.w_dec, d_in)),
        Array::f32(&[d_in], &coder.b_dec),
    ];
    let tensors: Vec<_> = names.iter().map(String::as_str).zip(arrays).collect();
    // they count text in contexts
    let samples = facts
        .tokens
        .zip(facts.n_ctx)
        .map(|(tokens, n_ctx)| tokens / n_ctx.max(1) as u64);
    let config = json!({
        "seed": facts.seed,
        "tlens_model_name": facts.model,
        "tlens_model_path": null,
        "n_samples": samples,
        "lr": facts.lr,
        "loss": facts.objective.map(loss),
        "train_data": {"n_ctx": facts.n_ctx},
        "saes": {
            "dict_size_to_input_ratio": ratio(d_sae, d_in),
            "pretrained_sae_paths": null,
            "retrain_saes": false,
            "sae_positions": [hook],
        },
    });
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    let path = folder.join(format!("samples_{}.pt", samples.unwrap_or(0)));
    write_archive(&path, state_dict_file(&tensors))?;
    let path = folder.join(CONFIG);
    let text = config.as_object().map(yaml::text).unwrap_or_default();
    write_atomic(&path, text.as_bytes()).map_err(|e| io(&path, e))
}

/// The number that their code takes times the width, cut to a whole one, for the number of features.
fn ratio(d_sae: usize, d_in: usize) -> f64 {
    let ratio = d_sae as f64 / d_in as f64;
    // where the product is rounded down to below d_sae, it would be cut to one less
    if (ratio * d_in as f64) < d_sae as f64 {
        ratio.next_up()
    } else {
        ratio
    }
}

/// The coefficients of an objective; those of one that they have not are none.
fn loss(objective: Objective) -> Value {
    let (kl, reconstruction, downstream) = match objective {
        Objective::Local { .. } => (None, 1.0, None),
        Objective::E2e { kl, .. } => (Some(kl), 0.0, None),
        Objective::E2eDs { kl, downstream, .. } => (Some(kl), 0.0, Some(downstream)),
        Objective::KlMse { .. } => return Value::Null,
    };
    json!({
        "sparsity": {"p_norm": 1.0, "coeff": objective.sparsity()},
        "out_to_in": {"coeff": reconstruction},
        "logits_kl": kl.map(|coeff| json!({"coeff": coeff})),
        // which blocks come later is the model's to say
        "in_to_orig": downstream.map(|coeff| json!({"hook_positions": [], "total_coeff": coeff})),
        "out_to_orig": null,
    })
}
