//! Courses of training: λ that rises and λ that is found, dead features that begin anew; in whole runs, on any number of threads,
//! interrupted.

use api::{Course, DictionaryKind, Objective, TrainConfig};
use engine::{
    dictionary::{Dictionary, Scratch, SparseCodes},
    train::{Outcome, Trainee},
};

use crate::{
    kind_laws::numbers,
    kind_runs::of_kind,
    runs::{Place, Watch, at, left},
};

const D: usize = 8;
const TOKENS: usize = 64;

fn step(trainee: &mut Trainee<f64>, seed: u64) {
    let (x, scratch) = (numbers::<f64>(TOKENS * D, seed), Scratch::new());
    trainee.begin();
    trainee.forward(&x, 1.0, &scratch);
    trainee.backward(&x, 1.0, &scratch);
    trainee.complete();
    trainee.update(1.0, 10.0);
}

fn trainee(kind: DictionaryKind, sparsity: f64) -> Trainee<f64> {
    let dictionary = Dictionary::random(kind, D, 24, 1);
    Trainee::new(Objective::Local { sparsity }, 1e-2, dictionary, api::Adam::default())
}

#[test]
fn a_warm_up_is_the_steps_with_their_own_coefficients() {
    for kind in [DictionaryKind::Relu, DictionaryKind::ReluSaelens, DictionaryKind::Gated] {
        let course = Course {
            sparsity_warmup_steps: 4,
            ..Course::default()
        };
        let mut rising = trainee(kind, 0.8).with_course(&course, 1, 7);
        let mut by_hand = trainee(kind, 0.8);
        for (s, sparsity) in [0.0, 0.2, 0.4, 0.6, 0.8, 0.8, 0.8].into_iter().enumerate() {
            assert!((rising.objective.sparsity() - sparsity).abs() < 1e-15, "step {s}");
            by_hand.objective = rising.objective;
            step(&mut rising, s as u64);
            step(&mut by_hand, s as u64);
            assert!(rising.grads() == by_hand.grads(), "{}: step {s}", kind.name());
        }
        assert!(rising.dictionary.parameters() == by_hand.dictionary.parameters());
        assert_eq!(rising.coefficient(), 0.8);
    }
}

/// A dictionary of which features 3, 4 and 10 never fire, after the step at which they begin anew.
fn resampled(kind: DictionaryKind) -> Trainee<f64> {
    let course = Course {
        resample_steps: 4,
        resample_warmup_steps: 2,
        ..Course::default()
    };
    let mut trainee = trainee(kind, 0.01).with_course(&course, 5, 12);
    trainee.dictionary.update(|parameters| {
        let bias = parameters.0.iter_mut().find(|t| t.name == "b_enc" || t.name == "b_gate");
        let bias = bias.unwrap();
        [3, 4, 10].into_iter().for_each(|j| bias.data[j] = -100.0);
    });
    (0..5).for_each(|s| step(&mut trainee, s));
    trainee
}

#[test]
fn revived_features_fire_on_their_inputs_and_begin_anew() {
    for kind in [
        DictionaryKind::Relu,
        DictionaryKind::ReluUnit,
        DictionaryKind::ReluApril,
        DictionaryKind::ReluSaelens,
        DictionaryKind::Tied,
        DictionaryKind::Gated,
    ] {
        let (name, trainee) = (kind.name(), resampled(kind));
        let tensor = |name: &str| trainee.dictionary.parameters().0.iter().find(|t| t.name == name);
        let encoder = &tensor("W_enc").unwrap().data;
        let row = |j: usize| &encoder[j * D..(j + 1) * D];
        let norm = |row: &[f64]| row.iter().map(|v| v * v).sum::<f64>().sqrt();
        let revived = [3, 4, 10];
        let alive: Vec<f64> = (0..24).filter(|j| !revived.contains(j)).map(|j| norm(row(j))).collect();
        let expected = 0.2 * alive.iter().sum::<f64>() / alive.len() as f64;
        // the inputs of the step at whose end they were made
        let x = numbers::<f64>(TOKENS * D, 4);
        let mut codes = SparseCodes::default();
        trainee.dictionary.encode(&x, &mut codes, &Scratch::new());
        let dense = codes.to_dense();
        let mut inputs = Vec::new();
        for j in revived {
            assert!((norm(row(j)) / expected - 1.0).abs() < 1e-12, "{name}: feature {j}");
            // the input that it was given is the one along its row
            let cosine = |t: &usize| {
                let centre = trainee.dictionary.centre().unwrap_or(&[0.0; D]);
                let input: Vec<f64> = (0..D).map(|i| x[t * D + i] - centre[i]).collect();
                input.iter().zip(row(j)).map(|(a, b)| a * b).sum::<f64>() / norm(&input) / norm(row(j))
            };
            let input = (0..TOKENS).find(|t| cosine(t) > 1.0 - 1e-12);
            let input = input.unwrap_or_else(|| panic!("{name}: feature {j} is no input's"));
            assert!(dense[input * 24 + j] > 0.0, "{name}: feature {j} does not fire on {input}");
            inputs.push(input);
            if let Some(decoder) = tensor("W_dec") {
                let own = &decoder.data[j * D..(j + 1) * D];
                assert!((norm(own) - 1.0).abs() < 1e-12, "{name}");
                let along: f64 = own.iter().zip(row(j)).map(|(a, b)| a * b).sum();
                assert!((along / norm(row(j)) - 1.0).abs() < 1e-12, "{name}");
            }
            for tensor in trainee.adam.first.0.iter().chain(&trainee.adam.second.0) {
                let width = tensor.data.len() / 24;
                let own = &tensor.data[j * width..(j + 1) * width];
                assert!(
                    tensor.name == "b_dec" || own.iter().all(|m| *m == 0.0),
                    "{name}: {}",
                    tensor.name
                );
            }
        }
        inputs.sort_unstable();
        inputs.dedup();
        assert_eq!(inputs.len(), 3, "{name}: an input is drawn once");
        assert!(trainee.silent()[0].data.iter().all(|silent| *silent < 2.0), "{name}");
    }
}

#[test]
fn the_learning_rate_rises_again_after_a_resampling() {
    let mut trainee = resampled(DictionaryKind::Relu);
    // steps 5, 6, …: the first of a warm-up of two, then the full rate
    let moved = |trainee: &mut Trainee<f64>, s: u64| {
        let before = trainee.dictionary.parameters().0[3].data.clone();
        let (first, second) = (trainee.adam.first.0[3].data.clone(), trainee.adam.second.0[3].data.clone());
        let steps = trainee.adam.steps;
        step(trainee, s);
        let after = &trainee.dictionary.parameters().0[3].data;
        // what Adam makes of it at the full rate
        let grads = &trainee.grads().0[3].data;
        let clip = (10.0 / (trainee.grad_norm + 1e-6)).min(1.0);
        let mut plain = before.clone();
        let step = engine::train::adam::Step::new(api::Adam::default(), steps + 1, 1e-2, clip);
        step.make(1.0, &mut plain, grads, &mut first.clone(), &mut second.clone());
        let way = |to: &[f64]| to.iter().zip(&before).map(|(a, b)| (a - b).abs()).sum::<f64>();
        way(after) / way(&plain)
    };
    assert!((moved(&mut trainee, 5) - 0.5).abs() < 1e-9);
    assert!((moved(&mut trainee, 6) - 1.0).abs() < 1e-9);
}

/// Runs in which everything happens within ten steps.
fn courses() -> [(DictionaryKind, Course); 5] {
    let target = Course {
        sparsity_warmup_steps: 2,
        target_l0: Some(6.0),
        ..Course::default()
    };
    let both = Course {
        resample_steps: 2,
        resample_warmup_steps: 1,
        ..target
    };
    let jump = DictionaryKind::JumpRelu {
        bandwidth: 0.05,
        initial_threshold: 0.001,
    };
    [
        (DictionaryKind::Relu, both),
        (DictionaryKind::ReluUnit, both),
        (DictionaryKind::Tied, both),
        (DictionaryKind::Gated, both),
        (jump, target),
    ]
}

fn with(kind: DictionaryKind, course: Course) -> TrainConfig {
    let mut config = of_kind(kind);
    for dictionary in &mut config.dictionaries {
        dictionary.objective = dictionary.objective.with_sparsity(0.0);
        dictionary.course = course;
    }
    config
}

#[test]
fn threads_and_interruptions_change_no_bit_of_a_course() {
    let place = Place::new();
    for (kind, course) in courses() {
        let (name, config) = (kind.name(), with(kind, course));
        config.validate().unwrap();
        let mut whole = Watch::default();
        let expected = left(place.run(&format!("{name}.whole"), &config, 2, &mut whole).unwrap());
        let mut one = Watch::default();
        let alone = left(place.run(&format!("{name}.one"), &config, 1, &mut one).unwrap());
        assert!(alone == expected && one.history == whole.history, "{name}: threads");
        let mut watch = Watch::default();
        for (stop, n_threads) in [(1, 1), (3, 3), (5, 2), (9, 1)] {
            watch.stop_at = Some(stop);
            let outcome = place.run(&format!("{name}.cut"), &config, n_threads, &mut watch).unwrap();
            assert!(matches!(outcome, Outcome::Stopped { step } if step == stop), "{name}");
        }
        watch.stop_at = None;
        let resumed = left(place.run(&format!("{name}.cut"), &config, 2, &mut watch).unwrap());
        assert!(resumed == expected && watch.history == whole.history, "{name}: interruptions");
        // λ is 0 until something is known, moves, and stands still at the end
        let coefficients = |index: usize| -> Vec<f64> {
            let own = whole.history.iter().filter(|point| point.dictionary == index);
            own.map(|point| point.values["coefficient"]).collect()
        };
        for index in 0..3 {
            let found = coefficients(index);
            assert!(found[0] == 0.0 && found[3] > 0.0 && found[8] == found[9], "{name}: {found:?}");
        }
    }
}

#[test]
fn what_was_found_is_the_dictionarys() {
    let place = Place::new();
    let (kind, course) = (DictionaryKind::Gated, courses()[3].1);
    let mut watch = Watch::default();
    let Outcome::Done(trained) = place.run("found", &with(kind, course), 2, &mut watch).unwrap() else {
        panic!("stopped")
    };
    for (index, trained) in trained.iter().enumerate() {
        let last = watch.history.iter().rfind(|point| point.dictionary == index).unwrap();
        let found = trained.config.objective.sparsity();
        assert!(found > 0.0 && found == last.values["coefficient"]);
        assert_eq!(trained.config.course, course);
        let (_, facts) = engine::dictionary::load(&trained.file).unwrap();
        assert_eq!(facts.config, trained.config);
    }
    assert_eq!(at(), with(kind, course).at);
}
