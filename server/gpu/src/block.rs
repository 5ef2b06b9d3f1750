//! One block, the same for every family: what lies between its hook points, forward and backward. It walks as the engine's
//! block does: the value at a point and, while a branch is under way, the residual stream that the branch will be added to.

use api::Site;
use candle_core::{Device, Error, Result, Tensor};
use engine::model::parts::BlockParts;

use crate::{
    attention::{Attention, AttentionTape},
    form::Form,
    mlp::{Mlp, MlpTape},
    norm::{Norm, NormTape},
    rope::Rope,
};

/// The weights of a block.
pub struct Block {
    attention_norm: Norm,
    pub attention: Attention,
    attention_post_norm: Option<Norm>,
    mlp_norm: Norm,
    mlp: Mlp,
    mlp_post_norm: Option<Norm>,
    parallel: bool,
}

/// What the backward pass through a block needs, once the forward pass has been there.
#[derive(Clone, Default)]
pub struct BlockTape {
    attention_norm: Option<NormTape>,
    attention: Option<AttentionTape>,
    attention_post_norm: Option<NormTape>,
    mlp_norm: Option<NormTape>,
    mlp: Option<MlpTape>,
    mlp_post_norm: Option<NormTape>,
}

/// The value (or its gradient) at the point where a pass stands, and the pending residual (or its gradient).
#[derive(Clone)]
pub struct State {
    /// [n_tokens, width].
    pub value: Tensor,
    /// [n_tokens, d_model].
    pub residual: Option<Tensor>,
}

impl State {
    fn pending(&self) -> Result<&Tensor> {
        self.residual
            .as_ref()
            .ok_or_else(|| Error::Msg("no residual is pending".into()))
    }
}

impl Block {
    pub fn new(parts: &BlockParts<'_, f32>, device: &Device) -> Result<Self> {
        let norm = |parts: &Option<_>| parts.as_ref().map(|parts| Norm::new(parts, device)).transpose();
        Ok(Self {
            attention_norm: Norm::new(&parts.attention_norm, device)?,
            attention: Attention::new(&parts.attention, device)?,
            attention_post_norm: norm(&parts.attention_post_norm)?,
            mlp_norm: Norm::new(&parts.mlp_norm, device)?,
            mlp: Mlp::new(&parts.mlp, device)?,
            mlp_post_norm: norm(&parts.mlp_post_norm)?,
            parallel: parts.parallel,
        })
    }

    /// From `site` to the next one.
    pub fn step(&self, site: Site, state: State, rope: Option<&Rope>, form: &Form, tape: &mut BlockTape) -> Result<State> {
        let at = |value, residual| Ok(State { value, residual });
        match site {
            Site::ResidPre => {
                let normalized = normalize(&self.attention_norm, &state.value, &mut tape.attention_norm)?;
                at(normalized, Some(state.value))
            }
            Site::Ln1 => {
                let (z, saved) = self.attention.forward(&self.attention_norm.gain(&state.value)?, rope, form)?;
                tape.attention = Some(saved);
                at(z, state.residual)
            }
            Site::Z => {
                let out = self.attention.output.forward(&state.value)?;
                at(
                    normed(&self.attention_post_norm, out, &mut tape.attention_post_norm)?,
                    state.residual,
                )
            }
            Site::AttnOut if self.parallel => {
                // the norm reads what entered the block
                let residual = state.pending()?;
                let normalized = normalize(&self.mlp_norm, residual, &mut tape.mlp_norm)?;
                at(normalized, Some((residual + &state.value)?))
            }
            Site::ResidMid => {
                let normalized = normalize(&self.mlp_norm, &state.value, &mut tape.mlp_norm)?;
                at(normalized, Some(state.value))
            }
            Site::Ln2 => {
                let (hidden, saved) = self.mlp.hidden(&self.mlp_norm.gain(&state.value)?)?;
                tape.mlp = Some(saved);
                at(hidden, state.residual)
            }
            Site::MlpPost => {
                let out = self.mlp.output.forward(&state.value)?;
                at(normed(&self.mlp_post_norm, out, &mut tape.mlp_post_norm)?, state.residual)
            }
            Site::AttnOut | Site::MlpOut => at((state.pending()? + &state.value)?, None),
            Site::ResidPost => Ok(state),
        }
    }

    /// From the gradient at the site after `site` to that at `site`.
    pub fn step_back(&self, site: Site, grad: State, rope: Option<&Rope>, form: &Form, tape: &BlockTape) -> Result<State> {
        let at = |value, residual| Ok(State { value, residual });
        let missing = || Error::Msg(format!("the forward pass was not at {site:?}"));
        match site {
            Site::ResidPre => {
                let saved = tape.attention_norm.as_ref().ok_or_else(missing)?;
                let through = self.attention_norm.normalize_backward(saved, &grad.value)?;
                at((grad.pending()? + through)?, None)
            }
            Site::Ln1 => {
                let saved = tape.attention.as_ref().ok_or_else(missing)?;
                let normed = self.attention.backward(saved, &grad.value, rope, form)?;
                at(self.attention_norm.gain_backward(&normed)?, grad.residual)
            }
            Site::Z => {
                let out = normed_back(&self.attention_post_norm, grad.value, &tape.attention_post_norm, missing)?;
                at(self.attention.output.backward(&out)?, grad.residual)
            }
            Site::AttnOut if self.parallel => {
                // attention's output went straight into the residual; what entered the block went there and into the MLP
                let residual = grad.pending()?;
                let saved = tape.mlp_norm.as_ref().ok_or_else(missing)?;
                let entered = (residual + self.mlp_norm.normalize_backward(saved, &grad.value)?)?;
                at(residual.clone(), Some(entered))
            }
            Site::ResidMid => {
                let saved = tape.mlp_norm.as_ref().ok_or_else(missing)?;
                let through = self.mlp_norm.normalize_backward(saved, &grad.value)?;
                at((grad.pending()? + through)?, None)
            }
            Site::Ln2 => {
                let saved = tape.mlp.as_ref().ok_or_else(missing)?;
                let normed = self.mlp.hidden_backward(saved, &grad.value)?;
                at(self.mlp_norm.gain_backward(&normed)?, grad.residual)
            }
            Site::MlpPost => {
                let out = normed_back(&self.mlp_post_norm, grad.value, &tape.mlp_post_norm, missing)?;
                at(self.mlp.output.backward(&out)?, grad.residual)
            }
            Site::AttnOut | Site::MlpOut => at(grad.value.clone(), Some(grad.value)),
            Site::ResidPost => Ok(grad),
        }
    }
}

/// What `norm` makes of `x`, before its gain and bias.
fn normalize(norm: &Norm, x: &Tensor, tape: &mut Option<NormTape>) -> Result<Tensor> {
    let saved = norm.normalize(x)?;
    let normalized = saved.normalized.clone();
    *tape = Some(saved);
    Ok(normalized)
}

/// The norm of `x`, where there is one.
fn normed(norm: &Option<Norm>, x: Tensor, tape: &mut Option<NormTape>) -> Result<Tensor> {
    let Some(norm) = norm else {
        return Ok(x);
    };
    let (y, saved) = norm.forward(&x)?;
    *tape = Some(saved);
    Ok(y)
}

/// The gradient of what `normed` read from that of what it gave.
fn normed_back(norm: &Option<Norm>, grad: Tensor, tape: &Option<NormTape>, missing: impl FnOnce() -> Error) -> Result<Tensor> {
    match norm {
        None => Ok(grad),
        Some(norm) => norm.backward(tape.as_ref().ok_or_else(missing)?, &grad),
    }
}
