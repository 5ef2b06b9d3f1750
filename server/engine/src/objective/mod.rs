//! Objectives: sums of named terms, each with its own coefficient and its own value in the log. A file per term.
//!
//! | objective | terms |
//! |---|---|
//! | local | [`reconstruction`] + sparsity |
//! | e2e | [`kl`] + sparsity |
//! | e2e+ds | [`kl`] + [`downstream`] + sparsity |
//!
//! A language model's own pretraining has [`cross_entropy`].
//!
//! (Braun et al. 2024, section 2, with the normalisations of the e2e_sae code: docs/METHODS.md.) The sparsity term,
//! λ · mean over tokens of ‖c‖₁ / d_in, needs no file: its derivative by every activation that fired is λ / (n · d_in).

pub mod cross_entropy;
pub mod downstream;
pub mod kl;
pub mod reconstruction;

/// The terms' values over a batch, without their coefficients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// mse(x, x̂): mean over tokens and dimensions. Measured for every objective, part of the loss of local alone.
    pub reconstruction: f64,
    /// Mean over tokens of KL(model ‖ spliced), in nats; 0 where it is not part of the objective.
    pub kl: f64,
    /// Mean over the later blocks of mse(resid_pre); 0 where it is not part of the objective.
    pub downstream: f64,
    /// Mean over tokens of ‖c‖₁ / d_in.
    pub sparsity: f64,
}

impl Terms {
    /// The loss: the terms that `objective` has, with its coefficients.
    pub fn loss(&self, objective: &api::Objective) -> f64 {
        let reconstruction = match objective {
            api::Objective::Local { .. } => self.reconstruction,
            _ => 0.0,
        };
        reconstruction
            + objective.kl() * self.kl
            + objective.downstream() * self.downstream
            + objective.sparsity() * self.sparsity
    }

    /// Adds `weight` times other values.
    pub fn add(&mut self, weight: f64, other: &Terms) {
        self.reconstruction += weight * other.reconstruction;
        self.kl += weight * other.kl;
        self.downstream += weight * other.downstream;
        self.sparsity += weight * other.sparsity;
    }
}
