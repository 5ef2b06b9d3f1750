//! Running sums over tokens, in f64, and the metrics that follow from them. The same formulas serve the whole text and each of
//! its resamples.

use std::ops::{AddAssign, Index, IndexMut};

/// Share of ‖x‖² that the distance from the mean has to exceed: less is rounding, and no variance to explain.
pub const NO_VARIANCE: f64 = 1e-12;

/// Σ v and Σ ‖v‖² of vectors: what the pooled, centred variance needs.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    n: u64,
    sum: Vec<f64>,
    squares: f64,
}

impl Moments {
    /// Adds one token's activation.
    pub fn add(&mut self, x: &[f32]) {
        self.add_each(x.len(), x.iter().map(|x| f64::from(*x)));
    }

    /// Adds one token's error x − x̂.
    pub fn add_error(&mut self, x: &[f32], x_hat: &[f32]) {
        let error = x.iter().zip(x_hat).map(|(x, y)| f64::from(*x) - f64::from(*y));
        self.add_each(x.len(), error);
    }

    fn add_each(&mut self, width: usize, v: impl Iterator<Item = f64>) {
        self.sum.resize(width, 0.0);
        self.n += 1;
        for (sum, v) in self.sum.iter_mut().zip(v) {
            *sum += v;
            self.squares += v * v;
        }
    }

    /// Σ ‖v − mean(v)‖².
    /// None where the vectors are all the same up to rounding: one token alone, or one BOS at every position 0.
    pub fn variance(&self) -> Option<f64> {
        let variance = self.spread();
        (variance > NO_VARIANCE * self.squares).then_some(variance)
    }

    /// The same, 0 where the vectors are all the same.
    pub fn spread(&self) -> f64 {
        spread(self.squares, &self.sum, self.n as f64)
    }

    /// mean(v).
    pub fn mean(&self) -> Vec<f64> {
        self.sum.iter().map(|s| s / self.n.max(1) as f64).collect()
    }
}

/// Σ ‖v − mean(v)‖² of `n` vectors from Σ ‖v‖² and Σ v.
pub fn spread(squares: f64, sum: &[f64], n: f64) -> f64 {
    (squares - sum.iter().map(|s| s * s).sum::<f64>() / n.max(1.0)).max(0.0)
}

/// What is summed up over tokens. The errors' terms are of the dictionary's own hook point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// 1: tokens.
    Tokens,
    /// 1 for tokens that have a next token in their context.
    Next,
    /// Features that fired.
    L0,
    /// ‖c‖₁.
    L1,
    /// −log p(next).
    CeModel,
    /// −log q(next), spliced.
    CeSpliced,
    /// −log q(next) under zero ablation.
    CeZero,
    /// −log q(next) under mean ablation.
    CeMean,
    /// KL(p ‖ q), spliced.
    Kl,
    /// KL(p ‖ q) under zero ablation.
    KlZero,
    /// ‖x̂‖ / ‖x‖.
    NormRatio,
    /// ⟨x, x̂⟩ / (‖x‖ ‖x̂‖).
    Cosine,
    /// ‖x‖.
    NormIn,
    /// ‖x̂‖.
    NormOut,
    /// ‖x‖ ‖x̂‖.
    Norms,
    /// ‖x‖².
    SquaresIn,
    /// ‖x̂‖².
    SquaresOut,
    /// ⟨x, x̂⟩.
    Product,
    /// ‖x − x̂‖².
    SquaredError,
    /// 1 − ‖x − x̂‖² / ‖x − mean_batch(x)‖², where there is a distance from the mean.
    Explained,
    /// 1 where there is.
    HasExplained,
    /// 1 − ‖x − x̂‖² / ‖x̂ − mean_batch(x̂)‖²: e2e_sae's at its own layer, where there is a distance.
    Swapped,
    /// 1 where there is.
    HasSwapped,
}

impl Of {
    /// How many there are.
    pub const COUNT: usize = Of::HasSwapped as usize + 1;
}

/// A sum for each [`Of`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row(pub [f64; Of::COUNT]);

impl Default for Row {
    fn default() -> Self {
        Self([0.0; Of::COUNT])
    }
}

impl Index<Of> for Row {
    type Output = f64;

    fn index(&self, of: Of) -> &f64 {
        &self.0[of as usize]
    }
}

impl IndexMut<Of> for Row {
    fn index_mut(&mut self, of: Of) -> &mut f64 {
        &mut self.0[of as usize]
    }
}

impl AddAssign<&Row> for Row {
    fn add_assign(&mut self, other: &Row) {
        for (sum, term) in self.0.iter_mut().zip(&other.0) {
            *sum += term;
        }
    }
}

/// Σ ‖v − mean(v)‖² over the tokens of a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spreads {
    /// Of x; none where there is no variance.
    pub x: Option<f64>,
    /// Of x − x̂.
    pub error: f64,
}

/// A metric of the whole dictionary.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// Its name in [`api::METRICS`].
    pub name: &'static str,
    /// Over how many tokens.
    pub n: f64,
    /// None where it is not defined.
    pub value: Option<f64>,
}

impl Row {
    /// Every metric of the whole dictionary that follows from sums; `width` is that of x. What ablations give is there where
    /// `ablated`.
    pub fn values(&self, spreads: Spreads, width: usize, ablated: bool) -> [Value; 27] {
        let value = |name, n: Of, value: Option<f64>| Value {
            name,
            n: self[n],
            value: value.filter(|value| value.is_finite()),
        };
        let mean = |of: Of, n: Of| (self[n] > 0.0).then(|| self[of] / self[n]);
        let [ce, spliced] = [Of::CeModel, Of::CeSpliced].map(|of| mean(of, Of::Next));
        let [zero, average] = [Of::CeZero, Of::CeMean].map(|of| mean(of, Of::Next).filter(|_| ablated));
        let recovered = |without: Option<f64>| share(without? - spliced?, without? - ce?);
        let [kl, kl_zero] = [Of::Kl, Of::KlZero].map(|of| mean(of, Of::Tokens));
        let kl_zero = kl_zero.filter(|_| ablated);
        let explained = spreads.x.map(|x| 1.0 - self[Of::SquaredError] / x);
        let n = self[Of::Tokens];
        let (slope, intercept) = self.line().unzip();
        use Of::{Next, Tokens};
        [
            value("l0", Tokens, mean(Of::L0, Tokens)),
            value("l1", Tokens, mean(Of::L1, Tokens)),
            value("ce_loss_without_sae", Next, ce),
            value("ce_loss_with_sae", Next, spliced),
            value(
                "ce_increase",
                Next,
                (self[Next] > 0.0).then(|| (self[Of::CeSpliced] - self[Of::CeModel]) / self[Next]),
            ),
            value("ce_loss_with_ablation", Next, zero),
            value("ce_loss_with_mean_ablation", Next, average),
            value("ce_loss_score", Next, recovered(zero)),
            value("ce_loss_score_mean", Next, recovered(average)),
            value("kl_div_with_sae", Tokens, kl),
            value("kl_div_with_ablation", Tokens, kl_zero),
            value(
                "kl_div_score",
                Tokens,
                kl_zero.zip(kl).and_then(|(zero, kl)| share(zero - kl, zero)),
            ),
            value("perplexity_without_sae", Next, ce.map(f64::exp)),
            value("perplexity_with_sae", Next, spliced.map(f64::exp)),
            value("l2_ratio", Tokens, mean(Of::NormRatio, Tokens)),
            value("cossim", Tokens, mean(Of::Cosine, Tokens)),
            value("l2_norm_in", Tokens, mean(Of::NormIn, Tokens)),
            value("l2_norm_out", Tokens, mean(Of::NormOut, Tokens)),
            value(
                "relative_reconstruction_bias",
                Tokens,
                share(self[Of::SquaresOut], self[Of::Product]),
            ),
            value("norm_slope", Tokens, slope),
            value("norm_intercept", Tokens, intercept),
            value(
                "explained_variance_e2e_sae",
                Of::HasSwapped,
                mean(Of::Swapped, Of::HasSwapped),
            ),
            value("explained_variance", Tokens, explained),
            value("fvu", Tokens, explained.map(|explained| 1.0 - explained)),
            value("frac_variance_explained", Tokens, spreads.x.map(|x| 1.0 - spreads.error / x)),
            value(
                "explained_variance_legacy",
                Of::HasExplained,
                mean(Of::Explained, Of::HasExplained),
            ),
            value("mse", Tokens, (n > 0.0).then(|| self[Of::SquaredError] / (n * width as f64))),
        ]
    }

    /// Slope and intercept of the least-squares line of ‖x̂‖ over ‖x‖; none where all ‖x‖ are alike up to rounding.
    fn line(&self) -> Option<(f64, f64)> {
        let n = self[Of::Tokens];
        let (x, y) = (self[Of::NormIn] / n, self[Of::NormOut] / n);
        let (xx, xy) = (self[Of::SquaresIn] / n - x * x, self[Of::Norms] / n - x * y);
        (n > 1.0 && xx > NO_VARIANCE * x * x).then(|| (xy / xx, y - xy / xx * x))
    }
}

/// a / b, where b is not 0.
fn share(a: f64, b: f64) -> Option<f64> {
    (b != 0.0).then(|| a / b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::normal;
    use rand::SeedableRng;

    /// Rajamanoharan et al. 2024, appendix: γ = 2 E‖x̂‖² / (E‖x̂‖² + E‖x‖² − E‖x − x̂‖²), and 1/γ is the factor that mends x̂ best.
    #[test]
    fn gamma_is_what_the_squares_say() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let mut row = Row::default();
        let mut vectors = Vec::new();
        for _ in 0..50 {
            let x: Vec<f64> = (0..6).map(|_| 1.0 + normal(&mut random)).collect();
            let y: Vec<f64> = x.iter().map(|x| 0.6 * x + 0.2 * normal(&mut random)).collect();
            let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            row[Of::Tokens] += 1.0;
            row[Of::SquaresIn] += product(&x, &x);
            row[Of::SquaresOut] += product(&y, &y);
            row[Of::Product] += product(&x, &y);
            row[Of::SquaredError] += x.iter().zip(&y).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
            vectors.push((x, y));
        }
        let values = row.values(Spreads::default(), 6, false);
        let gamma = values
            .iter()
            .find(|value| value.name == "relative_reconstruction_bias")
            .unwrap();
        let gamma = gamma.value.unwrap();
        let squares = row[Of::SquaresOut] + row[Of::SquaresIn] - row[Of::SquaredError];
        assert!((gamma - 2.0 * row[Of::SquaresOut] / squares).abs() < 1e-12);
        let error = |factor: f64| -> f64 {
            let of = |(x, y): &(Vec<f64>, Vec<f64>)| x.iter().zip(y).map(|(x, y)| (x - factor * y).powi(2)).sum::<f64>();
            vectors.iter().map(of).sum()
        };
        assert!(gamma < 0.8);
        assert!(error(1.0 / gamma) < error(1.0 / gamma + 0.01) && error(1.0 / gamma) < error(1.0 / gamma - 0.01));
    }
}
