//! What a dictionary sees of an activation x, and how its output x̂' becomes one, x̂: by one number for all tokens, or by two of each
//! token's own. Those follow from x alone, so that the loss' derivative by x̂' is that by x̂ times the slope.
//!
//! | | sees | x̂ |
//! |---|---|---|
//! | a scale s | s x | x̂' / s |
//! | layer norm | (x − μ) / (σ + 1e-5) | σ x̂' + μ |
//! | constant norm | √d x / ‖x‖ | ‖x‖ x̂' / √d |
//!
//! μ and σ are a token's mean and standard deviation over its d dimensions, with d − 1 below the sum of squares. OpenAI's code and
//! SAELens agree in both forms, in ε and in that it is not put back. A token of zeros is seen, and given, as zeros.

use api::InputScale;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::kernel::{Real, scale, simd, sum, sum_squares};

/// What is added to a token's standard deviation before it divides.
pub const TOKEN_EPS: f64 = 1e-5;
/// Tokens per task.
const TOKENS: usize = 512;

/// How a dictionary sees activations; in files a number, or a name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Normaliser {
    /// Times this number.
    Scale(f64),
    /// Each token by its own size.
    Token(TokenNorm),
}

/// How each token is brought to a size by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenNorm {
    /// To mean 0 and standard deviation 1.
    #[serde(rename = "layer_norm")]
    Layer,
    /// To length √d.
    #[serde(rename = "constant_norm")]
    Constant,
}

impl Default for Normaliser {
    fn default() -> Self {
        Self::Scale(1.0)
    }
}

impl Normaliser {
    /// The input scale that it comes of.
    pub fn input_scale(self) -> InputScale {
        match self {
            Self::Scale(1.0) => InputScale::None,
            Self::Scale(_) => InputScale::UnitNorm,
            Self::Token(TokenNorm::Layer) => InputScale::LayerNorm,
            Self::Token(TokenNorm::Constant) => InputScale::ConstantNorm,
        }
    }

    /// What stands for it in a file, for people.
    pub fn name(self) -> String {
        match self {
            Self::Scale(scale) => scale.to_string(),
            each => each.input_scale().to_string(),
        }
    }

    /// Turns `x` [n_tokens, d] into what a dictionary sees of it; `back` becomes the way back.
    pub fn apply<R: Real>(self, x: &mut [R], d: usize, back: &mut Back<R>) {
        back.tokens.clear();
        let norm = match self {
            Self::Scale(by) => {
                if by != 1.0 {
                    simd(|| scale(x, R::of(by)));
                }
                back.all = R::of(1.0 / by);
                return;
            }
            Self::Token(norm) => norm,
        };
        back.tokens.resize(x.len() / d, [R::ZERO; 2]);
        let tokens = back.tokens.par_chunks_mut(TOKENS);
        x.par_chunks_mut(TOKENS * d).zip(tokens).for_each(|(x, back)| {
            simd(|| {
                for (x, back) in x.chunks_exact_mut(d).zip(back) {
                    *back = norm.apply(x);
                }
            });
        });
    }
}

impl TokenNorm {
    /// One token's; answers slope and shift of the way back.
    #[inline(always)]
    fn apply<R: Real>(self, x: &mut [R]) -> [R; 2] {
        let d = x.len();
        match self {
            Self::Layer => {
                let mean = sum(x) / R::of(d as f64);
                x.iter_mut().for_each(|x| *x -= mean);
                let deviation = (sum_squares(x) / R::of(d.saturating_sub(1).max(1) as f64)).sqrt();
                scale(x, R::ONE / (deviation + R::of(TOKEN_EPS)));
                [deviation, mean]
            }
            Self::Constant => {
                let size = sum_squares(x).sqrt() / R::of(d as f64).sqrt();
                if size != R::ZERO {
                    scale(x, R::ONE / size);
                }
                [size, R::ZERO]
            }
        }
    }
}

/// The way from a batch's output as a dictionary gives it to the model's activations: x̂ = slope · x̂' + shift.
#[derive(Clone, Debug, Default)]
pub struct Back<R> {
    /// The slope of all tokens, where they have none of their own.
    all: R,
    /// Each token's slope and shift; empty where all have one.
    tokens: Vec<[R; 2]>,
}

impl<R: Real> Back<R> {
    /// x̂ [n_tokens, d] of what the dictionary gave.
    pub fn output(&self, x_hat: &mut [R]) {
        self.each(x_hat, |row, [slope, shift]| {
            row.iter_mut().for_each(|x| *x = slope * *x + shift)
        });
    }

    /// The loss' derivative by what the dictionary gave, of that by x̂ [n_tokens, d].
    pub fn gradient(&self, grad: &mut [R]) {
        self.each(grad, |row, [slope, _]| scale(row, slope));
    }

    fn each(&self, values: &mut [R], change: impl Fn(&mut [R], [R; 2]) + Sync) {
        if self.tokens.is_empty() {
            if self.all != R::ONE {
                simd(|| scale(values, self.all));
            }
            return;
        }
        let d = values.len() / self.tokens.len();
        let tokens = self.tokens.par_chunks(TOKENS);
        values.par_chunks_mut(TOKENS * d).zip(tokens).for_each(|(values, tokens)| {
            simd(|| {
                values
                    .chunks_exact_mut(d)
                    .zip(tokens)
                    .for_each(|(row, token)| change(row, *token));
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: [f64; 8] = [1.0, 2.0, 3.0, 6.0, -1.0, 5.0, 0.5, 0.5];

    fn seen(norm: TokenNorm, x: &[f64]) -> (Vec<f64>, Back<f64>) {
        let (mut x, mut back) = (x.to_vec(), Back::default());
        Normaliser::Token(norm).apply(&mut x, 4, &mut back);
        (x, back)
    }

    #[test]
    fn tokens_have_the_size_that_is_said() {
        let (layer, _) = seen(TokenNorm::Layer, &X);
        // 1, 2, 3, 6: mean 3, squares 4 + 1 + 0 + 9 over 3
        let deviation = (14.0f64 / 3.0).sqrt() + TOKEN_EPS;
        for (found, expected) in layer.iter().zip([-2.0, -1.0, 0.0, 3.0]) {
            assert!((found - expected / deviation).abs() < 1e-12);
        }
        let (constant, _) = seen(TokenNorm::Constant, &X);
        for (row, x) in constant.chunks(4).zip(X.chunks(4)) {
            assert!((sum_squares(row) - 4.0).abs() < 1e-12);
            assert!((row[0] * x[1] - row[1] * x[0]).abs() < 1e-12);
        }
    }

    #[test]
    fn what_is_given_back_as_it_was_seen_is_what_it_was() {
        for (norm, bound) in [(TokenNorm::Layer, 1e-4), (TokenNorm::Constant, 1e-12)] {
            let (mut y, back) = seen(norm, &X);
            back.output(&mut y);
            assert!(y.iter().zip(X).all(|(y, x)| (y - x).abs() < bound), "{norm:?}: {y:?}");
            // the gradient is the slope's
            let [mut above, mut below, mut grad] = [1.5, 0.5, 1.0].map(|x| vec![x; 8]);
            back.output(&mut above);
            back.output(&mut below);
            back.gradient(&mut grad);
            assert!((0..8).all(|i| (above[i] - below[i] - grad[i]).abs() < 1e-12), "{norm:?}");
        }
        let (zeros, back) = seen(TokenNorm::Constant, &[0.0; 4]);
        let mut out = [3.0; 4];
        back.output(&mut out);
        assert_eq!((zeros, out), (vec![0.0; 4], [0.0; 4]));
    }

    #[test]
    fn layer_norm_does_not_see_mean_and_size() {
        let moved: Vec<f64> = X.iter().map(|x| 300.0 * x - 70.0).collect();
        let [(a, _), (b, _)] = [seen(TokenNorm::Layer, &X), seen(TokenNorm::Layer, &moved)];
        // up to ε beside the deviation
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 2e-5), "{a:?} {b:?}");
        let scaled: Vec<f64> = X.iter().map(|x| 300.0 * x).collect();
        let [(a, _), (b, _)] = [seen(TokenNorm::Constant, &X), seen(TokenNorm::Constant, &scaled)];
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn files_hold_a_number_or_a_name() {
        for (normaliser, text) in [
            (Normaliser::Scale(0.25), "0.25"),
            (Normaliser::Token(TokenNorm::Layer), "\"layer_norm\""),
            (Normaliser::Token(TokenNorm::Constant), "\"constant_norm\""),
        ] {
            assert_eq!(serde_json::to_string(&normaliser).unwrap(), text);
            assert_eq!(serde_json::from_str::<Normaliser>(text).unwrap(), normaliser);
            assert_eq!(normaliser.name(), text.trim_matches('"'));
        }
        assert_eq!(serde_json::from_str::<Normaliser>("1").unwrap(), Normaliser::default());
        assert!(serde_json::from_str::<Normaliser>("\"rms\"").is_err());
    }
}
