//! Whether the model itself gives finite numbers. What it gives is looked at before anything is trained or measured on it: of a model
//! that gives NaN, every dictionary does, and no setting of a run mends it.

use api::HookPoint;
use rayon::prelude::*;

use super::Batch;
use crate::model::{Cut, Hooks, Model, ModelError, Work, first_other};

/// Contexts that are looked at before a run, and tokens of each: enough to reach every part of the model.
const CONTEXTS: usize = 4;
const TOKENS: usize = 256;

/// Looks at a context's way through the model for what is not finite.
struct Look<'a> {
    tokens: &'a [u32],
    /// The first that was found.
    found: Option<ModelError>,
}

impl Hooks<f32> for Look<'_> {
    fn at(&mut self, point: HookPoint, value: &mut [f32]) {
        if self.found.is_none() {
            self.found = check_activations(point, self.tokens, value).err();
        }
    }
}

/// Runs the model over the first of some contexts.
///
/// # Errors
/// The first hook point whose activations are not finite, or logits that are not; and contexts that the model cannot read.
pub fn check_clean(model: &Model<f32>, contexts: &[&[u32]]) -> Result<(), ModelError> {
    let first = &contexts[..contexts.len().min(CONTEXTS)];
    first
        .par_iter()
        .try_for_each(|tokens| check_context(model, &tokens[..tokens.len().min(TOKENS)]))
}

/// As [`check_clean`], over all of some contexts.
///
/// # Errors
/// As [`check_clean`].
pub fn check_contexts(model: &Model<f32>, contexts: &[&[u32]]) -> Result<(), ModelError> {
    contexts.par_iter().try_for_each(|tokens| check_context(model, tokens))
}

fn check_context(model: &Model<f32>, tokens: &[u32]) -> Result<(), ModelError> {
    if tokens.is_empty() {
        return Ok(());
    }
    let (mut cut, mut work, mut out) = (Cut::default(), Work::default(), Vec::new());
    let mut look = Look { tokens, found: None };
    model.prefix(tokens, HookPoint::Embed, &mut cut, &mut look, &mut work)?;
    model.suffix(&cut, &cut.value, &mut out, &mut look, None, &mut work)?;
    if let Some(error) = look.found {
        return Err(error);
    }
    let (d_model, d_vocab) = (model.facts().d_model, model.facts().d_vocab);
    let chunk = model.logits_chunk();
    let mut logits = Vec::new();
    for (index, rows) in out.chunks(chunk * d_model).enumerate() {
        logits.resize(rows.len() / d_model * d_vocab, 0.0);
        model.logits(rows, &mut logits);
        if let Some(i) = first_other(&logits) {
            let position = index * chunk + i / d_vocab;
            return Err(damage("the logits".into(), logits[i], position, tokens[position]));
        }
    }
    Ok(())
}

/// Whether what a batch was measured against is finite: the activations `at` the hook point and after it, and the model's own losses.
///
/// # Errors
/// The first that is not.
pub(super) fn check_batch(at: &[HookPoint], contexts: &[&[u32]], batch: &Batch) -> Result<(), ModelError> {
    let n_ctx = contexts.first().map_or(0, |context| context.len());
    let token = |t: usize| contexts[t / n_ctx][t % n_ctx];
    for (at, values) in at.iter().zip(&batch.clean) {
        if let Some(i) = first_other(values) {
            let t = i / (values.len() / (contexts.len() * n_ctx));
            return Err(damage(at.to_string(), values[i], t % n_ctx, token(t)));
        }
    }
    let losses = batch.answers.first().map(|answer| &answer.compared.ce_loss_without_sae);
    // the last token's is not meant
    let other = |(t, loss): &(usize, &f32)| t % n_ctx + 1 < n_ctx && !loss.is_finite();
    match losses.and_then(|losses| losses.iter().enumerate().find(other)) {
        Some((t, loss)) => Err(damage("its loss".into(), *loss, t % n_ctx, token(t))),
        None => Ok(()),
    }
}

/// As [`check_batch`], of activations alone.
///
/// # Errors
/// The first that is not finite.
pub(super) fn check_activations(at: HookPoint, tokens: &[u32], values: &[f32]) -> Result<(), ModelError> {
    match first_other(values) {
        Some(i) => {
            let t = i / (values.len() / tokens.len());
            Err(damage(at.to_string(), values[i], t, tokens[t]))
        }
        None => Ok(()),
    }
}

fn damage(at: String, found: f32, position: usize, token: u32) -> ModelError {
    ModelError::Clean {
        at,
        found,
        position,
        token,
    }
}
