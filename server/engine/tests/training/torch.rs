//! Losses, gradients, learning rates and ten optimiser steps are torch's.

use api::Objective;
use engine::{
    kernel::Real,
    model::Model,
    train::{Stepper, Trainee, schedule},
};

use crate::{
    golden::{Case, Golden, NAMES, Setup, close, model, relative},
    workplace::config,
};

fn stepper<'m, R: Real>(golden: &Golden, model: &'m Model<R>, setup: &Setup, cases: &[&Case]) -> Stepper<'m, R> {
    let mut config = config(setup.at);
    config.max_grad_norm = cases[0].max_grad_norm;
    let trainee = |case: &&Case| Trainee::new(case.objective, case.lr, golden.dictionary(setup), config.adam);
    Stepper::new(model, &config, setup.normaliser, cases.iter().map(trainee).collect()).unwrap()
}

/// The first step's terms, loss and gradient, of all three objectives from one pass.
fn first_step<R: Real>(golden: &Golden, model: &Model<R>, setup: &Setup, bound: f64) {
    let cases: Vec<&Case> = setup.cases.iter().collect();
    let mut stepper = stepper(golden, model, setup, &cases);
    let tokens = golden.tokens(&format!("{}.tokens", setup.model));
    stepper.gradients(&golden.batches(&tokens, 0)).unwrap();
    for (case, trainee) in cases.iter().zip(&stepper.trainees) {
        let name = &case.name;
        let terms = trainee.terms;
        let ours = [
            ("reconstruction", terms.reconstruction),
            ("sparsity", terms.sparsity),
            ("kl", terms.kl),
            ("downstream", terms.downstream),
        ];
        for (term, ours) in ours {
            match case.terms.get(term) {
                Some(torchs) => close(&format!("{name} {term}"), ours, *torchs, bound),
                None => assert_eq!(ours, 0.0, "{name} has no {term}"),
            }
        }
        close(&format!("{name} loss"), terms.loss(&case.objective), case.losses[0], bound);
        close(&format!("{name} norm"), trainee.grad_norm, case.grad_norms[0], bound);
        for (tensor, expected) in trainee.grads().0.iter().zip(NAMES) {
            assert_eq!(tensor.name, expected);
            let off = relative(&tensor.data, &golden.numbers(&format!("{name}.grad.{expected}")));
            assert!(off <= bound, "{name}: the gradient of {expected} is {off:.1e} off");
        }
    }
}

#[test]
fn losses_and_gradients_are_torchs() {
    let golden = Golden::read();
    let objectives = |setup: &Setup| setup.cases.iter().map(|case| case.objective.kind()).collect::<Vec<_>>();
    for setup in &golden.about.setups {
        assert_eq!(objectives(setup), api::ObjectiveKind::ALL, "{}", setup.name);
        let model = model(setup);
        first_step(&golden, &model, setup, 1e-5);
        // not tighter: the golden gradients are kept in f32, and the sines of rotary positions are taken in f32 on both sides
        first_step(&golden, &model.to_f64(), setup, 1e-6);
    }
}

/// All steps: losses, learning rates; gives how far the last weights are from torch's, as a share of the way they went, at
/// the worst tensor.
fn all_steps<R: Real>(golden: &Golden, model: &Model<R>, setup: &Setup, case: &Case, bound: f64) -> f64 {
    let mut stepper = stepper(golden, model, setup, &[case]);
    let tokens = golden.tokens(&format!("{}.tokens", setup.model));
    for step in 0..golden.about.n_steps {
        stepper.gradients(&golden.batches(&tokens, step)).unwrap();
        let trainee = &stepper.trainees[0];
        let what = format!("{} step {step}", case.name);
        close(
            &format!("{what}, loss"),
            trainee.terms.loss(&case.objective),
            case.losses[step],
            bound,
        );
        close(
            &format!("{what}, norm"),
            trainee.grad_norm,
            case.grad_norms[step],
            10.0 * bound,
        );
        let factor = schedule::factor(&golden.about.schedule, step, golden.about.n_steps);
        assert!((trainee.lr * factor - case.lrs[step]).abs() < 1e-15, "{what}: {factor}");
        stepper.update(factor);
    }
    let ours = stepper.trainees[0].dictionary.parameters();
    let way = |tensor: &engine::dictionary::Tensor<R>| {
        let [init, last] = [format!("{}.init", setup.name), format!("{}.final", case.name)]
            .map(|name| golden.numbers(&format!("{name}.{}", tensor.name)));
        let [ours, torchs]: [Vec<f64>; 2] = [
            tensor.data.iter().zip(&init).map(|(last, init)| last.f64() - init).collect(),
            last.iter().zip(&init).map(|(last, init)| last - init).collect(),
        ];
        relative(&ours, &torchs)
    };
    ours.0.iter().map(way).fold(0.0, f64::max)
}

#[test]
fn ten_steps_are_torchs() {
    let golden = Golden::read();
    for setup in &golden.about.setups {
        let model = model(setup);
        let exact = model.to_f64();
        for case in &setup.cases {
            // in f64 nothing hides: the same way to a millionth
            let off = all_steps(&golden, &exact, setup, case, 1e-7);
            assert!(off < 1e-6, "{}: weights {off:.1e} off in f64", case.name);
            // in f32, Adam divides by the gradient's own size and so makes rounding in a gradient that is nearly zero as
            // large as a step: the losses hardly know of it, the weights do
            let off = all_steps(&golden, &model, setup, case, 2e-5);
            assert!(off < 2e-3, "{}: weights {off:.1e} off in f32", case.name);
        }
    }
}

#[test]
fn coefficients_are_where_they_belong() {
    // the golden objectives have different numbers at every place, so that no two can be mistaken for each other
    let golden = Golden::read();
    for case in golden.about.setups.iter().flat_map(|setup| &setup.cases) {
        let places = match case.objective {
            Objective::Local { sparsity } => vec![sparsity, 1.0],
            Objective::E2e { sparsity, kl } => vec![sparsity, kl, 1.0],
            Objective::E2eDs {
                sparsity,
                kl,
                downstream,
            } => vec![sparsity, kl, downstream, 1.0],
            // the two terms of the third are in equal parts
            Objective::KlMse { sparsity } => vec![sparsity, 1.0],
        };
        for (i, a) in places.iter().enumerate() {
            assert!(places[..i].iter().all(|b| a != b), "{}", case.name);
        }
    }
}
