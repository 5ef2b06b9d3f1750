//! Laws of the independent components.

use api::DictionaryKind;
use engine::baseline::{FastIca, Ica, Moments};

use crate::workplace::{InMemory, fitted, mixed, outputs, relative, wide};

const D: usize = 8;

fn moments(stream: &mut InMemory) -> Moments {
    Moments::of(stream).unwrap()
}

#[test]
fn planted_sources_are_found() {
    let (x, mixing) = mixed(20_000, D, 1);
    let mut stream = InMemory::new(x, D, 1000);
    let moments = moments(&mut stream);
    let ica = Ica::fit(&moments, 0, FastIca::default(), &mut stream).unwrap();
    assert!(ica.converged, "{:?}", ica.iterations);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = |a: &[f64], b: &[f64]| (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).abs();
    let best = |rows: &[f64], row: &[f64]| rows.chunks_exact(D).map(|other| cosine(row, other)).fold(0.0, f64::max);
    for planted in mixing.chunks_exact(D) {
        let found = best(&ica.mixing, planted);
        assert!(found > 0.995, "cosine {found}");
    }
    // principal components are no such thing
    let whitened = Ica {
        mixing: engine::kernel::symmetric_eigen(moments.covariance(), D).vectors,
        ..ica
    };
    let least = mixing
        .chunks_exact(D)
        .map(|row| best(&whitened.mixing, row))
        .fold(1.0, f64::min);
    assert!(least < 0.95, "the test cannot tell: {least}");
}

#[test]
fn what_memory_does_not_hold_is_streamed_to_the_same_result() {
    let (x, _) = mixed(6000, D, 2);
    let run = |kept_bytes: usize, n_threads: usize| {
        let mut stream = InMemory::new(x.clone(), D, 512);
        let moments = moments(&mut stream);
        let settings = FastIca {
            kept_bytes,
            ..FastIca::default()
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let ica = pool.install(|| Ica::fit(&moments, 0, settings, &mut stream)).unwrap();
        (ica, stream.given)
    };
    let (whole, given) = run(1 << 30, 1);
    let (again, _) = run(1 << 30, 3);
    assert_eq!((&again.unmixing, &again.mixing), (&whole.unmixing, &whole.mixing), "threads");
    for kept in [0, 3 * 512 * D * 4] {
        let (streamed, more) = run(kept, 2);
        assert!(more > 2 * given, "nothing was streamed: {more} and {given}");
        assert_eq!(streamed.unmixing, whole.unmixing, "{kept} bytes kept");
    }
}

#[test]
fn all_components_together_are_the_activation() {
    let (x, _) = mixed(3000, D, 3);
    let mut stream = InMemory::new(x, D, 500);
    let dictionary = fitted(DictionaryKind::Ica { k: None }, 2 * D, &mut stream);
    let (codes, x_hat) = outputs(&dictionary, &stream);
    let off = relative(&x_hat, &wide(&stream.x));
    assert!(off < 1e-6, "{off:.1e} off");
    assert!(codes.iter().all(|c| *c >= 0.0));
    for row in dictionary.directions().chunks_exact(D) {
        let norm = row.iter().map(|v| v * v).sum::<f32>();
        assert!((norm - 1.0).abs() < 1e-5, "{norm}");
    }
    let sparse = fitted(DictionaryKind::Ica { k: Some(2) }, 2 * D, &mut stream);
    let (codes, _) = outputs(&sparse, &stream);
    assert!(
        codes
            .chunks_exact(2 * D)
            .all(|row| row.iter().filter(|c| **c > 0.0).count() == 2)
    );
}

#[test]
fn a_dimension_that_does_not_vary_is_left_out() {
    let (mut x, _) = mixed(3000, D, 4);
    for row in x.chunks_exact_mut(D) {
        row[3] = 7.0;
    }
    let mut stream = InMemory::new(x, D, 500);
    let dictionary = fitted(DictionaryKind::Ica { k: None }, 2 * D, &mut stream);
    let off = relative(&outputs(&dictionary, &stream).1, &wide(&stream.x));
    assert!(off < 1e-6, "{off:.1e} off");
    assert_eq!(
        dictionary
            .directions()
            .chunks_exact(D)
            .filter(|row| row.iter().all(|v| *v == 0.0))
            .count(),
        2
    );
}
