//! SAELens' folders: `cfg.json` and `sae_weights.safetensors`, with `sparsity.safetensors` beside them. Versions 3 to 5 have one flat
//! config, version 6 has what belongs to the language model in `metadata`. Read are both; written is version 6.
//!
//! encode: x' = x − b_dec if `apply_b_dec_to_input`, z = x' W_enc + b_enc; matrices are [d_in, d_sae] and [d_sae, d_in].

use api::{BosPolicy, ResidualFrame};
use serde_json::json;
use std::path::Path;

use super::{
    Choice, Facts, Format, Imported,
    coder::{Coder, Rows, Rule},
    errors::{io, refuse},
    fields::Fields,
    folder::{in_folder, write_safetensors},
    place::{Beside, place},
    saelens_transcoder,
    tensors::{Array, Tensors, transposed},
    transcoder::Transcoder,
};
use crate::dictionary::{DictionaryError, Ends, Normaliser, TokenNorm};

/// The config's file.
pub const CONFIG: &str = "cfg.json";
/// The weights' file.
pub const WEIGHTS: &str = "sae_weights.safetensors";
/// Whether contexts were opened by BOS; and what it opened, which SAELens has no word for and keeps as it is.
const PREPEND_BOS: &str = "prepend_bos";
const OWN_BOS: &str = "saescope_bos";
const SPARSITY: &str = "sparsity.safetensors";
/// The number that training divides by, where it is not in the weights yet.
const SCALER: &str = "activation_scaler.json";
/// What a frequency has added to it before its logarithm is taken.
const LEAST_FREQUENCY: f32 = 1e-10;
/// What a matching pursuit's config means that does not say it.
const RESIDUAL_THRESHOLD: f64 = 1e-2;
/// The version whose form is written.
const VERSION: &str = "6.0.0";
/// The last one that is known.
const LAST: u32 = 6;
const ARCHITECTURES: &str = "standard, gated, jumprelu, topk, abstopk, batchtopk, matryoshka_batchtopk or matching_pursuit";

/// Reads a folder.
///
/// # Errors
/// Configs of an unknown architecture, options that change the dictionary's output in a way that is not done here, tensors that do not fit.
pub fn read(folder: &Path, choice: &Choice) -> Result<Imported, DictionaryError> {
    let config_path = in_folder(folder, CONFIG)?;
    let config = Fields::open(&config_path)?;
    let language = language(&config)?;
    check_options(&config)?;
    let seen = seen(&config, folder, choice)?;
    if config
        .text("architecture")?
        .is_some_and(|name| saelens_transcoder::ARCHITECTURES.contains(&name))
    {
        if seen != Normaliser::default() {
            let expected = "none: what a transcoder writes is not in the units of what it reads";
            return Err(config.refuse("normalize_activations", expected));
        }
        let mut facts = facts(&config, &language)?;
        facts.log_sparsity = read_sparsity(folder, wanted(&config, "d_sae")?)?;
        return saelens_transcoder::read(folder, &config, facts, choice);
    }
    let (d_in, d_sae) = (wanted(&config, "d_in")?, wanted(&config, "d_sae")?);
    let mut tensors = Tensors::open(&in_folder(folder, WEIGHTS)?)?;
    let scaling = finetuning(&config, &mut tensors, d_sae)?;
    let architecture = config.text("architecture")?.unwrap_or("standard");
    let activation = config
        .text("activation_fn_str")?
        .or(config.text("activation_fn")?)
        .unwrap_or("relu");
    let common = ["W_enc", "W_dec", "b_dec"];
    let (rule, bias, rows) = match (architecture, activation) {
        ("standard", "relu") => {
            tensors.only(&[&common[..], &["b_enc"]].concat())?;
            (Rule::Relu, "b_enc", Rows::Free)
        }
        ("gated", _) => {
            tensors.only(&[&common[..], &["b_gate", "r_mag", "b_mag"]].concat())?;
            let rule = Rule::Gated {
                r_mag: tensors.take("r_mag", &[d_sae])?,
                b_mag: tensors.take("b_mag", &[d_sae])?,
            };
            (rule, "b_gate", Rows::Free)
        }
        ("jumprelu", _) => {
            tensors.only(&[&common[..], &["b_enc", "threshold", "log_threshold"]].concat())?;
            let threshold = match tensors.has("log_threshold") {
                false => tensors.take("threshold", &[d_sae])?,
                true => {
                    let logarithms = tensors.take("log_threshold", &[d_sae])?;
                    logarithms.into_iter().map(f32::exp).collect()
                }
            };
            (Rule::Jump { threshold }, "b_enc", Rows::Free)
        }
        ("topk" | "abstopk", _) | ("standard", "topk") => {
            tensors.only(&[&common[..], &["b_enc"]].concat())?;
            let k = match config.count("k")? {
                Some(k) => Some(k),
                None => config.object("activation_fn_kwargs")?.count("k")?,
            };
            let k = k.filter(|k| (1..=d_sae).contains(k));
            let k = k.ok_or_else(|| config.refuse("k", &format!("features per token, 1 to {d_sae}")))?;
            let rule = match architecture {
                "abstopk" => Rule::AbsTopK { k },
                _ => Rule::TopK { k },
            };
            (rule, "b_enc", rescaled(&config)?)
        }
        ("batchtopk" | "matryoshka_batchtopk", _) => {
            tensors.only(&[&common[..], &["b_enc", "topk_threshold"]].concat())?;
            let k = config.number("k")?.filter(|k| *k > 0.0 && *k <= d_sae as f64);
            let k = k.ok_or_else(|| config.refuse("k", &format!("features per token, above 0 to {d_sae}")))?;
            let rule = Rule::BatchTopK {
                k: (k.round() as usize).max(1),
                threshold: tensors.number("topk_threshold")?,
                decay: config.number("topk_threshold_lr")?.map(|rate| 1.0 - rate),
                groups: Vec::new(),
            };
            (rule, "b_enc", rescaled(&config)?)
        }
        ("matching_pursuit", _) => {
            tensors.only(&["W_dec", "b_dec"])?;
            let threshold = config.number("residual_threshold")?.unwrap_or(RESIDUAL_THRESHOLD);
            let rounds = config.count("max_iterations")?.unwrap_or(d_in);
            if rounds == 0 || rounds > d_in.max(d_sae) {
                let expected = format!("rounds, 1 to {}", d_in.max(d_sae));
                return Err(config.refuse("max_iterations", &expected));
            }
            let ends = Ends {
                rounds,
                residual_threshold: threshold.max(0.0),
                stop_on_duplicate: config.flag("stop_on_duplicate_support", true)?,
            };
            (Rule::MatchingPursuit(ends), "", Rows::Free)
        }
        ("temporal", _) => {
            let expected =
                format!("{ARCHITECTURES}: a temporal dictionary's codes follow from those of the tokens before, by attention");
            return Err(config.refuse("architecture", &expected));
        }
        ("standard", _) => return Err(config.refuse("activation_fn", "relu or topk")),
        _ => {
            let transcoders = saelens_transcoder::ARCHITECTURES.join(", ");
            return Err(config.refuse("architecture", &format!("{ARCHITECTURES}, or {transcoders}")));
        }
    };
    let mut w_dec = tensors.take("W_dec", &[d_sae, d_in])?;
    for (row, factor) in w_dec.chunks_exact_mut(d_in).zip(scaling.iter().flatten()) {
        row.iter_mut().for_each(|w| *w *= factor);
    }
    let subtracts = config.flag("apply_b_dec_to_input", true)?;
    let coder = match rule {
        // tied: without the bias on the one side there is none on the other
        Rule::MatchingPursuit(_) => Coder {
            w_enc: Vec::new(),
            b_enc: vec![0.0; d_sae],
            w_dec,
            b_dec: if subtracts {
                tensors.take("b_dec", &[d_in])?
            } else {
                vec![0.0; d_in]
            },
            subtracts: true,
            rows,
            rule,
        },
        rule => Coder {
            w_enc: tensors.take_transposed("W_enc", [d_in, d_sae])?,
            b_enc: tensors.take(bias, &[d_sae])?,
            w_dec,
            b_dec: tensors.take("b_dec", &[d_in])?,
            subtracts,
            rows,
            rule,
        },
    };
    let coder = match seen {
        Normaliser::Scale(1.0) | Normaliser::Token(_) => coder,
        Normaliser::Scale(scale) => coder.of_scaled(scale),
    };
    let dictionary = coder.into_dictionary().map_err(|message| refuse(&config_path, message))?;
    let mut facts = facts(&config, &language)?;
    if let Normaliser::Token(_) = seen {
        facts.normaliser = seen;
    }
    facts.log_sparsity = read_sparsity(folder, d_sae)?;
    Ok(Imported { dictionary, facts })
}

/// What belongs to the language model: version 6 keeps in metadata what lies flat before it.
///
/// # Errors
/// Metadata that is no object.
pub fn language(config: &Fields) -> Result<Fields, DictionaryError> {
    match config.get("metadata") {
        Some(_) => config.object("metadata"),
        None => Ok(config.clone()),
    }
}

/// Refuses what changes the output and is not done here, and what may: the forms of versions that there are not yet.
fn check_options(config: &Fields) -> Result<(), DictionaryError> {
    let language = language(config)?;
    for fields in [config, &language] {
        let version = fields.text("sae_lens_version")?.and_then(|version| version.split('.').next());
        if version
            .and_then(|major| major.parse().ok())
            .is_some_and(|major: u32| major > LAST)
        {
            return Err(fields.refuse("sae_lens_version", "a version from 3 to 6"));
        }
    }
    for field in ["hook_head_index", "hook_point_head_index"] {
        if language.get(field).is_some() {
            return Err(language.refuse(field, "none: dictionaries of one head are not supported"));
        }
    }
    Ok(())
}

/// How the weights see activations. What divides the input by its average length is a number in a file of its own, which SAELens
/// leaves beside what it has not folded yet.
fn seen(config: &Fields, folder: &Path, choice: &Choice) -> Result<Normaliser, DictionaryError> {
    const FIELD: &str = "normalize_activations";
    if let Some(each @ Normaliser::Token(_)) = choice.normaliser {
        return Ok(each);
    }
    match config.get(FIELD).map(|value| (value.as_bool(), value.as_str())) {
        None | Some((Some(false), _) | (_, Some("none"))) => Ok(Normaliser::default()),
        Some((_, Some("layer_norm"))) => Ok(Normaliser::Token(TokenNorm::Layer)),
        Some((_, Some("constant_norm_rescale"))) => Ok(Normaliser::Token(TokenNorm::Constant)),
        Some((Some(true), _) | (_, Some("expected_average_only_in"))) => {
            if let Some(known) = choice.normaliser {
                return Ok(known);
            }
            let path = folder.join(SCALER);
            if !path.is_file() {
                let expected = "none, or activation_scaler.json beside it: the input's average length is not in the file; fold it into the \
                                weights first (SAELens' fold_activation_norm_scaling_factor)";
                return Err(config.refuse(FIELD, expected));
            }
            let scaler = Fields::open(&path)?;
            let factor = scaler.number("scaling_factor")?.filter(|s| s.is_finite() && *s > 0.0);
            factor
                .map(Normaliser::Scale)
                .ok_or_else(|| scaler.refuse("scaling_factor", "a number above 0"))
        }
        _ => Err(config.refuse(FIELD, "none, expected_average_only_in, layer_norm or constant_norm_rescale")),
    }
}

fn rescaled(config: &Fields) -> Result<Rows, DictionaryError> {
    Ok(match config.flag("rescale_acts_by_decoder_norm", false)? {
        true => Rows::Rescaled,
        false => Rows::Free,
    })
}

/// What versions 3 to 5 multiply activations by before they are decoded. It was written for some time although it was all ones.
fn finetuning(config: &Fields, tensors: &mut Tensors, d_sae: usize) -> Result<Option<Vec<f32>>, DictionaryError> {
    let name = ["scaling_factor", "finetuning_scaling_factor"]
        .into_iter()
        .find(|name| tensors.has(name));
    let Some(name) = name else { return Ok(None) };
    let factors = tensors.take(name, &[d_sae])?;
    tensors.drop(name);
    let is_used = config.flag("finetuning_scaling_factor", false)?;
    if !is_used && factors.iter().any(|factor| (factor - 1.0).abs() > 1e-5) {
        return Err(config.refuse(
            "finetuning_scaling_factor",
            &format!("true, as its tensor '{name}' is not all ones"),
        ));
    }
    match factors.iter().find(|factor| **factor <= 0.0) {
        Some(factor) => Err(refuse(
            tensors.path(),
            format!("tensor '{name}' holds {factor}; expected numbers above 0"),
        )),
        None => Ok(Some(factors).filter(|_| is_used)),
    }
}

fn facts(config: &Fields, language: &Fields) -> Result<Facts, DictionaryError> {
    let hook = match language.text("hook_name")? {
        Some(hook) => Some(hook),
        None => language.text("hook_point")?,
    };
    let model = language.text("model_name")?;
    let class = language.text("model_class_name")?.unwrap_or("HookedTransformer");
    let loading = language.object("model_from_pretrained_kwargs")?;
    // TransformerLens takes the mean out of what is written to the residual stream, unless it is told not to
    let residual = match (model, class) {
        (None, _) => None,
        (_, "HookedTransformer") if loading.flag("center_writing_weights", true)? => Some(ResidualFrame::Centred),
        _ => Some(ResidualFrame::Raw),
    };
    // without folding, TransformerLens' LayerNorms have their gain and bias in what they call normalised
    let is_folded = loading.flag("fold_ln", true)?;
    let is_norm = hook.and_then(place).is_some_and(|place| place.at.is_norm());
    Ok(Facts {
        format: Format::SaeLens,
        beside: if is_norm && !is_folded {
            Beside::GainOfLayerNorm
        } else {
            Beside::Nothing
        },
        model: model.map(str::to_owned),
        hook: hook.map(str::to_owned),
        residual,
        lr: config.number("lr")?,
        seed: config.count("seed")?.map(|seed| seed as u64),
        tokens: config.count("training_tokens")?.map(|n| n as u64),
        n_ctx: language.count("context_size")?,
        bos: bos(language)?,
        ..Facts::new(Format::SaeLens)
    })
}

/// What the BOS token opened: in our own word where we wrote the file, else each context or nothing.
fn bos(language: &Fields) -> Result<Option<BosPolicy>, DictionaryError> {
    let own = language.text(OWN_BOS)?.and_then(|policy| policy.parse().ok());
    let opens = |opens| if opens { BosPolicy::Context } else { BosPolicy::None };
    Ok(match (own, language.get(PREPEND_BOS)) {
        (Some(policy), _) => Some(policy),
        (None, Some(_)) => Some(opens(language.flag(PREPEND_BOS, true)?)),
        (None, None) => None,
    })
}

/// A size that has to be there.
///
/// # Errors
/// Where it is missing or 0.
pub fn wanted(config: &Fields, name: &str) -> Result<usize, DictionaryError> {
    let count = config.count(name)?.filter(|n| *n > 0);
    count.ok_or_else(|| config.refuse(name, "a whole number above 0"))
}

fn read_sparsity(folder: &Path, d_sae: usize) -> Result<Option<Vec<f32>>, DictionaryError> {
    let path = folder.join(SPARSITY);
    if !path.is_file() {
        return Ok(None);
    }
    Tensors::open(&path)?.take("sparsity", &[d_sae]).map(Some)
}

/// Writes a folder: `coder` at `facts`' place, and how often each feature fires [d_sae] where that is known.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, coder: &Coder, facts: &Facts, frequencies: Option<&[f32]>) -> Result<(), DictionaryError> {
    let (d_in, d_sae) = (coder.b_dec.len(), coder.b_enc.len());
    let mut config = config_of(coder, facts);
    let vector = |values: &[f32]| Array::f32(&[d_sae], values);
    let (architecture, own) = match &coder.rule {
        Rule::Relu => ("standard", vec![("b_enc", vector(&coder.b_enc))]),
        Rule::Gated { r_mag, b_mag } => {
            let own = vec![
                ("b_gate", vector(&coder.b_enc)),
                ("r_mag", vector(r_mag)),
                ("b_mag", vector(b_mag)),
            ];
            ("gated", own)
        }
        Rule::Jump { threshold } => (
            "jumprelu",
            vec![("b_enc", vector(&coder.b_enc)), ("threshold", vector(threshold))],
        ),
        Rule::TopK { k } | Rule::AbsTopK { k } => {
            config["k"] = json!(k);
            config["rescale_acts_by_decoder_norm"] = json!(coder.rows == Rows::Rescaled);
            let name = if matches!(coder.rule, Rule::TopK { .. }) {
                "topk"
            } else {
                "abstopk"
            };
            (name, vec![("b_enc", vector(&coder.b_enc))])
        }
        Rule::MatchingPursuit(ends) => {
            config["max_iterations"] = json!(ends.rounds);
            config["residual_threshold"] = json!(ends.residual_threshold);
            config["stop_on_duplicate_support"] = json!(ends.stop_on_duplicate);
            ("matching_pursuit", Vec::new())
        }
        // as SAELens itself exports it
        Rule::BatchTopK { threshold, .. } => {
            let threshold = vec![threshold.max(0.0) as f32; d_sae];
            (
                "jumprelu",
                vec![("b_enc", vector(&coder.b_enc)), ("threshold", vector(&threshold))],
            )
        }
    };
    config["architecture"] = json!(architecture);
    let mut tensors = vec![
        ("W_dec", Array::f32(&[d_sae, d_in], &coder.w_dec)),
        ("b_dec", Array::f32(&[d_in], &coder.b_dec)),
    ];
    if !coder.w_enc.is_empty() {
        tensors.push(("W_enc", Array::f32(&[d_in, d_sae], &transposed(&coder.w_enc, d_in))));
    }
    tensors.extend(own);
    std::fs::create_dir_all(folder).map_err(|e| io(folder, e))?;
    write_safetensors(&folder.join(WEIGHTS), &tensors)?;
    write_sparsity(folder, frequencies)?;
    super::folder::write_json(&folder.join(CONFIG), &config)
}

/// As [`write`], of a transcoder.
///
/// # Errors
/// As [`saelens_transcoder::write`].
pub fn write_transcoder(
    folder: &Path,
    transcoder: &Transcoder,
    facts: &Facts,
    frequencies: Option<&[f32]>,
) -> Result<(), DictionaryError> {
    saelens_transcoder::write(folder, transcoder, facts, config_of(&transcoder.coder, facts))?;
    write_sparsity(folder, frequencies)
}

/// Writes how often features fire, where it is known.
fn write_sparsity(folder: &Path, frequencies: Option<&[f32]>) -> Result<(), DictionaryError> {
    let Some(frequencies) = frequencies else { return Ok(()) };
    let logarithms: Vec<f32> = frequencies.iter().map(|f| (f + LEAST_FREQUENCY).log10()).collect();
    write_safetensors(
        &folder.join(SPARSITY),
        &[("sparsity", Array::f32(&[logarithms.len()], &logarithms))],
    )
}

/// What a config says of a dictionary of any architecture.
fn config_of(coder: &Coder, facts: &Facts) -> serde_json::Value {
    json!({
        "d_in": coder.b_dec.len(),
        "d_sae": coder.b_enc.len(),
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": coder.subtracts,
        "normalize_activations": match facts.normaliser {
            Normaliser::Scale(_) => "none",
            Normaliser::Token(TokenNorm::Layer) => "layer_norm",
            Normaliser::Token(TokenNorm::Constant) => "constant_norm_rescale",
        },
        "reshape_activations": if facts.hook.as_ref().is_some_and(|hook| hook.ends_with("hook_z")) { "hook_z" } else { "none" },
        "metadata": {
            "sae_lens_version": VERSION,
            "sae_lens_training_version": null,
            "model_name": facts.model,
            "model_class_name": "HookedTransformer",
            "hook_name": facts.hook,
            "hook_head_index": null,
            "context_size": facts.n_ctx,
            (PREPEND_BOS): facts.bos.map(|bos| bos != BosPolicy::None),
            (OWN_BOS): facts.bos,
            "model_from_pretrained_kwargs": {"center_writing_weights": facts.residual == Some(ResidualFrame::Centred)},
        },
    })
}
