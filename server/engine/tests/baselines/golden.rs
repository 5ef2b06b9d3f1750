//! Against numpy, scipy and scikit-learn.

use api::DictionaryKind;
use engine::{
    baseline::{Factors, FastIca, Ica, Moments},
    dictionary::{gram, non_negative_least_squares},
    kernel::{normal, symmetric_eigen},
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, SafeTensors};
use std::{fs, path::Path};

use crate::workplace::{InMemory, fitted, outputs, relative};

pub struct Golden(Vec<u8>);

impl Golden {
    pub fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/baselines/golden.safetensors");
        Self(fs::read(path).unwrap())
    }

    /// A tensor, and the length of its rows.
    pub fn tensor(&self, name: &str) -> (Vec<f64>, usize) {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        let numbers = match tensor.dtype() {
            Dtype::F32 => bytemuck::pod_collect_to_vec::<u8, f32>(tensor.data())
                .into_iter()
                .map(f64::from)
                .collect(),
            _ => bytemuck::pod_collect_to_vec(tensor.data()),
        };
        (numbers, *tensor.shape().last().unwrap())
    }

    pub fn numbers(&self, name: &str) -> Vec<f64> {
        self.tensor(name).0
    }

    fn stream(&self) -> InMemory {
        let (x, d) = self.tensor("x");
        InMemory::new(x.into_iter().map(|v| v as f32).collect(), d, 300)
    }
}

/// ‖a − b‖ / ‖b‖ of f64.
fn off(a: &[f64], b: &[f64]) -> f64 {
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    (squares(&mut a.iter().zip(b).map(|(a, b)| a - b)) / squares(&mut b.iter().copied())).sqrt()
}

#[test]
fn eigenvalues_and_directions_are_numpys() {
    let golden = Golden::read();
    let moments = Moments::of(&mut golden.stream()).unwrap();
    for (name, matrix) in [("second", moments.second_moment()), ("around", moments.covariance())] {
        let eigen = symmetric_eigen(matrix, moments.d());
        let values = off(&eigen.values, &golden.numbers(&format!("{name}.values")));
        let vectors = off(&eigen.vectors, &golden.numbers(&format!("{name}.vectors")));
        assert!(values < 1e-12 && vectors < 1e-9, "{name}: {values:.1e} and {vectors:.1e} off");
    }
}

#[test]
fn the_forms_of_pca_reconstruct_as_numpys() {
    let golden = Golden::read();
    for (name, kind, d_sae) in [
        ("static", DictionaryKind::PcaStatic { k: 3 }, 3),
        ("dynamic", DictionaryKind::PcaDynamic { k: 2 }, 6),
        ("topk", DictionaryKind::PcaTopK { k: 2 }, 12),
        ("x", DictionaryKind::PcaNonNegative, 12),
    ] {
        let mut stream = golden.stream();
        let dictionary = fitted(kind, d_sae, &mut stream);
        let off = relative(&outputs(&dictionary, &stream).1, &golden.numbers(name));
        assert!(off < 1e-6, "{name} is {off:.1e} off");
    }
}

/// Rows of `ours` matched to those of `theirs` by their directions: the largest difference, up to sign, over ‖theirs‖.
fn matched(ours: &[f64], theirs: &[f64], d: usize) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut taken = Vec::new();
    let each = theirs.chunks_exact(d).map(|row| {
        let cosine = |other: &[f64]| dot(row, other) / dot(other, other).sqrt();
        let rows: Vec<&[f64]> = ours.chunks_exact(d).collect();
        let best = (0..rows.len())
            .max_by(|a, b| cosine(rows[*a]).abs().total_cmp(&cosine(rows[*b]).abs()))
            .unwrap();
        assert!(!taken.contains(&best), "two rows find the same");
        taken.push(best);
        let sign = cosine(rows[best]).signum();
        let flipped: Vec<f64> = rows[best].iter().map(|v| sign * v).collect();
        off(&flipped, row)
    });
    each.fold(0.0, f64::max)
}

#[test]
fn independent_components_are_scikit_learns() {
    let golden = Golden::read();
    let mut stream = golden.stream();
    let moments = Moments::of(&mut stream).unwrap();
    let d = moments.d();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let start: Vec<f64> = (0..d * d).map(|_| normal(&mut rng)).collect();
    let settings = |tolerance| FastIca {
        tolerance,
        ..FastIca::default()
    };
    let exact = Ica::fit_from::<f64, _>(&moments, &start, settings(1e-13), &mut stream).unwrap();
    assert!(exact.converged, "{:?}", exact.iterations);
    let rounded = Ica::fit_from::<f32, _>(&moments, &start, settings(1e-13), &mut stream).unwrap();
    for (name, exact, rounded) in [
        ("ica.unmixing", &exact.unmixing, &rounded.unmixing),
        ("ica.mixing", &exact.mixing, &rounded.mixing),
    ] {
        let theirs = golden.numbers(name);
        let (exact, rounded) = (matched(exact, &theirs, d), matched(rounded, &theirs, d));
        assert!(exact < 1e-6 && rounded < 1e-5, "{name}: {exact:.1e} and {rounded:.1e} off");
    }
}

#[test]
fn non_negative_factors_leave_as_little_as_scikit_learns() {
    let golden = Golden::read();
    let ((x, d), start) = (golden.tensor("nmf.x"), golden.numbers("nmf.start"));
    let x: Vec<f32> = x.into_iter().map(|v| v as f32).collect();
    let mut factors = Factors::random(start.len() / d, d, 1.0, 0);
    factors.rows = start.into_iter().map(|v| v as f32).collect();
    let errors: Vec<f64> = (0..500).map(|_| factors.step(&x, 0.0)).collect();
    let (ours, theirs) = (errors[errors.len() - 1], golden.numbers("nmf.error")[0]);
    assert!(ours < theirs * 1.001, "{ours} is left, {theirs} by scikit-learn");
    assert!(errors[0] > 2.0 * theirs, "the test cannot tell: {} at the start", errors[0]);
    // the same optimum: rows of one direction
    let unit = |rows: &[f64]| -> Vec<f64> {
        let rows = rows.chunks_exact(d);
        rows.flat_map(|row| {
            let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            row.iter().map(move |v| v / norm).collect::<Vec<_>>()
        })
        .collect()
    };
    let off = matched(
        &unit(&crate::workplace::wide(&factors.rows)),
        &unit(&golden.numbers("nmf.rows")),
        d,
    );
    assert!(off < 1e-2, "directions are {off:.1e} off");
}

#[test]
fn non_negative_codes_are_scipys() {
    let golden = Golden::read();
    let ((rows, d), (codes, n)) = (golden.tensor("nnls.rows"), golden.tensor("nnls.codes"));
    let gram = gram(&rows, d);
    let x = golden.numbers("nmf.x");
    let mut ours = vec![0.0; codes.len()];
    for (x, ours) in x.chunks_exact(d).zip(ours.chunks_exact_mut(n)) {
        let mut products: Vec<f64> = rows
            .chunks_exact(d)
            .map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
            .collect();
        non_negative_least_squares(&mut products, &gram, ours);
    }
    let off = off(&ours, &codes);
    assert!(off < 1e-4, "{off:.1e} off");
}
