//! Initial weights that are matched to the run's first batch, for every kind with a sparsity term.
//!
//! What a source draws (e2e_sae: encoder and decoder independent of each other, dense codes, biases of no relation to the data)
//! is brought to a size and a place by the first steps of a run, and under an objective that sees x̂ only through the model it may
//! never be: some seeds stay at twice the others' KL. Matched weights begin where a dictionary may be found:
//!
//! e_j = d_j (unit rows, as drawn), c_j = s · max(0, ⟨e_j, x − m⟩ − t_j), x̂ = Σ_j c_j d_j + m
//!
//! - m is the geometric median of the batch, so that a few tokens of huge norm do not place it.
//! - t_j is the level that feature j passes on the same share of tokens as every other, so that none begins dead and
//!   the run comes to its L0 from above.
//! - s is the least-squares scale of the codes, each token weighed by 1 / ‖x − m‖².
//!
//! JumpReLU's threshold is t_j, and its codes are not lessened by it. A tied dictionary has no s and no m to add, and begins
//! with as many features per token as suit an s of 1. A transcoder's
//! decoder row is the mean of y − m_y where its feature fires, in proportion to its code: rows that are drawn know nothing of what is written.
//!
//! Nothing depends on the activations' size or place: of a · x + b the same dictionary comes, scaled and moved.

use rayon::prelude::*;

use super::{Dictionary, Path, Scratch, SparseCodes, codes::Entries, directions::normalise, initial::geometric_median, tile};
use crate::kernel::{Real, dot, sum_squares};

/// Tokens of the first batch that are looked at.
const TOKENS: usize = 4096;
/// Smallest squared norm that a token's error is divided by.
const MIN_SQUARE: f64 = 1e-24;

/// A tied dictionary begins with fewer features per token, halved from what was asked for, until the scale that would suit it is above
/// this, or they are as few as these.
const WRITES_ENOUGH: f64 = 0.7;
const FEWEST: f64 = 2.0;

/// What the weights are made of; see the module.
struct First<R> {
    /// e_j [d_sae, d_in], of length 1.
    encoder: Vec<R>,
    /// t_j [d_sae].
    levels: Vec<R>,
    /// d_j [d_sae, d_out], of length 1.
    decoder: Vec<R>,
    /// m of what is read [d_in].
    centre: Vec<R>,
    /// m of what is written [d_out].
    written: Vec<R>,
    /// s.
    scale: R,
}

impl<R: Real> Dictionary<R> {
    /// Matches fresh weights to `x` [n_tokens, d_in], of which x̂ is to be `target` [n_tokens, d_out], so that `l0` features fire per
    /// token. Kinds without a sparsity term stay as they are.
    pub fn match_to(&mut self, x: &[R], target: &[R], l0: f64) {
        if !self.kind().name().has_penalty() {
            return;
        }
        let (d_in, d_out, d_sae) = (self.d_in(), self.d_out(), self.d_sae());
        let n = (x.len() / d_in).min(TOKENS);
        let (x, target) = (&x[..n * d_in], &target[..n * d_out]);
        let median = |x: &[R], d: usize| -> Vec<R> { geometric_median(x, d).into_iter().map(R::of).collect() };
        let decoder = self.directions().to_vec();
        let is_transcoder = self.kind().read_at().is_some();
        let encoder = match is_transcoder {
            true => {
                let mut rows = self.parameters().0[0].data.clone();
                normalise(&mut rows, d_in);
                rows
            }
            false => decoder.clone(),
        };
        let centre = median(x, d_in);
        let mut first = First {
            levels: levels(&encoder, x, &centre, l0 / d_sae as f64),
            written: if is_transcoder {
                median(target, d_out)
            } else {
                centre.clone()
            },
            encoder,
            decoder,
            centre,
            scale: R::ONE,
        };
        let (mut codes, scratch) = (SparseCodes::default(), Scratch::new());
        self.begin_with(&first);
        self.encode(x, &mut codes, &scratch);
        if is_transcoder {
            first.decoder = mean_written(&codes, target, &first.written, &scratch);
            self.begin_with(&first);
        }
        let mut x_hat = vec![R::ZERO; target.len()];
        let zeros = vec![R::ZERO; d_out];
        let mut l0 = l0;
        loop {
            self.decode(&codes, &mut x_hat, Path::default(), &scratch);
            let bias = self.bias().unwrap_or(&zeros);
            first.scale = R::of(scale(
                target,
                &x_hat,
                bias,
                if self.bias().is_some() { &first.written } else { &zeros },
            ));
            // rows that cannot be scaled write too much where many fire; the first steps would silence most of them for good
            if !is_tied(self) || first.scale.f64() > WRITES_ENOUGH || l0 < FEWEST {
                break;
            }
            l0 /= 2.0;
            first.levels = levels(&first.encoder, x, &first.centre, l0 / d_sae as f64);
            self.begin_with(&first);
            self.encode(x, &mut codes, &scratch);
        }
        self.begin_with(&first);
    }

    /// Writes them as the kind has them.
    fn begin_with(&mut self, first: &First<R>) {
        let is_centred = self.centre().is_some();
        let size = self
            .state()
            .iter()
            .find(|tensor| tensor.name == "input_size")
            .map(|tensor| tensor.data[0]);
        let s = if is_tied(self) { R::ONE } else { first.scale };
        let moved: Vec<R> = match is_centred {
            true => vec![R::ZERO; first.levels.len()],
            false => {
                let rows = first.encoder.chunks_exact(first.centre.len());
                rows.map(|row| -s * dot(row, &first.centre)).collect()
            }
        };
        let lessened = || moved.iter().zip(&first.levels).map(|(b, t)| *b - s * *t).collect();
        self.update(|parameters| {
            for tensor in &mut parameters.0 {
                tensor.data = match (tensor.name, size) {
                    ("W_enc", _) => first.encoder.iter().map(|w| s * *w).collect(),
                    ("b_enc", Some(_)) => moved.clone(),
                    ("b_enc" | "b_gate" | "b_mag", _) => lessened(),
                    ("threshold", Some(size)) => first.levels.iter().map(|t| (s * *t / size).max(R::ZERO)).collect(),
                    ("W_dec", _) => first.decoder.clone(),
                    ("b_dec", _) => first.written.clone(),
                    _ => continue,
                };
            }
        });
    }
}

/// Whether its decoder is its encoder, whose rows have one length.
fn is_tied<R: Real>(dictionary: &Dictionary<R>) -> bool {
    !dictionary.parameters().0.iter().any(|tensor| tensor.name == "W_dec")
}

/// The level that ⟨e_j, x − centre⟩ passes on `share` of the tokens, for each row e_j [d_sae].
fn levels<R: Real>(rows: &[R], x: &[R], centre: &[R], share: f64) -> Vec<R> {
    let (d, n) = (centre.len(), x.len() / centre.len());
    let passing = ((share * n as f64).round() as usize).clamp(1, n);
    let of_row = |row: &[R]| {
        let at_centre = dot(row, centre);
        let mut z: Vec<R> = x.chunks_exact(d).map(|x| dot(row, x) - at_centre).collect();
        let below = |a: &R, b: &R| a.f64().total_cmp(&b.f64());
        // between the last that passes and the first that does not
        let (smaller, last, _) = z.select_nth_unstable_by(n - passing, below);
        let next = smaller.iter().copied().max_by(below).unwrap_or(*last);
        (*last + next) / R::of(2.0)
    };
    rows.par_chunks_exact(d).map(of_row).collect()
}

/// The directions of Σ over tokens of c_j (y − m), one per feature; unit rows, or 0 where a feature never fires.
fn mean_written<R: Real>(codes: &SparseCodes<R>, target: &[R], centre: &[R], scratch: &Scratch<R>) -> Vec<R> {
    let d = centre.len();
    let mut y = Vec::new();
    super::centred::centre(target, centre, &mut y);
    let mut rows = vec![R::ZERO; codes.d_sae * d];
    tile::outer(codes, Entries::Values, &y, &mut rows, Path::default(), scratch);
    normalise(&mut rows, d);
    rows
}

/// The scale s at which s (x̂ − `bias`) is closest to y − `centre`, each token weighed by 1 / ‖y − centre‖²; 1 where it would not be positive.
fn scale<R: Real>(target: &[R], x_hat: &[R], bias: &[R], centre: &[R]) -> f64 {
    let d = centre.len();
    let (mut across, mut own) = (0.0, 0.0);
    let (mut y, mut made) = (vec![R::ZERO; d], vec![R::ZERO; d]);
    for (target, x_hat) in target.chunks_exact(d).zip(x_hat.chunks_exact(d)) {
        for i in 0..d {
            y[i] = target[i] - centre[i];
            made[i] = x_hat[i] - bias[i];
        }
        let weight = 1.0 / sum_squares(&y).f64().max(MIN_SQUARE);
        across += weight * dot(&y, &made).f64();
        own += weight * sum_squares(&made).f64();
    }
    let scale = across / own;
    if scale.is_finite() && scale > 0.0 { scale } else { 1.0 }
}
