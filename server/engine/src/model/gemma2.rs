//! Gemma 2 (`Gemma2ForCausalLM`, arXiv 2408.00118): a norm before and after attention and MLP, soft caps on scores and logits,
//! sliding windows in every other block, embeddings times √d_model.

use super::{
    Family, Model, ModelError,
    cap::SoftCap,
    checkpoint::Checkpoint,
    config::Config,
    decoder::{self, Variant},
    windows::windows,
};

pub(super) fn build(config: &Config, weights: &mut Checkpoint) -> Result<Model<f32>, ModelError> {
    config.only("use_bidirectional_attention", false)?;
    let bias = config.flag("attention_bias", false)?;
    let window = config.count_unless_null("sliding_window", 4096)?;
    let n_layers = config.layers("num_hidden_layers")?;
    let variant = Variant {
        n_ctx: 8192,
        d_head: Some(256),
        tied: true,
        input_bias: bias,
        output_bias: bias,
        // older configs have no list: the first block and every other one after it
        windows: windows(config, n_layers, window, |layer| layer % 2 == 0)?,
        scale: Some(config.number_or("query_pre_attn_scalar", 256.0)?.powf(-0.5)),
        score_cap: config.number_unless_null("attn_logit_softcapping", 50.0)?.map(SoftCap),
        logit_cap: config.number_unless_null("final_logit_softcapping", 30.0)?.map(SoftCap),
        gemma: true,
        ..Variant::new(Family::Gemma2, config.activation("hidden_activation", "gelu_pytorch_tanh")?)
    };
    decoder::build(config, weights, &variant)
}
