//! What Llama and the families after it have in common: RMSNorm, rotary positions, keys and values shared by groups of heads,
//! gated MLPs, and the names of their tensors. What a family does otherwise is its [`Variant`].

use super::{
    Family, Model, ModelError, Parts,
    activation::Activation,
    attention::{Attention, Heads},
    block::Block,
    cap::SoftCap,
    checkpoint::Checkpoint,
    config::Config,
    head_norm::HeadNorms,
    mlp::Mlp,
    norm::Norm,
    rope::{Names, Rope},
};

/// What no model's heads are wide together.
const MOST_WIDTH: usize = 1 << 40;

/// How a family, or a config of it, differs from the others.
pub(super) struct Variant {
    pub(super) family: Family,
    /// The longest context, where the config does not say.
    pub(super) n_ctx: usize,
    /// Width of a head, where the config does not say; none: d_model / n_heads.
    pub(super) d_head: Option<usize>,
    pub(super) activation: Activation,
    /// Whether the unembedding is the embedding, where the config does not say.
    pub(super) tied: bool,
    /// Biases of queries, keys and values; of attention's output; of the MLP.
    pub(super) input_bias: bool,
    pub(super) output_bias: bool,
    pub(super) mlp_bias: bool,
    /// RMSNorm of each head's queries and keys.
    pub(super) head_norms: bool,
    /// Each block's window; empty: there are none.
    pub(super) windows: Vec<Option<usize>>,
    /// What q·k is multiplied by; none: 1/√d_head.
    pub(super) scale: Option<f64>,
    /// The soft caps of attention's scores and of the logits.
    pub(super) score_cap: Option<SoftCap>,
    pub(super) logit_cap: Option<SoftCap>,
    /// Gemma's: gains are 1 + the stored weights, embeddings are multiplied by √d_model, and what attention and the MLP write is
    /// normed once more.
    pub(super) gemma: bool,
}

impl Variant {
    /// Llama's own, without biases.
    pub(super) fn new(family: Family, activation: Activation) -> Self {
        Self {
            family,
            n_ctx: 2048,
            d_head: None,
            activation,
            tied: false,
            input_bias: false,
            output_bias: false,
            mlp_bias: false,
            head_norms: false,
            windows: Vec::new(),
            scale: None,
            score_cap: None,
            logit_cap: None,
            gemma: false,
        }
    }
}

/// The longest context.
pub(super) fn n_ctx(config: &Config, default: usize) -> Result<usize, ModelError> {
    Ok(config.count_or("max_position_embeddings", None)?.unwrap_or(default))
}

pub(super) fn build(config: &Config, weights: &mut Checkpoint, variant: &Variant) -> Result<Model<f32>, ModelError> {
    let (n_layers, d_model) = (config.layers("num_hidden_layers")?, config.size("hidden_size")?);
    let (d_vocab, n_ctx) = (config.size("vocab_size")?, n_ctx(config, variant.n_ctx)?);
    let d_mlp = config.size("intermediate_size")?;
    let heads = heads(config, d_model, variant)?;
    let d_head = heads.d_head;
    let eps = config.number_or("rms_norm_eps", 1e-6)?;
    let names = Names {
        theta: "rope_theta",
        fraction: None,
    };
    let rope = Rope::from_config(config, n_ctx, d_head, names)?;
    let (q_width, kv_width) = (heads.z_width(), heads.n_kv_heads * d_head);

    weights.choose_prefix("model.", "embed_tokens.weight");
    let norm = |name: &str, width: usize| -> Result<Norm<f32>, ModelError> {
        match variant.gemma {
            true => weights.rms_norm_around_one(name, width, eps),
            false => weights.rms_norm(name, width, eps),
        }
    };
    let embed = weights.tensor("embed_tokens.weight", &[d_vocab, d_model])?;
    let block = |layer: usize| -> Result<Block<f32>, ModelError> {
        let l = |name: &str| format!("layers.{layer}.{name}");
        let norm = |name: &str, width: usize| norm(&l(name), width);
        let input = |name: &str, d_out| weights.linear(&l(&format!("self_attn.{name}")), d_model, d_out, variant.input_bias);
        let mlp = |name: &str, d_in, d_out| weights.linear(&l(&format!("mlp.{name}")), d_in, d_out, variant.mlp_bias);
        let head_norms = || -> Result<_, ModelError> {
            Ok(HeadNorms {
                query: norm("self_attn.q_norm", d_head)?,
                key: norm("self_attn.k_norm", d_head)?,
            })
        };
        // Gemma's second norm is the one after attention, elsewhere it is the one before the MLP
        let before_mlp = match variant.gemma {
            true => "pre_feedforward_layernorm",
            false => "post_attention_layernorm",
        };
        let after = |name: &str| variant.gemma.then(|| norm(name, d_model)).transpose();
        Ok(Block {
            attention_norm: norm("input_layernorm", d_model)?,
            attention: Attention {
                inputs: vec![
                    (input("q_proj", q_width)?, 0),
                    (input("k_proj", kv_width)?, q_width),
                    (input("v_proj", kv_width)?, q_width + kv_width),
                ],
                heads,
                head_norms: variant.head_norms.then(head_norms).transpose()?,
                output: weights.linear(&l("self_attn.o_proj"), q_width, d_model, variant.output_bias)?,
                scale: variant.scale.unwrap_or((d_head as f64).powf(-0.5)),
                cap: variant.score_cap,
                window: variant.windows.get(layer).copied().flatten(),
            },
            attention_post_norm: after("post_attention_layernorm")?,
            mlp_norm: norm(before_mlp, d_model)?,
            mlp: Mlp {
                activation: variant.activation,
                input: mlp("gate_proj", d_model, d_mlp)?,
                up: Some(mlp("up_proj", d_model, d_mlp)?),
                output: mlp("down_proj", d_mlp, d_model)?,
            },
            mlp_post_norm: after("post_feedforward_layernorm")?,
            parallel: false,
        })
    };
    let blocks = (0..n_layers).map(block).collect::<Result<_, _>>()?;
    let final_norm = norm("norm", d_model)?;
    let unembed = match config.flag("tie_word_embeddings", variant.tied)? {
        true => embed.clone(),
        false => weights.outer("lm_head.weight", &[d_vocab, d_model])?,
    };
    let parts = Parts {
        n_ctx,
        embed,
        embed_scale: variant.gemma.then(|| (d_model as f64).sqrt()),
        positions: None,
        rope: Some(rope),
        blocks,
        final_norm,
        unembed,
        logit_cap: variant.logit_cap,
    };
    Ok(Model::assemble(variant.family, weights.n_params(), parts))
}

/// How many heads there are, and how wide.
fn heads(config: &Config, d_model: usize, variant: &Variant) -> Result<Heads, ModelError> {
    let n_heads = config.size("num_attention_heads")?;
    let n_kv_heads = config.size_or("num_key_value_heads", None)?.unwrap_or(n_heads);
    if n_heads % n_kv_heads != 0 {
        return Err(config.refuse("num_key_value_heads", format!("a divisor of num_attention_heads {n_heads}")));
    }
    let d_head = match config.size_or("head_dim", variant.d_head)? {
        // both are sizes of the weights, and so is their product
        Some(d_head) if n_heads.checked_mul(d_head).is_none_or(|width| width > MOST_WIDTH) => {
            return Err(config.refuse("head_dim", format!("a width that {n_heads} heads can have")));
        }
        Some(d_head) => d_head,
        None => config.d_head(d_model, "num_attention_heads")?,
    };
    Ok(Heads {
        n_heads,
        n_kv_heads,
        d_head,
        interleaved: false,
    })
}
