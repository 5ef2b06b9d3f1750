//! One block, the same for every family: what lies between its hook points, forward and backward.
//!
//! The state between two points is the value there and, while a branch is under way, the residual stream that the branch
//! will be added to. In sequential blocks attention's branch ends before the MLP's begins; in parallel blocks the MLP
//! reads the residual that entered the block, and the residual takes attention's output when the MLP's branch begins.

use super::{
    attention::{Attention, AttentionTape, AttentionWork},
    mlp::{Mlp, MlpTape},
    norm::{Norm, NormTape},
    rope::Rope,
};
use crate::kernel::{Real, add, simd};
use api::Site;
use std::mem::swap;

/// The weights of a block.
#[derive(Clone)]
pub(super) struct Block<R> {
    pub(super) attention_norm: Norm<R>,
    pub(super) attention: Attention<R>,
    /// Of what attention writes, before `hook_attn_out`.
    pub(super) attention_post_norm: Option<Norm<R>>,
    pub(super) mlp_norm: Norm<R>,
    pub(super) mlp: Mlp<R>,
    /// Of what the MLP writes, before `hook_mlp_out`.
    pub(super) mlp_post_norm: Option<Norm<R>>,
    /// Attention and MLP both read the residual that enters the block.
    pub(super) parallel: bool,
}

/// What the backward pass through a block needs.
#[derive(Default)]
pub(super) struct BlockTape<R> {
    attention_norm: NormTape<R>,
    attention: AttentionTape<R>,
    attention_post_norm: NormTape<R>,
    mlp_norm: NormTape<R>,
    mlp: MlpTape<R>,
    mlp_post_norm: NormTape<R>,
    /// What the output projections read, for the gradients of their weights alone: the heads' outputs [n, n_heads · d_head]
    /// and the hidden layer [n, d_mlp]. None where the weights are frozen.
    outputs: Option<Outputs<R>>,
}

/// The inputs of a block's two output projections.
#[derive(Default)]
struct Outputs<R> {
    z: Vec<R>,
    hidden: Vec<R>,
}

impl<R: Real> BlockTape<R> {
    pub(super) fn new(for_weights: bool) -> Self {
        Self {
            outputs: for_weights.then(Outputs::default),
            ..Self::default()
        }
    }
}

/// Scratch of a block, both ways.
#[derive(Default)]
pub(super) struct BlockWork<R> {
    normed: Vec<R>,
    /// What the projections into a branch read, made again where the gradients of their weights are wanted.
    inputs: Vec<R>,
    swap: Vec<R>,
    attention: AttentionWork<R>,
}

/// The state of a pass: the value (or its gradient) at the point where it stands, and the pending residual (or its gradient).
pub(super) struct State<'a, R> {
    pub(super) n_tokens: usize,
    pub(super) value: &'a mut Vec<R>,
    pub(super) residual: &'a mut Vec<R>,
}

impl<R: Real> Block<R> {
    /// The site after `site`; none after the last.
    pub(super) fn next(&self, site: Site) -> Option<Site> {
        Some(match site {
            Site::ResidPre => Site::Ln1,
            Site::Ln1 => Site::Z,
            Site::Z => Site::AttnOut,
            Site::AttnOut if self.parallel => Site::Ln2,
            Site::AttnOut => Site::ResidMid,
            Site::ResidMid => Site::Ln2,
            Site::Ln2 => Site::MlpPost,
            Site::MlpPost => Site::MlpOut,
            Site::MlpOut => Site::ResidPost,
            Site::ResidPost => return None,
        })
    }

    /// The site before `site`; none before the first.
    pub(super) fn previous(&self, site: Site) -> Option<Site> {
        Site::ALL
            .into_iter()
            .find(|before| self.width(*before).is_some() && self.next(*before) == Some(site))
    }

    /// The number of coordinates at a site.
    pub(super) fn width(&self, site: Site) -> Option<usize> {
        match site {
            Site::ResidMid if self.parallel => None,
            Site::Z => Some(self.attention.heads.z_width()),
            Site::MlpPost => Some(self.mlp.input.d_out),
            _ => Some(self.mlp.input.d_in),
        }
    }

    /// From `site` to the next one.
    pub(super) fn step(
        &self,
        site: Site,
        state: State<'_, R>,
        rope: Option<&Rope<R>>,
        tape: &mut BlockTape<R>,
        work: &mut BlockWork<R>,
    ) {
        let State {
            n_tokens,
            value,
            residual,
        } = state;
        match site {
            Site::ResidPre => {
                swap(value, residual);
                normalize(&self.attention_norm, residual, &mut tape.attention_norm, value);
            }
            Site::Ln1 => {
                self.attention_norm.gain(value, &mut work.normed);
                self.attention
                    .forward(&work.normed, n_tokens, rope, value, &mut tape.attention, &mut work.attention);
            }
            Site::Z => {
                // what was the value ends up in the scratch: on the tape, where that is wanted
                let before = tape.outputs.as_mut().map_or(&mut work.swap, |outputs| &mut outputs.z);
                linear(&self.attention.output, n_tokens, value, before);
                if let Some(norm) = &self.attention_post_norm {
                    normed(norm, value, &mut tape.attention_post_norm, &mut work.normed);
                }
            }
            Site::AttnOut if self.parallel => {
                // the norm reads what entered the block
                self.mlp_norm.normalize(residual, &mut tape.mlp_norm);
                plus(residual, value);
                value.copy_from_slice(&tape.mlp_norm.normalized);
            }
            Site::AttnOut => plus(value, residual),
            Site::ResidMid => {
                swap(value, residual);
                normalize(&self.mlp_norm, residual, &mut tape.mlp_norm, value);
            }
            Site::Ln2 => {
                self.mlp_norm.gain(value, &mut work.normed);
                self.mlp.hidden(&work.normed, value, &mut tape.mlp);
            }
            Site::MlpPost => {
                let before = tape.outputs.as_mut().map_or(&mut work.swap, |outputs| &mut outputs.hidden);
                linear(&self.mlp.output, n_tokens, value, before);
                if let Some(norm) = &self.mlp_post_norm {
                    normed(norm, value, &mut tape.mlp_post_norm, &mut work.normed);
                }
            }
            Site::MlpOut => plus(value, residual),
            Site::ResidPost => {}
        }
    }

    /// From the gradient at the site after `site` to that at `site`. With `grads`, the gradients of all weights, those of the
    /// weights between the two sites are added to; the tape must then hold `outputs`.
    pub(super) fn step_back(
        &self,
        site: Site,
        state: State<'_, R>,
        rope: Option<&Rope<R>>,
        tape: &BlockTape<R>,
        mut grads: Option<&mut [R]>,
        work: &mut BlockWork<R>,
    ) {
        let State {
            n_tokens,
            value,
            residual,
        } = state;
        match site {
            Site::ResidPre => {
                self.attention_norm.normalize_backward(&tape.attention_norm, value);
                plus(value, residual);
            }
            Site::Ln1 => self.attention_back(n_tokens, value, residual.len(), rope, tape, grads, work),
            Site::Z => {
                if let Some(norm) = &self.attention_post_norm {
                    normed_back(norm, value, &tape.attention_post_norm, grads.as_deref_mut());
                }
                let z = tape.outputs.as_ref().map(|outputs| &outputs.z);
                linear_back(&self.attention.output, n_tokens, value, z.zip(grads), &mut work.swap);
            }
            Site::AttnOut if self.parallel => {
                self.mlp_norm.normalize_backward(&tape.mlp_norm, value);
                plus(value, residual);
                // attention's output went straight into the residual; what entered the block went there and into the MLP
                swap(value, residual);
            }
            Site::AttnOut | Site::MlpOut => {
                residual.clear();
                residual.extend_from_slice(value);
            }
            Site::ResidMid => {
                self.mlp_norm.normalize_backward(&tape.mlp_norm, value);
                plus(value, residual);
            }
            Site::Ln2 => self.mlp_back(value, residual.len(), tape, grads, work),
            Site::MlpPost => {
                if let Some(norm) = &self.mlp_post_norm {
                    normed_back(norm, value, &tape.mlp_post_norm, grads.as_deref_mut());
                }
                let hidden = tape.outputs.as_ref().map(|outputs| &outputs.hidden);
                linear_back(&self.mlp.output, n_tokens, value, hidden.zip(grads), &mut work.swap);
            }
            Site::ResidPost => {}
        }
    }

    /// From the gradient of the heads' outputs, in `value`, to that of what attention's norm made of the residual, [n, d_model] of
    /// `len` numbers.
    #[allow(clippy::too_many_arguments, reason = "a plain function of plain buffers")]
    fn attention_back(
        &self,
        n_tokens: usize,
        value: &mut Vec<R>,
        len: usize,
        rope: Option<&Rope<R>>,
        tape: &BlockTape<R>,
        mut grads: Option<&mut [R]>,
        work: &mut BlockWork<R>,
    ) {
        let BlockWork {
            normed: dx,
            inputs,
            attention,
            ..
        } = work;
        dx.resize(len, R::ZERO);
        let weights = grads.as_deref_mut().map(|grads| {
            self.attention_norm.gain(&tape.attention_norm.normalized, inputs);
            (inputs.as_slice(), grads)
        });
        self.attention
            .backward(&tape.attention, value, n_tokens, rope, dx, weights, attention);
        if let Some(grads) = grads {
            self.attention_norm
                .weight_backward(&tape.attention_norm.normalized, dx, grads);
        }
        self.attention_norm.gain_backward(dx);
        swap(value, dx);
    }

    /// From the gradient of the hidden layer, in `value`, to that of what the norm before the MLP made of the residual, [n, d_model]
    /// of `len` numbers.
    fn mlp_back(
        &self,
        value: &mut Vec<R>,
        len: usize,
        tape: &BlockTape<R>,
        mut grads: Option<&mut [R]>,
        work: &mut BlockWork<R>,
    ) {
        let BlockWork {
            normed: dx,
            inputs,
            swap: scratch,
            ..
        } = work;
        dx.resize(len, R::ZERO);
        let weights = grads.as_deref_mut().map(|grads| {
            self.mlp_norm.gain(&tape.mlp_norm.normalized, inputs);
            (inputs.as_slice(), grads)
        });
        self.mlp.hidden_backward(&tape.mlp, value, dx, weights, scratch);
        if let Some(grads) = grads {
            self.mlp_norm.weight_backward(&tape.mlp_norm.normalized, dx, grads);
        }
        self.mlp_norm.gain_backward(dx);
        swap(value, dx);
    }

    pub(super) fn to_f64(&self) -> Block<f64> {
        Block {
            attention_norm: self.attention_norm.to_f64(),
            attention: self.attention.to_f64(),
            attention_post_norm: self.attention_post_norm.as_ref().map(Norm::to_f64),
            mlp_norm: self.mlp_norm.to_f64(),
            mlp: self.mlp.to_f64(),
            mlp_post_norm: self.mlp_post_norm.as_ref().map(Norm::to_f64),
            parallel: self.parallel,
        }
    }
}

/// value ← x̂, which the tape keeps as well.
fn normalize<R: Real>(norm: &Norm<R>, x: &[R], tape: &mut NormTape<R>, value: &mut Vec<R>) {
    norm.normalize(x, tape);
    value.clear();
    value.extend_from_slice(&tape.normalized);
}

/// value ← value W + b; `scratch` becomes what the value was.
fn linear<R: Real>(map: &super::tensor::Linear<R>, n: usize, value: &mut Vec<R>, scratch: &mut Vec<R>) {
    scratch.resize(n * map.d_out, R::ZERO);
    map.forward(value, scratch, 0, map.d_out);
    swap(value, scratch);
}

/// value ← value Wᵀ. With `weights`, which are what the map read and the gradients of all weights, the map's are added to.
fn linear_back<R: Real>(
    map: &super::tensor::Linear<R>,
    n: usize,
    value: &mut Vec<R>,
    weights: Option<(&Vec<R>, &mut [R])>,
    scratch: &mut Vec<R>,
) {
    if let Some((x, grads)) = weights {
        map.weight_backward(x, value, 0, map.d_out, grads);
    }
    scratch.resize(n * map.d_in, R::ZERO);
    map.backward(value, 0, map.d_out, scratch, R::ZERO);
    swap(value, scratch);
}

/// value ← the norm of value.
fn normed<R: Real>(norm: &Norm<R>, value: &mut Vec<R>, tape: &mut NormTape<R>, scratch: &mut Vec<R>) {
    norm.forward(value, tape, scratch);
    swap(value, scratch);
}

/// From the gradient of a norm's output to that of its input, in place. With `grads`, the gradients of all weights, the norm's
/// are added to.
fn normed_back<R: Real>(norm: &Norm<R>, value: &mut [R], tape: &NormTape<R>, grads: Option<&mut [R]>) {
    if let Some(grads) = grads {
        norm.weight_backward(&tape.normalized, value, grads);
    }
    norm.backward(tape, value);
}

fn plus<R: Real>(to: &mut [R], what: &[R]) {
    simd(
        #[inline(always)]
        || add(to, what),
    );
}
