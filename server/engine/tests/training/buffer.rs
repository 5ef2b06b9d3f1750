//! The buffer of activations: what it serves and in which order, that runs from it are repeatable, and what is kept on disk.

use api::{Buffer, BufferPlace, HookPoint, InputScale, Objective, TrainConfig};
use engine::{
    corpus::Order,
    model::{Cut, NoHooks, Work},
    train::{
        ActivationCache, Stepper, TrainError, Trainee,
        buffer::{Held, Mix},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::{
    golden::{Golden, model, relative},
    kind_runs::kinds,
    runs::{Place, Watch, at, left},
    workplace::config,
};

/// The next `n` vectors, by context and position.
fn served(mix: &mut Mix, n: usize) -> Vec<Held> {
    let next = |_| {
        if mix.is_due() {
            mix.take_in();
        }
        mix.serve()
    };
    (0..n).map(next).collect()
}

fn places(held: &[Held]) -> Vec<(usize, usize)> {
    held.iter().map(|held| (held.context, held.token)).collect()
}

#[test]
fn every_vector_is_served_once_in_each_pass_and_the_buffer_is_never_overfull() {
    let (n_contexts, n_ctx) = (23, 5);
    for (capacity, mixing) in [(5, 0.0), (10, 0.0), (10, 0.5), (37, 0.5), (40, 0.8), (300, 0.5)] {
        let mut mix = Mix::new(3, (capacity, mixing), n_contexts, n_ctx, 0);
        let mut orders = BTreeSet::new();
        for _ in 0..3 {
            let mut seen = BTreeSet::new();
            let mut order = Vec::new();
            for _ in 0..n_contexts * n_ctx {
                if mix.is_due() {
                    mix.take_in();
                    let slots: BTreeSet<usize> = mix.held().iter().map(|held| held.slot).collect();
                    assert_eq!(slots.len(), mix.held().len(), "two vectors in one slot");
                    assert!(slots.iter().all(|slot| *slot < capacity), "{slots:?}");
                }
                let held = mix.serve();
                assert!(seen.insert((held.context, held.token)), "{held:?} twice");
                order.push((held.context, held.token));
            }
            assert_eq!(seen.len(), n_contexts * n_ctx);
            assert!(orders.insert(order), "two passes in the same order");
        }
    }
}

#[test]
fn it_goes_on_anywhere() {
    let (n_contexts, n_ctx) = (11, 4);
    let new = |n_served| Mix::new(7, (20, 0.5), n_contexts, n_ctx, n_served);
    // slots are of no matter
    let served = |mut mix: Mix, n| places(&served(&mut mix, n));
    let whole = served(new(0), 150);
    for n in [0, 1, 19, 20, 43, 44, 45, 100] {
        assert!(served(new(n as u64), 150 - n) == whole[n..], "from {n}");
    }
    assert!(
        served(Mix::new(8, (20, 0.5), n_contexts, n_ctx, 0), 44) != whole[..44],
        "another seed, the same order"
    );
}

#[test]
fn a_buffer_of_one_batch_that_keeps_nothing_is_context_order_but_for_the_order_within_a_batch() {
    let (n_contexts, n_ctx, batch) = (12, 6, 3);
    let mut mix = Mix::new(5, (batch * n_ctx, 0.0), n_contexts, n_ctx, 0);
    let mut order = Order::new(5, n_contexts);
    for step in 0..8 {
        let ours = places(&served(&mut mix, batch * n_ctx));
        let contexts = (0..batch).map(|k| order.at((step * batch + k) as u64));
        let expected: Vec<_> = contexts
            .flat_map(|context| (0..n_ctx).map(move |token| (context, token)))
            .collect();
        assert_ne!(ours, expected, "not shuffled");
        let sorted = |mut places: Vec<(usize, usize)>| {
            places.sort_unstable();
            places
        };
        assert_eq!(sorted(ours), sorted(expected), "step {step}");
    }
}

/// Contexts that a batch of `n` vectors has vectors of, and how far apart they were visited (their standard deviation), in the mean
/// over a pass' batches.
fn spread(capacity: usize, mixing: f64) -> (f64, f64) {
    let (n_contexts, n_ctx, n) = (512, 16, 64);
    let mut order = Order::new(1, n_contexts);
    let position: BTreeMap<usize, usize> = (0..n_contexts).map(|k| (order.at(k as u64), k)).collect();
    let mut mix = Mix::new(1, (capacity, mixing), n_contexts, n_ctx, 0);
    let (mut distinct, mut apart) = (0.0, 0.0);
    let n_batches = n_contexts * n_ctx / n;
    for _ in 0..n_batches {
        let batch = served(&mut mix, n);
        distinct += batch.iter().map(|held| held.context).collect::<BTreeSet<_>>().len() as f64;
        let at: Vec<f64> = batch.iter().map(|held| position[&held.context] as f64).collect();
        let mean = at.iter().sum::<f64>() / n as f64;
        apart += (at.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
    }
    (distinct / n_batches as f64, apart / n_batches as f64)
}

#[test]
fn the_mixing_is_real() {
    // in context order, 64 vectors are those of 4 contexts, one behind the other
    let (distinct, apart) = spread(64, 0.0);
    assert_eq!(distinct, 4.0);
    assert!(apart < 1.2, "{apart}");
    // from a buffer of 64 contexts, those of nearly as many as if each were drawn from all of them: 64 (1 − (1 − 1/64)^64) = 40.6
    let (distinct, apart) = spread(1024, 0.0);
    assert!((39.0..43.0).contains(&distinct), "{distinct} contexts in a batch");
    assert!((15.0..20.0).contains(&apart), "{apart}");
    // what is kept back meets what comes later: farther apart, from the same memory. With the share f a vector stays for a number of refills
    // that is geometric: √f / (1 − f) refills of (1 − f) · 64 contexts, 45 and 61 of them, but for the ends of the pass
    let (_, half) = spread(1024, 0.5);
    let (_, most) = spread(1024, 0.9);
    assert!(half > 2.0 * apart && most > 1.2 * half, "{apart}, {half}, {most}");
}

/// Three local dictionaries, from a buffer of four batches.
fn buffered(on: BufferPlace) -> TrainConfig {
    let mut config = TrainConfig {
        input_scale: InputScale::UnitNorm,
        ..config(at())
    };
    for d in &mut config.dictionaries {
        d.objective = Objective::Local {
            sparsity: d.objective.sparsity(),
        };
    }
    config.buffer = Some(Buffer {
        tokens: 4 * config.batch_tokens(),
        mixing: 0.5,
        on,
    });
    config
}

fn cache(folder: &Path) -> ActivationCache<'_> {
    ActivationCache {
        folder,
        max_bytes: 1 << 24,
    }
}

/// What is in the cache.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn threads_interruptions_and_the_disk_change_no_bit() {
    let place = Place::new();
    let folder = place.folder.path().join("cache");
    let [in_memory, on_disk] = [BufferPlace::Memory, BufferPlace::Disk].map(buffered);
    in_memory.validate().unwrap();
    let mut whole = Watch::default();
    let expected = left(place.run("whole", &in_memory, 2, &mut whole).unwrap());
    assert_eq!(whole.history.len(), 3 * in_memory.n_steps());
    // context order gives other dictionaries
    let in_order = TrainConfig {
        buffer: None,
        ..in_memory.clone()
    };
    assert!(left(place.run("order", &in_order, 2, &mut Watch::default()).unwrap()) != expected);
    let run = |name: &str, config: &TrainConfig, n_threads: usize, watch: &mut Watch| {
        place.run_with(name, config, &[], n_threads, Some(cache(&folder)), watch)
    };
    for (name, config) in [("memory", &in_memory), ("disk", &on_disk)] {
        let mut one = Watch::default();
        let alone = left(run(&format!("{name} 1"), config, 1, &mut one).unwrap());
        assert!(alone == expected && one.history == whole.history, "{name}: one thread");
        let mut watch = Watch::default();
        for (stop, n_threads) in [(0, 2), (1, 1), (5, 3), (6, 2)] {
            watch.stop_at = Some(stop);
            run(&format!("{name} cut"), config, n_threads, &mut watch).unwrap();
        }
        watch.stop_at = None;
        let resumed = left(run(&format!("{name} cut"), config, 2, &mut watch).unwrap());
        assert_eq!(watch.resumed, [0, 0, 1, 5, 6]);
        assert!(resumed == expected && watch.history == whole.history, "{name}: interruptions");
    }
    assert_eq!(entries(&folder).len(), 1, "all runs share what is on disk");
}

#[test]
fn every_kind_learns_from_a_buffer() {
    let place = Place::new();
    for kind in kinds() {
        let mut config = buffered(BufferPlace::Memory);
        config.dictionaries.truncate(1);
        config.dictionaries[0].kind = kind;
        if !kind.name().has_penalty() {
            config.dictionaries[0].objective = Objective::Local { sparsity: 0.0 };
        }
        config.validate().unwrap();
        let name = kind.name();
        let expected = left(place.run(&format!("{name}"), &config, 2, &mut Watch::default()).unwrap());
        let mut watch = Watch::default();
        for stop in [Some(4), None] {
            watch.stop_at = stop;
            let outcome = place.run(&format!("{name} cut"), &config, 1, &mut watch).unwrap();
            assert!(stop.is_some() || left(outcome) == expected, "{name}");
        }
    }
}

#[test]
fn single_vectors_give_what_their_contexts_give() {
    let golden = Golden::read();
    for name in ["gpt2_mlp", "gpt2_scaled", "neox_z", "gpt2_layer_norm"] {
        let setup = golden.setup(name);
        let model = model(setup).to_f64();
        let tokens = golden.tokens(&format!("{}.tokens", setup.model));
        let batches = golden.batches(&tokens, 0);
        let local = &setup.cases[0];
        let config = config(setup.at);
        let stepper = || {
            let trainee = Trainee::new(local.objective, local.lr, golden.dictionary(setup), config.adam);
            Stepper::new(&model, &config, setup.normaliser, vec![trainee]).unwrap()
        };
        let mut in_order = stepper();
        in_order.gradients(&batches).unwrap();
        let width = model.width(setup.at).unwrap();
        let vectors = |batch: &Vec<&[u32]>| -> Vec<f64> {
            let (mut cut, mut work) = (Cut::default(), Work::default());
            let values = batch.iter().flat_map(|context| {
                model.prefix(context, setup.at, &mut cut, &mut NoHooks, &mut work).unwrap();
                cut.value.clone()
            });
            values.collect()
        };
        let vectors: Vec<Vec<f64>> = batches.iter().map(vectors).collect();
        let mut single = stepper();
        single.gradients_of_vectors(&vectors, 0.0).unwrap();
        let [a, b] = [&in_order, &single].map(|stepper| &stepper.trainees[0]);
        assert!(
            a.grads() == b.grads() && a.terms == b.terms && a.grad_norm == b.grad_norm,
            "{name}"
        );
        // in another order, up to rounding
        let turned: Vec<Vec<f64>> = vectors
            .iter()
            .map(|x| x.chunks_exact(width).rev().flatten().copied().collect())
            .collect();
        single.gradients_of_vectors(&turned, 0.0).unwrap();
        for (a, b) in in_order.trainees[0].grads().0.iter().zip(&single.trainees[0].grads().0) {
            assert!(relative(&b.data, &a.data) < 1e-12, "{name} {}", a.name);
        }
    }
}

#[test]
fn what_is_on_disk_is_of_one_place_and_whole() {
    let place = Place::new();
    let folder = place.folder.path().join("cache");
    let run = |name: &str, config: &TrainConfig, watch: &mut Watch| {
        place.run_with(name, config, &[], 2, Some(cache(&folder)), watch).map(left)
    };
    let config = buffered(BufferPlace::Disk);
    // told to stop while it is written: nothing is left behind
    let mut stopped = Watch::stopping_at(1);
    let outcome = place
        .run_with("stopped", &config, &[], 2, Some(cache(&folder)), &mut stopped)
        .unwrap();
    assert!(matches!(outcome, engine::train::Outcome::Stopped { step: 0 }), "{outcome:?}");
    assert!(entries(&folder).is_empty());

    let first = run("first", &config, &mut Watch::default()).unwrap();
    // other dictionaries at the same place find it, as does another seed where all of the text is visited; another place does not
    let mut other = config.clone();
    other.dictionaries[0].lr *= 2.0;
    run("other", &other, &mut Watch::default()).unwrap();
    assert_eq!(entries(&folder).len(), 1);
    let mut long = config.clone();
    long.tokens *= 20;
    long.evaluation.every_steps = 1000;
    run("long", &long, &mut Watch::default()).unwrap();
    assert_eq!(
        entries(&folder).len(),
        2,
        "all of the text is another entry than its first contexts"
    );
    long.data_seed += 1;
    run("seed", &long, &mut Watch::default()).unwrap();
    assert_eq!(entries(&folder).len(), 2, "all of the text serves every order");
    let mut elsewhere = config.clone();
    elsewhere.at = HookPoint::resid_pre(2);
    run("elsewhere", &elsewhere, &mut Watch::default()).unwrap();
    assert_eq!(entries(&folder).len(), 3);

    // one bit changed, and one byte missing, in all of them
    let data: Vec<PathBuf> = entries(&folder).iter().map(|entry| entry.join("activations.bin")).collect();
    let spoil = |change: &dyn Fn(&mut Vec<u8>)| {
        for path in &data {
            let mut bytes = fs::read(path).unwrap();
            change(&mut bytes);
            fs::write(path, bytes).unwrap();
        }
        let error = run("spoilt", &config, &mut Watch::default()).unwrap_err();
        assert!(matches!(error, TrainError::Activations { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains("activations.bin: damaged") && message.contains("remove the folder"),
            "{message}"
        );
    };
    spoil(&|bytes| bytes[1000] ^= 1);
    spoil(&|bytes| {
        bytes.pop();
    });
    fs::remove_dir_all(&folder).unwrap();
    assert!(run("again", &config, &mut Watch::default()).unwrap() == first);

    // a folder that is too small, and none at all
    let small = ActivationCache {
        max_bytes: 1000,
        ..cache(&folder)
    };
    fs::remove_dir_all(&folder).unwrap();
    let error = place
        .run_with("small", &config, &[], 2, Some(small), &mut Watch::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("at blocks.1.hook_resid_pre take") && error.contains("SAESCOPE_CACHE_GIB"),
        "{error}"
    );
    let error = place.run("none", &config, 2, &mut Watch::default()).unwrap_err().to_string();
    assert!(error.starts_with("buffer_on: found disk"), "{error}");
}
