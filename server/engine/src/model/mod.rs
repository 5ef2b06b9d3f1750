//! Language models: forward from any cut to any hook point, and the gradient of a cut's value.
//!
//! A pass over one context moves from hook point to hook point and shows each value to a [`Hooks`] object, which may read
//! or replace it. Where it stops it leaves a [`Cut`]: all that the rest of the model needs. From a cut, [`Model::suffix`]
//! runs to the input of the unembedding, and [`Model::backward`] brings a gradient back to the cut. There, weights are frozen
//! and only activations are differentiated; [`Trainable`] has the gradients of weights, too. Everything runs on the calling
//! thread; contexts are independent.
//!
//! Each family's file maps its config and its tensors' names to one common `block`.

mod activation;
mod attention;
mod block;
mod cap;
mod checkpoint;
mod config;
mod decoder;
mod error;
mod finite;
mod gemma2;
mod gpt2;
mod gpt_neo;
mod gpt_neox;
mod hash;
mod head_norm;
mod llama;
mod mistral;
mod mlp;
mod norm;
pub mod parts;
mod pass;
mod qwen2;
mod qwen3;
mod random_weights;
mod rope;
mod tensor;
mod trainable;
mod windows;

pub use activation::Activation;
pub use error::ModelError;
pub(crate) use finite::first_other;
pub use hash::content_hash;
pub use pass::{Cut, Hooks, NoHooks, Tape, Work};
pub use random_weights::randomise;
pub use trainable::{Tensor, Trainable};

use crate::kernel::{Mat, MatMut, Real, matmul};
use api::{HookPoint, ResidualFrame, Site};
use block::Block;
use cap::SoftCap;
use checkpoint::Checkpoint;
use config::Config;
use norm::{Norm, NormKind};
use rope::Rope;
use serde_json::{Map, Value};
use std::{fmt, path::Path};
use tensor::Weights;

/// The families of language models that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// GPT-2.
    Gpt2,
    /// GPT-Neo: every other block's attention is local.
    GptNeo,
    /// GPT-NeoX, which includes Pythia: rotary positions, attention and MLP in parallel.
    GptNeox,
    /// Llama: RMSNorm, rotary positions, gated MLPs.
    Llama,
    /// Mistral: a Llama with sliding windows.
    Mistral,
    /// Qwen2: a Llama with biases on queries, keys and values.
    Qwen2,
    /// Qwen3: a Llama with norms on queries and keys.
    Qwen3,
    /// Gemma 2: four norms per block, soft caps, windows in every other block.
    Gemma2,
}

impl Family {
    const ALL: [Family; 8] = [
        Family::Gpt2,
        Family::GptNeo,
        Family::GptNeox,
        Family::Llama,
        Family::Mistral,
        Family::Qwen2,
        Family::Qwen3,
        Family::Gemma2,
    ];

    /// `model_type` in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Family::Gpt2 => "gpt2",
            Family::GptNeo => "gpt_neo",
            Family::GptNeox => "gpt_neox",
            Family::Llama => "llama",
            Family::Mistral => "mistral",
            Family::Qwen2 => "qwen2",
            Family::Qwen3 => "qwen3",
            Family::Gemma2 => "gemma2",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The sizes of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Its family.
    pub family: Family,
    /// Number of blocks.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Attention heads per block.
    pub n_heads: usize,
    /// Width of the MLPs' hidden layers.
    pub d_mlp: usize,
    /// Number of tokens in the vocabulary.
    pub d_vocab: usize,
    /// The longest context, in tokens.
    pub n_ctx: usize,
    /// Numbers in the checkpoint, tied ones once.
    pub n_params: u64,
    /// LayerNorm (otherwise RMSNorm): only then can the residual stream be centred.
    pub layer_norm: bool,
}

/// A language model in numbers of type `R`.
#[derive(Clone)]
pub struct Model<R> {
    facts: ModelFacts,
    /// [d_vocab, d_model].
    embed: Weights<R>,
    /// What embeddings are multiplied by, before `hook_embed`.
    embed_scale: Option<f64>,
    /// [n_ctx, d_model]; none where positions are rotary.
    positions: Option<Weights<R>>,
    rope: Option<Rope<R>>,
    blocks: Vec<Block<R>>,
    final_norm: Norm<R>,
    /// [d_vocab, d_model].
    unembed: Weights<R>,
    logit_cap: Option<SoftCap>,
}

impl Model<f32> {
    /// Loads a Hugging Face model folder: `config.json` and safetensors (f32, f64, f16 or bf16; one file or shards).
    /// Numbers that the file holds as aligned f32 stay memory-mapped.
    ///
    /// # Errors
    /// When a file is missing or damaged, a tensor is missing, holds a number that is not finite, or has another shape or type than
    /// the config implies, the config asks for something that the forward pass does not do, or `frame` is centred and the model has no LayerNorm.
    pub fn load(folder: &Path, frame: ResidualFrame) -> Result<Self, ModelError> {
        let mut config = Config::read(folder)?;
        let family = family(&config)?;
        let mut weights = Checkpoint::open(folder)?;
        config.bound_by(weights.held());
        let mut model = build(&config, family, &mut weights)?;
        if frame == ResidualFrame::Centred {
            if !model.facts.layer_norm {
                return Err(ModelError::Frame { family });
            }
            model.centre();
        }
        Ok(model)
    }

    /// A new model of `config`, which is what a Hugging Face `config.json` holds. `initial` makes each tensor, given its name
    /// in the checkpoint and its shape; tied ones are made once.
    ///
    /// # Errors
    /// When the config asks for something that the forward pass does not do.
    ///
    /// # Panics
    /// When `initial` gives another number of numbers than the shape has.
    pub fn new(config: Map<String, Value>, initial: Box<Initial>) -> Result<Self, ModelError> {
        let config = Config::new(config);
        build(&config, family(&config)?, &mut Checkpoint::new(initial))
    }

    /// Puts a model together from what a family's file has read.
    fn assemble(family: Family, n_params: u64, parts: Parts) -> Self {
        let block = &parts.blocks[0];
        let d_model = block.mlp.input.d_in;
        Self {
            facts: ModelFacts {
                family,
                n_layers: parts.blocks.len(),
                d_model,
                n_heads: block.attention.heads.n_heads,
                d_mlp: block.mlp.input.d_out,
                d_vocab: parts.embed.as_slice().len() / d_model,
                n_ctx: parts.n_ctx,
                n_params,
                layer_norm: parts.final_norm.kind == NormKind::Layer,
            },
            embed: parts.embed,
            embed_scale: parts.embed_scale,
            positions: parts.positions,
            rope: parts.rope,
            blocks: parts.blocks,
            final_norm: parts.final_norm,
            unembed: parts.unembed,
            logit_cap: parts.logit_cap,
        }
    }

    /// Takes the mean over d_model out of everything that writes to the residual stream. LayerNorm takes it out before
    /// anything reads the stream, so the outputs stay; the unembedding keeps its own numbers, tied or not.
    fn centre(&mut self) {
        let d_model = self.facts.d_model;
        self.embed = self.embed.centred(d_model);
        self.positions = self.positions.take().map(|positions| positions.centred(d_model));
        for block in &mut self.blocks {
            block.attention.output = block.attention.output.clone().centred();
            block.mlp.output = block.mlp.output.clone().centred();
        }
    }

    /// The same model in f64, for tests of exactness.
    pub fn to_f64(&self) -> Model<f64> {
        Model {
            facts: self.facts,
            embed: self.embed.to_f64(),
            embed_scale: self.embed_scale,
            positions: self.positions.as_ref().map(Weights::to_f64),
            rope: self.rope.as_ref().map(Rope::to_f64),
            blocks: self.blocks.iter().map(Block::to_f64).collect(),
            final_norm: self.final_norm.to_f64(),
            unembed: self.unembed.to_f64(),
            logit_cap: self.logit_cap,
        }
    }
}

/// Makes the numbers of a new model's tensor from its name and shape.
pub type Initial = dyn Fn(&str, &[usize]) -> Vec<f32>;

fn family(config: &Config) -> Result<Family, ModelError> {
    let model_type = config.text("model_type", "")?;
    let known = Family::ALL.into_iter().find(|family| family.name() == model_type);
    known.ok_or_else(|| config.refuse("model_type", Family::ALL.map(Family::name).join(", ")))
}

fn build(config: &Config, family: Family, weights: &mut Checkpoint) -> Result<Model<f32>, ModelError> {
    if config.get("quantization_config").is_some() {
        return Err(config.refuse("quantization_config", "none: weights in f32, f64, f16 or bf16"));
    }
    match family {
        Family::Gpt2 => gpt2::build(config, weights),
        Family::GptNeo => gpt_neo::build(config, weights),
        Family::GptNeox => gpt_neox::build(config, weights),
        Family::Llama => llama::build(config, weights),
        Family::Mistral => mistral::build(config, weights),
        Family::Qwen2 => qwen2::build(config, weights),
        Family::Qwen3 => qwen3::build(config, weights),
        Family::Gemma2 => gemma2::build(config, weights),
    }
}

/// The slopes of soft caps at some logits, to be reused; empty where a model has no cap.
#[derive(Debug, Default)]
pub struct LogitSlopes<R>(Vec<R>);

/// What a family's file reads.
struct Parts {
    n_ctx: usize,
    embed: Weights<f32>,
    embed_scale: Option<f64>,
    positions: Option<Weights<f32>>,
    rope: Option<Rope<f32>>,
    blocks: Vec<Block<f32>>,
    final_norm: Norm<f32>,
    unembed: Weights<f32>,
    logit_cap: Option<SoftCap>,
}

impl<R: Real> Model<R> {
    /// The model's sizes.
    pub fn facts(&self) -> &ModelFacts {
        &self.facts
    }

    /// Every hook point with its width, in the order of the forward pass.
    pub fn hook_points(&self) -> Vec<(HookPoint, usize)> {
        let mut points = vec![(HookPoint::Embed, self.facts.d_model)];
        for (layer, block) in self.blocks.iter().enumerate() {
            let sites = Site::ALL.into_iter().filter_map(|site| Some((site, block.width(site)?)));
            points.extend(sites.map(|(site, width)| (HookPoint::block(layer, site), width)));
        }
        points.push((HookPoint::FinalNorm, self.facts.d_model));
        points
    }

    /// The number of coordinates at a hook point.
    ///
    /// # Errors
    /// When the model has no such point; the message says which there are.
    pub fn width(&self, at: HookPoint) -> Result<usize, ModelError> {
        let HookPoint::Block { layer, site } = at else {
            return Ok(self.facts.d_model);
        };
        let missing = |reason| ModelError::NoHookPoint { at, reason };
        let block = self.blocks.get(layer).ok_or_else(|| {
            let last = self.blocks.len() - 1;
            missing(format!("its blocks are 0 to {last}"))
        })?;
        block.width(site).ok_or_else(|| {
            let sites = Site::ALL.into_iter().filter(|site| block.width(*site).is_some());
            let names: Vec<_> = sites.map(Site::name).collect();
            missing(format!(
                "attention and MLP run in parallel in {}; the sites of a block are {}",
                self.facts.family,
                names.join(", ")
            ))
        })
    }

    /// Tokens whose logits are made at a time, where they are dropped at once: few, because a [tokens, d_vocab] matrix never
    /// exists whole, but enough to be worth what the product spends on packing the unembedding.
    pub fn logits_chunk(&self) -> usize {
        ((1 << 21) / self.facts.d_vocab).clamp(128, 512)
    }

    /// Whether the model can read a context.
    ///
    /// # Errors
    /// When there are no tokens or more than n_ctx, or a token is not in the vocabulary.
    pub fn check(&self, tokens: &[u32]) -> Result<(), ModelError> {
        let ModelFacts { n_ctx, d_vocab, .. } = self.facts;
        if tokens.is_empty() || tokens.len() > n_ctx {
            let found = tokens.len();
            return Err(ModelError::Context { found, n_ctx });
        }
        match tokens.iter().enumerate().find(|(_, id)| **id as usize >= d_vocab) {
            Some((position, &id)) => Err(ModelError::Token { id, position, d_vocab }),
            None => Ok(()),
        }
    }

    /// Logits [n, d_vocab] from rows of the unembedding's input [n, d_model].
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn logits(&self, out_rows: &[R], logits: &mut [R]) {
        self.uncapped_logits(out_rows, logits);
        if let Some(cap) = self.logit_cap {
            cap.cap(logits);
        }
    }

    /// [`Model::logits`], and what [`Model::logits_backward`] needs of them.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn logits_for_gradient(&self, out_rows: &[R], logits: &mut [R], slopes: &mut LogitSlopes<R>) {
        self.uncapped_logits(out_rows, logits);
        if let Some(cap) = self.logit_cap {
            slopes.0.resize(logits.len(), R::ZERO);
            cap.cap_with_slopes(logits, &mut slopes.0);
        }
    }

    fn uncapped_logits(&self, out_rows: &[R], logits: &mut [R]) {
        let n = out_rows.len() / self.facts.d_model;
        let rows = Mat::new(out_rows, n, self.facts.d_model);
        let logits = MatMut::new(logits, n, self.facts.d_vocab);
        matmul(logits, R::ZERO, R::ONE, rows, self.unembedding().t());
    }

    /// The gradient of the unembedding's input [n, d_model], overwritten, from that of the logits [n, d_vocab], which becomes
    /// that of the logits before their soft cap, where there is one. `slopes` are those of the same logits.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn logits_backward(&self, grad_logits: &mut [R], slopes: &LogitSlopes<R>, grad_out: &mut [R]) {
        if self.logit_cap.is_some() {
            assert_eq!(slopes.0.len(), grad_logits.len(), "the slopes of these logits");
            cap::back(&slopes.0, grad_logits);
        }
        let n = grad_out.len() / self.facts.d_model;
        let grad = Mat::new(grad_logits, n, self.facts.d_vocab);
        let grad_out = MatMut::new(grad_out, n, self.facts.d_model);
        matmul(grad_out, R::ZERO, R::ONE, grad, self.unembedding());
    }

    fn unembedding(&self) -> Mat<'_, R> {
        Mat::new(self.unembed.as_slice(), self.facts.d_vocab, self.facts.d_model)
    }
}
