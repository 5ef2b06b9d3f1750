//! What the benchmarks have in common: clocks, the machine's rate, and what is measured.
#![allow(dead_code, reason = "each benchmark takes what it needs")]

use engine::{
    dictionary::{Dictionary, Relu},
    kernel::{Mat, MatMut, par_matmul},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, tensor::TensorView};
use std::time::Instant;

/// Seconds of `f`: the median of `n` runs after a warm-up.
pub fn seconds_of(n: usize, mut f: impl FnMut()) -> f64 {
    f();
    let mut times: Vec<f64> = (0..n)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[n / 2]
}

/// The same, of seven.
pub fn seconds(f: impl FnMut()) -> f64 {
    seconds_of(7, f)
}

/// Numbers of mean 0 and variance 1.
pub fn normals(n: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    // twelve uniform numbers make a good enough bell
    (0..n)
        .map(|_| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0)
        .collect()
}

/// FLOP/s of a large product on the threads of the pool.
pub fn machine_rate() -> f64 {
    let n = 2048;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (a, b) = (normals(n * n, &mut rng), normals(n * n, &mut rng));
    let mut c = vec![0f32; n * n];
    let time = seconds(|| par_matmul(MatMut::new(&mut c, n, n), 0.0, 1.0, Mat::new(&a, n, n), Mat::new(&b, n, n)));
    2.0 * (n * n * n) as f64 / time
}

/// A dictionary of which `l0` features fire on normal inputs.
pub fn sparse_dictionary(d: usize, f: usize, l0: usize, rng: &mut ChaCha8Rng) -> Dictionary<f32> {
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

/// A language model, the batch that it reads, and the width of a dictionary in it.
#[derive(Clone, Copy)]
pub struct Shape {
    pub layers: usize,
    pub d_model: usize,
    pub heads: usize,
    pub vocabulary: usize,
    pub n_ctx: usize,
    pub batch: usize,
    pub d_sae: usize,
}

/// A GPT-2 folder with random weights.
pub fn write_gpt2(shape: Shape, folder: &std::path::Path) {
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
