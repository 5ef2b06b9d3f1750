//! A kind's settings by name, what is asked of them, and how large a dictionary is.

use crate::{
    ConfigError, DictionaryConfig, DictionaryKind, KindName, Origin, PostHoc,
    config::{at_least, below_one, fraction, not_negative, positive},
};

impl DictionaryKind {
    /// Its settings that are numbers by the names of the request's fields, and what only another tool's dictionary has.
    pub fn settings(&self) -> Vec<(&'static str, f64)> {
        match *self {
            DictionaryKind::PAnneal {
                final_p,
                anneal_start,
                anneal_end,
            } => vec![
                ("final_p", final_p),
                ("anneal_start", anneal_start as f64),
                ("anneal_end", anneal_end as f64),
            ],
            DictionaryKind::TopK {
                k,
                aux_coefficient,
                dead_tokens,
            }
            | DictionaryKind::AbsTopK {
                k,
                aux_coefficient,
                dead_tokens,
            }
            | DictionaryKind::TopKTranscoder {
                k,
                aux_coefficient,
                dead_tokens,
                ..
            }
            | DictionaryKind::TopKSkipTranscoder {
                k,
                aux_coefficient,
                dead_tokens,
                ..
            } => vec![
                ("k", k as f64),
                ("aux_coefficient", aux_coefficient),
                ("dead_tokens", dead_tokens as f64),
            ],
            DictionaryKind::BatchTopK {
                k,
                aux_coefficient,
                dead_tokens,
                threshold_decay,
            } => vec![
                ("k", k as f64),
                ("aux_coefficient", aux_coefficient),
                ("dead_tokens", dead_tokens as f64),
                ("threshold_decay", threshold_decay),
            ],
            DictionaryKind::Matryoshka {
                k,
                aux_coefficient,
                dead_tokens,
                threshold_decay,
                groups,
            } => vec![
                ("k", k as f64),
                ("aux_coefficient", aux_coefficient),
                ("dead_tokens", dead_tokens as f64),
                ("threshold_decay", threshold_decay),
                ("groups", groups as f64),
            ],
            DictionaryKind::JumpRelu {
                bandwidth,
                initial_threshold,
            }
            | DictionaryKind::JumpReluTranscoder {
                bandwidth,
                initial_threshold,
                ..
            }
            | DictionaryKind::JumpReluSkipTranscoder {
                bandwidth,
                initial_threshold,
                ..
            } => vec![("bandwidth", bandwidth), ("initial_threshold", initial_threshold)],
            DictionaryKind::MatchingPursuit {
                k, residual_threshold, ..
            } if residual_threshold > 0.0 => vec![("k", k as f64), ("residual_threshold", residual_threshold)],
            _ => self.k().map(|k| ("k", k as f64)).into_iter().collect(),
        }
    }

    /// Features per token, for the kinds that are told.
    pub fn k(&self) -> Option<usize> {
        match *self {
            DictionaryKind::TopK { k, .. }
            | DictionaryKind::AbsTopK { k, .. }
            | DictionaryKind::BatchTopK { k, .. }
            | DictionaryKind::Matryoshka { k, .. }
            | DictionaryKind::TopKTranscoder { k, .. }
            | DictionaryKind::TopKSkipTranscoder { k, .. }
            | DictionaryKind::Pursuit { k }
            | DictionaryKind::MatchingPursuit { k, .. }
            | DictionaryKind::PcaStatic { k }
            | DictionaryKind::PcaDynamic { k }
            | DictionaryKind::PcaTopK { k } => Some(k),
            DictionaryKind::Ica { k } | DictionaryKind::Random { k } | DictionaryKind::Identity { k } => k,
            _ => None,
        }
    }

    /// Number of numbers that are trained, for `d_sae` features of width `d_in`, at which a transcoder both reads and writes.
    pub fn n_parameters(&self, d_in: usize, d_sae: usize) -> u128 {
        let (d_in, d_sae) = (d_in as u128, d_sae as u128);
        let skip = if self.skips() { d_in * d_in } else { 0 };
        let of_features = match self.name() {
            KindName::Tied => d_in * d_sae + d_sae,
            KindName::Pursuit | KindName::MatchingPursuit => d_in * d_sae + d_in,
            KindName::Relu
            | KindName::ReluUnit
            | KindName::ReluApril
            | KindName::ReluSaelens
            | KindName::PAnneal
            | KindName::TopK
            | KindName::AbsTopK
            | KindName::BatchTopK
            | KindName::Matryoshka
            | KindName::Transcoder
            | KindName::TopKTranscoder
            | KindName::SkipTranscoder
            | KindName::TopKSkipTranscoder => 2 * d_in * d_sae + d_in + d_sae,
            KindName::JumpRelu | KindName::JumpReluTranscoder | KindName::JumpReluSkipTranscoder => {
                2 * d_in * d_sae + d_in + 2 * d_sae
            }
            KindName::Gated => 2 * d_in * d_sae + d_in + 3 * d_sae,
            KindName::Nmf | KindName::TokenMean => d_in * d_sae + d_in,
            _ => 2 * d_in * d_sae + d_in, // projections
        };
        of_features + skip
    }
}

/// The most tokens without firing, or steps, that are counted: whole numbers up to here are exact in f32, in which they are kept.
const MOST_COUNTED: u64 = 1 << 24;

impl DictionaryConfig {
    /// What its number of active features follows from, as it is called and written: λ, k, the share of its firings that pruning
    /// kept, where λ is still to be found the L0 that it is found for, or the number of features of a baseline and of another tool's
    /// dictionary that says no λ in our units.
    pub fn dial(&self) -> (&'static str, f64) {
        let sparsity = self.objective.sparsity();
        match (&self.origin, self.kind.k(), self.course.target_l0) {
            (
                Origin::Derived {
                    by: PostHoc::Prune { keep },
                    ..
                },
                ..,
            ) => ("keep", *keep),
            (_, Some(k), _) => ("k", k as f64),
            (_, None, _) if self.kind.name().is_fitted() => ("d_sae", self.d_sae as f64),
            (_, None, Some(target)) if sparsity == 0.0 => ("L0", target),
            (Origin::Imported { .. }, None, _) if sparsity == 0.0 => ("d_sae", self.d_sae as f64),
            (_, None, _) => ("λ", sparsity),
        }
    }

    /// Checks the kind's settings.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub(crate) fn check_kind(&self) -> Result<(), ConfigError> {
        let name = self.kind.name();
        self.check_fitted()?;
        if !name.has_penalty() && self.objective.sparsity() != 0.0 {
            let message = format!("found {}; {name} has no sparsity term: give k", self.objective.sparsity());
            return Err(ConfigError::new("coefficient", message));
        }
        for (field, value) in self.kind.settings() {
            match field {
                "k" | "dead_tokens" | "groups" => at_least(field, value as usize, 1)?,
                "threshold_decay" => below_one(field, value)?,
                "bandwidth" => positive(field, value)?,
                "final_p" => positive(field, value).and(fraction(field, value))?,
                _ => not_negative(field, value)?,
            }
            let most = match (field, self.kind) {
                // it may choose a feature again
                ("k", DictionaryKind::MatchingPursuit { .. }) => MOST_COUNTED,
                ("k", _) => self.d_sae as u64,
                ("dead_tokens", _) => MOST_COUNTED,
                // the first group has a feature at least
                ("groups", _) => u64::from(self.d_sae.max(2).ilog2()),
                ("anneal_start", DictionaryKind::PAnneal { anneal_end, .. }) => anneal_end as u64,
                ("anneal_end", _) => MOST_COUNTED,
                _ => continue,
            };
            if value > most as f64 {
                return Err(ConfigError::new(field, format!("found {value}; expected {most} or less")));
            }
        }
        Ok(())
    }
}
