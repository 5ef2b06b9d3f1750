//! Vector kernels. Each is `#[inline(always)]`: call them inside [`super::simd`].

use super::Real;

/// Independent partial sums: enough for two 512-bit accumulators of f32.
const LANES: usize = 32;

/// Σ a_i b_i.
///
/// # Panics
/// When the lengths differ (in debug builds; otherwise the shorter counts).
#[inline(always)]
pub fn dot<R: Real>(a: &[R], b: &[R]) -> R {
    debug_assert_eq!(a.len(), b.len());
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut lanes = [R::ZERO; LANES];
    let (mut ac, mut bc) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (x, y) in (&mut ac).zip(&mut bc) {
        for i in 0..LANES {
            lanes[i] += x[i] * y[i];
        }
    }
    for (i, (x, y)) in ac.remainder().iter().zip(bc.remainder()).enumerate() {
        lanes[i] += *x * *y;
    }
    fold(lanes)
}

/// Σ a_i.
#[inline(always)]
pub fn sum<R: Real>(a: &[R]) -> R {
    let mut lanes = [R::ZERO; LANES];
    let mut chunks = a.chunks_exact(LANES);
    for x in &mut chunks {
        for i in 0..LANES {
            lanes[i] += x[i];
        }
    }
    for (i, x) in chunks.remainder().iter().enumerate() {
        lanes[i] += *x;
    }
    fold(lanes)
}

/// Σ a_i².
#[inline(always)]
pub fn sum_squares<R: Real>(a: &[R]) -> R {
    dot(a, a)
}

#[inline(always)]
fn fold<R: Real>(mut lanes: [R; LANES]) -> R {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// y += α x.
#[inline(always)]
pub fn axpy<R: Real>(y: &mut [R], alpha: R, x: &[R]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += alpha * *x;
    }
}

/// y += x.
#[inline(always)]
pub fn add<R: Real>(y: &mut [R], x: &[R]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += *x;
    }
}

/// y *= α.
#[inline(always)]
pub fn scale<R: Real>(y: &mut [R], alpha: R) {
    for y in y {
        *y *= alpha;
    }
}

/// log Σ exp(x_i), without overflow. `x` holds at least one number.
#[inline(always)]
pub fn log_normaliser<R: Real>(x: &[R]) -> R {
    let mut tops = [x[0]; 16];
    for chunk in x.chunks(16) {
        for (top, x) in tops.iter_mut().zip(chunk) {
            *top = top.max(*x);
        }
    }
    let top = tops.iter().fold(tops[0], |a, b| a.max(*b));
    let mut sums = [R::ZERO; 16];
    for chunk in x.chunks(16) {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += (*x - top).exp();
        }
    }
    top + sums.iter().copied().sum::<R>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_take_every_element() {
        for n in 0..100usize {
            let a: Vec<f64> = (0..n).map(|i| i as f64 + 1.0).collect();
            let expected = (n * (n + 1) / 2) as f64;
            assert_eq!(sum(&a), expected);
            assert_eq!(dot(&a, &vec![1.0; n]), expected);
            let mut y = vec![1.0; n];
            axpy(&mut y, 2.0, &a);
            add(&mut y, &a);
            scale(&mut y, 2.0);
            assert_eq!(sum(&y), 2.0 * (n as f64 + 3.0 * expected));
        }
    }
}
