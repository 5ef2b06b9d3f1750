//! What a run is said to take beside what it takes: counted by the allocator, at its height, for runs of several shapes. What is
//! said must be enough, and not so much that runs are refused for nothing. A binary of its own, because the allocator counts.

#![allow(clippy::print_stdout, reason = "a test says what it measured")]
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[path = "training/golden.rs"]
mod golden;
#[path = "training/workplace.rs"]
mod workplace;

use api::{
    Adam, Buffer, BufferPlace, DictionaryConfig, DictionaryKind, Evaluation, EvaluationSplit, HistoryPoint, HookPoint, ModelId,
    ModelShape, Objective, PretrainConfig, Progress, Schedule, Site, TokenizerSource, TrainConfig, WeightType,
};
use engine::{
    corpus::TokenFile,
    memory::{Needs, Sizes},
    model::Model,
    pretrain,
    train::{self, Cpu, Device as _, Inputs, Observer},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};
use workplace::{N_CTX, config, tiny, token_file};

/// Bytes held by all threads, and the most that there were.
static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts.
struct Counting;

fn taken(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: everything is handed on to the system's allocator; the counters are plain numbers.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `System`
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Silent;

impl Observer for Silent {
    fn resumed(&mut self, _: usize) {}
    fn history(&mut self, _: Vec<HistoryPoint>) {}
    fn progress(&mut self, _: Progress) {}
    fn stop(&mut self) -> bool {
        false
    }
}

/// The most bytes that `work` holds at once beyond those that were held before.
fn height(work: impl FnOnce() + Send, n_threads: usize) -> u128 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    pool.install(work);
    (MOST.load(Ordering::Relaxed) - before) as u128
}

const N_THREADS: usize = 2;

/// What threads have for scratch, whatever the run: the runs here are small beside it.
const SCRATCH: u128 = 2 * (N_THREADS as u128) * (16 << 20);

/// Holds what is said against what is taken; the model was loaded before.
fn compare(name: &str, needs: Needs, taken: u128) {
    let said = needs.total() - needs.model;
    println!("{name}: takes {} KiB, said {} KiB ({needs:?})", taken >> 10, said >> 10);
    assert!(taken <= said, "{name}: takes {taken} bytes, said were {said}: {needs:?}");
    let most = 4 * taken + SCRATCH;
    assert!(said <= most, "{name}: takes {taken} bytes, said were {said}: {needs:?}");
}

fn sizes(model: &Model<f32>) -> Sizes {
    let facts = model.facts();
    Sizes {
        n_layers: facts.n_layers,
        d_model: facts.d_model,
        z_width: model.width(HookPoint::block(0, Site::Z)).unwrap(),
        n_heads: facts.n_heads,
        d_mlp: model.width(HookPoint::block(0, Site::MlpPost)).unwrap(),
        d_vocab: facts.d_vocab,
        n_params: facts.n_params,
    }
}

/// A run whose batches are far larger than the scratch of a thread.
fn large(dictionaries: Vec<(DictionaryKind, usize, Objective)>) -> TrainConfig {
    let mut config = config(HookPoint::resid_pre(1));
    let first = config.dictionaries[0].clone();
    config.dictionaries = dictionaries
        .into_iter()
        .map(|(kind, d_sae, objective)| DictionaryConfig {
            kind,
            d_sae,
            objective,
            ..first.clone()
        })
        .collect();
    config.batch = 256;
    config.accumulation = 1;
    config.tokens = (3 * 256 * N_CTX) as u64;
    config.evaluation.n_tokens = 512; // as many as the text has
    config.schedule.warmup_steps = 1;
    config.checkpoint_every_steps = 2;
    config
}

fn run(name: &str, config: &TrainConfig, model: &Model<f32>, tokens: &TokenFile) {
    let folder = tempfile::tempdir().unwrap();
    let from = vec![None; config.dictionaries.len()];
    let taken = height(
        || {
            let backend = Cpu.backend(model).unwrap();
            let inputs = Inputs {
                config,
                from: &from,
                backend: &*backend,
                model_hash: "model",
                tokens,
                folder: folder.path(),
                cache: None,
            };
            train::run(inputs, &mut Silent).unwrap();
        },
        N_THREADS,
    );
    let width = model.width(config.at).unwrap();
    compare(name, train::needs(config, width, &sizes(model), N_THREADS), taken);
}

fn pretraining(folder: &Path) {
    let shape = ModelShape {
        n_layers: 4,
        d_model: 128,
        n_heads: 4,
        n_ctx: 64,
    };
    let evaluation = Evaluation {
        split: EvaluationSplit::HeldOut,
        n_tokens: 256,
        validation_tokens: 128,
        every_steps: 2,
    };
    let config = PretrainConfig {
        name: ModelId("new".into()),
        corpus: api::CorpusId("c".into()),
        tokenizer: TokenizerSource::Trained { vocab_size: 300 },
        shape,
        batch: 64,
        tokens: 2 * 64 * 64,
        lr: 1e-3,
        schedule: Schedule {
            warmup_steps: 0,
            min_lr_factor: 0.1,
            hold_steps: 0,
        },
        adam: Adam::default(),
        weight_decay: 0.1,
        max_grad_norm: 1.0,
        seed: 1,
        dtype: WeightType::F32,
        log_every_steps: 1,
        checkpoint_every_steps: 1,
        evaluation,
    };
    let contexts: Vec<u32> = (0..65 * 80).map(|i| i * 7 % 299 + 1).collect();
    let tokens = token_file(folder, 65, 300, &[0], &contexts);
    let manifest = folder.join("manifest.json");
    // documents begin with BOS, as pretraining packs them
    let text = std::fs::read_to_string(&manifest).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["packing"] = serde_json::to_value(config.packing()).unwrap();
    json["bos"] = 0.into();
    std::fs::write(&manifest, json.to_string()).unwrap();
    drop(tokens);
    let tokens = TokenFile::open(folder).unwrap();
    let place = tempfile::tempdir().unwrap();
    let taken = height(
        || {
            let inputs = pretrain::Inputs {
                config: &config,
                tokens: &tokens,
                folder: place.path(),
            };
            pretrain::run(inputs, &mut Silent).map(drop).unwrap();
        },
        N_THREADS,
    );
    let needs = pretrain::needs(&config, 300, N_THREADS);
    let model_too = Needs { model: 0, ..needs };
    println!("pretraining: takes {} KiB, said {} KiB", taken >> 10, needs.total() >> 10);
    assert!(taken <= needs.total(), "takes {taken}, said {needs:?}");
    assert!(model_too.total() <= 4 * taken + SCRATCH, "takes {taken}, said {needs:?}");
}

/// One test, because the allocator counts for all.
#[test]
fn what_a_run_takes_is_what_it_is_said_to_take() {
    let folder = tempfile::tempdir().unwrap();
    let (model, tokens) = tiny(folder.path());
    let local = Objective::Local { sparsity: 0.1 };
    let e2e = Objective::E2e { sparsity: 0.2, kl: 1.0 };
    let downstream = Objective::E2eDs {
        sparsity: 0.3,
        kl: 0.5,
        downstream: 2.5,
    };
    let relu = |d_sae, objective| (DictionaryKind::Relu, d_sae, objective);
    run("local", &large(vec![relu(512, local)]), &model, &tokens);
    run(
        "all objectives",
        &large(vec![
            relu(128, local),
            relu(128, e2e),
            relu(128, downstream),
            relu(256, Objective::KlMse { sparsity: 0.1 }),
        ]),
        &model,
        &tokens,
    );
    let topk = DictionaryKind::TopK {
        k: 8,
        aux_coefficient: 0.03,
        dead_tokens: 1000,
    };
    let batch_topk = DictionaryKind::BatchTopK {
        k: 8,
        aux_coefficient: 0.03,
        dead_tokens: 1000,
        threshold_decay: 0.9,
    };
    let plain = Objective::Local { sparsity: 0.0 };
    run("topk", &large(vec![(topk, 512, plain)]), &model, &tokens);
    run("batchtopk", &large(vec![(batch_topk, 512, plain)]), &model, &tokens);
    run("gated", &large(vec![(DictionaryKind::Gated, 512, local)]), &model, &tokens);
    let mut wide = large(vec![relu(40_000, local)]);
    (wide.batch, wide.tokens) = (2, (3 * 2 * N_CTX) as u64);
    run("a wide one", &wide, &model, &tokens);
    let mut buffered = large(vec![relu(64, local)]);
    buffered.buffer = Some(Buffer {
        tokens: 200_000,
        mixing: 0.5,
        on: BufferPlace::Memory,
    });
    run("with a buffer", &buffered, &model, &tokens);
    let elsewhere = tempfile::tempdir().unwrap();
    pretraining(elsewhere.path());
}
