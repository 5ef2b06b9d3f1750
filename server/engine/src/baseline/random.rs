//! Random directions: the null that a dictionary is to beat. They are drawn as the data are spread, d_j ∝ Σ^½ g with normal g, because
//! directions that are spread evenly lie mostly where no activation does; their number is to be that of the dictionary's living features.
//!
//! `sparse_coding`'s null decodes with the directions that it encodes with, whatever their number, so that x̂ is longer than x
//! by far. Here the encoder is scaled by the s that minimises E‖x − μ − s Σ_j c_j d_j‖²: ReLU and the k largest go along with it.

use api::DictionaryKind;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Moments, Stream, ica::SAMPLE, to_f32};
use crate::{
    dictionary::{Dictionary, Path, Projection, Scratch, SparseCodes},
    kernel::{Mat, MatMut, normal, par_matmul, symmetric_eigen},
};

/// `n` directions [n, d] with the covariance's spread, of unit length.
pub fn directions(moments: &Moments, n: usize, seed: u64) -> Vec<f64> {
    let d = moments.d();
    let eigen = symmetric_eigen(moments.covariance(), d);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let sizes: Vec<f64> = eigen.values.iter().map(|value| value.max(0.0).sqrt()).collect();
    let g: Vec<f64> = (0..n * d).map(|i| sizes[i % d] * normal(&mut rng)).collect();
    let mut rows = vec![0.0; n * d];
    let (g, v) = (Mat::new(&g, n, d), Mat::new(&eigen.vectors, d, d));
    par_matmul(MatMut::new(&mut rows, n, d), 0.0, 1.0, g, v);
    for row in rows.chunks_exact_mut(d) {
        let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
        row.iter_mut().for_each(|v| *v /= norm);
    }
    rows
}

/// The directions with the best scale on the stream's first [`SAMPLE`] vectors.
pub fn fit<S: Stream>(
    moments: Moments,
    kind: DictionaryKind,
    n: usize,
    seed: u64,
    stream: &mut S,
) -> Result<Dictionary<f32>, S::Error> {
    let d = moments.d();
    let (rows, mean) = (to_f32(&directions(&moments, n, seed)), to_f32(&moments.mean()));
    let unscaled = Dictionary::Projection(Projection::new(kind, rows.clone(), rows.clone(), mean.clone()));
    let (scratch, mut codes, mut x_hat) = (Scratch::new(), SparseCodes::default(), Vec::new());
    let (mut along, mut squares) = (0.0, 0.0);
    let per_batch = (moments.n() as usize).div_ceil(stream.n_batches().max(1)).max(1);
    let n_batches = SAMPLE.div_ceil(per_batch).min(stream.n_batches());
    stream.pass("the scale of random directions", 0..n_batches, &mut |x, _| {
        unscaled.encode(x, &mut codes, &scratch);
        x_hat.resize(x.len(), 0.0);
        unscaled.decode(&codes, &mut x_hat, Path::default(), &scratch);
        for (i, (x, y)) in x.iter().zip(&x_hat).enumerate() {
            let mean = mean[i % d];
            let (x, y) = (f64::from(x - mean), f64::from(y - mean));
            along += x * y;
            squares += y * y;
        }
    })?;
    let scale = if squares > 0.0 { (along / squares) as f32 } else { 0.0 };
    let encoder = rows.iter().map(|v| v * scale).collect();
    Ok(Dictionary::Projection(Projection::new(kind, encoder, rows, mean)))
}
