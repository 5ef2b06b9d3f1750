//! Laws of the kinds that are another one with something more: ReLU's conventions, p-anneal, Matryoshka.

use api::DictionaryKind;
use engine::{
    dictionary::{Dictionary, Forward, Parameters, Path, Scratch},
    kernel::Real,
};

use crate::{
    golden::relative,
    kind_laws::{PER_NUMBER, SPARSITY, numbers, pass, shaken},
};

const ANNEALED: DictionaryKind = DictionaryKind::PAnneal {
    final_p: 0.4,
    anneal_start: 0,
    anneal_end: 90,
};

fn batchtopk() -> DictionaryKind {
    DictionaryKind::BatchTopK {
        k: 3,
        aux_coefficient: 0.5,
        dead_tokens: 200,
        threshold_decay: 0.9,
    }
}

fn matryoshka(groups: usize) -> DictionaryKind {
    DictionaryKind::Matryoshka {
        k: 3,
        aux_coefficient: 0.5,
        dead_tokens: 200,
        threshold_decay: 0.9,
        groups,
    }
}

fn set<R: Real>(dictionary: &mut Dictionary<R>, name: &str, values: &[f64]) {
    dictionary.update_state(|state| {
        let tensor = state.iter_mut().find(|tensor| tensor.name == name).unwrap();
        tensor.data.iter_mut().zip(values).for_each(|(t, v)| *t = R::of(*v));
    });
}

fn normalise_rows(parameters: &mut Parameters<f64>, d: usize) {
    let tensor = parameters.0.iter_mut().find(|tensor| tensor.name == "W_dec").unwrap();
    for row in tensor.data.chunks_exact_mut(d) {
        let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter_mut().for_each(|v| *v /= norm);
    }
}

#[test]
fn gradients_without_stops_are_the_slopes() {
    let (n, d, f) = (6, 4, 19);
    let g = numbers::<f64>(n * d, 3);
    for kind in [
        DictionaryKind::Tied,
        DictionaryKind::ReluUnit,
        DictionaryKind::ReluApril,
        DictionaryKind::ReluSaelens,
        ANNEALED,
        matryoshka(3),
    ] {
        let mut dictionary = shaken::<f64>(kind, d, f);
        match kind {
            // p = 0.8, and a factor
            DictionaryKind::PAnneal { .. } => set(&mut dictionary, "annealing", &[40.0, 4.0, 1.3]),
            // the dead features' term has a stop-gradient; it is seen to elsewhere
            DictionaryKind::Matryoshka { .. } => set(&mut dictionary, "since_fired", &[0.0; 19]),
            _ => {}
        }
        let is_kept = matches!(
            kind,
            DictionaryKind::ReluUnit | DictionaryKind::PAnneal { .. } | DictionaryKind::Matryoshka { .. }
        );
        let passed = pass(&dictionary, n, Path::SPARSE);
        let mut largest = 0.0f64;
        for (t, grads) in passed.grads.0.iter().enumerate() {
            for (i, grad) in grads.data.iter().enumerate() {
                let moved = |by: f64| {
                    let mut dictionary = dictionary.clone();
                    dictionary.update(|p| {
                        p.0[t].data[i] += by;
                        if is_kept {
                            normalise_rows(p, d);
                        }
                    });
                    let Forward {
                        x_hat,
                        penalty,
                        auxiliary,
                        ..
                    } = pass(&dictionary, n, Path::SPARSE).forward;
                    x_hat.iter().zip(&g).map(|(o, g)| o * g).sum::<f64>() + SPARSITY * penalty + PER_NUMBER * auxiliary
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
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
fn a_matryoshka_of_one_group_is_batchtopk() {
    let (n, d, f) = (700, 12, 90);
    let [one, whole] = [matryoshka(1), batchtopk()].map(|kind| pass(&shaken::<f32>(kind, d, f), n, Path::default()));
    assert!(one.grads == whole.grads && one.grad_x == whole.grad_x);
    assert!(one.forward.x_hat == whole.forward.x_hat && one.forward.auxiliary == whole.forward.auxiliary);
    // and of several it is the same dictionary, trained otherwise
    let several = pass(&shaken::<f32>(matryoshka(3), d, f), n, Path::default());
    assert!(several.forward.x_hat == whole.forward.x_hat && several.grads != whole.grads);
}

#[test]
fn a_matryoshkas_term_is_the_error_of_its_prefixes() {
    let (n, d, f) = (40, 6, 40);
    let mut dictionary = shaken::<f64>(matryoshka(4), d, f);
    set(&mut dictionary, "since_fired", &[0.0; 40]);
    let forward = pass(&dictionary, n, Path::SPARSE).forward;
    let (codes, x) = (forward.codes.to_dense(), numbers::<f64>(n * d, 2));
    let tensor = |name: &str| {
        let tensor = dictionary.parameters().0.iter().find(|t| t.name == name).unwrap();
        tensor.data.clone()
    };
    let (rows, bias) = (tensor("W_dec"), tensor("b_dec"));
    // 40 / 16, 40 / 8, 40 / 4, and the rest
    let errors = [2, 7, 17].map(|end| {
        let of_token = |(x, c): (&[f64], &[f64])| -> f64 {
            let x_hat = |i: usize| bias[i] + (0..end).map(|j| c[j] * rows[j * d + i]).sum::<f64>();
            (0..d).map(|i| (x[i] - x_hat(i)).powi(2)).sum()
        };
        x.chunks_exact(d).zip(codes.chunks_exact(f)).map(of_token).sum::<f64>()
    });
    let expected = errors.iter().sum::<f64>() / 4.0;
    assert!((forward.auxiliary / expected - 1.0).abs() < 1e-12);
    assert!(dictionary.reconstruction_share() == 0.25 && errors[0] != errors[2]);
}

#[test]
fn the_length_of_what_is_written_does_not_matter_to_a_weighted_penalty() {
    let (n, d, f) = (50, 6, 30);
    for (kind, matters) in [
        (DictionaryKind::ReluApril, false),
        (DictionaryKind::ReluSaelens, false),
        (DictionaryKind::ReluUnit, true),
    ] {
        let dictionary = shaken::<f64>(kind, d, f);
        let mut longer = dictionary.clone();
        longer.update(|p| {
            for tensor in p.0.iter_mut().filter(|tensor| tensor.name != "b_dec") {
                let factor = if tensor.name == "W_dec" { 4.0 } else { 0.25 };
                tensor.data.iter_mut().for_each(|v| *v *= factor);
            }
        });
        let [a, b] = [&dictionary, &longer].map(|dictionary| pass(dictionary, n, Path::SPARSE).forward);
        assert!(relative(&a.x_hat, &b.x_hat) < 1e-14, "{kind:?}");
        assert_eq!((a.penalty / b.penalty - 1.0).abs() > 1e-12, matters, "{kind:?}");
    }
}

#[test]
fn p_anneal_begins_as_relu_unit_and_its_penalty_does_not_jump() {
    let (n, d, f) = (64, 6, 30);
    let [mut annealed, unit] = [ANNEALED, DictionaryKind::ReluUnit].map(|kind| shaken::<f64>(kind, d, f));
    let [a, b] = [&annealed, &unit].map(|dictionary| pass(dictionary, n, Path::SPARSE));
    for (a, b) in a.grads.0.iter().zip(&b.grads.0) {
        assert!(relative(&a.data, &b.data) < 1e-14, "{}", a.name);
    }
    // the same batch at every step, no parameter moves: the factor makes up for p exactly
    let (x, scratch, mut forward) = (numbers::<f64>(n * d, 2), Scratch::new(), Forward::default());
    let mut ps = Vec::new();
    for _ in 0..95 {
        forward.seen.begin();
        annealed.forward(&x, 1.0, &mut forward, Path::SPARSE, &scratch);
        assert!(
            (forward.penalty / b.forward.penalty - 1.0).abs() < 1e-9,
            "{}",
            forward.penalty
        );
        let l0 = forward.codes.nnz() as f64;
        annealed.settle(&forward.seen);
        let factor = annealed.state()[0].data[2];
        ps.push((factor * l0 / b.forward.penalty, annealed.state()[0].data[1]));
    }
    assert_eq!(ps.last().unwrap().1, 10.0);
    let moves = |step: usize| ps[step].1;
    assert_eq!(
        (moves(0), moves(9), moves(10), moves(89), moves(90)),
        (1.0, 1.0, 2.0, 9.0, 10.0)
    );
    // Σ c^0.4 is nearer to the number of active features than Σ c is
    assert!((ps[94].0 - 1.0).abs() < (ps[0].0 - 1.0).abs(), "{:?} and {:?}", ps[0], ps[94]);
}
