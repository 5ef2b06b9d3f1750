//! The Train form's values, as text, and how they become a [`SweepRequest`]: plain Rust, no signals.
//! Values are kept under the names of the request's fields, which are also the URL's parameters.

use std::{collections::BTreeMap, str::FromStr};

use api::{
    ApiError, ConfigError, CorpusId, CorpusInfo, DictionaryId, ErrorKind, HookPoint, KindName, ModelId, ModelInfo, ObjectiveKind,
    PerObjective, Site, SweepRequest,
};

/// The form's values by field; a field that is left empty has none.
pub type Values = BTreeMap<String, String>;

/// A field that is typed.
pub struct TextField {
    /// The request's name for it.
    pub name: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Whether it has a line of its own.
    pub is_wide: bool,
}

const fn field(name: &'static str, label: &'static str, help: &'static str) -> TextField {
    TextField {
        name,
        label,
        help,
        is_wide: false,
    }
}

/// The kinds' own numbers; each kind has some of them.
pub const KIND_SETTINGS: &[TextField] = &[
    TextField {
        name: "coefficient",
        label: "Sparsity coefficient λ",
        help: "Weight of the sparsity term: the mean L1 norm of the codes (gated: of the open gates; jumprelu: their number; relu-april and relu-saelens: times the length of what they write; p-anneal: Σ cᵖ) over d_in. A dictionary is trained for each value, so several draw a Pareto \
               curve: 0.1,0.3,1 for every objective or, per objective, local=0.1,0.3;e2e=1,3.",
        is_wide: true,
    },
    TextField {
        name: "k",
        label: "Features per token, k",
        help: "A dictionary is trained for each value, so several draw a Pareto curve: 8,16,32.",
        is_wide: true,
    },
    field(
        "aux_coefficient",
        "Dead features' weight",
        "Of the term in which dead features learn what the others leave over.",
    ),
    field(
        "dead_tokens",
        "Dead after",
        "Tokens without firing after which a feature is dead.",
    ),
    field(
        "threshold_decay",
        "Threshold's decay",
        "In use, features fire above a threshold: the decaying mean of the smallest activation that training batches kept.",
    ),
    field(
        "bandwidth",
        "Bandwidth",
        "Width of the window around a threshold in which it has a gradient, in units of the input's size.",
    ),
    field("initial_threshold", "First threshold", "In units of the input's size."),
    field(
        "read_at",
        "Reads at",
        "A hook point before the one where it writes: blocks.2.hook_resid_mid for blocks.2.hook_mlp_out, so that it stands for the MLP.",
    ),
    field(
        "groups",
        "Groups",
        "Of features, each prefix of which reconstructs by itself: 1/32, 1/16, 1/8, 1/4 of them and the rest are five.",
    ),
    field("final_p", "Last p", "Of the penalty Σ cᵖ, which begins at 1."),
    field("anneal_start", "p falls from", "The optimiser step at which it begins to."),
    field("anneal_end", "p falls until", "The optimiser step at which it is the last."),
];

/// The objectives' own numbers.
pub const COEFFICIENTS: &[TextField] = &[
    field(
        "kl_coefficient",
        "KL coefficient",
        "Weight of KL(model ‖ spliced) in e2e and e2e+ds, one value or a list, per objective if you like.",
    ),
    field(
        "ds_coefficient",
        "Downstream coefficient",
        "e2e+ds: total weight of the reconstruction at later blocks, shared equally among them.",
    ),
];

/// The dictionary and its text.
pub const SIZES: &[TextField] = &[
    field(
        "from",
        "Train further",
        "Numbers of trained dictionaries, 7,8: each is trained on under every objective. Kind, width and λ stay theirs.",
    ),
    field("d_sae", "Features, d_sae", "Number of features in each dictionary."),
    field(
        "tokens",
        "Tokens",
        "Tokens to train on. Documents repeat, reshuffled, when they run out.",
    ),
    field(
        "seeds",
        "Seeds",
        "Each sets the initial weights and the order of the text, and is a run of its own: 0,1,2. Intervals need two or more.",
    ),
];

/// The optimiser and the batches.
pub const OPTIMISER: &[TextField] = &[
    field(
        "lr",
        "Learning rate",
        "Adam's peak learning rate; a list or values per objective train a dictionary for each.",
    ),
    field("n_ctx", "Context length, n_ctx", "Tokens per context."),
    field("batch", "Batch", "Contexts per batch."),
    field("accumulation", "Accumulation", "Batches per optimiser step."),
    field(
        "warmup_steps",
        "Warm-up steps",
        "Steps in which the learning rate rises linearly from 0.",
    ),
    field(
        "min_lr_factor",
        "Last learning rate",
        "As a fraction of the peak, at the end of the cosine.",
    ),
    field("hold_steps", "Hold", "Steps at the end that keep the last learning rate."),
    field(
        "max_grad_norm",
        "Largest gradient norm",
        "A dictionary's gradient is scaled down to it.",
    ),
    field("adam_beta1", "Adam β₁", "Decay of the mean of the gradient."),
    field("adam_beta2", "Adam β₂", "Decay of the mean of its square."),
    field("adam_eps", "Adam ε", "Added to the root of that mean."),
];

/// The buffer of activations.
pub const BUFFER: &[TextField] = &[
    field(
        "buffer_tokens",
        "Buffer",
        "Activation vectors of many contexts, mixed, that steps draw from; for the local objective alone. Empty: contexts in order.",
    ),
    field(
        "buffer_mixing",
        "Kept back",
        "Share of the buffer that is mixed with the next vectors when the others have been served.",
    ),
];

/// What is measured and kept.
pub const MEASUREMENT: &[TextField] = &[
    field("eval_tokens", "Tokens measured", "Of that text, for the final metrics."),
    field("validation_tokens", "Validation tokens", "For the curves while it trains."),
    field(
        "eval_every_steps",
        "Validation interval",
        "Steps between two measurements of the validation text.",
    ),
    field("log_every_steps", "Log interval", "Steps between two points of the curves."),
    field(
        "checkpoint_every_steps",
        "Checkpoint interval",
        "Steps between two checkpoints, from which a run goes on.",
    ),
];

/// Fills in what a form must have to begin with: a model, a corpus, a hook point in the middle, objectives and coefficients.
pub fn prefill(values: &mut Values, models: &[ModelInfo], corpora: &[CorpusInfo]) {
    // what is trained further keeps its λ
    let begun = values.get("from").is_some_and(|from| !from.is_empty());
    let mut missing = |name: &str, value: Option<String>| {
        if let (false, Some(value)) = (values.contains_key(name), value) {
            values.insert(name.into(), value);
        }
    };
    missing("model", models.first().map(|model| model.id.to_string()));
    missing("corpus", corpora.first().map(|corpus| corpus.id.to_string()));
    missing("objective", Some(if begun { "kl+mse" } else { "local,e2e,e2e+ds" }.into()));
    missing("coefficient", (!begun).then(|| "0.1,0.3,1".into()));
    prefill_kind(values);
    let model = models.iter().find(|model| values.get("model") == Some(&model.id.0));
    if let (Some(model), None) = (model, values.get("at")) {
        values.insert("at".into(), middle(model).to_string());
    }
}

/// Fills in what the chosen kind has no default for.
pub fn prefill_kind(values: &mut Values) {
    if kind(values).settings().contains(&"k") && !values.contains_key("k") {
        values.insert("k".into(), "8,16,32".into());
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
        .filter(|(name, _)| chosen.settings().contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let k = numbers(&own, "k", "whole numbers, as 8,16,32")?;
    Ok(SweepRequest {
        model: ModelId(required("model")?.into()),
        corpus: CorpusId(required("corpus")?.into()),
        at: required("at")?.parse()?,
        from: numbers(values, "from", "numbers of dictionaries, as 3,5")?
            .into_iter()
            .map(|id| DictionaryId(id as i64))
            .collect(),
        kind: chosen,
        objectives: objectives(values),
        coefficient: list(&own, "coefficient")?,
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
        input_scale: word(values, "input_scale")?.unwrap_or_default(),
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

fn numbers(values: &Values, name: &str, expected: &str) -> Result<Vec<u64>, ApiError> {
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
        values.insert("k".into(), "8;16".into());
        assert_eq!(request(&values).unwrap_err().field.as_deref(), Some("k"));
        values.insert("kind".into(), "jumprelu".into());
        let asked = request(&values).unwrap();
        assert!(asked.k.is_empty() && asked.coefficient.is_some() && asked.bandwidth == Some(0.1));
        values.insert("kind".into(), "topkk".into());
        assert_eq!(request(&values).unwrap_err().field.as_deref(), Some("kind"));
    }

    #[test]
    fn every_setting_of_a_kind_has_a_field() {
        for name in KindName::ALL.iter().flat_map(|kind| kind.settings()) {
            assert!(KIND_SETTINGS.iter().any(|field| field.name == *name), "{name}");
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
