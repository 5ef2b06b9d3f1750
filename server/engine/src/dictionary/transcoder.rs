//! Transcoders of all kinds: fresh ones, and the norm's gain of what they read taken into their weights. Their formulas are those of
//! the kinds that they come from: `relu.rs`, `jumprelu.rs`, `topk.rs`, and `skip.rs`.

use api::HookPoint;

use super::{
    Dictionary,
    jumprelu::JumpRelu,
    relu::Relu,
    topk::{Settings, TopK},
};
use crate::kernel::{Real, add, dot};

/// Between two points: where it reads, the widths there and where it writes, and whether it has a skip connection.
#[derive(Clone, Copy, Debug)]
pub struct Between {
    pub read_at: HookPoint,
    pub widths: (usize, usize),
    pub skips: bool,
}

/// Of ReLU, with fresh weights, or with weights that are all 0 where there is no seed.
pub fn relu<R: Real>(between: Between, d_sae: usize, seed: Option<u64>) -> Relu<R> {
    let relu = match seed {
        Some(seed) => Relu::between(between.widths, d_sae, seed),
        None => {
            let [encoder, features, decoder, bias] = zeros(between.widths, d_sae);
            Relu::new(encoder, features, decoder, bias)
        }
    };
    let relu = relu.reading_at(between.read_at);
    if between.skips { relu.skipping(None) } else { relu }
}

/// Of JumpReLU with this bandwidth and initial threshold.
pub fn jumprelu<R: Real>(between: Between, kernel: (f64, f64), d_sae: usize, seed: Option<u64>) -> JumpRelu<R> {
    let jump = match seed {
        Some(seed) => JumpRelu::between(kernel, between.widths, d_sae, seed),
        None => {
            let [encoder, features, decoder, bias] = zeros(between.widths, d_sae);
            JumpRelu::new(encoder, [features.clone(), features], decoder, bias, kernel, R::ONE)
        }
    };
    let jump = jump.reading_at(between.read_at);
    if between.skips { jump.skipping(None) } else { jump }
}

/// Of TopK.
pub fn topk<R: Real>(between: Between, settings: Settings, d_sae: usize, seed: Option<u64>) -> TopK<R> {
    let topk = match seed {
        Some(seed) => TopK::between(settings, between.widths, d_sae, seed),
        None => {
            let [encoder, features, decoder, bias] = zeros(between.widths, d_sae);
            TopK::new(settings, encoder, features, decoder, bias)
        }
    };
    let topk = topk.reading_at(between.read_at);
    if between.skips { topk.skipping(None) } else { topk }
}

/// Encoder, features, decoder and decoder's bias.
fn zeros<R: Real>((d_in, d_out): (usize, usize), d_sae: usize) -> [Vec<R>; 4] {
    [d_sae * d_in, d_sae, d_sae * d_out, d_out].map(|n| vec![R::ZERO; n])
}

impl<R: Real> Dictionary<R> {
    /// The transcoder that reads x where this one reads g ∘ x + β, and writes the same: W' = W diag(g), b' = b + W β, W_skip' =
    /// W_skip diag(g), b_d' = b_d + W_skip β. So what is trained behind a norm's gain and bias reads the point before them.
    /// `gain` and `bias` are [d_in].
    ///
    /// # Panics
    /// When their lengths do not fit, and where the dictionary is no transcoder: what it writes would have to be turned back.
    #[must_use]
    pub fn before_gain(mut self, gain: &[R], bias: Option<&[R]>) -> Self {
        assert!(self.kind().read_at().is_some(), "{} reads what it writes", self.kind().name());
        assert_eq!(gain.len(), self.d_in(), "the gain of what is read");
        let d_in = self.d_in();
        self.update(|parameters| {
            for (weights, added_to) in [("W_enc", "b_enc"), ("W_skip", "b_dec")] {
                let Some(at) = parameters.0.iter().position(|tensor| tensor.name == weights) else {
                    continue;
                };
                if let Some(bias) = bias {
                    let shift: Vec<R> = parameters.0[at].data.chunks_exact(d_in).map(|row| dot(row, bias)).collect();
                    let to = parameters.0.iter_mut().filter(|tensor| tensor.name == added_to);
                    to.for_each(|tensor| add(&mut tensor.data, &shift));
                }
                for row in parameters.0[at].data.chunks_exact_mut(d_in) {
                    row.iter_mut().zip(gain).for_each(|(w, g)| *w *= *g);
                }
            }
        });
        self
    }
}
