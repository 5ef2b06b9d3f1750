//! What can be done to a trained dictionary: other encoders for its decoder, and norms and scales folded away.

use super::{Dictionary, Gated, JumpRelu, Pursuit};
use crate::kernel::{Real, dot, scale, sum_squares};

impl<R: Real> Dictionary<R> {
    /// The same decoder, firing by thresholds: c = z · 1[z > max(θ, least)], c and z in the length of what a feature writes. It gives the
    /// same codes but for what is at most `least`; of TopK, whatever its choice is made from. None without an encoder.
    pub fn with_threshold(&self, least: R) -> Option<Self> {
        self.with_thresholds(&vec![least; self.d_sae()])
    }

    /// The same with a threshold for each feature [d_sae].
    pub fn with_thresholds(&self, least: &[R]) -> Option<Self> {
        let encoder = self.of_kind().encoder()?;
        let larger = |(own, least): (&R, &R)| if own > least { *own } else { *least };
        let thresholds = encoder.thresholds.iter().zip(least).map(larger).collect();
        let jump = JumpRelu::new(
            encoder.weights,
            [encoder.bias, thresholds],
            self.directions().to_vec(),
            self.decoder_bias(),
            // with a size of 1 the thresholds are what they say
            (0.001, 0.0),
            R::ONE,
        );
        let Some(read_at) = self.kind().read_at() else {
            return Some(Self::JumpRelu(jump));
        };
        let jump = jump.reading_at(read_at);
        Some(Self::JumpRelu(match self.skip() {
            Some(w_skip) => jump.skipping(Some(w_skip.to_vec())),
            None => jump,
        }))
    }

    /// The lengths of the decoder's rows [d_sae]: what a feature writes is its code times as long.
    pub fn lengths(&self) -> Vec<R> {
        let (rows, directions) = (self.of_kind().decoder(), self.of_kind().directions());
        if std::ptr::eq(rows, directions) {
            return vec![R::ONE; self.d_sae()];
        }
        let d_out = rows.len() / self.d_sae();
        rows.chunks_exact(d_out).map(|row| sum_squares(row).sqrt()).collect()
    }

    /// The same codes and output as a Gated dictionary, whose scales and shifts can be trained apart. None where it fires by
    /// something other than z > 0, and of a transcoder.
    pub fn as_gated(&self) -> Option<Self> {
        let encoder = self.of_kind().encoder()?;
        if encoder.thresholds.iter().any(|own| *own != R::ZERO) || self.kind().read_at().is_some() {
            return None;
        }
        let b_dec = self.decoder_bias();
        // the gated encoder sees x − b_dec
        let rows = encoder.weights.chunks_exact(b_dec.len()).zip(&encoder.bias);
        let bias: Vec<R> = rows.map(|(row, own)| *own + dot(row, &b_dec)).collect();
        let zeros = vec![R::ZERO; bias.len()];
        let directions = self.directions().to_vec();
        Some(Self::Gated(Gated::new(
            encoder.weights,
            [bias.clone(), zeros, bias],
            directions,
            b_dec,
        )))
    }

    /// The same decoder with gradient pursuit of `k` features as its encoder.
    pub fn with_pursuit(&self, k: usize) -> Self {
        Self::Pursuit(Pursuit::new(k, self.directions().to_vec(), self.decoder_bias()))
    }

    /// The dictionary that sees x where this one sees `factor` · x, and gives x̂ where this one gives `factor` · x̂; its decoder's
    /// rows have unit length. The codes of a kind that is positively homogeneous become those of this one over `factor`.
    pub fn folded(mut self, factor: R) -> Self {
        let (d_in, inverse) = (self.d_in(), R::ONE / factor);
        let directions = self.directions().to_vec();
        // the codes take the rows' lengths in
        let norms = self.lengths();
        self.update(|parameters| {
            for tensor in &mut parameters.0 {
                match tensor.name {
                    "W_dec" => tensor.data.copy_from_slice(&directions),
                    "W_enc" => {
                        let rows = tensor.data.chunks_exact_mut(d_in).zip(&norms);
                        rows.for_each(|(row, norm)| scale(row, *norm));
                    }
                    "b_enc" => {
                        let biases = tensor.data.iter_mut().zip(&norms);
                        biases.for_each(|(bias, norm)| *bias *= *norm * inverse);
                    }
                    name if name.starts_with("b_") => scale(&mut tensor.data, inverse),
                    // encoders keep their directions; gains are ratios; JumpReLU's thresholds are in units of its input's size
                    _ => {}
                }
            }
        });
        self.update_state(|state| {
            for tensor in state.iter_mut().filter(|t| matches!(t.name, "input_size" | "threshold")) {
                scale(&mut tensor.data, inverse);
            }
        });
        self
    }

    /// b_dec [d_out]; zeros where the kind has none.
    fn decoder_bias(&self) -> Vec<R> {
        let own = self.of_kind().bias();
        own.map_or_else(|| vec![R::ZERO; self.d_out()], <[R]>::to_vec)
    }
}
