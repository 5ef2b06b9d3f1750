//! A kind's settings as a dictionary's config has them: which of them says how many features fire, and whether they can be used.

use crate::{
    ConfigError, DictionaryConfig, DictionaryKind, Origin, PostHoc,
    config::{at_least, below_one, fraction, not_negative, positive},
};

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
