//! What a user asks for, on the command line or in the Train form, and how it becomes resolved configs.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

use crate::defaults::MAX_GRAD_NORM;
use crate::{
    Adam, BosPolicy, BufferPlace, ConfigError, CorpusId, DictionaryConfig, DictionaryId, DictionaryInfo, EosPolicy, Evaluation,
    EvaluationSplit, HookPoint, InitialWeights, InputScale, KindName, LeaveOut, ModelId, Objective, ObjectiveKind, Packing,
    PerObjective, ResidualFrame, Schedule, TrainConfig,
};

/// A grid of dictionaries: every objective at each of its coefficients, for each seed.
/// What is left out takes the default that the field's documentation names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SweepRequest {
    /// The language model's id.
    pub model: ModelId,
    /// The corpus' id.
    pub corpus: CorpusId,
    /// Where the dictionaries read and write.
    pub at: HookPoint,
    /// Trained dictionaries to be trained further, each under every objective, in place of fresh weights. Kind, width, residual frame and
    /// input scale are theirs, and λ where `coefficient` gives none.
    #[serde(default)]
    pub from: Vec<DictionaryId>,
    /// The kind; default relu.
    #[serde(default)]
    pub kind: KindName,
    /// The objectives; default local, and kl+mse with `from`.
    #[serde(default)]
    pub objectives: Vec<ObjectiveKind>,
    /// Sparsity coefficients λ, per objective, in place of `target_l0`: for the kinds that have a sparsity term.
    #[serde(default)]
    pub coefficient: Option<PerObjective>,
    /// Features per token, a dictionary for each: of the kinds that have a sparsity term, whose λ is found while it trains; default
    /// 16,32,64 where `coefficient` is not given.
    #[serde(default)]
    pub target_l0: Vec<f64>,
    /// Steps over which λ rises linearly from 0; default 0.
    #[serde(default)]
    pub sparsity_warmup_steps: Option<usize>,
    /// Steps between two resamplings of dead features; default 0, none.
    #[serde(default)]
    pub resample_steps: Option<usize>,
    /// Steps after a resampling over which the learning rate rises to where it was; default 0.
    #[serde(default)]
    pub resample_warmup_steps: Option<usize>,
    /// Features per token, a dictionary for each: of the kinds of topk, batchtopk, matryoshka, the pursuits and three of PCA; default
    /// 16,32,64. ica, random and identity may have it.
    #[serde(default)]
    pub k: Vec<usize>,
    /// Weight of the dead features' term of the kinds of topk, batchtopk and matryoshka; default 1/32.
    #[serde(default)]
    pub aux_coefficient: Option<f64>,
    /// Tokens without firing after which a feature of the kinds of topk, batchtopk or matryoshka is dead; default a tenth of the run's, at most
    /// 10,000,000.
    #[serde(default)]
    pub dead_tokens: Option<u64>,
    /// Decay of the mean of batchtopk's and matryoshka's threshold; default 0.999, less in runs of fewer than 10,000 steps.
    #[serde(default)]
    pub threshold_decay: Option<f64>,
    /// Width of the window in which jumprelu's thresholds have a gradient, in units of the input's size; default 0.001.
    #[serde(default)]
    pub bandwidth: Option<f64>,
    /// Where jumprelu's thresholds begin, in units of the input's size; default 0.001.
    #[serde(default)]
    pub initial_threshold: Option<f64>,
    /// Groups of matryoshka's features; default 5.
    #[serde(default)]
    pub groups: Option<usize>,
    /// The last p of p-anneal; default 0.2.
    #[serde(default)]
    pub final_p: Option<f64>,
    /// The step at which p-anneal's p begins to fall; default a tenth of the run's.
    #[serde(default)]
    pub anneal_start: Option<usize>,
    /// The step at which it has fallen; default a tenth of the run's before the end.
    #[serde(default)]
    pub anneal_end: Option<usize>,
    /// Where transcoders read; they write where the others do, at `at`.
    #[serde(default)]
    pub read_at: Option<HookPoint>,
    /// KL coefficient; default e2e=1;e2e+ds=0.5.
    #[serde(default)]
    pub kl_coefficient: Option<PerObjective>,
    /// Total downstream coefficient of e2e+ds; default 2.5.
    #[serde(default)]
    pub ds_coefficient: Option<f64>,
    /// Peak learning rates; default by width and steps (docs/DEFAULTS.md), and 1e-4 with `from`.
    #[serde(default)]
    pub lr: Option<PerObjective>,
    /// Number of features; default 16 · the width of the hook point (nmf: the width). The other fitted kinds have their own.
    #[serde(default)]
    pub d_sae: Option<usize>,
    /// Tokens per context; default the model's, at most 256.
    #[serde(default)]
    pub n_ctx: Option<usize>,
    /// Contexts per batch; default as many as make 4,096 tokens.
    #[serde(default)]
    pub batch: Option<usize>,
    /// Batches per optimiser step; default 1.
    #[serde(default)]
    pub accumulation: Option<usize>,
    /// Tokens to train on; default 2,000,000.
    #[serde(default)]
    pub tokens: Option<u64>,
    /// Vectors in a buffer that mixes the activations of many contexts, for the local objective; default no buffer.
    #[serde(default)]
    pub buffer_tokens: Option<usize>,
    /// Share of the buffer that is kept back to be mixed with the next vectors; default 0.5.
    #[serde(default)]
    pub buffer_mixing: Option<f64>,
    /// Where the buffer's activations are kept between runs; default memory, which is nowhere.
    #[serde(default)]
    pub buffer_on: Option<BufferPlace>,
    /// Seeds; default 0. Each seed sets the initial weights and the order of the text.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// Warm-up steps; default 5 % of the run's.
    #[serde(default)]
    pub warmup_steps: Option<usize>,
    /// Last learning rate as a fraction of the peak; default 0.1.
    #[serde(default)]
    pub min_lr_factor: Option<f64>,
    /// Optimiser steps at the end for which the last learning rate is held; default 0.
    #[serde(default)]
    pub hold_steps: Option<usize>,
    /// Decay of Adam's first moment; default 0.9.
    #[serde(default)]
    pub adam_beta1: Option<f64>,
    /// Decay of Adam's second moment; default 0.999.
    #[serde(default)]
    pub adam_beta2: Option<f64>,
    /// Added to the root of Adam's second moment; default 1e-8.
    #[serde(default)]
    pub adam_eps: Option<f64>,
    /// Largest gradient norm; default 1.
    #[serde(default)]
    pub max_grad_norm: Option<f64>,
    /// How the residual stream is read; default raw.
    #[serde(default)]
    pub residual: ResidualFrame,
    /// How the input is scaled; default unit_norm, and none for the kinds that are fitted.
    #[serde(default)]
    pub input_scale: Option<InputScale>,
    /// How fresh weights come about; default matched for the kinds that have a sparsity term.
    #[serde(default)]
    pub initial_weights: Option<InitialWeights>,
    /// The tokens that are neither trained nor measured on; default nothing.
    #[serde(default)]
    pub leave_out: LeaveOut,
    /// What opens a document; default its BOS token, where the tokenizer has one.
    #[serde(default)]
    pub bos: Option<BosPolicy>,
    /// What closes a document; default nothing.
    #[serde(default)]
    pub eos: Option<EosPolicy>,
    /// The text of the final metrics; default held_out.
    #[serde(default)]
    pub evaluate_on: Option<EvaluationSplit>,
    /// Tokens for the final metrics; default 65,536.
    #[serde(default)]
    pub eval_tokens: Option<usize>,
    /// Validation tokens for the curves; default 16,384.
    #[serde(default)]
    pub validation_tokens: Option<usize>,
    /// Steps between two measurements on the validation text; default 5 % of the run's.
    #[serde(default)]
    pub eval_every_steps: Option<usize>,
    /// Steps between two points of the curves; default 0.5 % of the run's.
    #[serde(default)]
    pub log_every_steps: Option<usize>,
    /// Steps between two checkpoints; default 10 % of the run's.
    #[serde(default)]
    pub checkpoint_every_steps: Option<usize>,
}

/// The facts that a request is resolved against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResolvedAgainst<'a> {
    /// Width of the tensor at the request's hook point.
    pub width: usize,
    /// Tokens of the model's vocabulary.
    pub d_vocab: usize,
    /// The longest context the model takes.
    pub max_n_ctx: usize,
    /// Whether its tokenizer has a BOS token.
    pub has_bos: bool,
    /// The dictionaries that `from` names.
    pub parents: &'a [DictionaryInfo],
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResolvedSweep {
    /// One run per seed.
    pub runs: Vec<TrainConfig>,
    /// Each value that was not given, as `field = value`.
    pub defaults: Vec<String>,
    /// The command that does the same.
    pub command: String,
}

impl SweepRequest {
    /// Fills in every default and checks the whole.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn resolve(&self, facts: ResolvedAgainst<'_>) -> Result<ResolvedSweep, ConfigError> {
        self.check_count()?;
        let mut defaults = Vec::new();
        let objectives = self.meant_objectives(&mut defaults)?;
        let sparsity = self.sparsity(facts, &mut defaults)?;
        let n_ctx = or_default(self.n_ctx, "n_ctx", facts.max_n_ctx.min(256), &mut defaults);
        if n_ctx > facts.max_n_ctx {
            return Err(ConfigError::new(
                "n_ctx",
                format!("found {n_ctx}; the model takes at most {}", facts.max_n_ctx),
            ));
        }
        if n_ctx < 2 {
            return Err(ConfigError::new("n_ctx", format!("found {n_ctx}; expected 2 or more")));
        }
        let batch = or_default(self.batch, "batch", (4096 / n_ctx).max(1), &mut defaults);
        let accumulation = or_default(self.accumulation, "accumulation", 1, &mut defaults);
        let tokens = or_default(self.tokens, "tokens", 2_000_000, &mut defaults);
        // what is absurdly large is refused by its name further down
        let per_step = [batch, accumulation, n_ctx]
            .into_iter()
            .fold(1_u64, |product, n| product.saturating_mul(n as u64));
        let n_steps = tokens.div_ceil(per_step.max(1)) as usize;
        let bos_default = if facts.has_bos { BosPolicy::Document } else { BosPolicy::None };
        let bos = or_default(self.bos, "bos", bos_default, &mut defaults);
        if bos != BosPolicy::None && !facts.has_bos {
            return Err(ConfigError::new(
                "bos",
                format!("found {bos}; the model's tokenizer has no BOS token, so only none is possible"),
            ));
        }
        let adam = Adam::default();
        let (_, residual, input_scale) = self.reading(facts.parents)?;
        if self.input_scale.is_none() && facts.parents.is_empty() {
            defaults.push(format!("input_scale = {input_scale}"));
        }
        let shared = TrainConfig {
            model: self.model.clone(),
            corpus: self.corpus.clone(),
            at: self.at,
            residual,
            input_scale,
            leave_out: self.leave_out,
            packing: Packing {
                n_ctx,
                bos,
                eos: or_default(self.eos, "eos", EosPolicy::None, &mut defaults),
            },
            batch,
            accumulation,
            tokens,
            schedule: Schedule {
                warmup_steps: or_default(self.warmup_steps, "warmup_steps", n_steps / 20, &mut defaults),
                min_lr_factor: or_default(self.min_lr_factor, "min_lr_factor", 0.1, &mut defaults),
                hold_steps: or_default(self.hold_steps, "hold_steps", 0, &mut defaults),
            },
            adam: Adam {
                beta1: or_default(self.adam_beta1, "adam_beta1", adam.beta1, &mut defaults),
                beta2: or_default(self.adam_beta2, "adam_beta2", adam.beta2, &mut defaults),
                eps: or_default(self.adam_eps, "adam_eps", adam.eps, &mut defaults),
            },
            max_grad_norm: or_default(self.max_grad_norm, "max_grad_norm", MAX_GRAD_NORM, &mut defaults),
            buffer: self.buffer(&mut defaults)?,
            data_seed: 0,
            log_every_steps: or_default(self.log_every_steps, "log_every_steps", (n_steps / 200).max(1), &mut defaults),
            checkpoint_every_steps: or_default(
                self.checkpoint_every_steps,
                "checkpoint_every_steps",
                (n_steps / 10).max(1),
                &mut defaults,
            ),
            evaluation: Evaluation {
                split: or_default(self.evaluate_on, "evaluate_on", EvaluationSplit::HeldOut, &mut defaults),
                n_tokens: or_default(self.eval_tokens, "eval_tokens", 65_536, &mut defaults),
                validation_tokens: or_default(self.validation_tokens, "validation_tokens", 16_384, &mut defaults),
                every_steps: or_default(
                    self.eval_every_steps,
                    "eval_every_steps",
                    (n_steps / 20).max(1),
                    &mut defaults,
                ),
            },
            dictionaries: Vec::new(),
        };
        let bases = self.bases(facts, &sparsity, (tokens, n_steps), &mut defaults)?;
        let courses = self.courses(&sparsity);
        let lr = self.rates(&objectives, facts.width, n_steps, &mut defaults);
        let kl = match &self.kl_coefficient {
            Some(kl) => kl.clone(),
            None => {
                let by: BTreeMap<_, _> = [(ObjectiveKind::E2e, vec![1.0]), (ObjectiveKind::E2eDs, vec![0.5])]
                    .into_iter()
                    .filter(|(o, _)| objectives.contains(o))
                    .collect();
                let kl = PerObjective::Each(by);
                if objectives
                    .iter()
                    .any(|o| matches!(o, ObjectiveKind::E2e | ObjectiveKind::E2eDs))
                {
                    defaults.push(format!("kl_coefficient = {kl}"));
                }
                kl
            }
        };
        let downstream = if objectives.contains(&ObjectiveKind::E2eDs) {
            or_default(self.ds_coefficient, "ds_coefficient", 2.5, &mut defaults)
        } else {
            0.0
        };
        let seeds = if self.seeds.is_empty() {
            defaults.push("seed = 0".into());
            vec![0]
        } else {
            self.seeds.clone()
        };
        let mut runs = Vec::with_capacity(seeds.len());
        for &seed in &seeds {
            let mut run = TrainConfig {
                data_seed: seed,
                ..shared.clone()
            };
            for &objective in &objectives {
                let grid = |field: &str, values: &PerObjective| {
                    values
                        .of(objective)
                        .filter(|v| !v.is_empty())
                        .map(<[f64]>::to_vec)
                        .ok_or_else(|| ConfigError::new(field, format!("found '{values}', which gives none for {objective}")))
                };
                let (lrs, sparsities) = (
                    grid("lr", &lr)?,
                    sparsity.coefficient().map(|given| grid("coefficient", given)).transpose()?,
                );
                for (&lr, basis) in lrs.iter().flat_map(|lr| bases.iter().map(move |basis| (lr, basis))) {
                    // what is searched for begins from nothing
                    let own = [basis
                        .sparsity
                        .filter(|_| sparsity.features_per_token().is_empty())
                        .unwrap_or(0.0)];
                    for &sparsity in sparsities.as_deref().unwrap_or(&own) {
                        let objectives = match objective {
                            ObjectiveKind::Local => vec![Objective::Local { sparsity }],
                            ObjectiveKind::KlMse => vec![Objective::KlMse { sparsity }],
                            ObjectiveKind::E2e => grid("kl_coefficient", &kl)?
                                .into_iter()
                                .map(|kl| Objective::E2e { sparsity, kl })
                                .collect(),
                            ObjectiveKind::E2eDs => grid("kl_coefficient", &kl)?
                                .into_iter()
                                .map(|kl| Objective::E2eDs {
                                    sparsity,
                                    kl,
                                    downstream,
                                })
                                .collect(),
                        };
                        for objective in objectives {
                            run.dictionaries.extend(courses.iter().map(|course| DictionaryConfig {
                                kind: basis.kind,
                                d_sae: basis.d_sae,
                                objective,
                                lr,
                                seed: basis.seed.unwrap_or(seed),
                                course: *course,
                                origin: basis.origin.clone(),
                            }));
                        }
                    }
                }
            }
            run.validate()?;
            runs.push(run);
        }
        Ok(ResolvedSweep {
            runs,
            defaults: self.told_defaults(defaults),
            command: self.command(),
        })
    }
}

/// What was given, or a default, which is noted.
pub(crate) fn or_default<T: Copy + fmt::Display>(given: Option<T>, field: &str, default: T, defaults: &mut Vec<String>) -> T {
    given.unwrap_or_else(|| {
        defaults.push(format!("{field} = {default}"));
        default
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> SweepRequest {
        serde_json::from_value(serde_json::json!({
            "model": "m", "corpus": "c", "at": "blocks.2.hook_resid_pre", "objectives": ["local", "e2e", "e2e+ds"],
            "coefficient": "local=0.1,0.3;e2e=1,3;e2e+ds=1", "tokens": 1_000_000, "seeds": [0, 1]
        }))
        .unwrap()
    }

    const FACTS: ResolvedAgainst<'static> = ResolvedAgainst {
        width: 64,
        d_vocab: 512,
        max_n_ctx: 512,
        has_bos: true,
        parents: &[],
    };

    #[test]
    fn a_grid_per_seed() {
        let resolved = request().resolve(FACTS).unwrap();
        assert_eq!(resolved.runs.len(), 2);
        assert_eq!(resolved.runs[1].data_seed, 1);
        assert_eq!(resolved.runs[0].dictionaries.len(), 5);
        assert_eq!(
            resolved.runs[0].dictionaries[4].objective,
            Objective::E2eDs {
                sparsity: 1.0,
                kl: 0.5,
                downstream: 2.5
            }
        );
        assert!(
            resolved.defaults.contains(&"d_sae = 1024".to_string()),
            "{:?}",
            resolved.defaults
        );
    }

    #[test]
    fn a_missing_objective_is_named() {
        let mut r = request();
        r.coefficient = Some("local=1".parse().unwrap());
        let error = r.resolve(FACTS).unwrap_err();
        assert_eq!(error.field, "coefficient");
        assert!(error.message.contains("none for e2e"), "{error}");
    }

    #[test]
    fn a_bad_value_names_its_field() {
        for (change, field) in [
            (serde_json::json!({"n_ctx": 1024}), "n_ctx"),
            (serde_json::json!({"lr": "0"}), "lr"),
            (serde_json::json!({"d_sae": 0}), "d_sae"),
            (serde_json::json!({"warmup_steps": 9999}), "warmup_steps"),
            (serde_json::json!({"min_lr_factor": 2.0}), "min_lr_factor"),
            (serde_json::json!({"hold_steps": 9999}), "hold_steps"),
            (serde_json::json!({"coefficient": "-1"}), "coefficient"),
            (serde_json::json!({"adam_beta1": 1.0}), "adam_beta1"),
            (serde_json::json!({"adam_beta2": -0.5}), "adam_beta2"),
            (serde_json::json!({"adam_eps": 0.0}), "adam_eps"),
            (serde_json::json!({"log_every_steps": 0}), "log_every_steps"),
            (serde_json::json!({"checkpoint_every_steps": 0}), "checkpoint_every_steps"),
            // sizes that nobody means, and whose products overflow
            (serde_json::json!({"batch": 1_000_000_000_000_u64}), "batch"),
            (serde_json::json!({"batch": u64::MAX}), "batch"),
            (serde_json::json!({"accumulation": u64::MAX}), "accumulation"),
            (
                serde_json::json!({"accumulation": 1_000_000_000, "batch": 1000}),
                "accumulation",
            ),
            (serde_json::json!({"tokens": 1_000_000_000_000_000_000_u64}), "tokens"),
            (serde_json::json!({"tokens": u64::MAX}), "tokens"),
            (serde_json::json!({"n_ctx": 1_000_000_000}), "n_ctx"),
            (serde_json::json!({"d_sae": 1_000_000_000_000_u64}), "d_sae"),
            (serde_json::json!({"d_sae": u64::MAX}), "d_sae"),
        ] {
            let mut value = serde_json::to_value(request()).unwrap();
            value.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            let error = serde_json::from_value::<SweepRequest>(value)
                .unwrap()
                .resolve(FACTS)
                .unwrap_err();
            assert_eq!(error.field, field);
        }
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let mut value = serde_json::to_value(request()).unwrap();
        value["d_sea"] = 512.into();
        let error = serde_json::from_value::<SweepRequest>(value).unwrap_err().to_string();
        assert!(error.contains("d_sea"), "{error}");
    }
}
