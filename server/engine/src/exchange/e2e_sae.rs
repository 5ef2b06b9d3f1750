//! The checkpoints of end-to-end dictionary learning (Braun et al. 2024, ApolloResearch/e2e_sae): as published, a `.pt` with `encoder.weight`,
//! `encoder.bias`, `decoder.weight`, `decoder.bias` and a `.yaml` of the same name; as their runs leave them, `samples_N.pt` with a
//! dictionary per hook point and `final_config.yaml`.
//!
//! encode: ReLU(W x + b); decode with columns divided by their lengths, which the published ones have been already. Their models are
//! TransformerLens', so that the residual stream is the centred one. λ and the other coefficients are in our units.

use api::{HookPoint, Objective, ResidualFrame};
use std::path::{Path, PathBuf};

use super::{
    Choice, Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::{io, refuse},
    fields::Fields,
    tensors::Tensors,
    torch::Saved,
    yaml,
};
use crate::dictionary::DictionaryError;

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
        Some(serde_json::Value::Array(all)) if all.len() == 1 => all[0].as_str(),
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
