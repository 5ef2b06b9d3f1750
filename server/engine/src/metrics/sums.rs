//! Running sums, in f64, from which the metrics follow at the end.

use api::{HookPoint, METRICS, Measurement, TokenSet};

/// Share of ‖x‖² that the distance from the mean has to exceed: less is rounding, and no variance to explain.
pub const NO_VARIANCE: f64 = 1e-12;

/// Σ x and Σ ‖x‖² of the clean activations at one point: what the pooled, centred variance needs.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    n: u64,
    sum: Vec<f64>,
    squares: f64,
}

impl Moments {
    /// Adds one token's activation.
    pub fn add(&mut self, x: &[f32]) {
        self.sum.resize(x.len(), 0.0);
        self.n += 1;
        for (sum, x) in self.sum.iter_mut().zip(x) {
            let x = f64::from(*x);
            *sum += x;
            self.squares += x * x;
        }
    }

    /// Σ ‖x − mean(x)‖².
    /// None where the activations are all the same up to rounding: one token alone, or one BOS at every position 0.
    pub fn variance(&self) -> Option<f64> {
        let variance = self.squares - self.sum.iter().map(|s| s * s).sum::<f64>() / self.n.max(1) as f64;
        (variance > NO_VARIANCE * self.squares).then_some(variance)
    }

    /// mean(x).
    pub fn mean(&self) -> Vec<f64> {
        self.sum.iter().map(|s| s / self.n.max(1) as f64).collect()
    }
}

/// Sums over tokens of what is compared at one point.
#[derive(Clone, Debug, Default)]
pub struct PointSums {
    /// ‖x − x̂‖².
    pub squared_error: f64,
    /// 1 − ‖x − x̂‖² / ‖x − mean_batch(x)‖², over the tokens that have a distance from the mean.
    pub per_token: Mean,
}

/// A mean over those tokens for which something is defined.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mean {
    sum: f64,
    n: u64,
}

impl Mean {
    /// Adds one token's 1 − `error` / `distance`, where there is a distance.
    pub fn add_explained(&mut self, error: f64, distance: Option<f64>) {
        if let Some(distance) = distance {
            self.sum += 1.0 - error / distance;
            self.n += 1;
        }
    }
}

/// One dictionary's sums over one set of tokens.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// Tokens.
    pub n: u64,
    /// Tokens that have a next token.
    pub n_next: u64,
    /// Features that fired.
    pub l0: u64,
    /// Their activations.
    pub l1: f64,
    /// −log p(next).
    pub ce_model: f64,
    /// −log q(next).
    pub ce_spliced: f64,
    /// KL(p ‖ q).
    pub kl: f64,
    /// ‖x̂‖ / ‖x‖.
    pub norm_ratio: f64,
    /// e2e_sae's explained variance at its own layer.
    pub swapped: Mean,
    /// At the hook point, then at each later point.
    pub points: Vec<PointSums>,
}

impl Sums {
    /// The metrics. `at` are the points of `points`, the dictionary's own first, `widths` and `variances` theirs;
    /// `alive` the features that fired once and ten times, where that is asked of these tokens.
    pub fn measurements(
        &self,
        tokens: TokenSet,
        at: &[HookPoint],
        widths: &[usize],
        variances: &[Option<f64>],
        alive: Option<(u64, u64)>,
    ) -> Vec<Measurement> {
        let mut out = Vec::new();
        if self.n == 0 {
            return out;
        }
        let mut push = |name: &str, at: Option<HookPoint>, n: u64, value: f64| {
            let version = METRICS.iter().find(|m| m.name == name).map_or(0, |m| m.version);
            out.push(Measurement {
                name: name.into(),
                version,
                at,
                tokens,
                n_tokens: n,
                value,
            });
        };
        let n = self.n as f64;
        push("l0", None, self.n, self.l0 as f64 / n);
        push("l1", None, self.n, self.l1 / n);
        if let Some((once, ten)) = alive {
            push("alive", None, self.n, once as f64);
            push("alive_10", None, self.n, ten as f64);
        }
        if self.n_next > 0 {
            let n_next = self.n_next as f64;
            push("ce_model", None, self.n_next, self.ce_model / n_next);
            push("ce_spliced", None, self.n_next, self.ce_spliced / n_next);
            push("ce_increase", None, self.n_next, (self.ce_spliced - self.ce_model) / n_next);
        }
        push("kl", None, self.n, self.kl / n);
        push("norm_ratio", None, self.n, self.norm_ratio / n);
        let mean = |mean: Mean| (mean.n > 0).then(|| (mean.n, mean.sum / mean.n as f64));
        if let Some((n, value)) = mean(self.swapped) {
            push("explained_variance_e2e_sae", None, n, value);
        }
        for (index, sums) in self.points.iter().enumerate() {
            // the dictionary's own layer counts as a value of the whole dictionary and as the first of the values by layer
            for place in if index == 0 {
                vec![None, Some(at[0])]
            } else {
                vec![Some(at[index])]
            } {
                if let Some(variance) = variances[index] {
                    push("explained_variance", place, self.n, 1.0 - sums.squared_error / variance);
                }
                if let Some((n, value)) = mean(sums.per_token) {
                    push("explained_variance_per_token", place, n, value);
                }
                push("mse", place, self.n, sums.squared_error / (n * widths[index] as f64));
            }
        }
        out
    }
}
