//! Metrics of the weights alone: how near the features' directions lie to each other.

use api::Measurement;
use rayon::prelude::*;

use crate::{
    dictionary::Dictionary,
    kernel::{Mat, MatMut, PerThread, matmul, simd, sum_squares},
};

/// Rows whose cosines are computed together.
const ROWS: usize = 256;
/// Smallest norm that a row is divided by.
const MIN_NORM: f32 = 1e-12;

/// The metrics that follow from the weights and from how often each feature fired on `n_tokens` tokens.
pub fn of_weights(dictionary: &Dictionary<f32>, firings: &[u32], n_tokens: u64) -> Vec<Measurement> {
    let alive: Vec<bool> = firings.iter().map(|n| *n > 0).collect();
    let encoder = dictionary.parameters().0.iter().find(|tensor| tensor.name == "W_enc");
    let matrices = [
        (
            Some(dictionary.directions()),
            ["average_max_decoder_cosine_sim", "average_max_decoder_cosine_sim_alive"],
        ),
        (
            encoder.map(|tensor| tensor.data.as_slice()),
            ["average_max_encoder_cosine_sim", "average_max_encoder_cosine_sim_alive"],
        ),
    ];
    let mut out = Vec::new();
    for (rows, names) in matrices {
        let means = rows.map_or([None; 2], |rows| average_max_cosines(rows, &alive));
        let values = names.into_iter().zip(means);
        out.extend(values.filter_map(|(name, value)| Some(Measurement::new(name, n_tokens, value?))));
    }
    out
}

/// mean_i max_{j≠i} cos(row_i, row_j) of a matrix [n, d] with n = `alive.len()`, over all rows and among those that are alive. None
/// where there are no two of them.
pub fn average_max_cosines(rows: &[f32], alive: &[bool]) -> [Option<f64>; 2] {
    let n = alive.len();
    let d = rows.len() / n.max(1);
    let mut unit = rows.to_vec();
    unit.par_chunks_exact_mut(d.max(1)).for_each(|row| {
        let norm = simd(
            #[inline(always)]
            || sum_squares(row),
        )
        .sqrt();
        row.iter_mut().for_each(|x| *x /= norm.max(MIN_NORM));
    });
    let products: PerThread<Vec<f32>> = PerThread::new();
    let maxima: Vec<[f32; 2]> = unit
        .par_chunks(ROWS * d.max(1))
        .enumerate()
        .flat_map_iter(|(index, block)| {
            products.with(|product| {
                let n_rows = block.len() / d;
                product.resize(n_rows * n, 0.0);
                let out = MatMut::new(product, n_rows, n);
                matmul(out, 0.0, 1.0, Mat::new(block, n_rows, d), Mat::new(&unit, n, d).t());
                let own = |(row, cosines): (usize, &[f32])| nearest(cosines, index * ROWS + row, alive);
                product.chunks_exact(n).enumerate().map(own).collect::<Vec<_>>()
            })
        })
        .collect();
    let mean = |values: &mut dyn Iterator<Item = f32>, n: usize| (n > 1).then(|| values.map(f64::from).sum::<f64>() / n as f64);
    let n_alive = alive.iter().filter(|is| **is).count();
    let of_alive = maxima.iter().zip(alive).filter(|(_, alive)| **alive);
    [
        mean(&mut maxima.iter().map(|[all, _]| *all), n),
        mean(&mut of_alive.map(|([_, alive], _)| *alive), n_alive),
    ]
}

/// The largest of `cosines` but the `own`, of all and of those that are alive.
fn nearest(cosines: &[f32], own: usize, alive: &[bool]) -> [f32; 2] {
    let mut found = [f32::NEG_INFINITY; 2];
    for (index, (cosine, alive)) in cosines.iter().zip(alive).enumerate() {
        if index != own {
            found[0] = found[0].max(*cosine);
            if *alive {
                found[1] = found[1].max(*cosine);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_other_row_counts_with_its_sign() {
        // three rows: two orthogonal ones of other lengths, and the opposite of the first
        let rows = [3.0, 0.0, 0.0, 0.5, -2.0, 0.0];
        assert_eq!(average_max_cosines(&rows, &[true; 3]), [Some(0.0), Some(0.0)]);
        assert_eq!(average_max_cosines(&rows, &[true, false, true]), [Some(0.0), Some(-1.0)]);
        assert_eq!(average_max_cosines(&rows, &[true, false, false]), [Some(0.0), None]);
        // as many rows as two blocks and a bit hold
        let many: Vec<f32> = (0..600).flat_map(|i| [(i as f32).cos(), (i as f32).sin()]).collect();
        let expected: f64 = (0..600i32)
            .map(|i| {
                let others = (0..600i32).filter(|j| *j != i);
                others.map(|j| f64::from(i - j).cos()).fold(-1.0, f64::max)
            })
            .sum();
        let [found, _] = average_max_cosines(&many, &[true; 600]);
        assert!((found.unwrap() - expected / 600.0).abs() < 1e-6);
    }
}
