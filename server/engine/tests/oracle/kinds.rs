//! Every kind finds the directions.

use api::{Adam, DictionaryKind, Objective};
use engine::{
    dictionary::{Dictionary, Scratch, SparseCodes},
    train::Trainee,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::world::{ACTIVE, BATCH, D, LEARNED, SEEDS, STEPS, World, directions, mmcs, take_gradient, unit_rows};

/// Peak learning rate; it falls linearly to 0.
const LR: f64 = 1e-2;

/// Trains a dictionary on the world: it has to find the directions, with about as many features as are active.
fn finds(kind: DictionaryKind, sparsity: f64, n_steps: usize) {
    comes_near(kind, sparsity, n_steps, 0.95);
}

/// The same, with the MMCS that it has to reach with every seed. Prints what it reaches (`--nocapture`; docs/KINDS.md).
fn comes_near(kind: DictionaryKind, sparsity: f64, n_steps: usize, bound: f64) {
    let found: Vec<Found> = SEEDS.map(|seed| find(kind, sparsity, n_steps, seed)).collect();
    let name = kind.name();
    let of = |f: fn(&Found) -> f64| {
        found
            .iter()
            .map(|one| format!("{:.3}", f(one)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    println!(
        "| `{name}` | {n_steps} | {} | {} | {bound} |",
        of(|one| one.mmcs),
        of(|one| one.l0)
    );
    for one in found {
        let Found {
            mmcs,
            chance,
            fresh,
            l0_in_training,
            l0,
        } = one;
        assert!(
            chance < 0.55 && fresh < 0.6,
            "{name}: the test cannot tell: {chance}, {fresh}"
        );
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

fn find(kind: DictionaryKind, sparsity: f64, n_steps: usize, seed: u64) -> Found {
    let mut world = World::new(2 * seed);
    let dictionary = Dictionary::random(kind, D, LEARNED, 2 * seed + 1);
    let fresh = mmcs(&world.directions, &directions(&dictionary));
    let mut trainee = Trainee::new(Objective::Local { sparsity }, LR, dictionary, Adam::default());
    let scratch = Scratch::new();
    for step in 0..n_steps {
        take_gradient(&mut world, &mut trainee, &scratch, step);
        trainee.update(1.0 - step as f64 / n_steps as f64, 10.0);
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
    finds(DictionaryKind::Relu, 0.1, STEPS);
}

#[test]
fn the_other_conventions_of_relu_find_them() {
    for kind in [
        DictionaryKind::ReluUnit,
        DictionaryKind::ReluApril,
        DictionaryKind::ReluSaelens,
    ] {
        finds(kind, 0.1, STEPS);
    }
}

#[test]
fn a_p_annealed_dictionary_finds_them() {
    let kind = DictionaryKind::PAnneal {
        final_p: 0.4,
        anneal_start: 300,
        anneal_end: 900,
    };
    finds(kind, 0.1, STEPS);
}

#[test]
fn a_tied_dictionary_finds_them() {
    finds(DictionaryKind::Tied, 0.12, 3 * STEPS);
}

#[test]
fn a_gated_dictionary_finds_them() {
    finds(DictionaryKind::Gated, 0.3, STEPS);
}

#[test]
fn a_topk_dictionary_finds_them() {
    let kind = DictionaryKind::TopK {
        k: 4,
        aux_coefficient: 1.0 / 32.0,
        dead_tokens: 20_000,
    };
    finds(kind, 0.0, STEPS);
}

#[test]
fn an_abstopk_dictionary_finds_them() {
    let kind = DictionaryKind::AbsTopK {
        k: 4,
        aux_coefficient: 1.0 / 32.0,
        dead_tokens: 20_000,
    };
    finds(kind, 0.0, STEPS);
}

#[test]
fn a_gradient_pursuit_finds_them() {
    finds(DictionaryKind::Pursuit { k: 4 }, 0.0, STEPS);
}

#[test]
fn a_matching_pursuit_finds_them() {
    let kind = DictionaryKind::MatchingPursuit {
        k: 4,
        residual_threshold: 0.0,
        stop_on_duplicate: true,
    };
    finds(kind, 0.0, STEPS);
}

#[test]
fn a_batchtopk_dictionary_finds_them() {
    let kind = DictionaryKind::BatchTopK {
        k: 3,
        aux_coefficient: 1.0 / 32.0,
        dead_tokens: 20_000,
        threshold_decay: 0.99,
    };
    finds(kind, 0.0, STEPS);
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
    comes_near(kind, 0.0, STEPS, 0.75);
}

#[test]
fn a_jumprelu_dictionary_finds_them() {
    let kind = DictionaryKind::JumpRelu {
        bandwidth: 0.05,
        initial_threshold: 0.001,
    };
    finds(kind, 0.005, 3 * STEPS);
}
