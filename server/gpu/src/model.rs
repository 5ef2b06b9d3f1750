//! A frozen language model on the device, and the passes through it: from tokens to a cut, from a cut upwards, and back.
//! What a cut is, and which point comes after which, is the engine's.

use api::{HookPoint, Site};
use candle_core::{Device, Error, Result, Tensor};

use crate::{
    block::{Block, BlockTape, State},
    cap::SoftCap,
    form::Form,
    norm::{Norm, NormTape},
    rope::Rope,
};

/// How much is computed at a time of what never exists whole.
#[derive(Clone, Copy, Debug)]
pub struct Chunks {
    /// Numbers in the scores of attention, at most (but at least those of one context and key head).
    pub scores: usize,
    /// Numbers in the logits, at most (but at least one token's).
    pub logits: usize,
}

impl Default for Chunks {
    fn default() -> Self {
        Self {
            scores: 1 << 26,
            logits: 1 << 25,
        }
    }
}

/// A model on the device.
pub struct Model<'m> {
    /// The model that it is a copy of.
    pub host: &'m engine::model::Model<f32>,
    /// How much is computed at a time.
    pub chunks: Chunks,
    pub(crate) device: Device,
    /// [d_vocab, d_model].
    embed: Tensor,
    embed_scale: Option<f64>,
    /// [n_ctx, d_model].
    positions: Option<Tensor>,
    rope: Option<Rope>,
    blocks: Vec<Block>,
    final_norm: Norm,
    /// [d_vocab, d_model].
    unembed: Tensor,
    logit_cap: Option<SoftCap>,
}

/// Where a forward pass over a batch stands: all that the rest of the model needs.
#[derive(Clone)]
pub struct Cut {
    at: HookPoint,
    state: State,
}

impl Cut {
    /// The value there, [n_tokens, width].
    pub fn value(&self) -> &Tensor {
        &self.state.value
    }
}

/// What [`Model::backward`] needs of a [`Model::suffix`].
#[derive(Default)]
pub struct Tape {
    from: Option<HookPoint>,
    blocks: Vec<BlockTape>,
    norm: Option<NormTape>,
}

/// Sees the value, or the gradient, at each point that a pass reaches, and may replace it.
pub type See<'a> = dyn FnMut(HookPoint, &mut Tensor) -> Result<()> + 'a;

impl<'m> Model<'m> {
    /// Copies a model to the device.
    ///
    /// # Errors
    /// The device's.
    pub fn new(host: &'m engine::model::Model<f32>, device: &Device) -> Result<Self> {
        let parts = host.parts();
        let rows = |numbers: &[f32]| {
            let d_model = host.facts().d_model;
            Tensor::from_slice(numbers, (numbers.len() / d_model, d_model), device)
        };
        let embed = rows(parts.embed)?;
        // tied weights are one tensor on the device too
        let unembed = match std::ptr::eq(parts.embed, parts.unembed) {
            true => embed.clone(),
            false => rows(parts.unembed)?,
        };
        let blocks = parts.blocks.iter().map(|block| Block::new(block, device));
        Ok(Self {
            host,
            chunks: Chunks::default(),
            device: device.clone(),
            embed,
            embed_scale: parts.embed_scale,
            positions: parts.positions.map(rows).transpose()?,
            rope: parts.rope.as_ref().map(|rope| Rope::new(rope, device)),
            blocks: blocks.collect::<Result<_>>()?,
            final_norm: Norm::new(&parts.final_norm, device)?,
            unembed,
            logit_cap: parts.logit_cap.map(SoftCap),
        })
    }

    /// The form of batches of `n_contexts` contexts of `n_ctx` tokens.
    ///
    /// # Errors
    /// The device's.
    pub fn form(&self, n_contexts: usize, n_ctx: usize) -> Result<Form> {
        let mut windows: Vec<_> = self.blocks.iter().map(|block| block.attention.window).collect();
        windows.sort_unstable();
        windows.dedup();
        Form::new(n_contexts, n_ctx, &windows, self.chunks.scores, &self.device)
    }

    /// From contexts of equal length, which the engine's model has checked, to `at`.
    ///
    /// # Errors
    /// The device's.
    pub fn prefix(&self, contexts: &[&[u32]], form: &Form, at: HookPoint) -> Result<Cut> {
        let mut value = self
            .embed
            .index_select(&Tensor::new(&contexts.concat()[..], &self.device)?, 0)?;
        if let Some(scale) = self.embed_scale {
            value = value.affine(scale, 0.0)?;
        }
        let state = State { value, residual: None };
        let state = self.climb(HookPoint::Embed, at, state, form, &mut |_, _| Ok(()), None)?;
        Ok(Cut { at, state })
    }

    /// From a cut, with `value` [n_tokens, width] in place of the cut's own, to the input of the unembedding [n_tokens,
    /// d_model]. `see` sees every point above the cut's own. With a tape, keeps what [`Model::backward`] needs.
    ///
    /// # Errors
    /// The device's.
    pub fn suffix(&self, cut: &Cut, value: &Tensor, form: &Form, see: &mut See<'_>, tape: Option<&mut Tape>) -> Result<Tensor> {
        let state = State {
            value: value.clone(),
            residual: cut.state.residual.clone(),
        };
        let end = self.climb(cut.at, HookPoint::FinalNorm, state, form, see, tape)?;
        self.final_norm.gain(&end.value)
    }

    /// The gradient of the cut's value from that of a suffix's output. `see` sees the gradient at each point from the final
    /// norm down to the cut's own.
    ///
    /// # Errors
    /// The device's, and a tape that no suffix has filled.
    pub fn backward(&self, tape: &Tape, grad_out: &Tensor, form: &Form, see: &mut See<'_>) -> Result<Tensor> {
        let from = tape.from.ok_or_else(|| Error::Msg("the tape is empty".into()))?;
        let mut at = HookPoint::FinalNorm;
        let mut state = State {
            value: self.final_norm.gain_backward(grad_out)?,
            residual: None,
        };
        see(at, &mut state.value)?;
        while at != from {
            at = self.host.below(at);
            match at {
                HookPoint::Block { layer, site } if self.is_last(layer, site) => {
                    let norm = tape
                        .norm
                        .as_ref()
                        .ok_or_else(|| Error::Msg("the tape has no final norm".into()))?;
                    state.value = self.final_norm.normalize_backward(norm, &state.value)?;
                }
                HookPoint::Block { layer, site } => {
                    state = self.blocks[layer].step_back(site, state, self.rope.as_ref(), form, &tape.blocks[layer])?;
                }
                // positions are added: the gradient goes through
                HookPoint::Embed | HookPoint::FinalNorm => {}
            }
            see(at, &mut state.value)?;
        }
        Ok(state.value)
    }

    /// Logits [n, d_vocab] from rows of the unembedding's input [n, d_model].
    ///
    /// # Errors
    /// The device's.
    pub fn logits(&self, rows: &Tensor) -> Result<Tensor> {
        let logits = rows.matmul(&self.unembed.t()?)?;
        match self.logit_cap {
            None => Ok(logits),
            Some(cap) => cap.cap(&logits),
        }
    }

    /// The gradient of the unembedding's input from that of the logits, given these logits.
    ///
    /// # Errors
    /// The device's.
    pub fn logits_backward(&self, logits: &Tensor, grad: &Tensor) -> Result<Tensor> {
        match self.logit_cap {
            None => grad.matmul(&self.unembed),
            Some(cap) => cap.back(logits, grad)?.matmul(&self.unembed),
        }
    }

    fn is_last(&self, layer: usize, site: Site) -> bool {
        layer + 1 == self.blocks.len() && site == Site::ResidPost
    }

    /// Runs from one point to another, showing `see` each point that it reaches.
    fn climb(
        &self,
        from: HookPoint,
        to: HookPoint,
        mut state: State,
        form: &Form,
        see: &mut See<'_>,
        tape: Option<&mut Tape>,
    ) -> Result<State> {
        let keep = tape.is_some();
        let mut none = Tape::default();
        let tape = tape.unwrap_or(&mut none);
        tape.from = Some(from);
        tape.blocks.clear();
        tape.blocks.resize_with(self.blocks.len(), BlockTape::default);
        let mut at = from;
        while at != to {
            match at {
                HookPoint::Embed => {
                    if let Some(positions) = &self.positions {
                        state.value = self.with_positions(&state.value, positions, form)?;
                    }
                }
                HookPoint::Block { layer, site } if self.is_last(layer, site) => {
                    let norm = self.final_norm.normalize(&state.value)?;
                    state.value = norm.normalized.clone();
                    tape.norm = Some(norm);
                }
                HookPoint::Block { layer, site } => {
                    let block = &mut tape.blocks[layer];
                    state = self.blocks[layer].step(site, state, self.rope.as_ref(), form, block)?;
                    if !keep {
                        *block = BlockTape::default();
                    }
                }
                HookPoint::FinalNorm => break,
            }
            at = self.host.above(at);
            see(at, &mut state.value)?;
        }
        Ok(state)
    }

    fn with_positions(&self, value: &Tensor, positions: &Tensor, form: &Form) -> Result<Tensor> {
        let shape = value.dims2()?;
        value
            .reshape((form.n_contexts, form.n_ctx, shape.1))?
            .broadcast_add(&positions.narrow(0, 0, form.n_ctx)?)?
            .reshape(shape)
    }
}
