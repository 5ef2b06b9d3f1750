//! A number of active features is reached, and dead features are given something to do.

use api::{Adam, DictionaryKind, Objective};
use engine::{
    dictionary::{Dictionary, Scratch, SparseCodes},
    train::Trainee,
};

use crate::world::{D, LEARNED, TRUE, World, directions, mmcs, take_gradient};

/// What a run with a course comes to.
struct Run {
    trainee: Trainee<f32>,
    /// λ and L0 at each step.
    path: Vec<(f64, f64)>,
    /// Features that fire on none of ten more batches.
    n_dead: usize,
    mmcs: f64,
}

const COURSE_STEPS: usize = 600;

fn run(dictionary: Dictionary<f32>, sparsity: f64, course: api::Course) -> Run {
    let mut world = World::new(0);
    let mut fired = vec![false; dictionary.d_sae()];
    let trainee = Trainee::new(Objective::Local { sparsity }, 1e-2, dictionary, Adam::default());
    let mut trainee = trainee.with_course(&course, 1, COURSE_STEPS);
    let (scratch, mut path) = (Scratch::new(), Vec::new());
    for step in 0..COURSE_STEPS {
        take_gradient(&mut world, &mut trainee, &scratch, step);
        path.push((trainee.objective.sparsity(), trainee.l0));
        let left = 1.0 - step as f64 / COURSE_STEPS as f64;
        trainee.update(left, 10.0);
    }
    for _ in 0..10 {
        let mut codes = SparseCodes::default();
        trainee.dictionary.encode(&world.batch(), &mut codes, &scratch);
        let ids = codes.segments.iter().flat_map(|segment| &segment.ids);
        ids.for_each(|id| fired[*id as usize] = true);
    }
    Run {
        mmcs: mmcs(&world.directions, &directions(&trainee.dictionary)),
        trainee,
        path,
        n_dead: fired.iter().filter(|fired| !**fired).count(),
    }
}

/// λ is found for a number of active features, and is the one that the last part of the run was trained with.
fn reaches(kind: DictionaryKind, target: f64) {
    let course = api::Course {
        target_l0: Some(target),
        ..api::Course::default()
    };
    let Run { trainee, path, .. } = run(Dictionary::random(kind, D, LEARNED, 1), 0.0, course);
    let l0 = path[COURSE_STEPS - 20..].iter().map(|(_, l0)| l0).sum::<f64>() / 20.0;
    let name = kind.name();
    assert!((l0 / target - 1.0).abs() < 0.1, "{name}: L0 {l0}, target {target}");
    let found = trainee.objective.sparsity();
    let held = &path[COURSE_STEPS - COURSE_STEPS / 60..];
    assert!(
        found > 0.0 && held.iter().all(|(lambda, _)| *lambda == found),
        "{name}: λ {found}"
    );
    assert!(path[0].0 == 0.0 && path[50].0 != path[100].0, "{name}: no search");
}

#[test]
fn relu_reaches_its_target() {
    reaches(DictionaryKind::Relu, 4.0);
    reaches(DictionaryKind::ReluUnit, 4.0);
    reaches(DictionaryKind::ReluApril, 6.0);
    reaches(DictionaryKind::ReluSaelens, 4.0);
    reaches(DictionaryKind::Tied, 4.0);
}

#[test]
fn a_transcoder_reaches_its_target() {
    let read_at = api::HookPoint::resid_pre(0);
    reaches(DictionaryKind::Transcoder { read_at }, 4.0);
    reaches(DictionaryKind::SkipTranscoder { read_at }, 4.0);
}

#[test]
fn p_anneal_reaches_its_target() {
    let kind = DictionaryKind::PAnneal {
        final_p: 0.5,
        anneal_start: 60,
        anneal_end: 400,
    };
    reaches(kind, 4.0);
}

#[test]
fn gated_reaches_its_target() {
    reaches(DictionaryKind::Gated, 4.0);
}

#[test]
fn jumprelu_reaches_its_target() {
    let kind = DictionaryKind::JumpRelu {
        bandwidth: 0.05,
        initial_threshold: 0.001,
    };
    reaches(kind, 4.0);
}

#[test]
fn resampled_features_live_and_find_directions() {
    for (kind, sparsity) in [(DictionaryKind::Relu, 0.1), (DictionaryKind::Gated, 0.3)] {
        // as many features as there are directions, every other of which can never fire by itself
        let mut dictionary = Dictionary::random(kind, D, TRUE, 1);
        dictionary.update(|parameters| {
            let bias = parameters
                .0
                .iter_mut()
                .find(|t| t.name == "b_enc" || t.name == "b_gate")
                .unwrap();
            bias.data.iter_mut().step_by(2).for_each(|b| *b = -10.0);
        });
        let with = |resample_steps| {
            let course = api::Course {
                resample_steps,
                resample_warmup_steps: resample_steps / 10,
                ..api::Course::default()
            };
            run(dictionary.clone(), sparsity, course)
        };
        let (without, with, name) = (with(0), with(100), kind.name());
        let (dead, left) = (without.n_dead, with.n_dead);
        assert!(
            dead >= TRUE / 2 && left < dead / 4,
            "{name}: {dead} dead, {left} with resampling"
        );
        let gained = with.mmcs - without.mmcs;
        assert!(gained > 0.1, "{name}: MMCS {} and {}", without.mmcs, with.mmcs);
    }
}
