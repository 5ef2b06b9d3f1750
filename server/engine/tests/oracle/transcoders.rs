//! Transcoders find what features of what they read have to write.

use api::{Adam, DictionaryKind, Objective};
use engine::{
    dictionary::{Dictionary, Scratch},
    train::Trainee,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world::{BATCH, D, LEARNED, SEEDS, STEPS, TRUE, World, directions, mmcs, unit_rows};

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
            [0.1, 0.1],
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
            // what is linear is no feature's with a skip connection, and fewer have to be kept from saying it
            [0.01, 0.001],
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
            [0.0, 0.0],
        ),
    ];
    for ((plain, skip, sparsity), seed) in pairs.into_iter().flat_map(|pair| SEEDS.map(move |seed| (pair, seed))) {
        let [(found, left), (found_with, left_with)] =
            [(plain, sparsity[0]), (skip, sparsity[1])].map(|(kind, sparsity)| transcodes(kind, sparsity, seed));
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
