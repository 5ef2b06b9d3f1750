//! Mistral (`MistralForCausalLM`, arXiv 2310.06825): a Llama whose blocks all see a sliding window, where the config has one.

use super::{
    Family, Model, ModelError,
    checkpoint::Checkpoint,
    config::Config,
    decoder::{self, Variant},
};

pub(super) fn build(config: &Config, weights: &mut Checkpoint) -> Result<Model<f32>, ModelError> {
    if config.get("layer_types").is_some() {
        return Err(config.refuse("layer_types", "none: in mistral all blocks are alike"));
    }
    config.only("attention_bias", false)?;
    config.only("mlp_bias", false)?;
    let window = config.count_unless_null("sliding_window", 4096)?;
    let variant = Variant {
        n_ctx: 4096 * 32,
        windows: vec![window; config.layers("num_hidden_layers")?],
        ..Variant::new(Family::Mistral, config.activation("hidden_act", "silu")?)
    };
    decoder::build(config, weights, &variant)
}
