//! The tokens that a run leaves out, with the numbers that its model and text give to what its config says.

use api::{ConfigError, TrainConfig};

use super::{Backend, TrainError};
use crate::{
    corpus::{Split, TokenFile},
    metrics::Mask,
};

/// Tokens of the training text over which the median length is taken, rounded up to whole contexts.
const TOKENS: usize = 4096;

/// What `config` leaves out; none where it is nothing. The median is that of the first training contexts, wherever a run stands and
/// whatever is measured.
///
/// # Errors
/// The model's, and a device on which nothing can be left out.
pub fn mask(backend: &dyn Backend, tokens: &TokenFile, config: &TrainConfig) -> Result<Option<Mask>, TrainError> {
    let leave_out = config.leave_out;
    if leave_out.is_nothing() {
        return Ok(None);
    }
    if !backend.leaves_out() {
        let message = format!("found '{leave_out}', which this device does not do; expected nothing, or --device cpu");
        return Err(ConfigError::new("leave_out", message).into());
    }
    let width = backend.model().width(config.at)?;
    let mut x = Vec::new();
    if leave_out.longer.is_some() {
        let wanted = TOKENS.div_ceil(config.packing.n_ctx).min(tokens.n_contexts(Split::Train));
        let contexts: Vec<&[u32]> = (0..wanted).map(|index| tokens.context(Split::Train, index)).collect();
        let mut some = Vec::new();
        for contexts in contexts.chunks(config.batch) {
            backend.activations(config.at, contexts, &mut some)?;
            x.extend_from_slice(&some);
        }
    }
    Ok(Mask::new(leave_out, &tokens.manifest().special, &x, width))
}
