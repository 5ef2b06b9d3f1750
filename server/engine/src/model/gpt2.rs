//! GPT-2 (`GPT2LMHeadModel`): learned positions, LayerNorm, `Conv1D` weights stored as [in, out].

use super::{
    Family, Model, ModelError, Parts,
    attention::{Attention, Heads},
    block::Block,
    checkpoint::Checkpoint,
    config::Config,
    mlp::Mlp,
};

pub(super) fn build(config: &Config, weights: &mut Checkpoint) -> Result<Model<f32>, ModelError> {
    let (n_layers, d_model, n_heads) = (config.layers("n_layer")?, config.size("n_embd")?, config.size("n_head")?);
    let (d_vocab, n_ctx) = (config.size("vocab_size")?, config.size("n_positions")?);
    let d_mlp = config.size_or("n_inner", None)?.unwrap_or(4 * d_model);
    let d_head = config.d_head(d_model, "n_head")?;
    let eps = config.number_or("layer_norm_epsilon", 1e-5)?;
    let activation = config.activation("activation_function", "gelu_new")?;
    let by_width = config.flag("scale_attn_weights", true)?;
    let by_layer = config.flag("scale_attn_by_inverse_layer_idx", false)?;
    config.only("add_cross_attention", false)?;

    weights.choose_prefix("transformer.", "wte.weight");
    let embed = weights.tensor("wte.weight", &[d_vocab, d_model])?;
    let positions = weights.tensor("wpe.weight", &[n_ctx, d_model])?;
    let block = |layer: usize| -> Result<Block<f32>, ModelError> {
        let h = |name: &str| format!("h.{layer}.{name}");
        let scale = if by_width { (d_head as f64).powf(-0.5) } else { 1.0 };
        Ok(Block {
            attention_norm: weights.layer_norm(&h("ln_1"), d_model, eps)?,
            attention: Attention {
                inputs: vec![(weights.conv1d(&h("attn.c_attn"), d_model, 3 * d_model)?, 0)],
                heads: Heads {
                    n_heads,
                    n_kv_heads: n_heads,
                    d_head,
                    interleaved: false,
                },
                head_norms: None,
                output: weights.conv1d(&h("attn.c_proj"), d_model, d_model)?,
                scale: if by_layer { scale / (layer + 1) as f64 } else { scale },
                cap: None,
                window: None,
            },
            attention_post_norm: None,
            mlp_norm: weights.layer_norm(&h("ln_2"), d_model, eps)?,
            mlp: Mlp {
                activation,
                input: weights.conv1d(&h("mlp.c_fc"), d_model, d_mlp)?,
                up: None,
                output: weights.conv1d(&h("mlp.c_proj"), d_mlp, d_model)?,
            },
            mlp_post_norm: None,
            parallel: false,
        })
    };
    let blocks = (0..n_layers).map(block).collect::<Result<_, _>>()?;
    let final_norm = weights.layer_norm("ln_f", d_model, eps)?;
    let unembed = match config.flag("tie_word_embeddings", true)? {
        true => embed.clone(),
        false => weights.outer("lm_head.weight", &[d_vocab, d_model])?,
    };
    let parts = Parts {
        n_ctx,
        embed,
        embed_scale: None,
        positions: Some(positions),
        rope: None,
        blocks,
        final_norm,
        unembed,
        logit_cap: None,
    };
    Ok(Model::assemble(Family::Gpt2, weights.n_params(), parts))
}
