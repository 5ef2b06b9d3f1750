//! Laws of the dictionaries: hand-set weights, sparse = dense, gradients against finite differences, files.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

use api::{DictionaryConfig, DictionaryKind, HookPoint, Objective, ResidualFrame, WeightType};
use engine::dictionary::{Dictionary, DictionaryFile, Forward, Kind, Normaliser, Path, Relu, Scratch, SparseCodes, load, save};
use engine::kernel::Real;
use rand::{Rng, SeedableRng};

fn numbers<R: Real>(n: usize, seed: u64) -> Vec<R> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| R::of(rng.random_range(-1.0..1.0))).collect()
}

#[test]
fn hand_set_weights() {
    // two features along the axes; the decoder's lengths do not matter
    let relu = Relu::new(
        vec![2.0, 0.0, 0.0, 1.0],
        vec![0.0, -1.0],
        vec![5.0, 0.0, 0.0, 0.25],
        vec![10.0, 20.0],
    );
    let scratch = Scratch::new();
    let mut codes = SparseCodes::default();
    relu.encode(&[1.0, 0.5, -1.0, 3.0], &mut codes, &scratch);
    assert_eq!(codes.to_dense(), [2.0, 0.0, 0.0, 2.0]);
    assert_eq!(codes.nnz(), 2);
    assert_eq!(codes.l1(), 4.0);
    let mut out = [0.0f32; 4];
    relu.decode(&codes, &mut out, Path::SPARSE, &scratch);
    assert_eq!(out, [12.0, 20.0, 10.0, 22.0]);
}

#[test]
fn codes_are_those_of_the_definition() {
    // more tokens than a segment, more features than a tile
    let (n, d, f) = (1100, 5, 2100);
    let relu = Dictionary::<f64>::random(DictionaryKind::Relu, d, f, 3);
    let x = numbers::<f64>(n * d, 4);
    let mut codes = SparseCodes::default();
    relu.encode(&x, &mut codes, &Scratch::new());
    let p = &relu.parameters().0;
    let mut expected = vec![0.0; n * f];
    for t in 0..n {
        for j in 0..f {
            let pre: f64 = (0..d).map(|i| x[t * d + i] * p[0].data[j * d + i]).sum::<f64>() + p[1].data[j];
            expected[t * f + j] = pre.max(0.0);
        }
    }
    for (i, (a, b)) in codes.to_dense().iter().zip(&expected).enumerate() {
        assert!((a - b).abs() < 1e-12, "{i}: {a} and {b}");
    }
    assert_eq!(SparseCodes::from_dense(&expected, f).to_dense(), expected);
    for t in [0, 511, 512, 1099] {
        assert!(codes.row(t).0.is_sorted());
    }
}

/// What a search for the largest passes over must not be among them, whatever it was told before, and whatever is dead.
#[test]
fn the_largest_are_found_wherever_the_search_begins() {
    // more tokens than a segment, more features than a tile
    let (n, d, f, k, dead_tokens) = (600, 6, 2100, 9, 100);
    let aux_coefficient = 0.5;
    let of_token = DictionaryKind::TopK {
        k,
        aux_coefficient,
        dead_tokens,
    };
    let of_batch = DictionaryKind::BatchTopK {
        k,
        aux_coefficient,
        dead_tokens,
        threshold_decay: 0.9,
    };
    let by_size = DictionaryKind::AbsTopK {
        k,
        aux_coefficient,
        dead_tokens,
    };
    let x = numbers::<f64>(n * d, 4);
    for kind in [of_token, of_batch, by_size] {
        let mut dictionary = Dictionary::<f64>::random(kind, d, f, 5);
        let w = &dictionary.parameters().0[0].data;
        let mut expected: Vec<f64> = (0..n * f)
            .map(|e| {
                let (t, j) = (e / f, e % f);
                let z = (0..d).map(|i| x[t * d + i] * w[j * d + i]).sum::<f64>();
                if kind == by_size { z } else { z.max(0.0) }
            })
            .collect();
        let keep = |numbers: &mut [f64], n: usize| {
            let mut sorted: Vec<f64> = numbers.iter().map(|v| v.abs()).collect();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let least = sorted[n - 1];
            numbers.iter_mut().filter(|v| v.abs() < least).for_each(|v| *v = 0.0);
            least
        };
        let least = match kind == of_batch {
            true => keep(&mut expected, n * k),
            false => expected.chunks_exact_mut(f).map(|row| keep(row, k)).fold(0.0, f64::max),
        };
        for (threshold, n_dead) in [
            (-1.0, 0),
            (least, 0),
            (1.2 * least, 0),
            (1.3 * least, f / 2),
            (9.0 * least, f),
        ] {
            dictionary.update_state(|state| {
                for tensor in state {
                    match tensor.name {
                        "threshold" => tensor.data.fill(threshold),
                        _ => tensor.data[..n_dead].fill(dead_tokens as f64),
                    }
                }
            });
            let mut forward = Forward::default();
            dictionary.forward(&x, 1.0, &mut forward, Path::SPARSE, &Scratch::new());
            assert_eq!(forward.codes.nnz(), n * k);
            for (e, (a, b)) in forward.codes.to_dense().iter().zip(&expected).enumerate() {
                assert!(
                    (a - b).abs() < 1e-12,
                    "{kind:?}, {threshold}, {n_dead} dead, entry {e}: {a} and {b}"
                );
            }
        }
    }
}

fn gradients<R: Real>(n: usize, d: usize, f: usize, path: Path) -> (Vec<Vec<R>>, Vec<R>, Vec<R>) {
    let dictionary = Dictionary::<R>::random(DictionaryKind::Relu, d, f, 1);
    let (x, g) = (numbers::<R>(n * d, 2), numbers::<R>(n * d, 3));
    let scratch = Scratch::new();
    let mut forward = Forward::default();
    dictionary.forward(&x, 1.0, &mut forward, path, &scratch);
    let out = forward.x_hat.clone();
    let mut grads = dictionary.parameters().zeros_like();
    let mut grad_x = vec![R::ZERO; n * d];
    dictionary.backward(
        &x,
        &mut forward,
        &g,
        R::of(0.1),
        &mut grads,
        Some(&mut grad_x),
        path,
        &scratch,
    );
    dictionary.finish(&mut grads);
    (grads.0.into_iter().map(|t| t.data).collect(), grad_x, out)
}

fn close<R: Real>(a: &[R], b: &[R], bound: f64) {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let error = norm(&mut a.iter().zip(b).map(|(a, b)| a.f64() - b.f64())) / norm(&mut b.iter().map(|b| b.f64()));
    assert!(error < bound, "relative difference {error}");
}

#[test]
fn the_dense_path_gives_the_same() {
    let (n, d, f) = (700, 24, 1500);
    let (sparse, dense) = (
        gradients::<f32>(n, d, f, Path::SPARSE),
        gradients::<f32>(n, d, f, Path::DENSE),
    );
    for (a, b) in sparse.0.iter().zip(&dense.0) {
        close(a, b, 1e-5);
    }
    close(&sparse.1, &dense.1, 1e-5);
    close(&sparse.2, &dense.2, 1e-5);
}

#[test]
fn f32_is_f64_rounded() {
    let (n, d, f) = (300, 24, 200);
    let (single, double) = (
        gradients::<f32>(n, d, f, Path::default()),
        gradients::<f64>(n, d, f, Path::default()),
    );
    for (a, b) in single.0.iter().zip(&double.0) {
        let a: Vec<f64> = a.iter().map(|v| v.f64()).collect();
        close(&a, b, 1e-4);
    }
}

#[test]
fn gradients_are_finite_differences() {
    let (n, d, f) = (6, 4, 9);
    let dictionary = Dictionary::<f64>::random(DictionaryKind::Relu, d, f, 1);
    let (x, g) = (numbers::<f64>(n * d, 2), numbers::<f64>(n * d, 3));
    let scratch = Scratch::new();
    // the loss whose derivative by x̂ is g and by each activation 0.1
    let loss = |dictionary: &Dictionary<f64>, x: &[f64]| {
        let mut codes = SparseCodes::default();
        dictionary.encode(x, &mut codes, &scratch);
        let mut out = vec![0.0; n * d];
        dictionary.decode(&codes, &mut out, Path::SPARSE, &scratch);
        out.iter().zip(&g).map(|(o, g)| o * g).sum::<f64>() + 0.1 * codes.l1()
    };
    let (grads, grad_x, _) = gradients::<f64>(n, d, f, Path::SPARSE);
    let h = 1e-6;
    for (t, grads) in grads.iter().enumerate() {
        for (i, grad) in grads.iter().enumerate() {
            let moved = |by: f64| {
                let mut dictionary = dictionary.clone();
                dictionary.update(|p| p.0[t].data[i] += by);
                loss(&dictionary, &x)
            };
            let slope = (moved(h) - moved(-h)) / (2.0 * h);
            assert!(
                (slope - grad).abs() < 1e-7 * (1.0 + slope.abs()),
                "tensor {t}[{i}]: {grad} and {slope}"
            );
        }
    }
    for (i, grad) in grad_x.iter().enumerate() {
        let moved = |by: f64| {
            let mut x = x.clone();
            x[i] += by;
            loss(&dictionary, &x)
        };
        let slope = (moved(h) - moved(-h)) / (2.0 * h);
        assert!(
            (slope - grad).abs() < 1e-7 * (1.0 + slope.abs()),
            "x[{i}]: {grad} and {slope}"
        );
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| gradients::<f32>(1500, 48, 1300, Path::default()))
    };
    let one = run(1);
    for threads in [2, 3] {
        assert_eq!(run(threads), one);
    }
}

#[test]
fn files_round_trip_and_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dictionary.safetensors");
    let dictionary = Dictionary::<f32>::random(DictionaryKind::Relu, 4, 8, 0);
    let config = DictionaryConfig {
        kind: DictionaryKind::Relu,
        d_sae: 8,
        objective: Objective::Local { sparsity: 0.5 },
        lr: 1e-3,
        seed: 0,
        course: api::Course::default(),
        origin: api::Origin::Fresh,
    };
    let file = DictionaryFile::new(
        config.clone(),
        HookPoint::resid_pre(2),
        ResidualFrame::Raw,
        Normaliser::Scale(0.5),
        "abc".into(),
    );
    save(&dictionary, &file, WeightType::F32, &path).unwrap();
    let (back, facts) = load(&path).unwrap();
    assert_eq!(back.parameters(), dictionary.parameters());
    assert_eq!(facts, file);
    // half as large, and to 2⁻¹¹ of each weight
    save(&dictionary, &file, WeightType::F16, &path).unwrap();
    let (back, _) = load(&path).unwrap();
    for (a, b) in back.parameters().0.iter().zip(&dictionary.parameters().0) {
        assert!(
            a.data.iter().zip(&b.data).all(|(a, b)| (a - b).abs() <= b.abs() / 2048.0),
            "{}",
            a.name
        );
        assert!(a.data != b.data || a.name == "b_dec", "{}", a.name);
    }
    save(&dictionary, &file, WeightType::F32, &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(
        error.contains("dictionary.safetensors") && error.contains("not a safetensors file"),
        "{error}"
    );
    let wide = DictionaryFile {
        config: DictionaryConfig { d_sae: 9, ..config },
        ..file.clone()
    };
    save(&dictionary, &wide, WeightType::F32, &path).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(
        error.contains("'W_enc'") && error.contains("[8, 4]") && error.contains("[9, 4]"),
        "{error}"
    );
}
