//! GPT-Neo (`GPTNeoForCausalLM`), among them TinyStories: learned positions, LayerNorm, attention without the factor
//! 1/√d_head, global or local block by block.

use super::{
    Family, Model, ModelError, Parts,
    attention::{Attention, Heads},
    block::Block,
    checkpoint::Checkpoint,
    config::Config,
    mlp::Mlp,
};

pub(super) fn build(config: &Config, weights: &mut Checkpoint) -> Result<Model<f32>, ModelError> {
    let (n_layers, d_model) = (config.layers("num_layers")?, config.size("hidden_size")?);
    let (d_vocab, n_ctx) = (config.size("vocab_size")?, config.size("max_position_embeddings")?);
    let d_mlp = config.size_or("intermediate_size", None)?.unwrap_or(4 * d_model);
    let (n_heads, d_head) = (config.size("num_heads")?, config.d_head(d_model, "num_heads")?);
    let eps = config.number_or("layer_norm_epsilon", 1e-5)?;
    let activation = config.activation("activation_function", "gelu_new")?;
    let windows = windows(config, n_layers)?;

    weights.choose_prefix("transformer.", "wte.weight");
    let embed = weights.tensor("wte.weight", &[d_vocab, d_model])?;
    let positions = weights.tensor("wpe.weight", &[n_ctx, d_model])?;
    let block = |layer: usize| -> Result<Block<f32>, ModelError> {
        let h = |name: &str| format!("h.{layer}.{name}");
        let project = |name: &str| weights.linear(&h(&format!("attn.attention.{name}")), d_model, d_model, false);
        Ok(Block {
            attention_norm: weights.layer_norm(&h("ln_1"), d_model, eps)?,
            attention: Attention {
                inputs: vec![
                    (project("q_proj")?, 0),
                    (project("k_proj")?, d_model),
                    (project("v_proj")?, 2 * d_model),
                ],
                heads: Heads {
                    n_heads,
                    n_kv_heads: n_heads,
                    d_head,
                    interleaved: false,
                },
                head_norms: None,
                output: weights.linear(&h("attn.attention.out_proj"), d_model, d_model, true)?,
                scale: 1.0,
                cap: None,
                window: windows[layer],
            },
            attention_post_norm: None,
            mlp_norm: weights.layer_norm(&h("ln_2"), d_model, eps)?,
            mlp: Mlp {
                activation,
                input: weights.linear(&h("mlp.c_fc"), d_model, d_mlp, true)?,
                up: None,
                output: weights.linear(&h("mlp.c_proj"), d_mlp, d_model, true)?,
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
    Ok(Model::assemble(Family::GptNeo, weights.n_params(), parts))
}

/// Each block's window, from `attention_layers`, a list of names, or `attention_types`, a list of [names, repetitions].
fn windows(config: &Config, n_layers: usize) -> Result<Vec<Option<usize>>, ModelError> {
    let window = config.count_or("window_size", Some(256))?;
    let (field, names) = if config.get("attention_layers").is_some() {
        let list: Option<Vec<String>> = config
            .get("attention_layers")
            .and_then(|value| serde_json::from_value(value.clone()).ok());
        ("attention_layers", list)
    } else {
        let pairs = match config.get("attention_types") {
            Some(value) => serde_json::from_value::<Vec<(Vec<String>, usize)>>(value.clone()).ok(),
            None => Some(vec![(vec!["global".to_owned(), "local".to_owned()], 12)]),
        };
        let list = pairs.map(|pairs| {
            let repeated = pairs
                .into_iter()
                .flat_map(|(names, times)| std::iter::repeat_n(names, times.min(n_layers)));
            repeated.flatten().take(n_layers + 1).collect()
        });
        ("attention_types", list)
    };
    let expected = || config.refuse(field, format!("'global' or 'local' for each of {n_layers} blocks"));
    let names = names.filter(|names| names.len() == n_layers).ok_or_else(expected)?;
    names
        .iter()
        .map(|name| match name.as_str() {
            "global" => Ok(None),
            "local" => Ok(window),
            _ => Err(expected()),
        })
        .collect()
}
