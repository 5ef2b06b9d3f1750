//! Passes over one context: from tokens to a cut, from a cut upwards, and back.

use super::{
    Model, ModelError,
    block::{BlockTape, BlockWork, State},
    norm::NormTape,
};
use crate::kernel::{Real, add, simd};
use api::{HookPoint, Site};
use std::mem::swap;

/// Sees the value at each hook point that a forward pass reaches, and the gradient at each that a backward pass reaches.
pub trait Hooks<R> {
    /// Reads or replaces `value` [n_tokens, width] at `point`.
    /// Backward, what a forward hook wrote counts as the point's value: gradients go through it unchanged.
    fn at(&mut self, point: HookPoint, value: &mut [R]);
}

/// Looks at nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHooks;

impl<R> Hooks<R> for NoHooks {
    fn at(&mut self, _: HookPoint, _: &mut [R]) {}
}

/// Where a forward pass stands: all that the rest of the model needs.
#[derive(Clone, Debug)]
pub struct Cut<R> {
    /// The hook point.
    pub at: HookPoint,
    /// Tokens of the context.
    pub n_tokens: usize,
    /// The value there, [n_tokens, width].
    pub value: Vec<R>,
    /// Inside a branch: the residual stream that the branch will be added to, [n_tokens, d_model].
    residual: Vec<R>,
}

impl<R> Default for Cut<R> {
    fn default() -> Self {
        Self {
            at: HookPoint::Embed,
            n_tokens: 0,
            value: Vec::new(),
            residual: Vec::new(),
        }
    }
}

/// Scratch of passes, to be reused; its contents mean nothing between passes.
#[derive(Default)]
pub struct Work<R> {
    value: Vec<R>,
    residual: Vec<R>,
    steps: Steps<R>,
}

/// Scratch of single steps, and what they save when nobody keeps a tape.
#[derive(Default)]
struct Steps<R> {
    block: BlockWork<R>,
    block_tape: BlockTape<R>,
    norm_tape: NormTape<R>,
}

/// What [`Model::backward`] needs of a [`Model::suffix`], to be reused.
pub struct Tape<R> {
    from: HookPoint,
    n_tokens: usize,
    blocks: Vec<BlockTape<R>>,
    norm: NormTape<R>,
    /// Whether the blocks keep what the gradients of their weights need.
    for_weights: bool,
}

impl<R: Real> Default for Tape<R> {
    fn default() -> Self {
        Self {
            from: HookPoint::FinalNorm,
            n_tokens: 0,
            blocks: Vec::new(),
            norm: NormTape::default(),
            for_weights: false,
        }
    }
}

impl<R: Real> Tape<R> {
    /// A tape from which the gradients of weights can be taken, too.
    pub fn for_weights() -> Self {
        Self {
            for_weights: true,
            ..Self::default()
        }
    }

    pub(super) fn is_for_weights_from_embed(&self) -> bool {
        self.for_weights && self.from == HookPoint::Embed
    }
}

impl<R: Real> Model<R> {
    /// From `tokens` to `at`, whose state is left in `cut`. `hooks` sees every point on the way, `hook_embed` and `at` included.
    ///
    /// # Errors
    /// When there are no tokens or more than n_ctx, a token is not in the vocabulary, or there is no such point.
    pub fn prefix(
        &self,
        tokens: &[u32],
        at: HookPoint,
        cut: &mut Cut<R>,
        hooks: &mut dyn Hooks<R>,
        work: &mut Work<R>,
    ) -> Result<(), ModelError> {
        self.width(at)?;
        self.check(tokens)?;
        let d_model = self.facts.d_model;
        let embed = self.embed.as_slice();
        cut.at = at;
        cut.n_tokens = tokens.len();
        cut.value.clear();
        for &id in tokens {
            cut.value.extend_from_slice(&embed[id as usize * d_model..][..d_model]);
        }
        if let Some(scale) = self.embed_scale {
            scaled(&mut cut.value, R::of(scale));
        }
        hooks.at(HookPoint::Embed, &mut cut.value);
        let state = State {
            n_tokens: tokens.len(),
            value: &mut cut.value,
            residual: &mut cut.residual,
        };
        self.climb(HookPoint::Embed, at, state, hooks, None, &mut work.steps);
        Ok(())
    }

    /// From a cut, with `value` [n_tokens, width] in place of the cut's own, to a point above it, whose state is left in
    /// `next`. `hooks` sees every point on the way except the cut's own, `to` included.
    ///
    /// # Errors
    /// When there is no such point, it lies below the cut, or `value` has another length than the cut's.
    pub fn advance(
        &self,
        cut: &Cut<R>,
        value: &[R],
        to: HookPoint,
        next: &mut Cut<R>,
        hooks: &mut dyn Hooks<R>,
        work: &mut Work<R>,
    ) -> Result<(), ModelError> {
        self.width(to)?;
        self.check_value(cut, value)?;
        if to < cut.at {
            return Err(ModelError::Order { from: cut.at, to });
        }
        next.at = to;
        next.n_tokens = cut.n_tokens;
        copy(value, &mut next.value);
        copy(&cut.residual, &mut next.residual);
        let state = State {
            n_tokens: cut.n_tokens,
            value: &mut next.value,
            residual: &mut next.residual,
        };
        self.climb(cut.at, to, state, hooks, None, &mut work.steps);
        Ok(())
    }

    /// From a cut, with `value` [n_tokens, width] in place of the cut's own, to the input of the unembedding: `out`
    /// [n_tokens, d_model], the final norm's output with gain and bias. `hooks` sees every point above the cut's own.
    /// With a tape, records what [`Model::backward`] needs.
    ///
    /// # Errors
    /// When `value` has another length than the cut's.
    pub fn suffix(
        &self,
        cut: &Cut<R>,
        value: &[R],
        out: &mut Vec<R>,
        hooks: &mut dyn Hooks<R>,
        tape: Option<&mut Tape<R>>,
        work: &mut Work<R>,
    ) -> Result<(), ModelError> {
        self.check_value(cut, value)?;
        copy(value, &mut work.value);
        copy(&cut.residual, &mut work.residual);
        let state = State {
            n_tokens: cut.n_tokens,
            value: &mut work.value,
            residual: &mut work.residual,
        };
        self.climb(cut.at, HookPoint::FinalNorm, state, hooks, tape, &mut work.steps);
        self.final_norm.gain(&work.value, out);
        Ok(())
    }

    /// The gradient of the cut's value into `grad_value` [n_tokens, width], from that of a suffix's output, `grad_out`
    /// [n_tokens, d_model], which is consumed. `hooks` sees the gradient at each point, from the final norm down to the
    /// cut's own, and may add to it.
    ///
    /// # Panics
    /// When `grad_out` has another length than the output of the suffix that filled the tape.
    pub fn backward(
        &self,
        tape: &Tape<R>,
        grad_out: &mut [R],
        grad_value: &mut Vec<R>,
        hooks: &mut dyn Hooks<R>,
        work: &mut Work<R>,
    ) {
        self.descend(tape, grad_out, grad_value, hooks, None, work);
    }

    /// [`Model::backward`]; with `grads`, the gradients of all weights, those that the suffix used are added to (the tape must
    /// be one for weights, and hooks must have replaced nothing). The embeddings and the unembedding lie outside.
    pub(super) fn descend(
        &self,
        tape: &Tape<R>,
        grad_out: &mut [R],
        grad_value: &mut Vec<R>,
        hooks: &mut dyn Hooks<R>,
        mut grads: Option<&mut [R]>,
        work: &mut Work<R>,
    ) {
        let n_tokens = tape.n_tokens;
        assert_eq!(
            grad_out.len(),
            n_tokens * self.facts.d_model,
            "the gradient of {n_tokens} tokens"
        );
        if let Some(grads) = &mut grads {
            self.final_norm.weight_backward(&tape.norm.normalized, grad_out, grads);
        }
        self.final_norm.gain_backward(grad_out);
        copy(grad_out, grad_value);
        hooks.at(HookPoint::FinalNorm, grad_value);
        let mut at = HookPoint::FinalNorm;
        while at != tape.from {
            at = self.below(at);
            match at {
                HookPoint::Block {
                    layer,
                    site: Site::ResidPost,
                } if layer + 1 == self.blocks.len() => self.final_norm.normalize_backward(&tape.norm, grad_value),
                HookPoint::Block { layer, site } => {
                    let state = State {
                        n_tokens,
                        value: grad_value,
                        residual: &mut work.residual,
                    };
                    let (rope, grads) = (self.rope.as_ref(), grads.as_deref_mut());
                    self.blocks[layer].step_back(site, state, rope, &tape.blocks[layer], grads, &mut work.steps.block);
                }
                // positions are added: the gradient goes through
                HookPoint::Embed | HookPoint::FinalNorm => {}
            }
            hooks.at(at, grad_value);
        }
    }

    /// Runs from one point to another, showing `hooks` each point that it reaches.
    fn climb(
        &self,
        from: HookPoint,
        to: HookPoint,
        state: State<'_, R>,
        hooks: &mut dyn Hooks<R>,
        mut tape: Option<&mut Tape<R>>,
        steps: &mut Steps<R>,
    ) {
        let State {
            n_tokens,
            value,
            residual,
        } = state;
        if let Some(tape) = &mut tape {
            tape.from = from;
            tape.n_tokens = n_tokens;
            let for_weights = tape.for_weights;
            tape.blocks.resize_with(self.blocks.len(), || BlockTape::new(for_weights));
        }
        let mut at = from;
        while at != to {
            match at {
                HookPoint::Embed => {
                    if let Some(positions) = &self.positions {
                        simd(
                            #[inline(always)]
                            || add(value, positions.as_slice()),
                        );
                    }
                }
                HookPoint::Block {
                    layer,
                    site: Site::ResidPost,
                } if layer + 1 == self.blocks.len() => {
                    let saved = match &mut tape {
                        Some(tape) => &mut tape.norm,
                        None => &mut steps.norm_tape,
                    };
                    self.final_norm.normalize(value, saved);
                    match &tape {
                        Some(tape) => copy(&tape.norm.normalized, value),
                        None => swap(value, &mut steps.norm_tape.normalized),
                    }
                }
                HookPoint::Block { layer, site } => {
                    let saved = match &mut tape {
                        Some(tape) => &mut tape.blocks[layer],
                        None => &mut steps.block_tape,
                    };
                    let state = State {
                        n_tokens,
                        value: &mut *value,
                        residual: &mut *residual,
                    };
                    self.blocks[layer].step(site, state, self.rope.as_ref(), saved, &mut steps.block);
                }
                HookPoint::FinalNorm => return,
            }
            at = self.above(at);
            hooks.at(at, value);
        }
    }

    /// The next point of the forward pass; the last one is its own.
    pub fn above(&self, at: HookPoint) -> HookPoint {
        match at {
            HookPoint::Embed => HookPoint::resid_pre(0),
            HookPoint::Block { layer, site } => match self.blocks[layer].next(site) {
                Some(site) => HookPoint::block(layer, site),
                None if layer + 1 < self.blocks.len() => HookPoint::resid_pre(layer + 1),
                None => HookPoint::FinalNorm,
            },
            HookPoint::FinalNorm => HookPoint::FinalNorm,
        }
    }

    /// The next point of the backward pass; the first one is its own.
    pub fn below(&self, at: HookPoint) -> HookPoint {
        match at {
            HookPoint::FinalNorm => HookPoint::block(self.blocks.len() - 1, Site::ResidPost),
            HookPoint::Block { layer, site } => match self.blocks[layer].previous(site) {
                Some(site) => HookPoint::block(layer, site),
                None if layer > 0 => HookPoint::block(layer - 1, Site::ResidPost),
                None => HookPoint::Embed,
            },
            HookPoint::Embed => HookPoint::Embed,
        }
    }

    fn check_value(&self, cut: &Cut<R>, value: &[R]) -> Result<(), ModelError> {
        let width = self.width(cut.at)?;
        if value.len() == cut.n_tokens * width {
            return Ok(());
        }
        Err(ModelError::Value {
            at: cut.at,
            found: value.len(),
            n_tokens: cut.n_tokens,
            width,
        })
    }
}

/// Multiplies all numbers by `scale`.
pub(super) fn scaled<R: Real>(numbers: &mut [R], scale: R) {
    simd(
        #[inline(always)]
        || numbers.iter_mut().for_each(|x| *x *= scale),
    );
}

fn copy<R: Real>(from: &[R], to: &mut Vec<R>) {
    to.clear();
    to.extend_from_slice(from);
}
