//! Other tools' dictionaries: what they are read as, what ours are written as, and what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop at a surprise, and says what it skipped"
)]

mod budgets;
mod golden;
mod interop;
mod module_transcoders;
mod real;
mod refused;
mod round_trip;
mod transcoders;
mod writers;

use engine::{
    dictionary::{Back, Dictionary, Normaliser, Path as Passes, Scratch, SparseCodes},
    exchange::{Choice, Imported, read},
};
use std::path::{Path, PathBuf};

/// The golden files' folder.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/formats")
}

/// Activations [n, d_sae] and reconstruction [n, d_out] of `x`.
fn outputs(dictionary: &Dictionary<f32>, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    outputs_through(Normaliser::default(), dictionary, x)
}

/// The same of a dictionary that sees activations through `normaliser`.
fn outputs_through(normaliser: Normaliser, dictionary: &Dictionary<f32>, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (mut seen, mut back) = (x.to_vec(), Back::default());
    normaliser.apply(&mut seen, dictionary.d_in(), &mut back);
    let scratch = Scratch::new();
    let mut codes = SparseCodes::default();
    dictionary.encode(&seen, &mut codes, &scratch);
    let mut x_hat = vec![0.0; x.len() / dictionary.d_in() * dictionary.d_out()];
    dictionary.reconstruct(&codes, &seen, &mut x_hat, Passes::SPARSE, &scratch);
    back.output(&mut x_hat);
    (codes.to_dense(), x_hat)
}

/// ‖a − b‖ / ‖b‖.
fn relative(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let off: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let of: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    (off / of).sqrt()
}

fn read_any(path: &Path) -> Imported {
    read(path, &Choice::default()).unwrap_or_else(|error| panic!("{error}"))
}
