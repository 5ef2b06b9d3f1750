//! Laws of the other baselines, and of all of them together.

use api::DictionaryKind;
use engine::{
    baseline::{Moments, TokenSums, fit},
    dictionary::Dictionary,
    kernel::normal,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::workplace::{D_VOCAB, InMemory, config, fitted, mixed, outputs, relative, wide};

const D: usize = 8;

fn stream() -> InMemory {
    let (x, _) = mixed(4000, D, 7);
    let mut stream = InMemory::new(x, D, 512);
    stream.tokens = (0..4000).map(|i| i * i % 17).collect();
    stream
}

/// Every baseline with its number of features.
fn all() -> Vec<(DictionaryKind, usize)> {
    vec![
        (DictionaryKind::PcaStatic { k: 3 }, 3),
        (DictionaryKind::PcaDynamic { k: 3 }, D),
        (DictionaryKind::PcaTopK { k: 3 }, 2 * D),
        (DictionaryKind::PcaNonNegative, 2 * D),
        (DictionaryKind::Ica { k: None }, 2 * D),
        (DictionaryKind::Ica { k: Some(3) }, 2 * D),
        (DictionaryKind::Nmf, 5),
        (DictionaryKind::Random { k: None }, 30),
        (DictionaryKind::Random { k: Some(4) }, 30),
        (DictionaryKind::Identity { k: None }, 2 * D),
        (DictionaryKind::Identity { k: Some(3) }, 2 * D),
        (DictionaryKind::TokenMean, D_VOCAB),
    ]
}

#[test]
fn threads_change_no_bit_and_company_changes_none() {
    let run = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let configs: Vec<_> = all().into_iter().map(|(kind, d_sae)| config(kind, d_sae)).collect();
        pool.install(|| fit(&configs, D_VOCAB, &mut stream()).unwrap())
    };
    let (one, three) = (run(1), run(3));
    for ((a, b), (kind, d_sae)) in one.iter().zip(&three).zip(all()) {
        assert_eq!(a.kind(), kind);
        assert_eq!(a.parameters(), b.parameters(), "{kind:?}: threads");
        let alone = fitted(kind, d_sae, &mut stream());
        assert_eq!(a.parameters(), alone.parameters(), "{kind:?}: company");
        assert_eq!(a.parameters().len() as u128, kind.n_parameters(D, d_sae), "{kind:?}");
    }
}

#[test]
fn another_number_of_features_is_refused() {
    for (kind, d_sae) in all() {
        if !kind.name().has_own_width() {
            continue;
        }
        let error = fit(&[config(kind, d_sae + 1)], D_VOCAB, &mut stream()).unwrap_err();
        assert_eq!(error.field, "d_sae", "{kind:?}");
        assert!(error.message.contains(&d_sae.to_string()), "{error}");
    }
    let error = fit(&[config(DictionaryKind::Relu, 8)], D_VOCAB, &mut stream()).unwrap_err();
    assert!(error.message.contains("relu, which is trained"), "{error}");
}

#[test]
fn what_is_complete_reconstructs_exactly() {
    let mut stream = stream();
    for (kind, d_sae) in [
        (DictionaryKind::PcaStatic { k: D }, D),
        (DictionaryKind::PcaDynamic { k: D }, D),
        (DictionaryKind::PcaTopK { k: 2 * D }, 2 * D),
        (DictionaryKind::PcaNonNegative, 2 * D),
        (DictionaryKind::Identity { k: None }, 2 * D),
    ] {
        let dictionary = fitted(kind, d_sae, &mut stream);
        let off = relative(&outputs(&dictionary, &stream).1, &wide(&stream.x));
        assert!(off < 1e-6, "{kind:?}: {off:.1e} off");
    }
}

/// Σ ‖x − x̂‖² where x̂ is the projection on orthonormal rows.
fn left(rows: &[f64], x: &[f32]) -> f64 {
    let per_vector = x.chunks_exact(D).map(|x| {
        let along = rows
            .chunks_exact(D)
            .map(|row| row.iter().zip(x).map(|(a, b)| a * f64::from(*b)).sum::<f64>().powi(2));
        x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() - along.sum::<f64>()
    });
    per_vector.sum()
}

#[test]
fn no_other_directions_leave_less_than_the_first_components() {
    let mut stream = stream();
    let dictionary = fitted(DictionaryKind::PcaStatic { k: 3 }, 3, &mut stream);
    let best = left(&wide(dictionary.directions()), &stream.x);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut closest = f64::INFINITY;
    for trial in 0..300 {
        // some near the components, some anywhere, made orthonormal
        let size = [0.01, 0.1, 10.0][trial % 3];
        let mut rows: Vec<f64> = dictionary
            .directions()
            .iter()
            .map(|v| f64::from(*v) + size * normal(&mut rng))
            .collect();
        for j in 0..3 {
            for i in 0..j {
                let along: f64 = (0..D).map(|c| rows[i * D + c] * rows[j * D + c]).sum();
                (0..D).for_each(|c| rows[j * D + c] -= along * rows[i * D + c]);
            }
            let norm = (0..D).map(|c| rows[j * D + c].powi(2)).sum::<f64>().sqrt();
            (0..D).for_each(|c| rows[j * D + c] /= norm);
        }
        closest = closest.min(left(&rows, &stream.x) / best);
    }
    assert!(closest > 1.0 && closest < 1.01, "{closest} times what the components leave");
}

#[test]
fn codes_are_what_each_form_keeps() {
    let mut stream = stream();
    let count = |dictionary: &Dictionary<f32>, stream: &InMemory| -> Vec<usize> {
        let codes = outputs(dictionary, stream).0;
        codes
            .chunks_exact(dictionary.d_sae())
            .map(|row| row.iter().filter(|c| **c != 0.0).count())
            .collect()
    };
    for (kind, d_sae, least, most) in [
        (DictionaryKind::PcaStatic { k: 3 }, 3, 3, 3),
        (DictionaryKind::PcaDynamic { k: 3 }, D, 3, 3),
        (DictionaryKind::PcaTopK { k: 3 }, 2 * D, 3, 3),
        // one sign of each
        (DictionaryKind::PcaTopK { k: 2 * D }, 2 * D, D, D),
        (DictionaryKind::PcaNonNegative, 2 * D, D, D),
        (DictionaryKind::Random { k: Some(4) }, 30, 4, 4),
        (DictionaryKind::TokenMean, D_VOCAB, 1, 1),
    ] {
        let dictionary = fitted(kind, d_sae, &mut stream);
        let counts = count(&dictionary, &stream);
        let found = (counts.iter().min().copied(), counts.iter().max().copied());
        assert_eq!(found, (Some(least), Some(most)), "{kind:?}");
    }
    // the signs that dynamic keeps are those of the scores, and no score that is left out is larger
    let dynamic = fitted(DictionaryKind::PcaDynamic { k: 3 }, D, &mut stream);
    let every = fitted(DictionaryKind::PcaDynamic { k: D }, D, &mut stream);
    let ((codes, _), (scores, _)) = (outputs(&dynamic, &stream), outputs(&every, &stream));
    for (codes, scores) in codes.chunks_exact(D).zip(scores.chunks_exact(D)) {
        let least = codes
            .iter()
            .filter(|c| **c != 0.0)
            .map(|c| c.abs())
            .fold(f32::INFINITY, f32::min);
        for (code, score) in codes.iter().zip(scores) {
            assert!(*code == *score || *code == 0.0 && score.abs() <= least);
        }
    }
    assert!(codes.iter().any(|c| *c < 0.0), "no sign");
}

#[test]
fn random_directions_are_spread_as_the_data_and_scaled_to_them() {
    let mut stream = stream();
    let dictionary = fitted(DictionaryKind::Random { k: None }, 20_000, &mut stream);
    // d dᵀ over many directions against Σ: unit directions weigh all sizes of g the same, so the spread is compared, not its size
    let directions = dictionary.directions().to_vec();
    let of = |rows: Vec<f32>| {
        let moments = Moments::of(&mut InMemory::new(rows, D, 500)).unwrap();
        let all = moments.covariance();
        let trace: f64 = (0..D).map(|i| all[i * D + i]).sum();
        all.into_iter().map(|v| v / trace).collect::<Vec<_>>()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let even: Vec<f32> = (0..20_000 * D).map(|_| normal(&mut rng) as f32).collect();
    let normalised = |rows: Vec<f32>| -> Vec<f32> {
        let row = |row: &[f32]| -> Vec<f32> {
            let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.iter().map(|v| v / norm).collect()
        };
        rows.chunks_exact(D).flat_map(row).collect()
    };
    // what is drawn from the data's own normal by another way, through Cholesky's factor
    let sigma = Moments::of(&mut stream).unwrap().covariance();
    let mut factor = vec![0.0; D * D];
    for i in 0..D {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| factor[i * D + k] * factor[j * D + k]).sum();
            factor[i * D + j] = match i == j {
                true => (sigma[i * D + i] - sum).sqrt(),
                false => (sigma[i * D + j] - sum) / factor[j * D + j],
            };
        }
    }
    let drawn = |g: &[f32]| -> Vec<f32> {
        (0..D)
            .map(|i| (0..=i).map(|k| factor[i * D + k] * f64::from(g[k])).sum::<f64>() as f32)
            .collect()
    };
    let expected = of(normalised(even.chunks_exact(D).flat_map(drawn).collect()));
    let (ours, even) = (of(directions), of(normalised(even)));
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!(distance(&ours, &expected) < 0.02, "{}", distance(&ours, &expected));
    assert!(distance(&even, &expected) > 0.1, "the test cannot tell");
    // no other scale of x̂ − μ is closer to x − μ
    for k in [None, Some(5)] {
        let dictionary = fitted(DictionaryKind::Random { k }, 100, &mut stream);
        let x_hat = outputs(&dictionary, &stream).1;
        let mean = &dictionary.parameters().0[2].data;
        let error = |scale: f32| {
            let one = |(i, (x, y)): (usize, (&f32, &f32))| f64::from(x - mean[i % D] - scale * (y - mean[i % D])).powi(2);
            stream.x.iter().zip(&x_hat).enumerate().map(one).sum::<f64>()
        };
        assert!(error(1.0) < error(0.97).min(error(1.03)) && error(1.0) < error(0.0), "{k:?}");
    }
}

#[test]
fn a_tokens_mean_is_the_mean_over_its_positions() {
    let mut stream = stream();
    let dictionary = fitted(DictionaryKind::TokenMean, D_VOCAB, &mut stream);
    let (_, x_hat) = outputs(&dictionary, &stream);
    let mean = |of: &dyn Fn(u32) -> bool| -> Vec<f64> {
        let rows: Vec<&[f32]> = stream
            .x
            .chunks_exact(D)
            .zip(&stream.tokens)
            .filter(|(_, t)| of(**t))
            .map(|(x, _)| x)
            .collect();
        (0..D)
            .map(|i| rows.iter().map(|row| f64::from(row[i])).sum::<f64>() / rows.len() as f64)
            .collect()
    };
    for (x_hat, token) in x_hat.chunks_exact(D).zip(&stream.tokens).take(50) {
        let off = relative(x_hat, &mean(&|t| t == *token));
        assert!(off < 1e-6, "token {token}: {off:.1e} off");
    }
    // a token that was not there, and one that is none: nothing fires, and the mean is given
    assert!(!stream.tokens.contains(&19));
    let others = InMemory {
        tokens: vec![19, 99],
        ..InMemory::new(vec![5.0; 2 * D], D, 2)
    };
    let (codes, x_hat) = outputs(&dictionary, &others);
    assert!(codes.iter().all(|c| *c == 0.0));
    for x_hat in x_hat.chunks_exact(D) {
        assert!(relative(x_hat, &mean(&|_| true)) < 1e-6);
    }
    // batches of other sizes add up to the same but for rounding
    let mut sums = TokenSums::new(D_VOCAB, D);
    stream
        .x
        .chunks(D * 7)
        .zip(stream.tokens.chunks(7))
        .for_each(|(x, tokens)| sums.add(x, tokens));
    let again = sums.dictionary();
    assert!(relative(again.directions(), &wide(dictionary.directions())) < 1e-6);
}
