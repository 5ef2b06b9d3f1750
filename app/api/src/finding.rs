//! What is wrong with a finished run's dictionary, as far as its curves and metrics tell: figures, a sentence of what is so, and one of
//! what to try. The rules by which they are found: docs/METHODS.md, "What a run says of itself".

use serde::{Deserialize, Serialize};

use crate::{DictionaryId, KindName};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// L0 is not what was asked for.
    L0 {
        /// The kind, which says what the number was asked as.
        kind: KindName,
        /// Features per token that were asked for.
        asked: f64,
        /// Those that fire.
        reached: f64,
    },
    /// The sparsity coefficient is so large that the rest of the loss hardly counts, or so small that it does not count itself.
    Coefficient {
        /// λ at the run's end.
        coefficient: f64,
        /// λ times the penalty, as a multiple of the rest of the loss.
        share: f64,
    },
    /// The search for the coefficient had not come to rest when it ended.
    Unsettled {
        /// The smallest λ of the last tenth of the run before it ended.
        smallest: f64,
        /// The largest.
        largest: f64,
        /// The step at which λ was fixed.
        step: usize,
    },
    /// Many features never fire.
    Dead {
        /// Features that do.
        alive: usize,
        /// All features.
        d_sae: usize,
        /// The step by which half of those that died had, where the curves show it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<usize>,
        /// The steps of the run.
        n_steps: usize,
    },
    /// It explains far less than principal components do.
    ExplainedVariance {
        /// The dictionary's explained variance.
        reached: f64,
        /// That of the principal components.
        pca: f64,
        /// How many of them: as many as features fire.
        directions: usize,
    },
    /// What should fall rose in the last part of the run.
    Rising {
        /// The term of the loss, as the curves call it.
        term: String,
        /// Its mean at the beginning of that part.
        from: f64,
        /// Its mean at the end.
        to: f64,
        /// The step at which that part begins.
        step: usize,
    },
}

/// What was found of one dictionary of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DictionaryFindings {
    /// The dictionary.
    pub dictionary: DictionaryId,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl Finding {
    /// What is so, with its figures.
    pub fn says(&self) -> String {
        match self {
            Finding::L0 { asked, reached, .. } => {
                let word = if reached < asked { "fewer" } else { "more" };
                format!(
                    "{} features fire per token, where {} were asked for ({:.0} % {word}).",
                    figures(*reached),
                    figures(*asked),
                    100.0 * (reached / asked - 1.0).abs()
                )
            }
            Finding::Coefficient { coefficient, share } if *share > 1.0 => format!(
                "At the end the sparsity term is {} times the rest of the loss (λ {}): the dictionary is trained to be silent.",
                figures(*share),
                figures(*coefficient)
            ),
            Finding::Coefficient { coefficient, share } => format!(
                "The sparsity term has come down to {} of the rest of the loss (λ {}), and the features that fell silent did not come back.",
                figures(*share),
                figures(*coefficient)
            ),
            Finding::Unsettled { smallest, largest, step } => format!(
                "λ still went between {} and {} in the last tenth of the run before it was fixed, at step {step}.",
                figures(*smallest),
                figures(*largest)
            ),
            Finding::Dead {
                alive,
                d_sae,
                step,
                n_steps,
            } => {
                let dead = d_sae.saturating_sub(*alive);
                let when = step.map(|step| format!("; half of those that died had by step {step} of {n_steps}"));
                format!(
                    "{dead} of {d_sae} features ({:.0} %) never fire on the text it was measured on{}.",
                    100.0 * dead as f64 / (*d_sae).max(1) as f64,
                    when.unwrap_or_default()
                )
            }
            Finding::ExplainedVariance {
                reached,
                pca,
                directions,
            } => format!(
                "It explains {} of the variance; {directions} principal components, as many as features fire per token, explain {}.",
                share(*reached),
                share(*pca)
            ),
            Finding::Rising { term, from, to, step } => {
                format!(
                    "The curve “{term}” rose from {} to {} after step {step}: the training diverges.",
                    figures(*from),
                    figures(*to)
                )
            }
        }
    }

    /// What to try.
    pub fn advice(&self) -> String {
        match self {
            Finding::L0 { kind, reached, asked } => match kind {
                KindName::BatchTopK | KindName::Matryoshka => {
                    "Its threshold in use is a mean over the training: train on more tokens, or give a smaller threshold decay (--threshold-decay)."
                }
                _ if !kind.has_penalty() => {
                    "Too few features are positive: ask for fewer per token (--k), give a larger weight to the dead features' term (--aux-coefficient), or a smaller learning rate (--lr)."
                }
                _ if reached < asked => {
                    "Give the search more steps: more tokens (--tokens) or a smaller batch (--batch); with many dead features, a smaller learning rate (--lr)."
                }
                _ => "Give the search more steps: more tokens (--tokens) or a smaller batch (--batch), or ask for a number nearer to what it reached (--target-l0).",
            }
            .into(),
            Finding::Coefficient { share, .. } if *share > 1.0 => {
                "Ask for more features per token (--target-l0), or give a smaller coefficient (--coefficient); a sparsity warm-up (--sparsity-warmup-steps) keeps features alive at the start.".into()
            }
            Finding::Coefficient { .. } => {
                "Train with a sparsity warm-up (--sparsity-warmup-steps) or a smaller learning rate (--lr), so that fewer features die on the way; resampling (--resample-steps) brings some back.".into()
            }
            Finding::Unsettled { .. } => {
                "Train on more tokens (--tokens) or in smaller batches (--batch), so that the search has more steps; or give the coefficient (--coefficient).".into()
            }
            Finding::Dead { .. } => {
                "Try a smaller learning rate (--lr), a sparsity warm-up (--sparsity-warmup-steps), resampling (--resample-steps), fewer features (--d-sae) or more tokens (--tokens).".into()
            }
            Finding::ExplainedVariance { reached, .. } if *reached < 0.0 => {
                "It reconstructs worse than the mean activation does: try a smaller learning rate (--lr) and another seed (--seed), and look at its curves.".into()
            }
            Finding::ExplainedVariance { .. } => {
                "Train on more tokens (--tokens), try other learning rates (--lr), and look for dead features; topk kinds (--kind batchtopk) need no coefficient.".into()
            }
            Finding::Rising { .. } => {
                "Give a smaller learning rate (--lr), a longer warm-up (--warmup-steps) or a smaller gradient norm (--max-grad-norm).".into()
            }
        }
    }
}

/// Three figures.
fn figures(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e6).contains(&size) => format!("{value:.1e}"),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// A share in percent.
fn share(value: f64) -> String {
    match value.abs() < 10.0 {
        true => format!("{:.0} %", 100.0 * value),
        false => format!("{} times", figures(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_its_figures_and_what_to_try_and_is_read_back() {
        let each = [
            (
                Finding::L0 {
                    kind: KindName::Relu,
                    asked: 16.0,
                    reached: 4.8,
                },
                "4.80 features fire per token, where 16.0 were asked for (70 % fewer)",
                "--tokens",
            ),
            (
                Finding::L0 {
                    kind: KindName::BatchTopK,
                    asked: 16.0,
                    reached: 20.0,
                },
                "(25 % more)",
                "--threshold-decay",
            ),
            (
                Finding::Coefficient {
                    coefficient: 6.7,
                    share: 31.0,
                },
                "31.0 times the rest of the loss (λ 6.70)",
                "--coefficient",
            ),
            (
                Finding::Coefficient {
                    coefficient: 1e-10,
                    share: 2e-9,
                },
                "2.0e-9 of the rest of the loss (λ 1.0e-10)",
                "--sparsity-warmup-steps",
            ),
            (
                Finding::Unsettled {
                    smallest: 5e-4,
                    largest: 1500.0,
                    step: 320,
                },
                "between 5.0e-4 and 1500",
                "--tokens",
            ),
            (
                Finding::Dead {
                    alive: 417,
                    d_sae: 1024,
                    step: Some(60),
                    n_steps: 195,
                },
                "607 of 1024 features (59 %) never fire on the text it was measured on; half of those that died had by step 60 of 195.",
                "--resample-steps",
            ),
            (
                Finding::ExplainedVariance {
                    reached: -0.14,
                    pca: 0.95,
                    directions: 43,
                },
                "explains -14 % of the variance; 43 principal components, as many as features fire per token, explain 95 %",
                "--seed",
            ),
            (
                Finding::Rising {
                    term: "loss".into(),
                    from: 0.2,
                    to: 3.0,
                    step: 160,
                },
                "“loss” rose from 0.200 to 3.00 after step 160",
                "--lr",
            ),
        ];
        for (finding, says, tries) in each {
            assert!(finding.says().contains(says), "{}", finding.says());
            assert!(finding.advice().contains(tries), "{}", finding.advice());
            let text = serde_json::to_string(&finding).unwrap();
            assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding, "{text}");
        }
    }
}
