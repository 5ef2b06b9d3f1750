//! Random numbers beyond what `rand` gives.

use rand::Rng;

/// A standard normal number (Box and Muller).
pub fn normal(rng: &mut impl Rng) -> f64 {
    // 1 − u lies in (0, 1], so its logarithm is finite
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
