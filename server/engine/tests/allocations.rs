//! The dictionary's step allocates nothing in the steady state but what `gemm` takes for packing, two pieces of scratch memory
//! per matrix product that it gives back at once and offers no way to keep; and no step keeps more memory than the one before.
//! A binary of its own, because the allocator counts; on one thread, because a pool of several allocates as it likes.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use api::{Adam, DictionaryKind, Objective, ResidualFrame};
use engine::{
    dictionary::{Dictionary, Forward, Normaliser, Path, Scratch},
    kernel::{Mat, MatMut, matmul},
    model::Model,
    train::{Stepper, Trainee},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    /// Bytes asked for and not given back.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// Allocations of `gemm` per product.
const PER_PRODUCT: usize = 2;

/// The system's allocator, which counts what the calling thread asks for.
struct Counting;

fn count(n: usize, bytes: isize) {
    COUNT.with(|count| count.set(count.get() + n));
    HELD.with(|held| held.set(held.get() + bytes));
}

// SAFETY: everything is handed on to the system's allocator; the counters are plain numbers without a destructor.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc`
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as isize));
        // SAFETY: the pointer came from `System`
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as isize - layout.size() as isize);
        // SAFETY: the pointer came from `System`
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> usize {
    let before = COUNT.with(Cell::get);
    f();
    COUNT.with(Cell::get) - before
}

/// Bytes that `f` leaves held.
fn kept(f: impl FnOnce()) -> isize {
    let before = HELD.with(Cell::get);
    f();
    HELD.with(Cell::get) - before
}

fn on_one_thread<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(f)
}

fn numbers(n: usize, seed: u64) -> Vec<f32> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

#[test]
fn a_count_is_a_count() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1u8; 100]))), 1);
    assert_eq!(kept(|| drop(std::hint::black_box(vec![1u8; 100]))), 0);
    assert_eq!(kept(|| std::mem::forget(std::hint::black_box(vec![1u8; 100]))), 100);
}

#[test]
fn passes_over_codes_allocate_nothing_of_their_own() {
    // more than a segment of tokens and than a tile of features
    let (n, d, f) = (600, 48, 1100);
    // matrix products of encode, decode, backward and finish: two segments times two tiles, or five tasks
    for (path, products) in [(Path::SPARSE, [4, 0, 0, 0]), (Path::DENSE, [4, 4, 4 + 10 + 10 + 4, 0])] {
        on_one_thread(|| {
            let mut dictionary = Dictionary::<f32>::random(DictionaryKind::Relu, d, f, 1);
            let (x, g) = (numbers(n * d, 2), numbers(n * d, 3));
            let (mut out, mut grad_x) = (vec![0.0; n * d], vec![0.0; n * d]);
            let (mut forward, scratch) = (Forward::default(), Scratch::new());
            let mut grads = dictionary.parameters().zeros_like();
            let mut step = || {
                let encode = allocations(|| dictionary.encode(&x, &mut forward.codes, &scratch));
                let decode = allocations(|| dictionary.decode(&forward.codes, &mut out, path, &scratch));
                let backward = allocations(|| {
                    dictionary.backward(&x, &mut forward, &g, 0.1, &mut grads, Some(&mut grad_x), path, &scratch);
                });
                let finish = allocations(|| {
                    dictionary.finish(&mut grads);
                    dictionary.update(|parameters| parameters.0[0].data[0] += 1e-6);
                });
                [encode, decode, backward, finish]
            };
            let warm_up = step();
            assert!(warm_up[0] > 0);
            step();
            let counts = step();
            let allowed = products.map(|n| PER_PRODUCT * n);
            assert!(
                counts.iter().zip(allowed).all(|(n, allowed)| *n <= allowed),
                "{path:?}: {counts:?}; allowed {allowed:?}"
            );
        });
    }
}

#[test]
fn products_allocate_their_packing_alone() {
    on_one_thread(|| {
        let (n, k, m) = (512, 48, 1024);
        let (a, b, mut c) = (numbers(n * k, 1), numbers(m * k, 2), vec![0.0; n * m]);
        let mut product = || {
            allocations(|| {
                matmul(
                    MatMut::new(&mut c, n, m),
                    0.0,
                    1.0,
                    Mat::new(&a, n, k),
                    Mat::new(&b, m, k).t(),
                )
            })
        };
        product();
        assert_eq!(product(), PER_PRODUCT);
        assert_eq!(
            kept(|| {
                product();
            }),
            0
        );
    });
}

#[test]
fn steps_keep_nothing() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/models/gpt2");
    let model = Model::load(&folder, ResidualFrame::Raw).unwrap();
    let ids: Vec<u32> = (0..2 * 64).map(|i| i * 7 % 67).collect();
    let batches: Vec<Vec<&[u32]>> = ids.chunks(64).map(|batch| batch.chunks(16).collect()).collect();
    let config: api::TrainConfig = serde_json::from_value(serde_json::json!({
        "model": "gpt2", "corpus": "none", "at": "blocks.1.hook_resid_pre", "residual": "raw", "input_scale": "none",
        "packing": {"n_ctx": 16, "bos": "none", "eos": "none"}, "batch": 4, "accumulation": 2, "tokens": 1000,
        "schedule": {"warmup_steps": 0, "min_lr_factor": 1.0}, "adam": Adam::default(), "max_grad_norm": 1.0, "data_seed": 0,
        "log_every_steps": 1, "checkpoint_every_steps": 1,
        "evaluation": {"n_tokens": 1, "validation_tokens": 1, "every_steps": 1}, "dictionaries": [],
    }))
    .unwrap();
    let objectives = [
        Objective::Local { sparsity: 0.1 },
        Objective::E2e { sparsity: 0.1, kl: 1.0 },
        Objective::E2eDs {
            sparsity: 0.1,
            kl: 0.5,
            downstream: 1.0,
        },
    ];
    let of_kind = |kind| (kind, Objective::Local { sparsity: 0.1 });
    let relu = objectives.map(|objective| (DictionaryKind::Relu, objective));
    for (kind, objective) in relu.into_iter().chain(others().map(of_kind)) {
        on_one_thread(|| {
            // a learning rate at which what fires stays the same
            let trainee = Trainee::new(objective, 1e-12, Dictionary::random(kind, 24, 70, 1), config.adam);
            let mut stepper = Stepper::new(&model, &config, Normaliser::default(), vec![trainee]).unwrap();
            let mut update = 0;
            let mut step = || {
                kept(|| {
                    stepper.gradients(&batches).unwrap();
                    update = allocations(|| stepper.update(1.0));
                })
            };
            let warm_up = [step(), step()];
            assert!(warm_up[0] > 0, "{kind:?} {objective:?}: {warm_up:?}");
            let held = [step(), step(), step()];
            assert_eq!(held, [0; 3], "{kind:?} {objective:?}: bytes kept");
            assert_eq!(update, 0, "{kind:?} {objective:?}: allocations of the optimiser");
        });
    }
}

/// The kinds beside ReLU; features that do not fire are dead at once.
fn others() -> [DictionaryKind; 12] {
    let (k, aux_coefficient, dead_tokens) = (3, 0.1, 1);
    [
        DictionaryKind::ReluUnit,
        DictionaryKind::ReluApril,
        DictionaryKind::ReluSaelens,
        DictionaryKind::PAnneal {
            final_p: 0.2,
            anneal_start: 0,
            anneal_end: 9,
        },
        DictionaryKind::Tied,
        DictionaryKind::Gated,
        DictionaryKind::TopK {
            k,
            aux_coefficient,
            dead_tokens,
        },
        DictionaryKind::AbsTopK {
            k,
            aux_coefficient,
            dead_tokens,
        },
        DictionaryKind::MatchingPursuit {
            k,
            residual_threshold: 0.0,
            stop_on_duplicate: true,
        },
        DictionaryKind::BatchTopK {
            k,
            aux_coefficient,
            dead_tokens,
            threshold_decay: 0.9,
        },
        DictionaryKind::Matryoshka {
            k,
            aux_coefficient,
            dead_tokens,
            threshold_decay: 0.9,
            groups: 3,
        },
        DictionaryKind::JumpRelu {
            bandwidth: 0.1,
            initial_threshold: 0.001,
        },
    ]
}
