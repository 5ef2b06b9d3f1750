//! A model's parts, to read: what another implementation of the passes (on another device) needs, so that the families,
//! their configs and their checks exist once. All matrices are row-major.

use super::{
    Model,
    activation::Activation,
    attention::Attention,
    block::Block,
    mlp::Mlp,
    norm::{Norm, NormKind},
    rope::{Rope, rotations},
    tensor::{Linear, Weights},
};
use crate::kernel::Real;

/// A whole model.
pub struct Parts<'a, R> {
    /// [d_vocab, d_model].
    pub embed: &'a [R],
    /// What embeddings are multiplied by, before `hook_embed`.
    pub embed_scale: Option<f64>,
    /// [n_ctx, d_model], added to the embedding; none where positions are rotary.
    pub positions: Option<&'a [R]>,
    /// What queries and keys are rotated by.
    pub rope: Option<RopeParts<'a>>,
    /// The blocks, the first one first.
    pub blocks: Vec<BlockParts<'a, R>>,
    /// Before the unembedding.
    pub final_norm: NormParts<'a, R>,
    /// [d_vocab, d_model].
    pub unembed: &'a [R],
    /// c, where logits are c tanh(x / c) of what the unembedding writes.
    pub logit_cap: Option<f64>,
}

/// Rotations: coordinate j of a query or key turns with coordinate j + n, for j below n, which is how many frequencies there are;
/// coordinates from 2n on stay.
pub struct RopeParts<'a> {
    /// Radians per position, of each pair of coordinates.
    pub frequencies: &'a [f32],
}

impl RopeParts<'_> {
    /// cos and sin of the first positions, each [n_positions, n].
    pub fn rotations(&self, n_positions: usize) -> [Vec<f32>; 2] {
        let (cos, sin) = rotations(self.frequencies, 0..n_positions).unzip();
        [cos, sin]
    }
}

/// One block.
pub struct BlockParts<'a, R> {
    /// Before attention.
    pub attention_norm: NormParts<'a, R>,
    /// Attention.
    pub attention: AttentionParts<'a, R>,
    /// Of what attention writes, before `hook_attn_out`.
    pub attention_post_norm: Option<NormParts<'a, R>>,
    /// Before the MLP.
    pub mlp_norm: NormParts<'a, R>,
    /// The MLP.
    pub mlp: MlpParts<'a, R>,
    /// Of what the MLP writes, before `hook_mlp_out`.
    pub mlp_post_norm: Option<NormParts<'a, R>>,
    /// Attention and MLP both read the residual that enters the block.
    pub parallel: bool,
}

/// y = x̂ · gain + bias, x̂ = (x − mean) / √(var + ε), or x / √(mean x² + ε).
pub struct NormParts<'a, R> {
    /// Whether the mean is taken out (LayerNorm) or not (RMSNorm).
    pub layer: bool,
    /// ε.
    pub eps: f64,
    /// [d_model].
    pub gain: &'a [R],
    /// [d_model].
    pub bias: Option<&'a [R]>,
}

/// y = x W + b.
pub struct LinearParts<'a, R> {
    /// W as [d_out, d_in] where `out_in`, else as [d_in, d_out].
    pub weight: &'a [R],
    /// How W lies.
    pub out_in: bool,
    /// [d_out].
    pub bias: Option<&'a [R]>,
    /// Width of x.
    pub d_in: usize,
    /// Width of y.
    pub d_out: usize,
}

/// Causal self-attention.
pub struct AttentionParts<'a, R> {
    /// The projections of queries, keys and values, in the order in which they fill the columns of one joint matrix.
    pub inputs: Vec<LinearParts<'a, R>>,
    /// Per query head: the first columns of its queries, keys and values in the joint matrix. Neighbouring heads may share keys
    /// and values.
    pub columns: Vec<[usize; 3]>,
    /// Heads that have keys and values of their own.
    pub n_kv_heads: usize,
    /// Width of a head.
    pub d_head: usize,
    /// Of each head's queries and of its keys, over d_head, before they are rotated.
    pub head_norms: Option<[NormParts<'a, R>; 2]>,
    /// [n_heads · d_head, d_model].
    pub output: LinearParts<'a, R>,
    /// What q·k is multiplied by.
    pub scale: f64,
    /// c, where scores are c tanh(s / c) of the scaled ones.
    pub cap: Option<f64>,
    /// How many positions a query sees, its own included; none: all.
    pub window: Option<usize>,
}

/// h = act(x W_in + b_in), times x W_up in gated MLPs; then h W_out + b_out.
pub struct MlpParts<'a, R> {
    /// The nonlinearity.
    pub activation: Activation,
    /// [d_model, d_mlp].
    pub input: LinearParts<'a, R>,
    /// [d_model, d_mlp], in gated MLPs.
    pub up: Option<LinearParts<'a, R>>,
    /// [d_mlp, d_model].
    pub output: LinearParts<'a, R>,
}

impl<R: Real> Model<R> {
    /// The model's parts.
    pub fn parts(&self) -> Parts<'_, R> {
        Parts {
            embed: self.embed.as_slice(),
            embed_scale: self.embed_scale,
            positions: self.positions.as_ref().map(Weights::as_slice),
            rope: self.rope.as_ref().map(Rope::parts),
            blocks: self.blocks.iter().map(block).collect(),
            final_norm: norm(&self.final_norm),
            unembed: self.unembed.as_slice(),
            logit_cap: self.logit_cap.map(|cap| cap.0),
        }
    }
}

fn block<R: Real>(block: &Block<R>) -> BlockParts<'_, R> {
    BlockParts {
        attention_norm: norm(&block.attention_norm),
        attention: attention(&block.attention),
        attention_post_norm: block.attention_post_norm.as_ref().map(norm),
        mlp_norm: norm(&block.mlp_norm),
        mlp: mlp(&block.mlp),
        mlp_post_norm: block.mlp_post_norm.as_ref().map(norm),
        parallel: block.parallel,
    }
}

fn norm<R: Real>(norm: &Norm<R>) -> NormParts<'_, R> {
    NormParts {
        layer: norm.kind == NormKind::Layer,
        eps: norm.eps,
        gain: norm.gain.as_slice(),
        bias: norm.bias.as_ref().map(Weights::as_slice),
    }
}

fn attention<R: Real>(attention: &Attention<R>) -> AttentionParts<'_, R> {
    let heads = &attention.heads;
    let mut inputs: Vec<_> = attention.inputs.iter().collect();
    inputs.sort_by_key(|(_, first)| *first);
    AttentionParts {
        inputs: inputs.into_iter().map(|(input, _)| linear(input)).collect(),
        columns: (0..heads.n_heads).map(|head| heads.columns(head)).collect(),
        n_kv_heads: heads.n_kv_heads,
        d_head: heads.d_head,
        head_norms: attention
            .head_norms
            .as_ref()
            .map(|norms| [norm(&norms.query), norm(&norms.key)]),
        output: linear(&attention.output),
        scale: attention.scale,
        cap: attention.cap.map(|cap| cap.0),
        window: attention.window,
    }
}

fn mlp<R: Real>(mlp: &Mlp<R>) -> MlpParts<'_, R> {
    MlpParts {
        activation: mlp.activation,
        input: linear(&mlp.input),
        up: mlp.up.as_ref().map(linear),
        output: linear(&mlp.output),
    }
}

fn linear<R: Real>(linear: &Linear<R>) -> LinearParts<'_, R> {
    LinearParts {
        weight: linear.weight.as_slice(),
        out_in: linear.out_in,
        bias: linear.bias.as_ref().map(Weights::as_slice),
        d_in: linear.d_in,
        d_out: linear.d_out,
    }
}
