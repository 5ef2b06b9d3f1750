//! How alike two dictionaries' decoders are: the mean max cosine similarity (Sharkey et al. 2022; Cunningham et al. 2023) and its
//! Hungarian form, in which no two features share a partner.

use api::Similarity;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::assignment::assign;
use crate::kernel::{Mat, MatMut, normal, par_matmul, simd, sum_squares};

/// Cosines above which features count as the same: Cunningham et al. 2023, and work on the stability of dictionaries over seeds.
const SAME: [f64; 2] = [0.9, 0.7];
/// Seed of the random directions.
const SEED: u64 = 0;

/// Directions of unit length [n, d].
#[derive(Clone, Debug)]
pub struct Directions {
    rows: Vec<f32>,
    n: usize,
    d: usize,
}

impl Directions {
    /// Of those of the unit rows [n, d] that are alive.
    pub fn alive(unit: &[f32], d: usize, alive: &[bool]) -> Self {
        let rows = unit.chunks_exact(d).zip(alive).filter(|(_, alive)| **alive);
        let rows: Vec<f32> = rows.flat_map(|(row, _)| row.iter().copied()).collect();
        let n = rows.len() / d;
        Self { rows, n, d }
    }

    /// `n` directions drawn evenly from the sphere.
    pub fn random(n: usize, d: usize) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut rows: Vec<f32> = (0..n * d).map(|_| normal(&mut random) as f32).collect();
        for row in rows.chunks_exact_mut(d) {
            let norm = simd(
                #[inline(always)]
                || sum_squares(row),
            )
            .sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        Self { rows, n, d }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }
}

/// Compares A and B; none where one has no directions.
///
/// # Panics
/// When they lie in spaces of different dimensions.
pub fn similarity(a: &Directions, b: &Directions) -> Option<Similarity> {
    assert_eq!(a.d, b.d, "directions of different spaces");
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (few, many) = if a.n <= b.n { (a, b) } else { (b, a) };
    let mut cosines = vec![0.0; few.n * many.n];
    par_matmul(
        MatMut::new(&mut cosines, few.n, many.n),
        0.0,
        1.0,
        Mat::new(&few.rows, few.n, few.d),
        Mat::new(&many.rows, many.n, many.d).t(),
    );
    let mut best_of_many = vec![f32::NEG_INFINITY; many.n];
    let mut sum = 0.0;
    for row in cosines.chunks_exact(many.n) {
        let mut best = f32::NEG_INFINITY;
        for (cosine, of_many) in row.iter().zip(&mut best_of_many) {
            best = best.max(*cosine);
            *of_many = of_many.max(*cosine);
        }
        sum += f64::from(best);
    }
    let from_few = sum / few.n as f64;
    let from_many = best_of_many.iter().map(|best| f64::from(*best)).sum::<f64>() / many.n as f64;
    let (mmcs, mmcs_back) = if a.n <= b.n {
        (from_few, from_many)
    } else {
        (from_many, from_few)
    };
    let columns = assign(&cosines, few.n, many.n);
    let pairs: Vec<f64> = columns
        .iter()
        .enumerate()
        .map(|(row, column)| f64::from(cosines[row * many.n + column]))
        .collect();
    let share = |least: f64| pairs.iter().filter(|cosine| **cosine > least).count() as f64 / pairs.len() as f64;
    Some(Similarity {
        mmcs,
        mmcs_back,
        hungarian: pairs.iter().sum::<f64>() / pairs.len() as f64,
        above: SAME.map(share),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_like_itself_in_any_order() {
        let a = Directions::random(50, 12);
        let mut rows: Vec<f32> = a.rows.chunks(12).rev().flatten().copied().collect();
        // the second has a few directions more, and some of the first's turned round
        rows.extend(Directions::random(60, 12).rows[50 * 12..].iter());
        rows[..5 * 12].iter_mut().for_each(|x| *x = -*x);
        let b = Directions { rows, n: 60, d: 12 };
        let found = similarity(&a, &b).unwrap();
        assert!((found.above[0] - 45.0 / 50.0).abs() < 1e-12, "{found:?}");
        assert!(found.mmcs > found.hungarian && found.hungarian > 0.9, "{found:?}");
        let back = similarity(&b, &a).unwrap();
        assert_eq!(
            (back.mmcs, back.mmcs_back, back.hungarian),
            (found.mmcs_back, found.mmcs, found.hungarian)
        );
        let own = similarity(&a, &a).unwrap();
        assert!((own.hungarian - 1.0).abs() < 1e-6 && own.above == [1.0, 1.0]);
    }

    #[test]
    fn features_that_share_a_partner_count_once() {
        let unit = |x: f32, y: f32| [x, y];
        let a = Directions::alive(
            &[unit(1.0, 0.0), unit(0.8, 0.6), unit(0.0, 1.0)].concat(),
            2,
            &[true, true, false],
        );
        let b = Directions::alive(&[unit(1.0, 0.0), unit(-1.0, 0.0)].concat(), 2, &[true, true]);
        assert_eq!((a.len(), b.len()), (2, 2));
        let found = similarity(&a, &b).unwrap();
        assert!((found.mmcs - 0.9).abs() < 1e-6, "{found:?}");
        assert!((found.mmcs_back - (1.0 - 0.8) / 2.0).abs() < 1e-6, "{found:?}");
        assert!((found.hungarian - 0.1).abs() < 1e-6, "{found:?}");
        assert_eq!(similarity(&a, &Directions::alive(&[1.0, 0.0], 2, &[false])), None);
    }
}
