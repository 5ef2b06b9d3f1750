//! Soft caps: y = c tanh(x / c), which is about x where x is small and stays within ±c (Gemma 2, arXiv 2408.00118, section 2).

use crate::kernel::{Real, simd};

/// A soft cap: c.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SoftCap(pub(super) f64);

impl SoftCap {
    /// x becomes y, in place.
    pub(super) fn cap<R: Real>(self, x: &mut [R]) {
        let (cap, inverse) = (R::of(self.0), R::of(1.0 / self.0));
        simd(
            #[inline(always)]
            || {
                for x in x {
                    *x = cap * (*x * inverse).tanh();
                }
            },
        );
    }

    /// x becomes y, in place, and `slopes`, of the same length, dy/dx = 1 − tanh² (x / c).
    pub(super) fn cap_with_slopes<R: Real>(self, x: &mut [R], slopes: &mut [R]) {
        let (cap, inverse) = (R::of(self.0), R::of(1.0 / self.0));
        simd(
            #[inline(always)]
            || {
                for (x, slope) in x.iter_mut().zip(slopes) {
                    let t = (*x * inverse).tanh();
                    *x = cap * t;
                    *slope = R::ONE - t * t;
                }
            },
        );
    }
}

/// The gradient of x from that of y, in place.
pub(super) fn back<R: Real>(slopes: &[R], grad: &mut [R]) {
    simd(
        #[inline(always)]
        || {
            for (g, slope) in grad.iter_mut().zip(slopes) {
                *g *= *slope;
            }
        },
    );
}
