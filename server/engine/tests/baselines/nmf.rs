//! Laws of the non-negative factors.

use api::DictionaryKind;
use engine::baseline::Factors;

use crate::workplace::{InMemory, fitted, mixed, outputs, relative, wide};

const D: usize = 8;

/// Non-negative data of a few directions.
fn planted(n: usize) -> Vec<f32> {
    let (sources, _) = mixed(n, 3, 5);
    let rows: Vec<f32> = (0..3 * D).map(|i| ((i * 7 + i / D) % 5) as f32).collect();
    let row = |codes: &[f32]| -> Vec<f32> {
        (0..D)
            .map(|i| (0..3).map(|s| codes[s].max(0.0) * rows[s * D + i]).sum::<f32>())
            .collect()
    };
    sources.chunks_exact(3).flat_map(row).collect()
}

#[test]
fn on_all_the_data_the_error_never_rises() {
    let x = planted(2000);
    let mut factors = Factors::random(3, D, 1.0, 2);
    let errors: Vec<f64> = (0..60).map(|_| factors.step(&x, 0.0)).collect();
    for pair in errors.windows(2) {
        assert!(pair[1] <= pair[0] * (1.0 + 1e-6) + 1e-6, "{} after {}", pair[1], pair[0]);
    }
    let squares: f64 = x.iter().map(|v| f64::from(*v).powi(2)).sum();
    assert!(
        errors[0] > 0.02 * squares && errors[59] < 1e-4 * squares,
        "{} to {} of {squares}",
        errors[0],
        errors[59]
    );
    assert!(factors.rows.iter().all(|v| *v >= 0.0));
}

#[test]
fn online_on_what_is_not_positive_nothing_is_negative() {
    let (x, _) = mixed(20_000, D, 6);
    let mut stream = InMemory::new(x, D, 256);
    let dictionary = fitted(DictionaryKind::Nmf, 2 * D, &mut stream);
    let (codes, x_hat) = outputs(&dictionary, &stream);
    assert!(codes.iter().chain(dictionary.directions()).all(|v| *v >= 0.0));
    // twice as many directions as dimensions leave little
    let off = relative(&x_hat, &wide(&stream.x));
    let mean_only = {
        let mean: Vec<f32> = (0..D)
            .map(|i| stream.x.iter().skip(i).step_by(D).sum::<f32>() / 20_000.0)
            .collect();
        relative(&mean.repeat(20_000), &wide(&stream.x))
    };
    assert!(off < 0.2 * mean_only, "{off} of {mean_only}");
}
