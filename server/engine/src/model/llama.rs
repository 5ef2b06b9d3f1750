//! Llama (`LlamaForCausalLM`): what the decoders after it have in common, with biases where the config asks for them.

use super::{
    Family, Model, ModelError,
    checkpoint::Checkpoint,
    config::Config,
    decoder::{self, Variant},
};

pub(super) fn build(config: &Config, weights: &mut Checkpoint) -> Result<Model<f32>, ModelError> {
    let mut variant = Variant::new(Family::Llama, config.activation("hidden_act", "silu")?);
    let n_ctx = decoder::n_ctx(config, variant.n_ctx)?;
    if config.count_or("sliding_window", None)?.is_some_and(|window| window < n_ctx) {
        return Err(config.refuse("sliding_window", "null: local attention is not supported for llama"));
    }
    variant.input_bias = config.flag("attention_bias", false)?;
    variant.output_bias = variant.input_bias;
    variant.mlp_bias = config.flag("mlp_bias", false)?;
    decoder::build(config, weights, &variant)
}
