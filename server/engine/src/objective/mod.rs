//! Objectives: sums of named terms, each with its own coefficient and its own value in the log. A file per term.
//!
//! | objective | terms |
//! |---|---|
//! | local | [`reconstruction`] + sparsity |
//! | e2e | [`kl`] + sparsity |
//! | e2e+ds | [`kl`] + [`downstream`] + sparsity |
//! | kl+mse | ½ (α [`kl`] + [`reconstruction`]) + sparsity, see [`balanced`] |
//!
//! A language model's own pretraining has [`cross_entropy`].
//!
//! (Braun et al. 2024, section 2, with the normalisations of the e2e_sae code: docs/METHODS.md.) The sparsity term,
//! λ · mean over tokens of the kind's penalty / d_in, and what other terms a kind has, are the dictionary's own.

pub mod balanced;
pub mod cross_entropy;
pub mod downstream;
pub mod kl;
pub mod reconstruction;

/// The terms' values over a batch, without their coefficients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// mse(x, x̂): mean over tokens and dimensions. Measured for every objective, by itself part of the loss of local alone.
    pub reconstruction: f64,
    /// How often a local objective has it: once, but where parts of the codes have reconstructions of their own (Matryoshka).
    pub reconstruction_share: f64,
    /// Mean over tokens of KL(model ‖ spliced), in nats; 0 where it is not part of the objective.
    pub kl: f64,
    /// Mean over the later blocks of mse(resid_pre); 0 where it is not part of the objective.
    pub downstream: f64,
    /// Mean over tokens of the kind's penalty over d_in: of ‖c‖₁, of the open gates' sum, of ‖c‖₀; 0 where it has none.
    pub sparsity: f64,
    /// The kind's own further term as it enters the loss, its weight included: the gate's reconstruction, the dead features'.
    pub auxiliary: f64,
    /// ½ (α · KL + mse) as it enters the loss of kl+mse; 0 for the others.
    pub balanced: f64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            reconstruction: 0.0,
            reconstruction_share: 1.0,
            kl: 0.0,
            downstream: 0.0,
            sparsity: 0.0,
            auxiliary: 0.0,
            balanced: 0.0,
        }
    }
}

impl Terms {
    /// The loss: the terms that `objective` has, with its coefficients.
    pub fn loss(&self, objective: &api::Objective) -> f64 {
        let reconstruction = match objective {
            api::Objective::Local { .. } => self.reconstruction_share * self.reconstruction,
            _ => 0.0,
        };
        reconstruction
            + objective.kl() * self.kl
            + objective.downstream() * self.downstream
            + objective.sparsity() * self.sparsity
            + self.auxiliary
            + self.balanced
    }

    /// Adds `weight` times other values.
    pub fn add(&mut self, weight: f64, other: &Terms) {
        self.reconstruction += weight * other.reconstruction;
        self.kl += weight * other.kl;
        self.downstream += weight * other.downstream;
        self.sparsity += weight * other.sparsity;
        self.auxiliary += weight * other.auxiliary;
        self.balanced += weight * other.balanced;
    }
}
