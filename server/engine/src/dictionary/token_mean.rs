//! The mean activation of each token of the vocabulary: what is known of x from the token alone.
//!
//! c_t = ‖m_t − μ‖ at the position's own token t and 0 elsewhere, x̂ = c_t d_t + μ = m_t, with the unit direction d_t of m_t − μ.
//!
//! m_t is the mean of x over the positions of token t, μ the mean over all positions; a token that the text did not have is given
//! μ, and no feature fires. No function of x gives these codes: they need the tokens ([`Kind::encode_tokens`]).

use api::DictionaryKind;

use super::{
    codes::{SEGMENT, SparseCodes},
    directions::Directions,
    forward::Forward,
    initial::tensor,
    kind::{Encoder, Kind},
    parameters::Parameters,
    tile::{Path, Scratch},
};
use crate::kernel::{Real, simd, sum_squares};

/// Positions of the tensors in [`Parameters`].
const W_DEC: usize = 0;
const B_DEC: usize = 1;

/// Smallest norm that a direction is divided by.
const MIN_NORM: f64 = 1e-12;

/// See the module.
#[derive(Clone, Debug)]
pub struct TokenMean<R> {
    parameters: Parameters<R>,
    directions: Directions<R>,
    /// ‖m_t − μ‖ [d_vocab].
    norms: Vec<R>,
}

impl<R: Real> TokenMean<R> {
    /// From its parameters: `W_dec` [d_vocab, d_in], whose row t is m_t − μ (zeros where the token was not there), and `b_dec` = μ
    /// [d_in].
    ///
    /// # Panics
    /// When the lengths do not fit.
    pub fn new(w_dec: Vec<R>, b_dec: Vec<R>) -> Self {
        let d = b_dec.len();
        Self {
            directions: Directions::of(&w_dec, d, MIN_NORM),
            norms: norms(&w_dec, d),
            parameters: Parameters(vec![
                tensor("W_dec", &[w_dec.len() / d, d], w_dec),
                tensor("b_dec", &[d], b_dec),
            ]),
        }
    }
}

fn norms<R: Real>(rows: &[R], d: usize) -> Vec<R> {
    rows.chunks_exact(d).map(|row| simd(|| sum_squares(row)).sqrt()).collect()
}

impl<R: Real> Kind<R> for TokenMean<R> {
    fn kind(&self) -> DictionaryKind {
        DictionaryKind::TokenMean
    }

    fn parameters(&self) -> &Parameters<R> {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut Parameters<R> {
        &mut self.parameters
    }

    fn directions(&self) -> &[R] {
        self.directions.unit()
    }

    fn encoder(&self) -> Option<Encoder<R>> {
        None
    }

    fn refresh(&mut self) {
        let rows = &self.parameters.0[W_DEC].data;
        self.directions.refresh(rows);
        self.norms = norms(rows, self.parameters.0[B_DEC].data.len());
    }

    /// Without the tokens nothing is known but the mean: no feature fires.
    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, _: &Scratch<R>) {
        let n_tokens = x.len() / self.parameters.0[B_DEC].data.len();
        codes.reset(n_tokens, self.norms.len());
        (0..n_tokens).for_each(|t| codes.segments[t / SEGMENT].end_row());
    }

    fn encode_tokens(&self, tokens: &[u32], _: &[R], codes: &mut SparseCodes<R>, _: &Scratch<R>) {
        codes.reset(tokens.len(), self.norms.len());
        for (t, token) in tokens.iter().enumerate() {
            let segment = &mut codes.segments[t / SEGMENT];
            if let Some(norm) = self.norms.get(*token as usize) {
                segment.push(*token, *norm, *norm > R::ZERO);
            }
            segment.end_row();
        }
    }

    /// No parameter is trained, and the codes do not depend on x.
    fn backward(
        &self,
        _: &[R],
        _: &mut Forward<R>,
        _: &[R],
        _: R,
        _: &mut Parameters<R>,
        grad_x: Option<&mut [R]>,
        _: Path,
        _: &Scratch<R>,
    ) {
        if let Some(grad_x) = grad_x {
            grad_x.fill(R::ZERO);
        }
    }

    fn finish(&self, _: &mut Parameters<R>) {}
}
