//! GPT-NeoX (`GPTNeoXForCausalLM`), which includes Pythia: rotary positions on a part of each head, queries, keys and
//! values fused head by head, attention and MLP in parallel.

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
    let (n_layers, d_model) = (config.layers("num_hidden_layers")?, config.size("hidden_size")?);
    let (d_vocab, n_ctx) = (config.size("vocab_size")?, config.count("max_position_embeddings")?);
    let d_mlp = config.size("intermediate_size")?;
    let n_heads = config.size("num_attention_heads")?;
    let d_head = config.d_head(d_model, "num_attention_heads")?;
    let eps = config.number_or("layer_norm_eps", 1e-5)?;
    let activation = config.activation("hidden_act", "gelu")?;
    let parallel = config.flag("use_parallel_residual", true)?;
    let bias = config.flag("attention_bias", true)?;
    let names = Names {
        theta: "rotary_emb_base",
        fraction: Some(("rotary_pct", 0.25)),
    };
    let rope = Rope::from_config(config, n_ctx, d_head, names)?;

    weights.choose_prefix("gpt_neox.", "embed_in.weight");
    let embed = weights.tensor("embed_in.weight", &[d_vocab, d_model])?;
    let block = |layer: usize| -> Result<Block<f32>, ModelError> {
        let l = |name: &str| format!("layers.{layer}.{name}");
        Ok(Block {
            attention_norm: weights.layer_norm(&l("input_layernorm"), d_model, eps)?,
            attention: Attention {
                inputs: vec![(
                    weights.linear(&l("attention.query_key_value"), d_model, 3 * d_model, bias)?,
                    0,
                )],
                heads: Heads {
                    n_heads,
                    n_kv_heads: n_heads,
                    d_head,
                    interleaved: true,
                },
                head_norms: None,
                output: weights.linear(&l("attention.dense"), d_model, d_model, bias)?,
                scale: (d_head as f64).powf(-0.5),
                cap: None,
                window: None,
            },
            attention_post_norm: None,
            mlp_norm: weights.layer_norm(&l("post_attention_layernorm"), d_model, eps)?,
            mlp: Mlp {
                activation,
                input: weights.linear(&l("mlp.dense_h_to_4h"), d_model, d_mlp, true)?,
                up: None,
                output: weights.linear(&l("mlp.dense_4h_to_h"), d_mlp, d_model, true)?,
            },
            mlp_post_norm: None,
            parallel,
        })
    };
    let blocks = (0..n_layers).map(block).collect::<Result<_, _>>()?;
    let final_norm = weights.layer_norm("final_layer_norm", d_model, eps)?;
    let unembed = match config.flag("tie_word_embeddings", false)? {
        true => embed.clone(),
        false => weights.outer("embed_out.weight", &[d_vocab, d_model])?,
    };
    let parts = Parts {
        n_ctx,
        embed,
        embed_scale: None,
        positions: None,
        rope: Some(rope),
        blocks,
        final_norm,
        unembed,
        logit_cap: None,
    };
    Ok(Model::assemble(Family::GptNeox, weights.n_params(), parts))
}
