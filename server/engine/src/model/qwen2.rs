//! Qwen2 (`Qwen2ForCausalLM`, arXiv 2407.10671), which includes Qwen2.5: a Llama with biases on queries, keys and values, and,
//! where the config says so, a sliding window in its upper blocks.

use super::{
    Family, Model, ModelError,
    checkpoint::Checkpoint,
    config::Config,
    decoder::{self, Variant},
    windows::windows,
};

pub(super) fn build(config: &Config, weights: &mut Checkpoint) -> Result<Model<f32>, ModelError> {
    let variant = Variant {
        n_ctx: 32_768,
        input_bias: true,
        windows: upper_windows(config)?,
        ..Variant::new(Family::Qwen2, config.activation("hidden_act", "silu")?)
    };
    decoder::build(config, weights, &variant)
}

/// Each block's window in Qwen's configs: `use_sliding_window` says whether there are any, and older configs have them in the
/// blocks from `max_window_layers` on.
pub(super) fn upper_windows(config: &Config) -> Result<Vec<Option<usize>>, ModelError> {
    let window = match config.flag("use_sliding_window", false)? {
        true => config.count_unless_null("sliding_window", 4096)?,
        false => None,
    };
    let first = config.whole_or("max_window_layers", 28)?;
    windows(config, config.layers("num_hidden_layers")?, window, |layer| layer >= first)
}
