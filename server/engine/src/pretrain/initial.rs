//! A new GPT-2: its config and its initial weights, as GPT-2's own (Radford et al. 2019, section 2.3; transformers'
//! `GPT2PreTrainedModel._init_weights`): N(0, 0.02²), the projections into the residual stream N(0, 0.02² / 2 n_layers),
//! biases 0, gains 1.

use api::ModelShape;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    kernel::normal,
    model::{Model, ModelError},
};

/// Standard deviation of the initial weights.
const STD: f64 = 0.02;

/// What `config.json` of a GPT-2 of this shape holds; `dtype` is transformers' name for how the weights are written.
pub fn config_json(shape: &ModelShape, d_vocab: usize, bos: Option<u32>, eos: Option<u32>, dtype: &str) -> Map<String, Value> {
    let json = json!({
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_layer": shape.n_layers,
        "n_embd": shape.d_model,
        "n_head": shape.n_heads,
        "n_positions": shape.n_ctx,
        "n_ctx": shape.n_ctx,
        "n_inner": null,
        "vocab_size": d_vocab,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "initializer_range": STD,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "scale_attn_weights": true,
        "tie_word_embeddings": true,
        "bos_token_id": bos,
        "eos_token_id": eos,
        "torch_dtype": dtype,
    });
    match json {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// A GPT-2 with the initial weights of `seed`. Each tensor's depend on the seed and its name alone.
///
/// # Errors
/// The model's, for a shape that cannot be.
pub fn new_model(shape: &ModelShape, d_vocab: usize, seed: u64) -> Result<Model<f32>, ModelError> {
    let n_layers = shape.n_layers as f64;
    let initial = move |name: &str, shape: &[usize]| {
        let n = shape.iter().product();
        if name.ends_with(".bias") {
            return vec![0.0; n];
        }
        if shape.len() == 1 {
            return vec![1.0; n];
        }
        let into_residual = name.ends_with("c_proj.weight");
        let std = if into_residual { STD / (2.0 * n_layers).sqrt() } else { STD };
        let mut random = ChaCha8Rng::from_seed(key(seed, name));
        (0..n).map(|_| (std * normal(&mut random)) as f32).collect()
    };
    Model::new(config_json(shape, d_vocab, None, None, "float32"), Box::new(initial))
}

fn key(seed: u64, name: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(b"saescope initial weights\n")
        .chain_update(seed.to_le_bytes())
        .chain_update(name)
        .finalize()
        .into()
}
