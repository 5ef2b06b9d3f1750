//! Laws of a step: the gradient is the loss' own, dictionaries do not know of each other, batches add up.

use api::{HookPoint, Objective, ObjectiveKind};
use engine::{
    dictionary::{Dictionary, Normaliser, Parameters},
    kernel::Real,
    model::Model,
    objective::{Terms, balanced},
    train::{Stepper, Trainee, schedule},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    golden::{Case, Golden, Setup, model, relative},
    workplace::config,
};

fn stepper<'m, R: Real>(golden: &Golden, model: &'m Model<R>, setup: &Setup, cases: &[Case]) -> Stepper<'m, R> {
    stepper_of(golden, model, setup, &cases.iter().collect::<Vec<_>>())
}

fn stepper_of<'m, R: Real>(golden: &Golden, model: &'m Model<R>, setup: &Setup, cases: &[&Case]) -> Stepper<'m, R> {
    let config = config(setup.at);
    let trainee = |case: &&Case| Trainee::new(case.objective, case.lr, golden.dictionary(setup), config.adam);
    Stepper::new(model, &config, setup.normaliser, cases.iter().map(trainee).collect()).unwrap()
}

/// Adds `by` times `direction` to the parameters.
fn shift(dictionary: &mut Dictionary<f64>, direction: &Parameters<f64>, by: f64) {
    dictionary.update(|parameters| {
        for (tensor, direction) in parameters.0.iter_mut().zip(&direction.0) {
            for (x, d) in tensor.data.iter_mut().zip(&direction.data) {
                *x += by * d;
            }
        }
    });
}

/// The loss, with what kl+mse holds constant as it was at `first`.
fn loss(trainee: &Trainee<f64>, first: &Terms) -> f64 {
    let terms = trainee.terms;
    match trainee.objective {
        Objective::KlMse { sparsity } => {
            let alpha = balanced::alpha(first.reconstruction, first.kl);
            0.5 * (alpha * terms.kl + terms.reconstruction) + sparsity * terms.sparsity
        }
        objective => terms.loss(&objective),
    }
}

#[test]
fn gradients_are_the_losses_slopes() {
    let golden = Golden::read();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for setup in &golden.about.setups {
        let model = model(setup).to_f64();
        let tokens = golden.tokens(&format!("{}.tokens", setup.model));
        // one batch, because kl+mse holds a number of each constant
        let batches = [golden.batches(&tokens, 0).concat()];
        let mut stepper = stepper(&golden, &model, setup, &setup.cases);
        stepper.gradients(&batches).unwrap();
        let first: Vec<Terms> = stepper.trainees.iter().map(|t| t.terms).collect();
        let grads: Vec<Parameters<f64>> = stepper.trainees.iter().map(|t| t.grads().clone()).collect();
        let clean: Vec<Dictionary<f64>> = stepper.trainees.iter().map(|t| t.dictionary.clone()).collect();
        // random directions: in each tensor alone, and along one number of each
        for (tensor, single) in (0..4).flat_map(|tensor| [(tensor, false), (tensor, true), (tensor, true), (tensor, true)]) {
            let mut direction = grads[0].zeros_like();
            let data = &mut direction.0[tensor].data;
            if single {
                let at = rng.random_range(0..data.len());
                data[at] = 1.0;
            } else {
                data.iter_mut().for_each(|d| *d = rng.random_range(-1.0..1.0));
            }
            // small enough that nothing begins or ceases to fire: the golden dictionaries keep away from that
            let step = 1e-6;
            let mut losses = |by: f64| -> Vec<f64> {
                for (trainee, clean) in stepper.trainees.iter_mut().zip(&clean) {
                    trainee.dictionary = clean.clone();
                    shift(&mut trainee.dictionary, &direction, by);
                }
                stepper.gradients(&batches).unwrap();
                stepper.trainees.iter().zip(&first).map(|(t, first)| loss(t, first)).collect()
            };
            let (above, below) = (losses(step), losses(-step));
            for (k, case) in setup.cases.iter().enumerate() {
                let slope = (above[k] - below[k]) / (2.0 * step);
                let along = grads[k].0[tensor]
                    .data
                    .iter()
                    .zip(&direction.0[tensor].data)
                    .map(|(g, d)| g * d)
                    .sum::<f64>();
                // the losses' own rounding, about 1e-14, is divided by the step
                let off = (slope - along).abs();
                let name = grads[k].0[tensor].name;
                assert!(
                    off <= 1e-6 * along.abs() + 1e-7,
                    "{} along {name}: slope {slope}, gradient {along}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn dictionaries_do_not_know_of_each_other() {
    let golden = Golden::read();
    for name in ["gpt2_mlp", "llama_resid"] {
        let setup = golden.setup(name);
        let model = model(setup);
        let tokens = golden.tokens(&format!("{}.tokens", setup.model));
        let train = |cases: &[Case]| {
            let mut stepper = stepper(&golden, &model, setup, cases);
            for step in 0..golden.about.n_steps {
                stepper.gradients(&golden.batches(&tokens, step)).unwrap();
                stepper.update(schedule::factor(&golden.about.schedule, step, golden.about.n_steps));
            }
            let end = |t: &Trainee<f32>| (t.dictionary.parameters().clone(), t.terms, t.grad_norm);
            stepper.trainees.iter().map(end).collect::<Vec<_>>()
        };
        let together = train(&setup.cases);
        for (k, together) in together.into_iter().enumerate() {
            let [alone] = train(&setup.cases[k..=k]).try_into().unwrap();
            assert_eq!(together, alone, "{}", setup.cases[k].name);
        }
    }
}

#[test]
fn two_batches_are_one_of_twice_the_size() {
    let golden = Golden::read();
    for setup in &golden.about.setups {
        let model = model(setup).to_f64();
        let tokens = golden.tokens(&format!("{}.tokens", setup.model));
        let batches = golden.batches(&tokens, 1);
        // but for kl+mse, whose halves are balanced in each batch
        let is_sum = |case: &&Case| case.objective.kind() != ObjectiveKind::KlMse;
        let cases: Vec<&Case> = setup.cases.iter().filter(is_sum).collect();
        let gradients = |batches: &[Vec<&[u32]>]| {
            let mut stepper = stepper_of(&golden, &model, setup, &cases);
            stepper.gradients(batches).unwrap();
            let all = |t: &Trainee<f64>| -> Vec<f64> {
                let terms = [t.terms.reconstruction, t.terms.sparsity, t.terms.kl, t.terms.downstream, t.l0];
                terms
                    .into_iter()
                    .chain(t.grads().0.iter().flat_map(|tensor| tensor.data.clone()))
                    .collect()
            };
            stepper.trainees.iter().map(all).collect::<Vec<_>>()
        };
        for (two, one) in gradients(&batches).iter().zip(gradients(&[batches.concat()])) {
            let off = relative(two, &one);
            assert!(off < 1e-12, "{}: {off:.1e} off", setup.name);
        }
    }
}

#[test]
fn a_loss_that_is_not_finite_moves_nothing() {
    let golden = Golden::read();
    let setup = golden.setup("gpt2_resid");
    let model = model(setup);
    let tokens = golden.tokens("gpt2.tokens");
    let mut stepper = stepper(&golden, &model, setup, &setup.cases);
    stepper.trainees[1]
        .dictionary
        .update(|parameters| parameters.0[0].data[3] = f32::NAN);
    let error = stepper.gradients(&golden.batches(&tokens, 0)).unwrap_err();
    assert!(error.to_string().contains("dictionary 1"), "{error}");
    assert!(stepper.trainees.iter().all(|t| t.adam.steps == 0));
}

#[test]
fn a_hook_point_that_is_not_there_is_refused() {
    let golden = Golden::read();
    let setup = golden.setup("gpt2_resid");
    let model = model(setup);
    let config = config(HookPoint::resid_pre(9));
    assert!(Stepper::new(&model, &config, Normaliser::default(), Vec::new()).is_err());
}
