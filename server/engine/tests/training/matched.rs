//! Initial weights that are matched to the first batch: against numpy (`tests/golden/matched.py`), and their laws for every kind.

use api::{DictionaryKind, HookPoint};
use engine::dictionary::{Dictionary, Path, Relu, Scratch, SparseCodes};
use serde::Deserialize;

use crate::kind_laws::numbers;

const D: usize = 8;
const D_SAE: usize = 40;
const TOKENS: usize = 400;
const L0: f64 = 6.0;

#[derive(Deserialize)]
struct Numbers {
    x: Vec<f64>,
    rows: Vec<f64>,
    d: usize,
    l0: f64,
    #[serde(rename = "W_enc")]
    w_enc: Vec<f64>,
    b_enc: Vec<f64>,
    b_dec: Vec<f64>,
}

#[test]
fn relu_is_numpys() {
    let text = include_str!("../../../../tests/golden/matched/golden.json");
    let golden: Numbers = serde_json::from_str(text).unwrap();
    let n = golden.b_enc.len();
    let relu = Relu::new(
        vec![0.0; n * golden.d],
        vec![0.0; n],
        golden.rows.clone(),
        vec![0.0; golden.d],
    );
    let mut dictionary = Dictionary::Relu(relu);
    dictionary.match_to(&golden.x, &golden.x, golden.l0);
    for (name, expected) in [
        ("W_enc", &golden.w_enc),
        ("b_enc", &golden.b_enc),
        ("W_dec", &golden.rows),
        ("b_dec", &golden.b_dec),
    ] {
        let tensor = dictionary.parameters().0.iter().find(|tensor| tensor.name == name).unwrap();
        let worst = tensor
            .data
            .iter()
            .zip(expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        assert!(worst < 1e-10, "{name}: {worst}");
    }
}

/// Every kind with a sparsity term that writes where it reads.
fn kinds() -> Vec<DictionaryKind> {
    vec![
        DictionaryKind::Relu,
        DictionaryKind::ReluUnit,
        DictionaryKind::ReluApril,
        DictionaryKind::ReluSaelens,
        DictionaryKind::PAnneal {
            final_p: 0.2,
            anneal_start: 1,
            anneal_end: 5,
        },
        DictionaryKind::Tied,
        DictionaryKind::Gated,
        DictionaryKind::JumpRelu {
            bandwidth: 0.001,
            initial_threshold: 0.001,
        },
    ]
}

/// A cloud whose middle is not 0.
fn cloud(size: f64, moved: f64) -> Vec<f64> {
    let at = |i: usize, v: f64| size * (v + if i.is_multiple_of(D) { 1.0 + moved } else { 0.2 });
    numbers::<f64>(TOKENS * D, 3)
        .into_iter()
        .enumerate()
        .map(|(i, v)| at(i, v))
        .collect()
}

fn matched(kind: DictionaryKind, x: &[f64]) -> Dictionary<f64> {
    let mut dictionary = Dictionary::random(kind, D, D_SAE, 1);
    dictionary.prepare(x);
    dictionary.match_to(x, x, L0);
    dictionary
}

/// Codes, dense [TOKENS, D_SAE], and x̂.
fn output(dictionary: &Dictionary<f64>, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (mut codes, scratch) = (SparseCodes::default(), Scratch::new());
    let mut x_hat = vec![0.0; TOKENS * dictionary.d_out()];
    dictionary.encode(x, &mut codes, &scratch);
    dictionary.reconstruct(&codes, x, &mut x_hat, Path::default(), &scratch);
    (codes.to_dense(), x_hat)
}

#[test]
fn every_feature_fires_on_the_same_share_of_the_tokens() {
    let x = cloud(1.0, 0.0);
    for kind in kinds() {
        let (codes, _) = output(&matched(kind, &x), &x);
        let fired = |j: usize| codes.iter().skip(j).step_by(D_SAE).filter(|c| **c > 0.0).count();
        let counts: Vec<usize> = (0..D_SAE).map(fired).collect();
        // a tied dictionary begins with fewer, but with none that is dead
        let expected = (L0 / D_SAE as f64 * TOKENS as f64).round() as usize;
        let expected = if kind == DictionaryKind::Tied {
            counts[0].min(expected)
        } else {
            expected
        };
        assert!(counts.iter().all(|n| *n == expected && *n > 0), "{}: {counts:?}", kind.name());
    }
}

#[test]
fn size_and_place_of_the_activations_do_not_matter() {
    let plain = cloud(1.0, 0.0);
    for kind in kinds() {
        let (codes, x_hat) = output(&matched(kind, &plain), &plain);
        for (size, moved) in [(1e-3, 0.0), (500.0, 0.0), (1.0, 7.0)] {
            if kind == DictionaryKind::Tied && moved != 0.0 {
                continue; // it has no bias that could follow
            }
            let x = cloud(size, moved);
            let (other_codes, other_x_hat) = output(&matched(kind, &x), &x);
            // the geometric median is found to 1e-5 of its norm
            for (a, b) in codes.iter().zip(&other_codes) {
                assert!(
                    (a - b / size).abs() < 1e-3,
                    "{} at {size}, {moved}: code {a}, {b}",
                    kind.name()
                );
            }
            for (i, (a, b)) in x_hat.iter().zip(&other_x_hat).enumerate() {
                let back = b / size - if i.is_multiple_of(D) { moved } else { 0.0 };
                assert!((a - back).abs() < 1e-3, "{} at {size}, {moved}: {a}, {back}", kind.name());
            }
        }
    }
}

/// Σ ‖x − x̂‖² / ‖x − m‖² per token.
fn error(dictionary: &Dictionary<f64>, x: &[f64]) -> f64 {
    let (_, x_hat) = output(dictionary, x);
    let m = dictionary.bias().unwrap();
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    let tokens = x.chunks_exact(D).zip(x_hat.chunks_exact(D));
    tokens.map(|(x, x_hat)| square(x, x_hat) / square(x, m)).sum::<f64>() / TOKENS as f64
}

#[test]
fn no_other_scale_of_the_codes_is_closer() {
    let x = cloud(1.0, 0.0);
    for kind in [DictionaryKind::Relu, DictionaryKind::ReluUnit, DictionaryKind::Gated] {
        let dictionary = matched(kind, &x);
        let least = error(&dictionary, &x);
        assert!(least < 0.9, "{}: {least}", kind.name());
        for factor in [0.98, 1.02] {
            let mut other = dictionary.clone();
            other.update(|parameters| {
                let scaled = parameters
                    .0
                    .iter_mut()
                    .filter(|tensor| !matches!(tensor.name, "W_dec" | "b_dec" | "r_mag"));
                scaled.flat_map(|tensor| &mut tensor.data).for_each(|v| *v *= factor);
            });
            assert!(error(&other, &x) > least, "{} scaled by {factor}", kind.name());
        }
    }
}

#[test]
fn a_transcoder_writes_what_goes_with_what_it_reads() {
    let read_at = HookPoint::resid_pre(0);
    let x = cloud(1.0, 0.0);
    // y is x turned, stretched and moved
    let y: Vec<f64> = x
        .chunks_exact(D)
        .flat_map(|x| (0..D).map(|i| 3.0 * x[(i + 1) % D] - x[(i + 4) % D] + 5.0))
        .collect();
    let kinds = [
        DictionaryKind::Transcoder { read_at },
        DictionaryKind::SkipTranscoder { read_at },
        DictionaryKind::JumpReluTranscoder {
            read_at,
            bandwidth: 0.001,
            initial_threshold: 0.001,
        },
    ];
    for kind in kinds {
        let share = |match_to: &[f64]| {
            let mut dictionary = Dictionary::between(kind, (D, D), D_SAE, 1);
            dictionary.prepare_to(&x, match_to);
            dictionary.match_to(&x, match_to, L0);
            let (_, y_hat) = output(&dictionary, &x);
            let m = dictionary.bias().unwrap().to_vec();
            let square = |a: &[f64]| a.iter().zip(&y).map(|(a, y)| (y - a) * (y - a)).sum::<f64>();
            square(&y_hat)
                / y.iter()
                    .enumerate()
                    .map(|(i, y)| (y - m[i % D]) * (y - m[i % D]))
                    .sum::<f64>()
        };
        let unexplained = share(&y);
        assert!(unexplained < 0.8, "{}: {unexplained}", kind.name());
        // matched to something that has nothing to do with y, it explains nothing of it
        let other: Vec<f64> = numbers(TOKENS * D, 99);
        assert!(share(&other) > 0.9, "{}", kind.name());
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let x = cloud(1.0, 0.0);
    let on = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| kinds().into_iter().map(|kind| matched(kind, &x)).collect::<Vec<_>>())
    };
    for (one, three) in on(1).iter().zip(&on(3)) {
        assert!(one.parameters() == three.parameters(), "{}", one.kind().name());
    }
}

#[test]
fn kinds_without_a_sparsity_term_stay() {
    let x = cloud(1.0, 0.0);
    let kind = DictionaryKind::TopK {
        k: 4,
        aux_coefficient: 0.03,
        dead_tokens: 1000,
    };
    let mut dictionary = Dictionary::random(kind, D, D_SAE, 1);
    dictionary.prepare(&x);
    let before = dictionary.parameters().clone();
    dictionary.match_to(&x, &x, L0);
    assert!(*dictionary.parameters() == before);
}
