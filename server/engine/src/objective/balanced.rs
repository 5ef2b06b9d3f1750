//! KL and reconstruction in equal parts (Karvonen 2025, arXiv 2503.17272): ½ (α · KL + mse), α = mse / (KL + 1e-8) of the batch.
//!
//! α is held constant: each of the two terms has the loss' value and a gradient of its own, and neither has a coefficient that
//! would depend on the model. It is that of the batch, also where a step accumulates several.

/// Keeps α finite where the outputs agree.
pub const EPS: f64 = 1e-8;

/// α of a batch from the means over it: mse(x, x̂) and KL.
pub fn alpha(mse: f64, kl: f64) -> f64 {
    mse / (kl + EPS)
}

/// The term's value.
pub fn value(mse: f64, kl: f64) -> f64 {
    0.5 * (alpha(mse, kl) * kl + mse)
}
