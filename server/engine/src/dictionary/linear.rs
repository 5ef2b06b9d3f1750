//! The gradient that all kinds with an encoder W x + b and decoder rows have in common, whatever chooses what fires.

use super::{
    codes::{Entries, SparseCodes},
    parameters::Parameters,
    tile::{self, Path, Scratch},
};
use crate::kernel::Real;

/// Positions of the tensors in [`Parameters`]; the two matrices may be one.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// W [d_sae, d_in].
    pub w_enc: usize,
    /// b [d_sae].
    pub b_enc: usize,
    /// The decoder's rows [d_sae, d_in].
    pub w_dec: usize,
}

/// Adds what follows from the derivatives by `codes`, which [`tile::project`] has written: the encoder's gradient by its input
/// `x`, and the decoder's by what it writes, `grad_out`; both [n_tokens, d_in].
pub fn add_gradient<R: Real>(
    codes: &SparseCodes<R>,
    (x, grad_out): (&[R], &[R]),
    grads: &mut Parameters<R>,
    places: Places,
    (path, scratch): (Path, &Scratch<R>),
) {
    tile::outer(
        codes,
        Entries::Values,
        grad_out,
        &mut grads.0[places.w_dec].data,
        path,
        scratch,
    );
    tile::outer(codes, Entries::Grads, x, &mut grads.0[places.w_enc].data, path, scratch);
    tile::column_sums(codes, Entries::Grads, &mut grads.0[places.b_enc].data);
}
