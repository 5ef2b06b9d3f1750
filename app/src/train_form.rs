//! The Train form's values, as text, and how they become a [`SweepRequest`]: plain Rust, no signals.
//! Values are kept under the names of the request's fields, which are also the URL's parameters.

use std::{collections::BTreeMap, str::FromStr};

use api::{
    ApiError, ConfigError, CorpusId, CorpusInfo, DictionaryId, ErrorKind, HookPoint, KindName, ModelId, ModelInfo, ObjectiveKind,
    PerObjective, Site, SweepRequest,
};

mod fields;

pub use fields::{BUFFER, COEFFICIENTS, KIND_SETTINGS, MEASUREMENT, OPTIMISER, PENALTY, SIZES, TextField};

/// The form's values by field; a field that is left empty has none.
pub type Values = BTreeMap<String, String>;

/// Fills in what a form must have to begin with: a model, a corpus, a hook point in the middle and objectives.
pub fn prefill(values: &mut Values, models: &[ModelInfo], corpora: &[CorpusInfo]) {
    let begun = values.get("from").is_some_and(|from| !from.is_empty());
    let mut missing = |name: &str, value: Option<String>| {
        if let (false, Some(value)) = (values.contains_key(name), value) {
            values.insert(name.into(), value);
        }
    };
    missing("model", models.first().map(|model| model.id.to_string()));
    missing("corpus", corpora.first().map(|corpus| corpus.id.to_string()));
    missing("objective", Some(if begun { "kl+mse" } else { "local,e2e,e2e+ds" }.into()));
    // forms used to fill in coefficients, and addresses still have them, for which a target did not ask
    if text(values, "target_l0").is_some() {
        values.remove("coefficient");
    }
    prefill_kind(values);
    let model = models.iter().find(|model| values.get("model") == Some(&model.id.0));
    if let (Some(model), None) = (model, values.get("at")) {
        values.insert("at".into(), middle(model).to_string());
    }
}

/// After another kind was chosen: features per token that were typed are this kind's too, whatever the request calls them, and a
/// baseline has one objective.
pub fn prefill_kind(values: &mut Values) {
    let kind = kind(values);
    let typed = match kind.features_per_token() {
        Some("k") => Some(("target_l0", "k")),
        // who typed coefficients wants those
        Some("target_l0") if !values.contains_key("coefficient") => Some(("k", "target_l0")),
        _ => None,
    };
    if let Some((other, own)) = typed
        && !values.contains_key(own)
        && let Some(numbers) = values.remove(other)
    {
        values.insert(own.into(), numbers);
    }
    if kind.is_fitted() {
        values.insert("objective".into(), ObjectiveKind::Local.to_string());
    }
}

/// The residual stream entering the middle block: where most published dictionaries are.
pub fn middle(model: &ModelInfo) -> HookPoint {
    HookPoint::block(model.n_layers / 2, Site::ResidPre)
}

/// The kind that is chosen; relu while it cannot be read.
pub fn kind(values: &Values) -> KindName {
    values.get("kind").and_then(|kind| kind.parse().ok()).unwrap_or_default()
}

/// Whether a field of [`KIND_SETTINGS`] or [`PENALTY`] is one of `kind`'s.
pub fn has_field(kind: KindName, name: &str) -> bool {
    kind.settings().contains(&name) || kind.course().contains(&name)
}

/// The objectives that are ticked.
pub fn objectives(values: &Values) -> Vec<ObjectiveKind> {
    let text = values.get("objective").map(String::as_str).unwrap_or_default();
    ObjectiveKind::ALL
        .into_iter()
        .filter(|o| text.split(',').any(|word| word == o.to_string()))
        .collect()
}

/// Ticks or unticks an objective.
pub fn set_objective(values: &mut Values, objective: ObjectiveKind, on: bool) {
    let mut chosen = objectives(values);
    chosen.retain(|o| *o != objective);
    if on {
        chosen.push(objective);
    }
    chosen.sort();
    let text = chosen.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    values.insert("objective".into(), text);
}

/// The request that the values ask for; the server fills in the rest.
///
/// # Errors
/// The first field that cannot be read.
pub fn request(values: &Values) -> Result<SweepRequest, ApiError> {
    let required = |name: &str| text(values, name).ok_or_else(|| ConfigError::new(name, "nothing is given; it has no default"));
    // what is typed for one kind stays there while another is chosen, and is not asked for
    let chosen: KindName = word(values, "kind")?.unwrap_or_default();
    let own: Values = values
        .iter()
        .filter(|(name, _)| has_field(chosen, name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let values: &Values = &values
        .iter()
        .filter(|(name, _)| chosen.takes(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let k: Vec<u64> = numbers(&own, "k", "whole numbers, as 16,32,64")?;
    let objectives = objectives(values);
    if objectives.is_empty() {
        return Err(ConfigError::new("objective", "none is chosen; expected at least one").into());
    }
    Ok(SweepRequest {
        model: ModelId(required("model")?.into()),
        corpus: CorpusId(required("corpus")?.into()),
        at: required("at")?.parse()?,
        from: numbers::<u64>(values, "from", "numbers of dictionaries, as 3,5")?
            .into_iter()
            .map(|id| DictionaryId(id as i64))
            .collect(),
        kind: chosen,
        objectives,
        coefficient: list(&own, "coefficient")?,
        target_l0: numbers(&own, "target_l0", "numbers, as 16,32,64")?,
        sparsity_warmup_steps: whole(&own, "sparsity_warmup_steps")?.map(|n| n as usize),
        resample_steps: whole(&own, "resample_steps")?.map(|n| n as usize),
        resample_warmup_steps: whole(&own, "resample_warmup_steps")?.map(|n| n as usize),
        k: k.into_iter().map(|k| k as usize).collect(),
        aux_coefficient: number(&own, "aux_coefficient")?,
        dead_tokens: whole(&own, "dead_tokens")?,
        threshold_decay: number(&own, "threshold_decay")?,
        bandwidth: number(&own, "bandwidth")?,
        initial_threshold: number(&own, "initial_threshold")?,
        groups: whole(&own, "groups")?.map(|n| n as usize),
        final_p: number(&own, "final_p")?,
        anneal_start: whole(&own, "anneal_start")?.map(|n| n as usize),
        anneal_end: whole(&own, "anneal_end")?.map(|n| n as usize),
        read_at: text(&own, "read_at").map(str::parse).transpose()?,
        kl_coefficient: list(values, "kl_coefficient")?,
        ds_coefficient: number(values, "ds_coefficient")?,
        lr: list(values, "lr")?,
        d_sae: whole(values, "d_sae")?.map(|n| n as usize),
        n_ctx: whole(values, "n_ctx")?.map(|n| n as usize),
        batch: whole(values, "batch")?.map(|n| n as usize),
        accumulation: whole(values, "accumulation")?.map(|n| n as usize),
        tokens: whole(values, "tokens")?,
        buffer_tokens: whole(values, "buffer_tokens")?.map(|n| n as usize),
        buffer_mixing: number(values, "buffer_mixing")?,
        buffer_on: word(values, "buffer_on")?,
        seeds: numbers(values, "seeds", "whole numbers, as 0,1,2")?,
        warmup_steps: whole(values, "warmup_steps")?.map(|n| n as usize),
        min_lr_factor: number(values, "min_lr_factor")?,
        hold_steps: whole(values, "hold_steps")?.map(|n| n as usize),
        adam_beta1: number(values, "adam_beta1")?,
        adam_beta2: number(values, "adam_beta2")?,
        adam_eps: number(values, "adam_eps")?,
        max_grad_norm: number(values, "max_grad_norm")?,
        residual: word(values, "residual")?.unwrap_or_default(),
        input_scale: word(values, "input_scale")?,
        initial_weights: word(values, "initial_weights")?,
        leave_out: word(values, "leave_out")?.unwrap_or_default(),
        bos: word(values, "bos")?,
        eos: word(values, "eos")?,
        evaluate_on: word(values, "evaluate_on")?,
        eval_tokens: whole(values, "eval_tokens")?.map(|n| n as usize),
        validation_tokens: whole(values, "validation_tokens")?.map(|n| n as usize),
        eval_every_steps: whole(values, "eval_every_steps")?.map(|n| n as usize),
        log_every_steps: whole(values, "log_every_steps")?.map(|n| n as usize),
        checkpoint_every_steps: whole(values, "checkpoint_every_steps")?.map(|n| n as usize),
    })
}

fn text<'a>(values: &'a Values, name: &str) -> Option<&'a str> {
    values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
}

fn refused(name: &str, found: &str, expected: &str) -> ApiError {
    ConfigError::new(name, format!("found '{found}'; expected {expected}")).into()
}

/// A whole number, thousands separated or not, `1e6` allowed.
fn read_whole(name: &str, found: &str) -> Result<u64, ApiError> {
    let plain: String = found.chars().filter(|c| !matches!(c, ',' | '_' | ' ')).collect();
    let scientific = || {
        plain
            .parse::<f64>()
            .ok()
            .filter(|v| v.fract() == 0.0 && (0.0..1e15).contains(v))
            .map(|v| v as u64)
    };
    plain
        .parse()
        .ok()
        .or_else(scientific)
        .ok_or_else(|| refused(name, found, "a whole number"))
}

fn whole(values: &Values, name: &str) -> Result<Option<u64>, ApiError> {
    text(values, name).map(|found| read_whole(name, found)).transpose()
}

fn number(values: &Values, name: &str) -> Result<Option<f64>, ApiError> {
    text(values, name)
        .map(|found| {
            found
                .parse()
                .ok()
                .filter(|v: &f64| v.is_finite())
                .ok_or_else(|| refused(name, found, "a number"))
        })
        .transpose()
}

fn numbers<T: FromStr>(values: &Values, name: &str, expected: &str) -> Result<Vec<T>, ApiError> {
    let Some(found) = text(values, name) else {
        return Ok(Vec::new());
    };
    found
        .split(',')
        .map(|word| word.trim().parse().map_err(|_| refused(name, word, expected)))
        .collect()
}

fn list(values: &Values, name: &str) -> Result<Option<PerObjective>, ApiError> {
    word(values, name)
}

fn word<T: FromStr<Err = ConfigError>>(values: &Values, name: &str) -> Result<Option<T>, ApiError> {
    text(values, name)
        .map(|found| {
            found.parse().map_err(|error: ConfigError| ApiError {
                kind: ErrorKind::Invalid,
                message: format!("{name}: {}", error.message),
                field: Some(name.into()),
            })
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        [
            ("model", "m"),
            ("corpus", "c"),
            ("at", "blocks.2.hook_resid_pre"),
            ("objective", "local,e2e+ds"),
            ("coefficient", "0.1,0.3"),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .into()
    }

    #[test]
    fn text_becomes_a_request() {
        let mut values = values();
        for (name, value) in [
            ("tokens", "1,228,800"),
            ("d_sae", "1e3"),
            ("seeds", "0, 2"),
            ("lr", "local=1e-3;e2e+ds=5e-4"),
            ("bos", "none"),
        ] {
            values.insert(name.into(), value.into());
        }
        let request = request(&values).unwrap();
        assert_eq!(request.objectives, [ObjectiveKind::Local, ObjectiveKind::E2eDs]);
        assert_eq!(
            (request.tokens, request.d_sae, request.n_ctx),
            (Some(1_228_800), Some(1000), None)
        );
        assert_eq!(request.seeds, [0, 2]);
        assert_eq!(request.lr.unwrap().of(ObjectiveKind::E2eDs), Some(&[5e-4][..]));
        assert_eq!(request.bos, Some(api::BosPolicy::None));
    }

    #[test]
    fn what_cannot_be_read_names_its_field() {
        for (name, value) in [
            ("tokens", "many"),
            ("tokens", "1.5"),
            ("lr", "fast"),
            ("seeds", "0,x"),
            ("at", "blocks"),
            ("max_grad_norm", "inf"),
        ] {
            let mut values = values();
            values.insert(name.into(), value.into());
            assert_eq!(request(&values).unwrap_err().field.as_deref(), Some(name), "{value}");
        }
    }

    #[test]
    fn a_kind_is_asked_for_with_its_own_settings() {
        let mut values = values();
        for (name, value) in [("kind", "topk"), ("k", "8, 16"), ("bandwidth", "0.1"), ("dead_tokens", "1e5")] {
            values.insert(name.into(), value.into());
        }
        let asked = request(&values).unwrap();
        assert_eq!(
            (asked.kind, asked.k, asked.dead_tokens),
            (KindName::TopK, vec![8, 16], Some(100_000))
        );
        assert_eq!((asked.coefficient, asked.bandwidth), (None, None));
        assert!(asked.target_l0.is_empty());
        values.insert("target_l0".into(), "16, 32.5".into());
        assert!(request(&values).unwrap().target_l0.is_empty(), "topk has none");
        values.insert("kind".into(), "gated".into());
        let aimed = request(&values).unwrap();
        // the server says that the two do not go together, at their fields
        assert!(aimed.target_l0 == [16.0, 32.5] && aimed.coefficient.is_some());
        values.remove("target_l0");
        values.insert("kind".into(), "topk".into());
        values.insert("k".into(), "8;16".into());
        assert_eq!(request(&values).unwrap_err().field.as_deref(), Some("k"));
        values.insert("kind".into(), "jumprelu".into());
        let asked = request(&values).unwrap();
        assert!(asked.k.is_empty() && asked.coefficient.is_some() && asked.bandwidth == Some(0.1));
        values.insert("kind".into(), "topkk".into());
        assert_eq!(request(&values).unwrap_err().field.as_deref(), Some("kind"));
    }

    #[test]
    fn a_form_begins_with_features_per_token_and_carries_them_to_another_kind() {
        let mut values = Values::new();
        prefill(&mut values, &[], &[]);
        assert!(
            !values.contains_key("coefficient") && !values.contains_key("target_l0"),
            "{values:?}"
        );
        values.insert("target_l0".into(), "8,24".into());
        values.insert("kind".into(), "topk".into());
        prefill_kind(&mut values);
        assert_eq!(values.get("k").map(String::as_str), Some("8,24"));
        values.insert("kind".into(), "gated".into());
        prefill_kind(&mut values);
        assert_eq!(values.get("target_l0").map(String::as_str), Some("8,24"));
        // an address of a former form
        values.insert("coefficient".into(), "0.1,0.3,1".into());
        prefill(&mut values, &[], &[]);
        assert!(!values.contains_key("coefficient"), "{values:?}");
        let mut values = self::values();
        prefill(&mut values, &[], &[]);
        assert_eq!(values.get("coefficient").map(String::as_str), Some("0.1,0.3"));
        values.insert("kind".into(), "topk".into());
        values.insert("k".into(), "8".into());
        values.insert("kind".into(), "relu".into());
        prefill_kind(&mut values);
        assert!(!values.contains_key("target_l0"), "{values:?}");
    }

    #[test]
    fn a_form_without_an_objective_says_so() {
        let mut values = values();
        set_objective(&mut values, ObjectiveKind::Local, false);
        set_objective(&mut values, ObjectiveKind::E2eDs, false);
        assert_eq!(request(&values).unwrap_err().field.as_deref(), Some("objective"));
    }

    #[test]
    fn a_fitted_kind_is_not_asked_how_it_is_trained() {
        let mut values = values();
        for (name, value) in [
            ("kind", "pca-dynamic"),
            ("k", "8"),
            ("lr", "fast"),
            ("d_sae", "70"),
            ("tokens", "1e5"),
        ] {
            values.insert(name.into(), value.into());
        }
        prefill_kind(&mut values);
        let asked = request(&values).unwrap();
        assert_eq!((asked.lr, asked.d_sae, asked.tokens), (None, None, Some(100_000)));
        assert_eq!(asked.objectives, [ObjectiveKind::Local]);
        values.insert("kind".into(), "nmf".into());
        assert_eq!(request(&values).unwrap().d_sae, Some(70));
    }

    #[test]
    fn every_setting_of_a_kind_has_a_field() {
        for name in KindName::ALL
            .iter()
            .flat_map(|kind| kind.settings().iter().chain(kind.course()))
        {
            assert!(KIND_SETTINGS.iter().chain(PENALTY).any(|field| field.name == *name), "{name}");
        }
    }

    /// What is chosen from a list, by `components/train_fields.rs`.
    const CHOSEN: [&str; 12] = [
        "model",
        "corpus",
        "at",
        "kind",
        "objectives",
        "residual",
        "input_scale",
        "initial_weights",
        "bos",
        "eos",
        "evaluate_on",
        "buffer_on",
    ];

    #[test]
    fn every_field_of_a_request_can_be_given() {
        let typed = || {
            [KIND_SETTINGS, PENALTY, COEFFICIENTS, SIZES, OPTIMISER, BUFFER, MEASUREMENT]
                .into_iter()
                .flatten()
        };
        let asked = serde_json::to_value(request(&values()).unwrap()).unwrap();
        for name in asked.as_object().unwrap().keys() {
            let is_there = typed().any(|field| field.name == name) || CHOSEN.contains(&name.as_str());
            assert!(is_there, "{name}");
        }
    }

    #[test]
    fn objectives_keep_their_order() {
        let mut values = values();
        set_objective(&mut values, ObjectiveKind::E2e, true);
        assert_eq!(values["objective"], "local,e2e,e2e+ds");
        set_objective(&mut values, ObjectiveKind::Local, false);
        assert_eq!(values["objective"], "e2e,e2e+ds");
    }
}
