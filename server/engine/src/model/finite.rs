//! Whether numbers are finite, found at the speed of memory: a model's weights are looked at as they are loaded.

use crate::kernel::simd;

/// Numbers that are looked at together.
const CHUNK: usize = 4096;
/// The bits of infinity; those of NaN are larger, but for the sign.
const INFINITY: u32 = 0x7f80_0000;
const SIGN: u32 = 0x8000_0000;

/// Where the first number stands that is not finite.
pub(crate) fn first_other(numbers: &[f32]) -> Option<usize> {
    let chunk = simd(
        #[inline(always)]
        || numbers.chunks(CHUNK).position(|chunk| largest(chunk) >= INFINITY),
    )?;
    let rest = &numbers[chunk * CHUNK..];
    Some(chunk * CHUNK + rest.iter().position(|x| !x.is_finite())?)
}

/// The largest of the numbers' bits without their signs.
#[inline(always)]
fn largest(numbers: &[f32]) -> u32 {
    numbers.iter().fold(0, |most, x| most.max(x.to_bits() & !SIGN))
}

/// The index, per dimension, of the number at `at` of a row-major tensor.
pub(super) fn index(at: usize, shape: &[usize]) -> Vec<usize> {
    let mut rest = at;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|d| {
            let i = rest % d;
            rest /= d;
            i
        })
        .collect();
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_that_is_not_finite_is_found_wherever_it_stands() {
        let largest = [f32::MAX, f32::MIN, f32::MIN_POSITIVE, 0.0, -0.0, 1e-45];
        let plain: Vec<f32> = largest.into_iter().cycle().take(3 * CHUNK + 7).collect();
        assert_eq!(first_other(&plain), None);
        assert_eq!(first_other(&[]), None);
        for at in [0, 5, CHUNK - 1, CHUNK, 3 * CHUNK, 3 * CHUNK + 6] {
            for other in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut numbers = plain.clone();
                numbers[at] = other;
                numbers[3 * CHUNK + 6] = f32::NAN;
                assert_eq!(first_other(&numbers), Some(at), "{other}");
            }
        }
    }

    #[test]
    fn an_index_is_of_the_shape() {
        assert_eq!(index(17, &[2, 3, 4]), [1, 1, 1]);
        assert_eq!(index(5, &[12]), [5]);
        assert!(index(0, &[]).is_empty());
    }
}
