//! The synthetic oracle of sparse coding (Sharkey et al. 2022; Cunningham et al. 2023, `sparse_coding`): random unit directions,
//! a sparse code that is known, and a dictionary trained on their sums. A trainer that works finds the directions again, which the
//! mean max cosine similarity (MMCS) from the truth to the learned directions says: MMCS = mean_i max_j cos(true_i, learned_j).

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use api::{Adam, DictionaryKind, KindName, Objective};
use engine::{
    dictionary::{Dictionary, Scratch, SparseCodes},
    train::Trainee,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const D: usize = 32;
const TRUE: usize = 64;
const LEARNED: usize = 128;
/// Features of the truth that are active at a time, on average.
const ACTIVE: f64 = 3.0;
const BATCH: usize = 1024;
const STEPS: usize = 1000;
/// Each with a world and initial weights of its own.
const SEEDS: std::ops::Range<u64> = 0..3;

/// The world: unit directions [TRUE, D], each active with its own probability.
struct World {
    directions: Vec<f32>,
    probabilities: Vec<f64>,
    rng: ChaCha8Rng,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let directions = unit_rows(&mut rng, TRUE);
        // P(active) falls as .99^i, so that some features are rarer than others
        let falling: Vec<f64> = (0..TRUE).map(|i| 0.99f64.powi(i as i32)).collect();
        let total: f64 = falling.iter().sum();
        let probabilities = falling.iter().map(|p| p / total * ACTIVE).collect();
        Self {
            directions,
            probabilities,
            rng,
        }
    }

    /// Samples [BATCH, D]; an active feature's amplitude is the product of two uniform numbers.
    fn batch(&mut self) -> Vec<f32> {
        let mut x = vec![0.0f32; BATCH * D];
        for row in x.chunks_exact_mut(D) {
            for (direction, probability) in self.directions.chunks_exact(D).zip(&self.probabilities) {
                if self.rng.random_bool(*probability) {
                    let amplitude = self.rng.random::<f32>() * self.rng.random::<f32>();
                    row.iter_mut().zip(direction).for_each(|(x, d)| *x += amplitude * d);
                }
            }
        }
        x
    }
}

fn unit_rows(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    let mut rows: Vec<f32> = (0..n * D)
        .map(|_| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0)
        .collect();
    for row in rows.chunks_exact_mut(D) {
        let norm = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        row.iter_mut().for_each(|v| *v /= norm);
    }
    rows
}

/// Mean over the rows of `truth` of the largest cosine with a row of `learned`; both [_, D].
fn mmcs(truth: &[f32], learned: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let cosine = |a: &[f32], b: &[f32]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let largest = |t| learned.chunks_exact(D).map(|l| cosine(t, l)).fold(f64::MIN, f64::max);
    truth.chunks_exact(D).map(largest).sum::<f64>() / (truth.len() / D) as f64
}

/// The directions that a dictionary writes along, [LEARNED, D].
fn directions(dictionary: &Dictionary<f32>) -> Vec<f32> {
    // a tied dictionary has one matrix for both ways
    let tensors = &dictionary.parameters().0;
    let tensor = tensors.iter().find(|t| t.name == "W_dec").unwrap_or(&tensors[0]);
    let mut rows = tensor.data.clone();
    // a code with a sign writes both ways
    if dictionary.kind().name() == KindName::AbsTopK {
        rows.extend(tensor.data.iter().map(|w| -w));
    }
    rows
}

/// Trains a dictionary on the world: it has to find the directions, with about as many features as are active.
fn finds(kind: DictionaryKind, sparsity: f64, lr: f64) {
    comes_near(kind, sparsity, lr, 0.95);
}

/// The same, with the MMCS that it has to reach with every seed. Prints what it reaches (`--nocapture`; docs/KINDS.md).
fn comes_near(kind: DictionaryKind, sparsity: f64, lr: f64, bound: f64) {
    let found: Vec<Found> = SEEDS.map(|seed| find(kind, sparsity, lr, seed)).collect();
    let name = kind.name();
    let of = |f: fn(&Found) -> f64| found.iter().map(|one| format!("{:.3}", f(one))).collect::<Vec<_>>().join(", ");
    println!("| `{name}` | {} | {} | {bound} |", of(|one| one.mmcs), of(|one| one.l0));
    for one in found {
        let Found {
            mmcs,
            chance,
            fresh,
            l0_in_training,
            l0,
        } = one;
        assert!(chance < 0.55 && fresh < 0.6, "{name}: the test cannot tell: {chance}, {fresh}");
        assert!(mmcs > bound, "{name}: MMCS {mmcs}; a fresh dictionary has {fresh}");
        assert!(l0_in_training < 2.5 * ACTIVE, "{name}: L0 {l0_in_training}");
        assert!(l0 < 2.5 * ACTIVE, "{name}: L0 {l0} in use");
    }
}

/// What a dictionary comes to.
struct Found {
    mmcs: f64,
    /// That of random directions: what no learning gives.
    chance: f64,
    /// That of the dictionary before its training.
    fresh: f64,
    l0_in_training: f64,
    /// In use, as it is measured.
    l0: f64,
}

fn find(kind: DictionaryKind, sparsity: f64, lr: f64, seed: u64) -> Found {
    let mut world = World::new(2 * seed);
    let dictionary = Dictionary::random(kind, D, LEARNED, 2 * seed + 1);
    let fresh = mmcs(&world.directions, &directions(&dictionary));
    let mut trainee = Trainee::new(Objective::Local { sparsity }, lr, dictionary, Adam::default());
    let scratch = Scratch::new();
    for step in 0..STEPS {
        let x = world.batch();
        if step == 0 {
            trainee.prepare(&x);
        }
        trainee.begin();
        trainee.forward(&x, 1.0, &scratch);
        trainee.backward(&x, 1.0, &scratch);
        trainee.complete();
        let left = 1.0 - step as f64 / STEPS as f64;
        trainee.update(left, 10.0);
    }
    let (mut codes, x) = (SparseCodes::default(), world.batch());
    trainee.dictionary.encode(&x, &mut codes, &scratch);
    let random = unit_rows(&mut ChaCha8Rng::seed_from_u64(2 * seed + 2), LEARNED);
    Found {
        mmcs: mmcs(&world.directions, &directions(&trainee.dictionary)),
        chance: mmcs(&world.directions, &random),
        fresh,
        l0_in_training: trainee.l0,
        l0: codes.nnz() as f64 / BATCH as f64,
    }
}

#[test]
fn local_training_finds_the_directions_that_the_data_is_made_of() {
    finds(DictionaryKind::Relu, 0.1, 1e-2);
}

#[test]
fn the_other_conventions_of_relu_find_them() {
    for kind in [
        DictionaryKind::ReluUnit,
        DictionaryKind::ReluApril,
        DictionaryKind::ReluSaelens,
    ] {
        finds(kind, 0.1, 1e-2);
    }
}

#[test]
fn a_p_annealed_dictionary_finds_them() {
    let kind = DictionaryKind::PAnneal {
        final_p: 0.4,
        anneal_start: 300,
        anneal_end: 900,
    };
    finds(kind, 0.1, 1e-2);
}

#[test]
fn a_tied_dictionary_finds_them() {
    finds(DictionaryKind::Tied, 0.1, 1e-2);
}

#[test]
fn a_gated_dictionary_finds_them() {
    finds(DictionaryKind::Gated, 0.3, 1e-2);
}

#[test]
fn a_topk_dictionary_finds_them() {
    let kind = DictionaryKind::TopK {
        k: 4,
        aux_coefficient: 1.0 / 32.0,
        dead_tokens: 20_000,
    };
    finds(kind, 0.0, 1e-2);
}

#[test]
fn an_abstopk_dictionary_finds_them() {
    let kind = DictionaryKind::AbsTopK {
        k: 4,
        aux_coefficient: 1.0 / 32.0,
        dead_tokens: 20_000,
    };
    finds(kind, 0.0, 1e-2);
}

#[test]
fn a_gradient_pursuit_finds_them() {
    finds(DictionaryKind::Pursuit { k: 4 }, 0.0, 1e-2);
}

#[test]
fn a_matching_pursuit_finds_them() {
    let kind = DictionaryKind::MatchingPursuit {
        k: 4,
        residual_threshold: 0.0,
        stop_on_duplicate: true,
    };
    finds(kind, 0.0, 1e-2);
}

#[test]
fn a_batchtopk_dictionary_finds_them() {
    let kind = DictionaryKind::BatchTopK {
        k: 3,
        aux_coefficient: 1.0 / 32.0,
        dead_tokens: 20_000,
        threshold_decay: 0.99,
    };
    finds(kind, 0.0, 1e-2);
}

#[test]
fn a_matryoshka_dictionary_finds_them() {
    let kind = DictionaryKind::Matryoshka {
        k: 3,
        aux_coefficient: 1.0 / 32.0,
        dead_tokens: 20_000,
        threshold_decay: 0.99,
        groups: 2,
    };
    // its first 32 features have to do for all 64 directions, so that these are not the directions
    comes_near(kind, 0.0, 1e-2, 0.75);
}

#[test]
fn a_jumprelu_dictionary_finds_them() {
    let kind = DictionaryKind::JumpRelu {
        bandwidth: 0.05,
        initial_threshold: 0.001,
    };
    finds(kind, 0.005, 1e-2);
}

/// A batch of a transcoder's world, x and y [BATCH, D]: y is the sum of `written` directions with the amplitudes of x's, and of `map` x.
/// x has noise in it, so that what is linear cannot be said by features.
fn between(world: &mut World, written: &[f32], map: &[f32]) -> [Vec<f32>; 2] {
    let (mut x, mut y) = (vec![0.0f32; BATCH * D], vec![0.0f32; BATCH * D]);
    let add = |to: &mut [f32], rows: &[f32], by: &[f32]| {
        for (row, by) in rows.chunks_exact(D).zip(by) {
            to.iter_mut().zip(row).for_each(|(to, r)| *to += by * r);
        }
    };
    for (x, y) in x.chunks_exact_mut(D).zip(y.chunks_exact_mut(D)) {
        let amplitude = |probability: &f64| match world.rng.random_bool(*probability) {
            true => 0.2 + world.rng.random::<f32>(),
            false => 0.0,
        };
        let amplitudes: Vec<f32> = world.probabilities.iter().map(amplitude).collect();
        x.iter_mut().for_each(|x| *x = 0.1 * (world.rng.random::<f32>() - 0.5));
        add(x, &world.directions, &amplitudes);
        add(y, written, &amplitudes);
        add(y, map, x);
    }
    [x, y]
}

/// Trains a transcoder on that world. Answers the MMCS of what its features have to write with its decoder, and the share of y's square that
/// is left.
fn transcodes(kind: DictionaryKind, sparsity: f64, seed: u64) -> (f64, f64) {
    let mut world = World::new(2 * seed);
    let mut rng = ChaCha8Rng::seed_from_u64(9 + seed);
    let (written, map) = (unit_rows(&mut rng, TRUE), unit_rows(&mut rng, D));
    let dictionary = Dictionary::between(kind, (D, D), LEARNED, 2 * seed + 1);
    let mut trainee = Trainee::new(Objective::Local { sparsity }, 1e-2, dictionary, Adam::default());
    let scratch = Scratch::new();
    for step in 0..STEPS {
        let [x, y] = between(&mut world, &written, &map);
        if step == 0 {
            trainee.prepare_to(&x, &y);
        }
        trainee.begin();
        trainee.forward_to(&x, &y, 1.0, &scratch);
        trainee.backward(&x, 1.0, &scratch);
        trainee.complete();
        trainee.update(1.0 - step as f64 / STEPS as f64, 10.0);
    }
    let [_, y] = between(&mut world, &written, &map);
    let square = y.iter().map(|y| f64::from(y * y)).sum::<f64>() / y.len() as f64;
    // of a feature's y, what the skip connection does not write: v + (map − W_skip) u
    let mut left = written;
    let none = vec![0.0; D * D];
    let skip = trainee.dictionary.skip().unwrap_or(&none);
    for (v, u) in left.chunks_exact_mut(D).zip(world.directions.chunks_exact(D)) {
        for (o, v) in v.iter_mut().enumerate() {
            *v += (0..D).map(|i| u[i] * (map[i * D + o] - skip[o * D + i])).sum::<f32>();
        }
    }
    (
        mmcs(&left, &directions(&trainee.dictionary)),
        trainee.terms.reconstruction / square,
    )
}

#[test]
fn transcoders_find_what_is_written_and_skip_what_is_linear() {
    let read_at = api::HookPoint::resid_pre(0);
    let (k, aux_coefficient, dead_tokens) = (4, 1.0 / 32.0, 20_000);
    let (bandwidth, initial_threshold) = (0.05, 0.001);
    let pairs = [
        (
            DictionaryKind::Transcoder { read_at },
            DictionaryKind::SkipTranscoder { read_at },
            0.1,
        ),
        (
            DictionaryKind::JumpReluTranscoder {
                read_at,
                bandwidth,
                initial_threshold,
            },
            DictionaryKind::JumpReluSkipTranscoder {
                read_at,
                bandwidth,
                initial_threshold,
            },
            0.005,
        ),
        (
            DictionaryKind::TopKTranscoder {
                read_at,
                k,
                aux_coefficient,
                dead_tokens,
            },
            DictionaryKind::TopKSkipTranscoder {
                read_at,
                k,
                aux_coefficient,
                dead_tokens,
            },
            0.0,
        ),
    ];
    for ((plain, skip, sparsity), seed) in pairs.into_iter().flat_map(|pair| SEEDS.map(move |seed| (pair, seed))) {
        let [(found, left), (found_with, left_with)] = [plain, skip].map(|kind| transcodes(kind, sparsity, seed));
        let name = plain.name();
        println!("| `{name}` | {seed} | {found:.3} | {found_with:.3} | {left:.4} | {left_with:.4} |");
        // without it, features have to do for what is linear as well
        assert!(found > 0.75 && found_with > 0.9, "{name}: MMCS {found} and {found_with}");
        assert!(
            left_with < 0.8 * left,
            "{name}: {left} of y is left, {left_with} with a skip connection"
        );
    }
}

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
        let x = world.batch();
        if step == 0 {
            trainee.prepare(&x);
        }
        trainee.begin();
        trainee.forward(&x, 1.0, &scratch);
        trainee.backward(&x, 1.0, &scratch);
        trainee.complete();
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
    let held = &path[COURSE_STEPS - COURSE_STEPS / 6..];
    assert!(
        found > 0.0 && held.iter().all(|(lambda, _)| *lambda == found),
        "{name}: λ {found}"
    );
    assert!(path[0].0 == 0.0 && path[50].0 != path[100].0, "{name}: no search");
}

#[test]
fn relu_reaches_its_target() {
    reaches(DictionaryKind::Relu, 4.0);
    reaches(DictionaryKind::ReluApril, 6.0);
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
