//! Real numbers: f32 for work, f64 for finite-difference tests of the same code.

use std::{
    fmt::{Debug, Display},
    iter::Sum,
    ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign},
};

/// A floating-point number.
pub trait Real:
    bytemuck::Pod
    + Send
    + Sync
    + Debug
    + Display
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// The nearest number to `value`.
    fn of(value: f64) -> Self;
    /// The same number as f64.
    fn f64(self) -> f64;
    /// The square root.
    fn sqrt(self) -> Self;
    /// e to this power. In f32 a polynomial that vectorises, within 2 units in the last place; in f64 the standard library's.
    fn exp(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// The standard normal distribution function Φ. In f32 a polynomial that vectorises, within 2e-7 of it and, above −5, within
    /// 3e-6 of its size.
    fn normal_cdf(self) -> Self;
    /// The larger of the two.
    fn max(self, other: Self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// Neither NaN nor infinite.
    fn is_finite(self) -> bool;

    /// The hyperbolic tangent, within a few units in the last place: (1 − e) / (1 + e) with e = exp(−2 |x|), and, where that
    /// would cancel, the seventh convergent of Lambert's continued fraction. Vectorises where `exp` does.
    #[inline(always)]
    fn tanh(self) -> Self {
        let (size, square) = (self.abs(), self * self);
        let e = (-(size + size)).exp();
        let c = Self::of;
        let above = c(135_135.0) + square * (c(17_325.0) + square * (c(378.0) + square));
        let below = c(135_135.0) + square * (c(62_370.0) + square * (c(3150.0) + square * c(28.0)));
        let far = (Self::ONE - e) / (Self::ONE + e);
        let far = if self < Self::ZERO { -far } else { far };
        if size < c(0.5) { self * above / below } else { far }
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        exp_f32(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        f32::ln(self)
    }
    #[inline(always)]
    fn normal_cdf(self) -> Self {
        normal_cdf_f32(self)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        f64::ln(self)
    }
    #[inline(always)]
    fn normal_cdf(self) -> Self {
        0.5 * libm::erfc(-self * std::f64::consts::FRAC_1_SQRT_2)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
}

/// e^x by the Cephes method: x = n ln 2 + r, a polynomial in r, and 2^n through the exponent bits.
/// Saturates to the largest finite power of two's neighbourhood and to 0 outside [-87.3, 88.3]; NaN stays NaN.
#[inline(always)]
fn exp_f32(x: f32) -> f32 {
    // 1.5 · 2^23: adding and taking it away rounds to the nearest integer without a library call
    const ROUND: f32 = 12_582_912.0;
    let clamped = if x > 88.3 { 88.3 } else { x };
    let clamped = if clamped < -87.3 { -87.3 } else { clamped };
    let n = (clamped * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = clamped - n * 0.693_359_4;
    let r = r - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5e-1;
    let p = p * r * r + r + 1.0;
    let power = f32::from_bits(((n as i32 + 127) << 23) as u32);
    // a NaN must not become a number on its way through the clamps
    if x < -87.3 {
        0.0
    } else if x.is_nan() {
        x
    } else {
        p * power
    }
}

/// Φ(x) = erfc(−x/√2) / 2, with erfc(z) = t exp(−z² + P(t)), t = 1 / (1 + z/2), for z ≥ 0: the Chebyshev fit of Numerical
/// Recipes (section 6.2), which keeps its relative precision far into the tail, where 1 + erf would cancel.
#[inline(always)]
fn normal_cdf_f32(x: f32) -> f32 {
    const P: [f32; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_9,
        -1.135_204,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2,
    ];
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * z);
    let mut p = P[0];
    for c in &P[1..] {
        p = p * t + c;
    }
    let tail = 0.5 * t * exp_f32(p - z * z);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// Runs `f` compiled for the widest vector instructions that this processor has. Loops in `f` vectorise when everything
/// they call is `#[inline(always)]`; results are the same from run to run on one processor.
#[inline]
pub fn simd<T>(f: impl FnOnce() -> T) -> T {
    pulp::Arch::new().dispatch(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_exp_is_within_two_units_in_the_last_place() {
        let mut x = -87.0f32;
        while x < 88.0 {
            let exact = f64::from(x).exp();
            let error = (f64::from(Real::exp(x)) - exact).abs() / exact;
            assert!(error < 2.0 * f64::from(f32::EPSILON), "exp({x}) is off by {error}");
            x += 0.00137;
        }
        assert_eq!(Real::exp(-1e9f32), 0.0);
        assert_eq!(Real::exp(f32::NEG_INFINITY), 0.0);
        assert!(Real::exp(1e9f32) > 1e38);
        assert!(Real::exp(f32::NAN).is_nan());
        assert_eq!(Real::exp(0.0f32), 1.0);
    }

    #[test]
    fn the_normal_distribution_function_is_close_also_far_out() {
        for i in -120_000..120_000 {
            let narrow = i as f32 / 1e4;
            let x = f64::from(narrow);
            let exact = Real::normal_cdf(x);
            let error = (f64::from(Real::normal_cdf(narrow)) - exact).abs();
            assert!(error < 2.5e-7, "Φ({x}) is off by {error}");
            assert!(x < -5.0 || error < 3e-6 * exact, "Φ({x}) is off by {error} of {exact}");
        }
        assert_eq!(Real::normal_cdf(0.0f64), 0.5);
        assert!((Real::normal_cdf(1.0f64) - 0.841_344_746_068_542_9).abs() < 1e-15);
        assert_eq!(Real::normal_cdf(1e9f32), 1.0);
        assert_eq!(Real::normal_cdf(-1e9f32), 0.0);
        assert!(Real::normal_cdf(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_is_within_a_few_units_in_the_last_place_and_bounded() {
        for i in -20_000..=20_000 {
            // dense around 0, where 1 − e^−2x cancels
            let x = (f64::from(i) / 20_000.0).powi(3) * 20.0;
            let narrow = x as f32;
            let exact = f64::from(narrow).tanh();
            let error = (f64::from(Real::tanh(narrow)) - exact).abs();
            assert!(
                error <= 3.0 * f64::from(f32::EPSILON) * exact.abs(),
                "tanh({x}) is off by {error}"
            );
            assert!(Real::tanh(narrow).abs() <= 1.0);
            let exact = x.tanh();
            let error = (Real::tanh(x) - exact).abs();
            assert!(error <= 4.0 * f64::EPSILON * exact.abs(), "tanh({x}) is off by {error}");
        }
        assert_eq!(Real::tanh(f32::INFINITY), 1.0);
        assert_eq!(Real::tanh(f32::NEG_INFINITY), -1.0);
        assert!(Real::tanh(f32::NAN).is_nan());
    }
}
