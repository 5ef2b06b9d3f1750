//! Laws of matching pursuit and of TopK by size: the gradient through every round is the loss' slope, rounds leave less and less and end
//! where they should, both signs of a feature are two features.

use api::DictionaryKind;
use engine::dictionary::{Among, Dictionary, Forward, Kind, Path, Scratch, Settings, SparseCodes, TopK};

use crate::{
    golden::relative,
    kind_laws::{Passed, numbers, pass, shaken},
};

/// A matching pursuit with rows of many lengths.
fn pursuing(residual_threshold: f64, stop_on_duplicate: bool, (d, f): (usize, usize)) -> Dictionary<f64> {
    let kind = DictionaryKind::MatchingPursuit {
        k: 6,
        residual_threshold,
        stop_on_duplicate,
    };
    let mut dictionary = shaken::<f64>(kind, d, f);
    let lengths = numbers::<f64>(f, 20);
    dictionary.update(|parameters| {
        for (row, by) in parameters.0[0].data.chunks_exact_mut(d).zip(lengths) {
            row.iter_mut().for_each(|w| *w *= 1.0 + 0.2 * by);
        }
    });
    dictionary
}

fn reconstruction(dictionary: &Dictionary<f64>, x: &[f64]) -> Vec<f64> {
    let (mut codes, scratch, mut out) = (SparseCodes::default(), Scratch::new(), vec![0.0; x.len()]);
    dictionary.encode(x, &mut codes, &scratch);
    dictionary.decode(&codes, &mut out, Path::SPARSE, &scratch);
    out
}

#[test]
fn a_matching_pursuits_gradient_is_its_slope_through_every_round() {
    let (n, d, f) = (9, 4, 9);
    for (threshold, stop) in [(0.0, false), (0.0, true), (0.4, true)] {
        let dictionary = pursuing(threshold, stop, (d, f));
        let (x, g) = (numbers::<f64>(n * d, 2), numbers::<f64>(n * d, 3));
        let loss = |dictionary: &Dictionary<f64>, x: &[f64]| -> f64 {
            let out = reconstruction(dictionary, x);
            out.iter().zip(&g).map(|(o, g)| o * g).sum()
        };
        let Passed { forward, grads, grad_x } = pass(&dictionary, n, Path::SPARSE);
        let n_fired = forward.codes.nnz();
        assert!(n_fired > 2 * n && n_fired < 6 * n, "{n_fired}");
        let h = 1e-6;
        let close = |slope: f64, grad: f64, what: &str| {
            assert!(
                (slope - grad).abs() < 1e-7 * (1.0 + slope.abs()),
                "{what}: {grad}, slope {slope}"
            );
        };
        for (t, grads) in grads.0.iter().enumerate() {
            for (i, grad) in grads.data.iter().enumerate() {
                let moved = |by: f64| {
                    let mut moved = dictionary.clone();
                    moved.update(|parameters| parameters.0[t].data[i] += by);
                    loss(&moved, &x)
                };
                close((moved(h) - moved(-h)) / (2.0 * h), *grad, &format!("{}[{i}]", grads.name));
            }
        }
        for (i, grad) in grad_x.iter().enumerate() {
            let moved = |by: f64| {
                let mut x = x.clone();
                x[i] += by;
                loss(&dictionary, &x)
            };
            close((moved(h) - moved(-h)) / (2.0 * h), *grad, &format!("x[{i}]"));
        }
    }
}

#[test]
fn a_matching_pursuit_takes_out_what_it_chooses_and_ends_where_it_should() {
    let (n, d, f) = (200, 8, 40);
    let x = numbers::<f64>(n * d, 4);
    let errors = |k: usize, residual_threshold: f64| -> Vec<f64> {
        let kind = DictionaryKind::MatchingPursuit {
            k,
            residual_threshold,
            stop_on_duplicate: false,
        };
        // rows of length 1
        let out = reconstruction(&Dictionary::<f64>::random(kind, d, f, 1), &x);
        let off = |(a, b): (&[f64], &[f64])| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        out.chunks(d).zip(x.chunks(d)).map(off).collect()
    };
    // each round leaves less, and a hundred next to nothing
    let by_rounds = [1, 2, 4, 8, 100].map(|k| errors(k, 0.0));
    for (more, less) in by_rounds.iter().zip(&by_rounds[1..]) {
        assert!(more.iter().zip(less).all(|(more, less)| less <= more));
    }
    assert!(by_rounds[4].iter().all(|left| *left < 0.01), "{:?}", by_rounds[4]);
    // it ends as soon as less than that is left, and not before
    let ended = errors(100, 0.3);
    assert!(ended.iter().all(|left| *left < 0.3) && ended.iter().any(|left| *left > 0.1));
}

#[test]
fn abstopk_is_topk_of_both_signs() {
    let (d, f) = (12, 90);
    let settings = |among| Settings {
        k: 5,
        among,
        aux_coefficient: 0.0,
        dead_tokens: 1,
    };
    let w = numbers::<f64>(f * d, 1);
    let (bias, b_dec) = (numbers::<f64>(f, 2), numbers::<f64>(d, 3));
    let signed = |values: &[f64]| -> Vec<f64> { values.iter().copied().chain(values.iter().map(|v| -v)).collect() };
    let sizes = TopK::new(settings(Among::Sizes), w.clone(), bias.clone(), w.clone(), b_dec.clone());
    let both = TopK::new(settings(Among::Token), signed(&w), signed(&bias), signed(&w), b_dec);
    let x = numbers::<f64>(40 * d, 4);
    let out = |kind: &TopK<f64>| {
        let mut forward = Forward::default();
        kind.forward(&x, 1.0, &mut forward, Path::SPARSE, &Scratch::new());
        (forward.codes.to_dense(), forward.x_hat)
    };
    let ((a, a_hat), (b, b_hat)) = (out(&sizes), out(&both));
    assert!(a.iter().any(|c| *c < 0.0) && relative(&a_hat, &b_hat) < 1e-12);
    for (a, b) in a.chunks(f).zip(b.chunks(2 * f)) {
        assert!((0..f).all(|j| (a[j] - (b[j] - b[f + j])).abs() < 1e-12));
    }
}
