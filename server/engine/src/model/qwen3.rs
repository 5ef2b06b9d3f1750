//! Qwen3 (`Qwen3ForCausalLM`, arXiv 2505.09388): a Llama with RMSNorm on each head's queries and keys, biases where the config
//! asks for them, and Qwen2's windows.

use super::{
    Family, Model, ModelError,
    checkpoint::Checkpoint,
    config::Config,
    decoder::{self, Variant},
    qwen2::upper_windows,
};

pub(super) fn build(config: &Config, weights: &mut Checkpoint) -> Result<Model<f32>, ModelError> {
    let bias = config.flag("attention_bias", false)?;
    let variant = Variant {
        n_ctx: 32_768,
        d_head: Some(128),
        input_bias: bias,
        output_bias: bias,
        head_norms: true,
        windows: upper_windows(config)?,
        ..Variant::new(Family::Qwen3, config.activation("hidden_act", "silu")?)
    };
    decoder::build(config, weights, &variant)
}
