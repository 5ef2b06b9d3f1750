//! What FastICA costs, end to end and per iteration, on vectors mixed from Laplace sources. `ica.py` beside it times scikit-learn's on
//! the same numbers, which this leaves in the folder that it is given:
//!
//! `cargo bench -p engine --bench ica -- FOLDER`, then `python server/engine/benches/ica.py FOLDER`; for one thread, with
//! `RAYON_NUM_THREADS=1` and `OMP_NUM_THREADS=1`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and may stop at a surprise"
)]

use api::ConfigError;
use engine::{
    baseline::{FastIca, Ica, Moments, Stream},
    kernel::{Mat, MatMut, par_matmul},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{ops::Range, path::PathBuf, time::Instant};

/// Vectors per batch of the stream.
const BATCH: usize = 4096;

/// Vectors in memory.
struct InMemory {
    x: Vec<f32>,
    tokens: Vec<u32>,
    d: usize,
}

impl Stream for InMemory {
    type Error = ConfigError;

    fn width(&self) -> usize {
        self.d
    }

    fn n_batches(&self) -> usize {
        self.tokens.len().div_ceil(BATCH)
    }

    fn pass(&mut self, _: &str, range: Range<usize>, each: &mut dyn FnMut(&[f32], &[u32])) -> Result<(), ConfigError> {
        for batch in range {
            let rows = batch * BATCH..((batch + 1) * BATCH).min(self.tokens.len());
            each(&self.x[rows.start * self.d..rows.end * self.d], &self.tokens[rows]);
        }
        Ok(())
    }
}

fn main() {
    let folder = std::env::args()
        .skip(1)
        .find(|word| !word.starts_with('-'))
        .map(PathBuf::from);
    println!("threads: {}", rayon::current_num_threads());
    for (n, d) in [(1 << 20, 64), (1 << 17, 512)] {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut laplace = || {
            let u: f32 = rng.random_range(-0.5..0.5);
            -u.signum() * (1.0 - 2.0 * u.abs()).max(1e-7).ln()
        };
        let sources: Vec<f32> = (0..n * d).map(|_| laplace()).collect();
        let mixing: Vec<f32> = (0..d * d).map(|_| laplace()).collect();
        let mut x = vec![0f32; n * d];
        par_matmul(
            MatMut::new(&mut x, n, d),
            0.0,
            1.0,
            Mat::new(&sources, n, d),
            Mat::new(&mixing, d, d),
        );
        drop(sources);
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("ica-{n}-{d}.f32")), bytemuck::cast_slice(&x)).unwrap();
        }
        let mut stream = InMemory {
            x,
            tokens: vec![0; n],
            d,
        };
        let start = Instant::now();
        let moments = Moments::of(&mut stream).unwrap();
        let ica = Ica::fit(&moments, 0, FastIca::default(), &mut stream).unwrap();
        let whole = start.elapsed().as_secs_f64();
        // two more fits that differ in their number of iterations alone say what one costs
        let timed = |iterations| {
            let settings = FastIca {
                tolerance: 0.0,
                iterations,
                ..FastIca::default()
            };
            let mut stream = InMemory {
                x: stream.x.clone(),
                tokens: stream.tokens.clone(),
                d,
            };
            let start = Instant::now();
            Ica::fit(&moments, 0, settings, &mut stream).unwrap();
            start.elapsed().as_secs_f64()
        };
        let sample = engine::baseline::SAMPLE as f64 / n as f64;
        let one = (timed(6) - timed(2)) / (4.0 * (1.0 + sample));
        println!(
            "[{n}, {d}]: {whole:.2} s in all, {} + {} iterations (converged: {}); {one:.3} s an iteration over all, {:.1} million vectors a second",
            ica.iterations.0,
            ica.iterations.1,
            ica.converged,
            n as f64 / one / 1e6
        );
    }
}
