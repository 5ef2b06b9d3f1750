//! Llama (`LlamaForCausalLM`): RMSNorm, rotary positions, keys and values shared by groups of heads, gated MLPs.

use super::{
    Family, Model, ModelError, Parts,
    attention::{Attention, Heads},
    block::Block,
    checkpoint::Checkpoint,
    config::Config,
    mlp::Mlp,
    rope::{Names, Rope},
};

pub(super) fn build(config: &Config, weights: &mut Checkpoint) -> Result<Model<f32>, ModelError> {
    let (n_layers, d_model) = (config.count("num_hidden_layers")?, config.count("hidden_size")?);
    let (d_vocab, n_ctx) = (
        config.count("vocab_size")?,
        config.count_or("max_position_embeddings", Some(2048))?,
    );
    let n_ctx = n_ctx.unwrap_or(2048);
    let d_mlp = config.count("intermediate_size")?;
    let n_heads = config.count("num_attention_heads")?;
    let n_kv_heads = config.count_or("num_key_value_heads", None)?.unwrap_or(n_heads);
    if n_heads % n_kv_heads != 0 {
        return Err(config.refuse("num_key_value_heads", format!("a divisor of num_attention_heads {n_heads}")));
    }
    let d_head = match config.count_or("head_dim", None)? {
        Some(d_head) => d_head,
        None => config.d_head(d_model, "num_attention_heads")?,
    };
    if config.count_or("sliding_window", None)?.is_some_and(|window| window < n_ctx) {
        return Err(config.refuse("sliding_window", "null: local attention is not supported for llama"));
    }
    let eps = config.number_or("rms_norm_eps", 1e-6)?;
    let activation = config.activation("hidden_act", "silu")?;
    let attention_bias = config.flag("attention_bias", false)?;
    let mlp_bias = config.flag("mlp_bias", false)?;
    let names = Names {
        theta: "rope_theta",
        fraction: None,
    };
    let rope = Rope::from_config(config, n_ctx, d_head, names)?;
    let (q_width, kv_width) = (n_heads * d_head, n_kv_heads * d_head);

    weights.choose_prefix("model.", "embed_tokens.weight");
    let embed = weights.tensor("embed_tokens.weight", &[d_vocab, d_model])?;
    let block = |layer: usize| -> Result<Block<f32>, ModelError> {
        let l = |name: &str| format!("layers.{layer}.{name}");
        let attention = |name: &str, d_in, d_out| weights.linear(&l(&format!("self_attn.{name}")), d_in, d_out, attention_bias);
        let mlp = |name: &str, d_in, d_out| weights.linear(&l(&format!("mlp.{name}")), d_in, d_out, mlp_bias);
        Ok(Block {
            attention_norm: weights.rms_norm(&l("input_layernorm"), d_model, eps)?,
            attention: Attention {
                inputs: vec![
                    (attention("q_proj", d_model, q_width)?, 0),
                    (attention("k_proj", d_model, kv_width)?, q_width),
                    (attention("v_proj", d_model, kv_width)?, q_width + kv_width),
                ],
                heads: Heads {
                    n_heads,
                    n_kv_heads,
                    d_head,
                    interleaved: false,
                },
                output: attention("o_proj", q_width, d_model)?,
                scale: (d_head as f64).powf(-0.5),
                window: None,
            },
            mlp_norm: weights.rms_norm(&l("post_attention_layernorm"), d_model, eps)?,
            mlp: Mlp {
                activation,
                input: mlp("gate_proj", d_model, d_mlp)?,
                up: Some(mlp("up_proj", d_model, d_mlp)?),
                output: mlp("down_proj", d_mlp, d_model)?,
            },
            parallel: false,
        })
    };
    let blocks = (0..n_layers).map(block).collect::<Result<_, _>>()?;
    let final_norm = weights.rms_norm("norm", d_model, eps)?;
    let unembed = match config.flag("tie_word_embeddings", false)? {
        true => embed.clone(),
        false => weights.outer("lm_head.weight", &[d_vocab, d_model])?,
    };
    let parts = Parts {
        n_ctx,
        embed,
        positions: None,
        rope: Some(rope),
        blocks,
        final_norm,
        unembed,
    };
    Ok(Model::assemble(Family::Llama, weights.n_params(), parts))
}
