//! Laws of the kinds of dictionary: their gradients are the slopes of their formulas, written out densely with stop-gradients held
//! constant; which kinds are the same; thresholds that move; sparse = dense, any number of threads.

use api::{DictionaryKind, Objective};
use engine::{
    dictionary::{Among, Dictionary, Forward, JumpRelu, Kind, Parameters, Path, Scratch, Settings, SparseCodes, TopK},
    kernel::Real,
    train::Trainee,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{golden::relative, kind_runs::kinds};

/// The batch's part in its step, over the numbers of x.
pub const PER_NUMBER: f64 = 0.01;
/// The loss' derivative by the penalty.
pub const SPARSITY: f64 = 0.1;

pub fn numbers<R: Real>(n: usize, seed: u64) -> Vec<R> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| R::of(rng.random_range(-1.0..1.0))).collect()
}

/// A dictionary none of whose parameters is special; half of a TopK's features are dead.
pub fn shaken<R: Real>(kind: DictionaryKind, d: usize, f: usize) -> Dictionary<R> {
    let mut dictionary = Dictionary::random(kind, d, f, 1);
    dictionary.update_state(|state| {
        for tensor in state.iter_mut().filter(|tensor| tensor.name == "since_fired") {
            tensor.data.iter_mut().step_by(2).for_each(|n| *n = R::of(1e6));
        }
    });
    dictionary.update(|parameters| {
        for (i, tensor) in parameters
            .0
            .iter_mut()
            .enumerate()
            .filter(|(_, tensor)| tensor.name != "W_dec")
        {
            let by = numbers::<R>(tensor.data.len(), 10 + i as u64);
            let few = if tensor.name == "threshold" { 0.05 } else { 0.2 };
            for (x, by) in tensor.data.iter_mut().zip(by) {
                *x += R::of(few) * if tensor.name == "threshold" { by * by } else { by };
            }
        }
    });
    dictionary
}

pub struct Passed<R> {
    pub forward: Forward<R>,
    pub grads: Parameters<R>,
    pub grad_x: Vec<R>,
}

pub fn pass<R: Real>(dictionary: &Dictionary<R>, n: usize, path: Path) -> Passed<R> {
    let d = dictionary.d_in();
    let (x, g) = (numbers::<R>(n * d, 2), numbers::<R>(n * d, 3));
    let (scratch, mut forward) = (Scratch::new(), Forward::default());
    let mut grads = dictionary.parameters().zeros_like();
    let mut grad_x = vec![R::ZERO; n * d];
    dictionary.forward(&x, PER_NUMBER, &mut forward, path, &scratch);
    dictionary.backward(
        &x,
        &mut forward,
        &g,
        R::of(SPARSITY),
        &mut grads,
        Some(&mut grad_x),
        path,
        &scratch,
    );
    dictionary.finish(&mut grads);
    Passed { forward, grads, grad_x }
}

#[test]
fn paths_and_threads_give_the_same_for_every_kind() {
    for kind in kinds() {
        let dictionary = shaken::<f32>(kind, 24, 1300);
        let run = |threads: usize, path: Path| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| pass(&dictionary, 1100, path))
        };
        let one = run(1, Path::default());
        for threads in [2, 3] {
            let other = run(threads, Path::default());
            assert!(
                other.grads == one.grads && other.grad_x == one.grad_x,
                "{}: {threads} threads",
                kind.name()
            );
            assert!(other.forward.x_hat == one.forward.x_hat, "{}: {threads} threads", kind.name());
        }
        let (sparse, dense) = (run(2, Path::SPARSE), run(2, Path::DENSE));
        for (a, b) in sparse.grads.0.iter().zip(&dense.grads.0) {
            let b: Vec<f64> = b.data.iter().map(|b| b.f64()).collect();
            let off = relative(&a.data, &b);
            assert!(off < 1e-4, "{}: '{}' is {off:.1e} off", kind.name(), a.name);
        }
    }
}

/// One token's features by the definitions: (what is decoded, what the kind's own terms see).
fn features(kind: DictionaryKind, p: &Parameters<f64>, x: &[f64], dead: &[bool]) -> (Vec<f64>, Vec<f64>) {
    let tensor = |name: &str| p.0.iter().find(|t| t.name == name).map(|t| &t.data[..]);
    let (w, d) = (tensor("W_enc").unwrap(), x.len());
    let f = w.len() / d;
    let product = |x: &[f64]| -> Vec<f64> { (0..f).map(|j| (0..d).map(|i| w[j * d + i] * x[i]).sum()).collect() };
    let centred = || -> Vec<f64> { x.iter().zip(tensor("b_dec").unwrap()).map(|(x, b)| x - b).collect() };
    match kind {
        DictionaryKind::Gated => {
            let pre = product(&centred());
            let [gate, r, magnitude] = ["b_gate", "r_mag", "b_mag"].map(|name| tensor(name).unwrap());
            let open: Vec<f64> = (0..f).map(|j| (pre[j] + gate[j]).max(0.0)).collect();
            let code = |j: usize| f64::from(open[j] > 0.0) * (r[j].exp() * pre[j] + magnitude[j]).max(0.0);
            ((0..f).map(code).collect(), open)
        }
        DictionaryKind::TopK { k, .. } | DictionaryKind::AbsTopK { k, .. } => {
            let pre = product(&centred());
            let is_signed = matches!(kind, DictionaryKind::AbsTopK { .. });
            let cut = |z: f64| if is_signed { z } else { z.max(0.0) };
            let z: Vec<f64> = pre.iter().zip(tensor("b_enc").unwrap()).map(|(z, b)| cut(z + b)).collect();
            let largest = |k: usize, of: &dyn Fn(usize) -> bool| -> Vec<f64> {
                let mut order: Vec<usize> = (0..f).filter(|j| of(*j)).collect();
                order.sort_by(|a, b| z[*b].abs().total_cmp(&z[*a].abs()));
                (0..f).map(|j| if order[..k].contains(&j) { z[j] } else { 0.0 }).collect()
            };
            let n_dead = dead.iter().filter(|dead| **dead).count();
            (largest(k, &|_| true), largest(n_dead.min(d / 2), &|j| dead[j]))
        }
        DictionaryKind::JumpRelu { .. } => {
            let z = product(x);
            let [bias, threshold] = ["b_enc", "threshold"].map(|name| tensor(name).unwrap());
            let code = |j: usize| if z[j] + bias[j] > threshold[j] { z[j] + bias[j] } else { 0.0 };
            ((0..f).map(code).collect(), vec![0.0; f])
        }
        other => panic!("{other:?} has no reference here"),
    }
}

fn decoded(codes: &[f64], rows: &[f64], bias: &[f64]) -> Vec<f64> {
    let d = bias.len();
    let mut out = bias.to_vec();
    for (c, row) in codes.iter().zip(rows.chunks_exact(d)) {
        // what is decoded has unit rows, whatever is done to them
        let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        out.iter_mut().zip(row).for_each(|(o, v)| *o += c * v / norm);
    }
    out
}

/// The loss whose derivative by x̂ is g, and the kind's own terms, with the decoder, its bias and the error of `held` where the
/// method stops the gradient.
fn loss(kind: DictionaryKind, p: &Parameters<f64>, held: &Parameters<f64>, n: usize, dead: &[bool]) -> f64 {
    let of = |p: &Parameters<f64>, name: &str| p.0.iter().find(|t| t.name == name).unwrap().data.clone();
    let (rows, bias) = (of(p, "W_dec"), of(p, "b_dec"));
    let (held_rows, held_bias) = (of(held, "W_dec"), of(held, "b_dec"));
    let d = bias.len();
    let (x, g) = (numbers::<f64>(n * d, 2), numbers::<f64>(n * d, 3));
    let (mut sum, mut own, mut errors) = (0.0, 0.0, Vec::new());
    for (x, g) in x.chunks_exact(d).zip(g.chunks_exact(d)) {
        let (codes, side) = features(kind, p, x, dead);
        let x_hat = decoded(&codes, &rows, &bias);
        sum += x_hat.iter().zip(g).map(|(o, g)| o * g).sum::<f64>();
        let off = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        match kind {
            DictionaryKind::Gated => {
                sum += SPARSITY * side.iter().sum::<f64>();
                own += PER_NUMBER * off(x, &decoded(&side, &held_rows, &held_bias));
            }
            DictionaryKind::TopK { .. } | DictionaryKind::AbsTopK { .. } => {
                let (codes, _) = features(kind, held, x, dead);
                let e: Vec<f64> = x
                    .iter()
                    .zip(decoded(&codes, &held_rows, &held_bias))
                    .map(|(x, o)| x - o)
                    .collect();
                own += off(&e, &decoded(&side, &rows, &vec![0.0; d]));
                errors.push(e);
            }
            _ => {}
        }
    }
    if let DictionaryKind::TopK { aux_coefficient, .. } | DictionaryKind::AbsTopK { aux_coefficient, .. } = kind {
        let mean = |i: usize| errors.iter().map(|e| e[i]).sum::<f64>() / n as f64;
        let variance: f64 = (0..d)
            .map(|i| errors.iter().map(|e| (e[i] - mean(i)).powi(2)).sum::<f64>())
            .sum();
        own *= PER_NUMBER * n as f64 * aux_coefficient / variance;
    }
    sum + own
}

#[test]
fn gradients_are_the_slopes_of_the_formulas() {
    let (n, d, f) = (7, 6, 20);
    let dead: Vec<bool> = (0..f).map(|j| j % 2 == 0).collect();
    for kind in kinds() {
        let kind = match kind {
            DictionaryKind::Gated | DictionaryKind::JumpRelu { .. } => kind,
            DictionaryKind::TopK { k, dead_tokens, .. } => DictionaryKind::TopK {
                k,
                dead_tokens,
                aux_coefficient: 30.0,
            },
            DictionaryKind::AbsTopK { k, dead_tokens, .. } => DictionaryKind::AbsTopK {
                k,
                dead_tokens,
                aux_coefficient: 30.0,
            },
            // what is without stop-gradients, or a TopK of other numbers, is seen to elsewhere
            _ => continue,
        };
        let dictionary = shaken::<f64>(kind, d, f);
        let held = dictionary.parameters().clone();
        let grads = pass(&dictionary, n, Path::SPARSE).grads;
        let (h, mut largest) = (1e-6, 0.0f64);
        for (t, grads) in grads.0.iter().enumerate().filter(|(_, tensor)| tensor.name != "threshold") {
            for (i, grad) in grads.data.iter().enumerate() {
                let moved = |by: f64| {
                    let mut p = held.clone();
                    p.0[t].data[i] += by;
                    loss(kind, &p, &held, n, &dead)
                };
                let slope = (moved(h) - moved(-h)) / (2.0 * h);
                let (name, tensor) = (kind.name(), grads.name);
                assert!(
                    (slope - grad).abs() < 1e-7 * (1.0 + slope.abs()),
                    "{name} {tensor}[{i}]: {grad} and {slope}"
                );
                largest = largest.max(slope.abs());
            }
        }
        assert!(largest > 0.1, "{}: nothing to see", kind.name());
    }
}

#[test]
fn a_pursuits_gradient_is_the_slope_at_held_codes() {
    let (n, d, f) = (6, 4, 9);
    let dictionary = shaken::<f64>(DictionaryKind::Pursuit { k: 3 }, d, f);
    let g = numbers::<f64>(n * d, 3);
    let Passed { forward, grads, grad_x } = pass(&dictionary, n, Path::SPARSE);
    let (codes, rows) = (forward.codes.to_dense(), &dictionary.parameters().0[0].data);
    assert!(grad_x.iter().all(|v| *v == 0.0) && forward.codes.nnz() > n);
    for (j, (grad, row)) in grads.0[0].data.chunks(d).zip(rows.chunks(d)).enumerate() {
        let slope: Vec<f64> = (0..d)
            .map(|i| (0..n).map(|t| codes[t * f + j] * g[t * d + i]).sum())
            .collect();
        // without what would change the row's length
        let along: f64 = slope.iter().zip(row).map(|(s, r)| s * r).sum();
        let off = grad
            .iter()
            .zip(slope.iter().zip(row))
            .map(|(g, (s, r))| (g - (s - along * r)).abs());
        assert!(off.fold(0.0, f64::max) < 1e-12, "{j}");
    }
}

#[test]
fn gated_is_jumprelu_with_its_threshold() {
    let (n, d, f) = (300, 12, 90);
    let Dictionary::Gated(gated) = shaken::<f64>(DictionaryKind::Gated, d, f) else {
        panic!("not gated")
    };
    let [w, b_gate, r, b_mag, rows, b_dec] = &gated.parameters().0[..] else {
        panic!()
    };
    let gain = |j: usize| r.data[j].exp();
    let w_mag: Vec<f64> = w.data.iter().enumerate().map(|(i, w)| gain(i / d) * w).collect();
    // x' = x − b_dec goes into the bias
    let bias = |j: usize| b_mag.data[j] - (0..d).map(|i| w_mag[j * d + i] * b_dec.data[i]).sum::<f64>();
    let threshold = |j: usize| b_mag.data[j] - gain(j) * b_gate.data[j];
    let biases = [(0..f).map(bias).collect(), (0..f).map(threshold).collect()];
    assert!((0..f).any(|j| threshold(j) < 0.0) && (0..f).any(|j| threshold(j) > 0.0));
    let jump = JumpRelu::new(w_mag, biases, rows.data.clone(), b_dec.data.clone(), (0.001, 0.001), 1.0);
    let x = numbers::<f64>(n * d, 4);
    let [a, b] = [&gated as &dyn Kind<f64>, &jump].map(|kind| {
        let (mut codes, mut out, scratch) = (SparseCodes::default(), vec![0.0; n * d], Scratch::new());
        kind.encode(&x, &mut codes, &scratch);
        kind.decode(&codes, &mut out, Path::SPARSE, &scratch);
        (codes.nnz(), out)
    });
    assert!(a.0 == b.0 && a.0 > n, "{} and {}", a.0, b.0);
    assert!(relative(&a.1, &b.1) < 1e-12);
}

#[test]
fn topk_is_batchtopk_of_one_token() {
    let (d, f) = (12, 90);
    let settings = |among| Settings {
        k: 5,
        among,
        aux_coefficient: 0.0,
        dead_tokens: 1,
    };
    let [token, batch] =
        [Among::Token, Among::Batch { threshold_decay: 0.9 }].map(|among| TopK::<f64>::random(settings(among), d, f, 1));
    let x = numbers::<f64>(40 * d, 4);
    let forward = |kind: &TopK<f64>, x: &[f64]| {
        let mut forward = Forward::default();
        kind.forward(x, 1.0, &mut forward, Path::SPARSE, &Scratch::new());
        (forward.codes.to_dense(), forward.x_hat)
    };
    for x in x.chunks_exact(d) {
        assert_eq!(forward(&token, x), forward(&batch, x));
    }
    // and of many it is not: tokens share what they have together
    assert_ne!(forward(&token, &x), forward(&batch, &x));
    let n_active = |(codes, _): (Vec<f64>, Vec<f64>)| codes.iter().filter(|c| **c != 0.0).count();
    assert_eq!(n_active(forward(&batch, &x)), 40 * 5);
}

#[test]
fn both_sides_of_a_threshold_move_it() {
    // one feature along the first axis, θ = 0.5, a window from 0.4 to 0.6
    let jump = JumpRelu::new(
        vec![1.0, 0.0],
        [vec![0.0], vec![0.5]],
        vec![1.0, 0.0],
        vec![0.0; 2],
        (0.2, 0.5),
        1.0,
    );
    for (z, code, by_threshold) in [
        (0.3, 0.0, 0.0),
        (0.45, 0.0, -(0.5 * 3.0 + 0.1) / 0.2),
        (0.55, 0.55, -(0.5 * 3.0 + 0.1) / 0.2),
        (0.7, 0.7, 0.0),
    ] {
        let (mut forward, scratch) = (Forward::default(), Scratch::new());
        let mut grads = jump.parameters().zeros_like();
        jump.forward(&[z, 0.0], 1.0, &mut forward, Path::SPARSE, &scratch);
        jump.backward(
            &[z, 0.0],
            &mut forward,
            &[3.0, 7.0],
            0.1,
            &mut grads,
            None,
            Path::SPARSE,
            &scratch,
        );
        assert_eq!(forward.codes.to_dense(), [code]);
        let found: f64 = grads.0[2].data[0];
        assert!((found - by_threshold).abs() < 1e-12, "z = {z}: {found}");
        // through z only what fires has a gradient, and none is the penalty's
        assert_eq!(grads.0[1].data[0], if code > 0.0 { 3.0 } else { 0.0 });
    }
}

#[test]
fn thresholds_move_whatever_the_inputs_size() {
    let (n, d, f) = (512, 16, 64);
    let kind = DictionaryKind::JumpRelu {
        bandwidth: 0.01,
        initial_threshold: 0.001,
    };
    let train = |size: f64, sparsity: f64| {
        let objective = Objective::Local {
            sparsity: sparsity * size * size,
        };
        let mut trainee = Trainee::<f64>::new(objective, 2e-3, Dictionary::random(kind, d, f, 1), api::Adam::default());
        let batch = |step: u64| numbers::<f64>(n * d, step).into_iter().map(|x| x * size).collect::<Vec<_>>();
        let scratch = Scratch::new();
        trainee.prepare(&batch(0));
        for step in 0..150 {
            let x = batch(step);
            trainee.begin();
            trainee.forward(&x, 1.0, &scratch);
            trainee.backward(&x, 1.0, &scratch);
            trainee.complete();
            trainee.update(1.0, f64::INFINITY);
        }
        let threshold = trainee
            .dictionary
            .parameters()
            .0
            .iter()
            .find(|t| t.name == "threshold")
            .unwrap();
        (threshold.data.iter().sum::<f64>() / f as f64, trainee.l0)
    };
    let (fine, free) = train(1.0, 0.0);
    let (moved, sparse) = train(1.0, 0.1);
    assert!(
        moved > 50.0 * 0.001 && moved > fine,
        "the mean threshold went from 0.001 to {moved}"
    );
    assert!(sparse < 0.7 * free, "L0 {free} without a penalty, {sparse} with one");
    // a thousand times as large, they move as far in the input's units (the biases, which are not in these units, do not)
    let (large, sparse_large) = train(1000.0, 0.1);
    assert!(
        large > 50.0 * 0.001 && (0.5..2.0).contains(&(large / moved)),
        "{large} and {moved}"
    );
    assert!(sparse_large < 0.7 * free, "L0 {sparse_large}");
}
