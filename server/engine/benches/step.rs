//! What a training step costs, as ratios to what this machine's own matrix product reaches in the same run.
//!
//! `cargo bench -p engine` on all cores; `RAYON_NUM_THREADS=1 cargo bench -p engine` on one.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and may stop at a surprise"
)]

mod parts;

use api::{HookPoint, Objective, ResidualFrame, SweepRequest};
use engine::{
    dictionary::{Dictionary, Forward, Normaliser, Path, Scratch, SparseCodes},
    kernel::PerThread,
    model::{Cut, LogitSlopes, Model, NoHooks, Tape, Work},
    train::{Stepper, Trainee},
};
use parts::{Shape, machine_rate, normals, seconds, sparse_dictionary, write_gpt2};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

fn main() {
    println!("threads: {}", rayon::current_num_threads());
    let rate = machine_rate();
    println!(
        "matrix product [2048, 2048, 2048]: {:.0} GFLOP/s, the unit of what follows",
        rate / 1e9
    );
    dictionary(rate, 4096, 768, 6144);
    dictionary(rate, 4096, 64, 1024);
    model(
        rate,
        Shape {
            layers: 4,
            d_model: 768,
            heads: 12,
            vocabulary: 8192,
            n_ctx: 512,
            batch: 2,
            d_sae: 6144,
        },
    );
    model(
        rate,
        Shape {
            layers: 5,
            d_model: 64,
            heads: 8,
            vocabulary: 512,
            n_ctx: 256,
            batch: 16,
            d_sae: 1024,
        },
    );
}

fn dictionary(rate: f64, n: usize, d: usize, f: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let x = normals(n * d, &mut rng);
    let scratch = Scratch::new();
    let product = 2.0 * (n * d * f) as f64;
    println!("\ndictionary [{n}, {d} → {f}]");
    let mut forward = Forward::default();
    for (name, l0) in [("L0 32", 32), ("L0 64", 64), ("half fires", f / 2)] {
        let dictionary = sparse_dictionary(d, f, l0, &mut rng);
        let mut out = vec![0f32; n * d];
        let mut grads = dictionary.parameters().zeros_like();
        let encoder = seconds(|| dictionary.encode(&x, &mut forward.codes, &scratch));
        let decoder = seconds(|| dictionary.decode(&forward.codes, &mut out, Path::default(), &scratch));
        let backward = seconds(|| {
            grads.clear();
            dictionary.backward(&x, &mut forward, &out, 0.01, &mut grads, None, Path::default(), &scratch);
            dictionary.finish(&mut grads);
        });
        let step = local_step(dictionary, &x, &scratch).0;
        println!(
            "  {name:10} (measured L0 {:.0}): encoder {:.0} % of the matrix rate; in encoder products: decode {:.2}, backward {:.2}, whole local step {:.2}",
            forward.codes.nnz() as f64 / n as f64,
            100.0 * product / encoder / rate,
            decoder / encoder,
            backward / encoder,
            step / encoder,
        );
    }
}

/// Seconds of a whole local step, and how many features fire.
fn local_step(dictionary: Dictionary<f32>, x: &[f32], scratch: &Scratch<f32>) -> (f64, f64) {
    let mut trainee = Trainee::new(Objective::Local { sparsity: 0.0 }, 1e-6, dictionary, api::Adam::default());
    let step = seconds(|| {
        trainee.begin();
        trainee.forward(x, 1.0, scratch);
        trainee.backward(x, 1.0, scratch);
        trainee.complete();
        trainee.update(1.0, 10.0);
    });
    (step, trainee.l0)
}

fn model(rate: f64, shape: Shape) {
    let Shape {
        layers,
        d_model: d,
        vocabulary,
        n_ctx,
        batch,
        d_sae,
        ..
    } = shape;
    let folder = tempfile::tempdir().unwrap();
    write_gpt2(shape, folder.path());
    let model = Model::load(folder.path(), ResidualFrame::Raw).unwrap();
    let at = HookPoint::resid_pre(layers / 2);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let tokens: Vec<Vec<u32>> = (0..batch)
        .map(|_| (0..n_ctx).map(|_| rng.random_range(0..vocabulary as u32)).collect())
        .collect();
    let contexts: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
    println!(
        "\nend-to-end step, {layers} layers of {d}, vocabulary {vocabulary}, {batch} contexts of {n_ctx}, at {at}, d_sae {d_sae}"
    );

    type Thread = (Work<f32>, Vec<f32>, Tape<f32>, Vec<f32>);
    let threads = PerThread::<Thread>::new();
    let mut cuts: Vec<Cut<f32>> = (0..batch).map(|_| Cut::default()).collect();
    let prefix = seconds(|| {
        cuts.par_iter_mut().zip(&contexts).for_each(|(cut, tokens)| {
            threads
                .with(|t| model.prefix(tokens, at, cut, &mut NoHooks, &mut t.0))
                .unwrap();
        });
    });
    // one suffix forward ends at the logits, in chunks as the losses take them
    let logits = |out: &[f32]| {
        let n = model.logits_chunk();
        let mut chunk = vec![0f32; n * vocabulary];
        for rows in out.chunks(n * d) {
            model.logits(rows, &mut chunk[..rows.len() / d * vocabulary]);
        }
    };
    let forward = seconds(|| {
        cuts.par_iter().for_each(|cut| {
            threads.with(|(work, out, ..)| {
                model.suffix(cut, &cut.value, out, &mut NoHooks, None, work).unwrap();
                logits(out);
            });
        });
    });
    let taped = seconds(|| {
        cuts.par_iter().for_each(|cut| {
            threads
                .with(|(work, out, tape, _)| model.suffix(cut, &cut.value, out, &mut NoHooks, Some(tape), work))
                .unwrap();
        });
    });
    let both = seconds(|| {
        cuts.par_iter().for_each(|cut| {
            threads.with(|(work, out, tape, grad)| {
                model.suffix(cut, &cut.value, out, &mut NoHooks, Some(tape), work).unwrap();
                let n = model.logits_chunk();
                let mut chunk = vec![1e-3f32; n * vocabulary];
                for rows in out.chunks_mut(n * d) {
                    let n = rows.len() / d * vocabulary;
                    model.logits_backward(&mut chunk[..n], &LogitSlopes::default(), rows);
                    chunk[0] += 1e-3;
                }
                model.backward(tape, out, grad, &mut NoHooks, work);
            });
        });
    });
    let backward = both - taped;
    let x: Vec<f32> = cuts.iter().flat_map(|c| c.value.iter().copied()).collect();
    let scratch = Scratch::new();
    // codes as sparse as a trained dictionary's
    let dictionary = sparse_dictionary(d, d_sae, 32.min(d_sae / 8), &mut rng);
    let mut codes = SparseCodes::default();
    let scale = (x.len() as f32 / x.iter().map(|v| v * v).sum::<f32>()).sqrt();
    let encoder = seconds(|| dictionary.encode(&x, &mut codes, &scratch));
    let parts = prefix + 2.0 * forward + backward + encoder;

    let request: SweepRequest = serde_json::from_value(serde_json::json!({
        "model": "m", "corpus": "c", "at": at, "objectives": ["e2e"], "coefficient": "0", "n_ctx": n_ctx, "batch": batch, "d_sae": d_sae
    }))
    .unwrap();
    let facts = api::ResolvedAgainst {
        width: d,
        d_vocab: 512,
        max_n_ctx: n_ctx,
        has_bos: true,
        parents: &[],
    };
    let config = request.resolve(facts).unwrap().runs.remove(0);
    let trainee = Trainee::new(config.dictionaries[0].objective, 1e-9, dictionary, config.adam);
    let mut stepper = Stepper::new(&model, &config, Normaliser::Scale(scale.into()), vec![trainee]).unwrap();
    let batches = vec![contexts];
    let step = seconds(|| {
        stepper.gradients(&batches).unwrap();
        stepper.update(1.0);
    });
    let flop = 2.0 * (batch * n_ctx) as f64 * (12 * layers * d * d) as f64;
    println!(
        "  whole model's matrix products forward at {:.0} % of the matrix rate",
        100.0 * flop / ((prefix + taped) * rate)
    );
    println!(
        "  parts: prefix {:.3} s, suffix forward {forward:.3} s (twice), suffix backward {backward:.3} s, encoder {encoder:.3} s",
        prefix
    );
    println!(
        "  step {step:.3} s = {:.2} times the sum of its parts; {:.0} tokens per second; L0 {:.0}",
        step / parts,
        (batch * n_ctx) as f64 / step,
        stepper.trainees[0].l0
    );
    let before = resident_mib();
    for _ in 0..20 {
        stepper.gradients(&batches).unwrap();
        stepper.update(1.0);
    }
    if let (Some(before), Some(after)) = (before, resident_mib()) {
        println!("  resident memory after 8 steps {before:.1} MiB, after 20 more {after:.1} MiB");
    }
}

/// Resident memory of this process in MiB, where the system tells.
fn resident_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kib.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}
