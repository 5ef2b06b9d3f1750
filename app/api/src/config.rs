//! The resolved config of a training run: every value that the result depends on, none left to a default.

use crate::{
    Buffer, ConfigError, CorpusId, Course, DictionaryKind, HookPoint, InputScale, LeaveOut, ModelId, Origin, word::words,
};
use serde::{Deserialize, Serialize};

/// How the residual stream is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ResidualFrame {
    /// As the checkpoint has it.
    #[default]
    Raw,
    /// With the mean over d_model taken out of everything that writes to it, as TransformerLens loads models
    /// (`center_writing_weights`). The model's outputs do not change. LayerNorm models only.
    Centred,
}

/// What opens each document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BosPolicy {
    /// The tokenizer's BOS token opens every document.
    #[default]
    Document,
    /// The tokenizer's BOS token opens every context (and no document inside it).
    Context,
    /// None.
    None,
}

/// What closes each document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EosPolicy {
    /// The tokenizer's EOS token closes every document.
    Document,
    /// None.
    #[default]
    None,
}

/// On which text, none of it trained on, a run's dictionaries are measured at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EvaluationSplit {
    /// The held-out text: for the figures that are reported.
    #[default]
    HeldOut,
    /// The validation text: for choosing settings, so that nobody sees held-out figures before the choice is made.
    Validation,
}

impl EvaluationSplit {
    /// The text's name in a sentence.
    pub fn text(self) -> &'static str {
        match self {
            EvaluationSplit::HeldOut => "held-out text",
            EvaluationSplit::Validation => "validation text",
        }
    }
}

words!(ResidualFrame, "residual", "raw" => ResidualFrame::Raw, "centred" => ResidualFrame::Centred);
words!(BosPolicy, "bos", "document" => BosPolicy::Document, "context" => BosPolicy::Context, "none" => BosPolicy::None);
words!(EosPolicy, "eos", "document" => EosPolicy::Document, "none" => EosPolicy::None);
words!(EvaluationSplit, "evaluate_on",
    "held_out" => EvaluationSplit::HeldOut, "validation" => EvaluationSplit::Validation);
words!(ObjectiveKind, "objective",
    "local" => ObjectiveKind::Local, "e2e" => ObjectiveKind::E2e, "e2e+ds" => ObjectiveKind::E2eDs,
    "kl+mse" => ObjectiveKind::KlMse);

/// How documents become contexts: tokenised, joined, cut every `n_ctx` tokens, the remainder dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Packing {
    /// Tokens per context.
    pub n_ctx: usize,
    /// What opens a document.
    pub bos: BosPolicy,
    /// What closes a document.
    pub eos: EosPolicy,
}

/// Adam's constants (Kingma and Ba 2015); no weight decay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        }
    }
}

/// The learning rate over a run: linear from 0 during the warm-up, then half a cosine down to a fraction, and there to the end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Optimiser steps of linear warm-up, the first of them at learning rate 0.
    pub warmup_steps: usize,
    /// The last learning rate as a fraction of the peak.
    pub min_lr_factor: f64,
    /// Optimiser steps at the end for which the last learning rate is held.
    #[serde(default)]
    pub hold_steps: usize,
}

impl Schedule {
    /// Checks it for a run of `n_steps`.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn validate(&self, n_steps: usize) -> Result<(), ConfigError> {
        fraction("min_lr_factor", self.min_lr_factor)?;
        let refused = |field, found: String| {
            let expected = "expected fewer (more tokens, or a smaller batch)";
            Err(ConfigError::new(
                field,
                format!("found {found} for a run of {n_steps} steps; {expected}"),
            ))
        };
        if self.warmup_steps >= n_steps {
            return refused("warmup_steps", self.warmup_steps.to_string());
        }
        if self.hold_steps >= n_steps - self.warmup_steps {
            return refused(
                "hold_steps",
                format!("{} behind {} of warm-up", self.hold_steps, self.warmup_steps),
            );
        }
        Ok(())
    }
}

/// The objectives, without their coefficients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ObjectiveKind {
    /// Reconstruct the activation.
    #[serde(rename = "local")]
    Local,
    /// Reproduce the model's output distribution.
    #[serde(rename = "e2e")]
    E2e,
    /// Reproduce the output distribution and the later layers' activations.
    #[serde(rename = "e2e+ds")]
    E2eDs,
    /// Reproduce the activation and the output distribution, in equal parts.
    #[serde(rename = "kl+mse")]
    KlMse,
}

impl ObjectiveKind {
    /// All objectives, in the order in which pages and tables list them.
    pub const ALL: [ObjectiveKind; 4] = [
        ObjectiveKind::Local,
        ObjectiveKind::E2e,
        ObjectiveKind::E2eDs,
        ObjectiveKind::KlMse,
    ];
}

/// What a dictionary is trained to do: a sum of named terms, each with its coefficient (Braun et al. 2024, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "name", deny_unknown_fields)]
pub enum Objective {
    /// mse(x, x̂) + sparsity.
    #[serde(rename = "local")]
    Local {
        /// λ of λ · mean over tokens of ‖c‖₁ / d_in.
        sparsity: f64,
    },
    /// kl · KL(model ‖ spliced) + sparsity.
    #[serde(rename = "e2e")]
    E2e {
        /// λ, as in `local`.
        sparsity: f64,
        /// Coefficient of the KL term.
        kl: f64,
    },
    /// kl · KL(model ‖ spliced) + downstream · mean over later blocks of mse(resid_pre) + sparsity.
    #[serde(rename = "e2e+ds")]
    E2eDs {
        /// λ, as in `local`.
        sparsity: f64,
        /// Coefficient of the KL term.
        kl: f64,
        /// Total coefficient of the downstream terms; each of the n later blocks has downstream / n.
        downstream: f64,
    },
    /// ½ (α · KL(model ‖ spliced) + mse(x, x̂)) + sparsity, α = mse / KL of the batch, held constant (Karvonen 2025,
    /// arXiv 2503.17272).
    #[serde(rename = "kl+mse")]
    KlMse {
        /// λ, as in `local`.
        sparsity: f64,
    },
}

impl Objective {
    /// Which objective it is.
    pub fn kind(&self) -> ObjectiveKind {
        match self {
            Objective::Local { .. } => ObjectiveKind::Local,
            Objective::E2e { .. } => ObjectiveKind::E2e,
            Objective::E2eDs { .. } => ObjectiveKind::E2eDs,
            Objective::KlMse { .. } => ObjectiveKind::KlMse,
        }
    }

    /// λ.
    pub fn sparsity(&self) -> f64 {
        match *self {
            Objective::Local { sparsity }
            | Objective::E2e { sparsity, .. }
            | Objective::E2eDs { sparsity, .. }
            | Objective::KlMse { sparsity } => sparsity,
        }
    }

    /// The coefficient of the KL term; 0 where there is none, or where it follows from the batch.
    pub fn kl(&self) -> f64 {
        match *self {
            Objective::Local { .. } | Objective::KlMse { .. } => 0.0,
            Objective::E2e { kl, .. } | Objective::E2eDs { kl, .. } => kl,
        }
    }

    /// The total coefficient of the downstream terms; 0 where there are none.
    pub fn downstream(&self) -> f64 {
        match *self {
            Objective::E2eDs { downstream, .. } => downstream,
            _ => 0.0,
        }
    }
}

/// One dictionary of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DictionaryConfig {
    /// The kind, with its settings.
    pub kind: DictionaryKind,
    /// Number of features.
    pub d_sae: usize,
    /// What it is trained to do.
    pub objective: Objective,
    /// Peak learning rate; 0 where nothing is trained.
    pub lr: f64,
    /// Seed of the initial weights.
    pub seed: u64,
    /// How λ comes about, and what is done about dead features.
    #[serde(default, skip_serializing_if = "Course::is_plain")]
    pub course: Course,
    /// What it begins from.
    #[serde(default, skip_serializing_if = "Origin::is_unsaid")]
    pub origin: Origin,
}

/// What is measured at the end of a run, and on how much text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The text of the final metrics. (Programs that knew no choice wrote none: theirs were on held-out text.)
    #[serde(default)]
    pub split: EvaluationSplit,
    /// Tokens of that text for the final metrics (all of it when there is less).
    pub n_tokens: usize,
    /// Tokens of validation text for the curves during training.
    pub validation_tokens: usize,
    /// Optimiser steps between two measurements on the validation text.
    pub every_steps: usize,
}

/// A training run: one or more dictionaries at one hook point, from one pass over one corpus.
/// Each comes out as if it had been trained alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The language model.
    pub model: ModelId,
    /// The text.
    pub corpus: CorpusId,
    /// Where the dictionaries read and write.
    pub at: HookPoint,
    /// How the residual stream is read.
    pub residual: ResidualFrame,
    /// How the dictionaries' input is scaled.
    pub input_scale: InputScale,
    /// The tokens that are neither trained nor measured on.
    #[serde(default, skip_serializing_if = "LeaveOut::is_nothing")]
    pub leave_out: LeaveOut,
    /// How text becomes contexts.
    pub packing: Packing,
    /// Contexts per batch.
    pub batch: usize,
    /// Batches per optimiser step.
    pub accumulation: usize,
    /// Tokens to train on; documents repeat, reshuffled, when they run out. 0 where nothing is trained.
    pub tokens: u64,
    /// The learning rate's course.
    pub schedule: Schedule,
    /// The optimiser's constants.
    pub adam: Adam,
    /// Largest norm of a dictionary's gradient, all its parameters together; larger ones are scaled down to it.
    pub max_grad_norm: f64,
    /// The buffer of activations that steps draw from; without one, each batch is some contexts' tokens in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer: Option<Buffer>,
    /// Seed of the order of the contexts.
    pub data_seed: u64,
    /// Optimiser steps between two log points.
    pub log_every_steps: usize,
    /// Optimiser steps between two checkpoints.
    pub checkpoint_every_steps: usize,
    /// What is measured.
    pub evaluation: Evaluation,
    /// The dictionaries.
    pub dictionaries: Vec<DictionaryConfig>,
}

impl TrainConfig {
    /// Tokens in one batch.
    pub fn batch_tokens(&self) -> usize {
        self.batch * self.packing.n_ctx
    }

    /// Optimiser steps of the whole run: `tokens` over the tokens of a step, rounded up.
    pub fn n_steps(&self) -> usize {
        let per_step = self.batch_tokens() as u64 * self.accumulation as u64;
        self.tokens.div_ceil(per_step) as usize
    }

    /// Whether optimiser steps are made.
    ///
    /// # Errors
    /// When some of the dictionaries are trained and some are not: they are no one run.
    pub fn trains(&self) -> Result<bool, ConfigError> {
        let n = self.dictionaries.iter().filter(|d| d.origin.is_trained()).count();
        if n != 0 && n != self.dictionaries.len() {
            let message = format!(
                "found {n} of {} that are trained; expected all or none",
                self.dictionaries.len()
            );
            return Err(ConfigError::new("dictionaries", message));
        }
        Ok(n != 0)
    }

    /// Checks what can be checked without the model and the corpus.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn validate(&self) -> Result<(), ConfigError> {
        at_least("n_ctx", self.packing.n_ctx, 2)?;
        at_least("batch", self.batch, 1)?;
        at_least("accumulation", self.accumulation, 1)?;
        self.check_sizes()?;
        at_least("log_every_steps", self.log_every_steps, 1)?;
        at_least("checkpoint_every_steps", self.checkpoint_every_steps, 1)?;
        at_least("eval_tokens", self.evaluation.n_tokens, 1)?;
        at_least("validation_tokens", self.evaluation.validation_tokens, 1)?;
        at_least("eval_every_steps", self.evaluation.every_steps, 1)?;
        at_least("dictionaries", self.dictionaries.len(), 1)?;
        if self.trains()? {
            at_least("tokens", usize::from(self.tokens > 0), 1)?;
            self.schedule.validate(self.n_steps())?;
        } else if self.tokens != 0 {
            let message = format!("found {}; nothing is trained: expected 0", self.tokens);
            return Err(ConfigError::new("tokens", message));
        }
        below_one("adam_beta1", self.adam.beta1)?;
        below_one("adam_beta2", self.adam.beta2)?;
        positive("adam_eps", self.adam.eps)?;
        positive("max_grad_norm", self.max_grad_norm)?;
        self.check_fit()?;
        self.check_buffer()?;
        for dictionary in &self.dictionaries {
            at_least("d_sae", dictionary.d_sae, 1)?;
            if dictionary.origin.is_trained() && !dictionary.kind.name().is_fitted() {
                positive("lr", dictionary.lr)?;
            }
            not_negative("coefficient", dictionary.objective.sparsity())?;
            dictionary.check_kind()?;
            self.input_scale.check(&dictionary.kind)?;
            dictionary.check_course(self.n_steps())?;
            if let Some(read_at) = dictionary.kind.read_at().filter(|read_at| *read_at > self.at) {
                let message = format!("found {read_at}, which comes after {}; expected one before it", self.at);
                return Err(ConfigError::new("read_at", message));
            }
            match dictionary.objective {
                Objective::Local { .. } | Objective::KlMse { .. } => {}
                Objective::E2e { kl, .. } => positive("kl_coefficient", kl)?,
                Objective::E2eDs { kl, downstream, .. } => {
                    not_negative("kl_coefficient", kl)?;
                    positive("ds_coefficient", downstream)?;
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn at_least(field: &str, value: usize, min: usize) -> Result<(), ConfigError> {
    if value >= min {
        Ok(())
    } else {
        Err(ConfigError::new(field, format!("found {value}; expected {min} or more")))
    }
}

pub(crate) fn positive(field: &str, value: f64) -> Result<(), ConfigError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(ConfigError::new(
            field,
            format!("found {value}; expected a finite number above 0"),
        ))
    }
}

pub(crate) fn not_negative(field: &str, value: f64) -> Result<(), ConfigError> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(ConfigError::new(
            field,
            format!("found {value}; expected a finite number, 0 or more"),
        ))
    }
}

pub(crate) fn fraction(field: &str, value: f64) -> Result<(), ConfigError> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::new(
            field,
            format!("found {value}; expected a number from 0 to 1"),
        ))
    }
}

pub(crate) fn below_one(field: &str, value: f64) -> Result<(), ConfigError> {
    if (0.0..1.0).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::new(
            field,
            format!("found {value}; expected a number from 0 to below 1"),
        ))
    }
}
