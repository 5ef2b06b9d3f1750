//! What a training step costs, as ratios to what this machine's own matrix product reaches in the same run.
//!
//! `cargo bench -p engine` on all cores; `RAYON_NUM_THREADS=1 cargo bench -p engine` on one.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and may stop at a surprise"
)]

use api::{DictionaryKind, HookPoint, Objective, ResidualFrame, SweepRequest};
use engine::{
    dictionary::{Dictionary, Forward, Normaliser, Path, Relu, Scratch, SparseCodes},
    kernel::{Mat, MatMut, PerThread, par_matmul},
    model::{Cut, LogitSlopes, Model, NoHooks, Tape, Work},
    train::{Stepper, Trainee},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use safetensors::{Dtype, tensor::TensorView};
use std::time::Instant;

/// Seconds of `f`: the median of several runs after a warm-up.
fn seconds(mut f: impl FnMut()) -> f64 {
    f();
    let mut times: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[3]
}

fn normals(n: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    // twelve uniform numbers make a good enough bell
    (0..n)
        .map(|_| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0)
        .collect()
}

fn main() {
    println!("threads: {}", rayon::current_num_threads());
    let rate = machine_rate();
    println!(
        "matrix product [2048, 2048, 2048]: {:.0} GFLOP/s, the unit of what follows",
        rate / 1e9
    );
    dictionary(rate, 4096, 768, 6144);
    dictionary(rate, 4096, 64, 1024);
    kinds(4096, 768, 6144);
    kinds(4096, 64, 3840);
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

/// FLOP/s of a large product on the threads of the pool.
fn machine_rate() -> f64 {
    let n = 2048;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (a, b) = (normals(n * n, &mut rng), normals(n * n, &mut rng));
    let mut c = vec![0f32; n * n];
    let time = seconds(|| par_matmul(MatMut::new(&mut c, n, n), 0.0, 1.0, Mat::new(&a, n, n), Mat::new(&b, n, n)));
    2.0 * (n * n * n) as f64 / time
}

/// A dictionary of which `l0` features fire on normal inputs.
fn sparse_dictionary(d: usize, f: usize, l0: usize, rng: &mut ChaCha8Rng) -> Dictionary<f32> {
    let w_enc: Vec<f32> = normals(d * f, rng).into_iter().map(|w| w / (d as f32).sqrt()).collect();
    // the threshold that a standard normal number passes with probability l0 / f
    let share = l0 as f64 / f as f64;
    let mut threshold = 0.0f64;
    while 0.5 * libm::erfc(threshold / std::f64::consts::SQRT_2) > share {
        threshold += 1e-3;
    }
    Dictionary::Relu(Relu::new(
        w_enc,
        vec![-threshold as f32; f],
        normals(d * f, rng),
        vec![0.0; d],
    ))
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

/// A local step of every kind at an L0 of about 64, in encoder products; the sparse forms are made of the same passes.
fn kinds(n: usize, d: usize, f: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (x, scratch, mut forward) = (normals(n * d, &mut rng), Scratch::new(), Forward::default());
    let relu = sparse_dictionary(d, f, 64, &mut rng);
    let encoder = seconds(|| relu.encode(&x, &mut forward.codes, &scratch));
    let [w_enc, bias, ..] = &relu.parameters().0[..] else { return };
    let (k, aux_coefficient, dead_tokens) = (64, 1.0 / 32.0, 1 << 24);
    let others = [
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
        DictionaryKind::BatchTopK {
            k,
            aux_coefficient,
            dead_tokens,
            threshold_decay: 0.999,
        },
        DictionaryKind::Matryoshka {
            k,
            aux_coefficient,
            dead_tokens,
            threshold_decay: 0.999,
            groups: 5,
        },
        DictionaryKind::JumpRelu {
            bandwidth: 0.02,
            initial_threshold: 0.001,
        },
    ];
    let dictionaries = others.map(|kind| {
        let mut dictionary = Dictionary::random(kind, d, f, 0);
        dictionary.update(|parameters| {
            for tensor in &mut parameters.0 {
                match tensor.name {
                    "W_enc" => tensor.data.clone_from(&w_enc.data),
                    // the others choose by themselves
                    "b_enc" if kind.k().is_none() && !matches!(kind, DictionaryKind::JumpRelu { .. }) => {
                        tensor.data.clone_from(&bias.data)
                    }
                    "b_gate" => tensor.data.clone_from(&bias.data),
                    "threshold" => tensor.data.fill(-bias.data[0]),
                    _ => {}
                }
            }
        });
        dictionary
    });
    println!("\nlocal step of every kind [{n}, {d} → {f}], in encoder products");
    for dictionary in std::iter::once(relu.clone()).chain(dictionaries) {
        let name = dictionary.kind().name();
        let (step, l0) = local_step(dictionary, &x, &scratch);
        println!(
            "  {:10} (L0 {l0:.0}): {:.2}, {:.0} tokens per second",
            name.to_string(),
            step / encoder,
            n as f64 / step
        );
    }
}

#[derive(Clone, Copy)]
struct Shape {
    layers: usize,
    d_model: usize,
    heads: usize,
    vocabulary: usize,
    n_ctx: usize,
    batch: usize,
    d_sae: usize,
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

/// A GPT-2 folder with random weights.
fn write_gpt2(shape: Shape, folder: &std::path::Path) {
    let Shape {
        layers,
        d_model: d,
        heads,
        vocabulary,
        n_ctx,
        ..
    } = shape;
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    let mut random = |name: String, shape: Vec<usize>, std: f32, mean: f32| {
        let data = normals(shape.iter().product(), &mut rng)
            .into_iter()
            .map(|v| mean + std * v)
            .collect();
        tensors.push((name, shape, data));
    };
    random("wte.weight".into(), vec![vocabulary, d], 0.1, 0.0);
    random("wpe.weight".into(), vec![n_ctx, d], 0.02, 0.0);
    random("ln_f.weight".into(), vec![d], 0.0, 1.0);
    random("ln_f.bias".into(), vec![d], 0.0, 0.0);
    for l in 0..layers {
        let std = 1.0 / (d as f32).sqrt();
        for norm in ["ln_1", "ln_2"] {
            random(format!("h.{l}.{norm}.weight"), vec![d], 0.0, 1.0);
            random(format!("h.{l}.{norm}.bias"), vec![d], 0.0, 0.0);
        }
        for (name, from, to) in [
            ("attn.c_attn", d, 3 * d),
            ("attn.c_proj", d, d),
            ("mlp.c_fc", d, 4 * d),
            ("mlp.c_proj", 4 * d, d),
        ] {
            random(format!("h.{l}.{name}.weight"), vec![from, to], std, 0.0);
            random(format!("h.{l}.{name}.bias"), vec![to], 0.0, 0.0);
        }
    }
    let views = tensors.iter().map(|(name, shape, data)| {
        (
            name.as_str(),
            TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(data)).unwrap(),
        )
    });
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors")).unwrap();
    let config = serde_json::json!({
        "model_type": "gpt2", "n_layer": layers, "n_embd": d, "n_head": heads, "vocab_size": vocabulary, "n_positions": n_ctx,
        "n_ctx": n_ctx, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": true
    });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
}
