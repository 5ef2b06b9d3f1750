//! What a format cannot say of a dictionary: refused by name, with what was found and what the format has.

use api::{HookPoint, ResidualFrame, Site};
use std::path::Path;

use super::{Facts, coder::Rule, errors::refuse};
use crate::dictionary::{DictionaryError, Normaliser};

/// Refuses a dictionary that sees each token at a scale of its own. One number for all tokens is in the weights.
///
/// # Errors
/// Where it does.
pub fn sees_activations(folder: &Path, facts: &Facts) -> Result<(), DictionaryError> {
    match facts.normaliser {
        Normaliser::Scale(_) => Ok(()),
        Normaliser::Token(_) => {
            let (scale, format) = (facts.normaliser.input_scale(), facts.format);
            Err(refuse(
                folder,
                format!("found the input scale {scale}; {format}'s dictionaries see the activations themselves"),
            ))
        }
    }
}

/// Refuses a dictionary of a residual stream that is not read as `theirs`. Where none is said there is no other.
///
/// # Errors
/// Where it is of the other, and at a place where that makes a difference.
pub fn residual(folder: &Path, facts: &Facts, theirs: ResidualFrame) -> Result<(), DictionaryError> {
    let is_stream = match facts.at() {
        None | Some(HookPoint::Embed) => true,
        Some(HookPoint::FinalNorm) => false,
        Some(HookPoint::Block { site, .. }) => !matches!(site, Site::Ln1 | Site::Ln2 | Site::Z | Site::MlpPost),
    };
    let name = |frame| match frame {
        ResidualFrame::Raw => "raw",
        ResidualFrame::Centred => "centred",
    };
    match facts.residual {
        Some(frame) if frame != theirs && is_stream => {
            let (found, expected) = (name(frame), name(theirs));
            let format = facts.format;
            Err(refuse(
                folder,
                format!("found the residual stream {found}; {format}'s dictionaries see it {expected}"),
            ))
        }
        _ => Ok(()),
    }
}

/// The error that says that a format has no rule as `rule` is, but `theirs`.
pub fn other_kind(folder: &Path, facts: &Facts, rule: &Rule, theirs: &str) -> DictionaryError {
    let found = match rule {
        Rule::Relu => "a relu",
        Rule::Gated { .. } => "a gated",
        Rule::Jump { .. } => "a jumprelu",
        Rule::TopK { .. } => "a topk",
        Rule::AbsTopK { .. } => "an abstopk",
        Rule::MatchingPursuit(_) => "a matching-pursuit",
        Rule::BatchTopK { groups, .. } if groups.is_empty() => "a batchtopk",
        Rule::BatchTopK { .. } => "a matryoshka",
    };
    let format = facts.format;
    refuse(folder, format!("found {found} dictionary; {format} has {theirs}"))
}

/// The error that says that an archive of 4 GiB or more is not written: its list of entries has no room for larger numbers.
pub fn too_large(path: &Path) -> DictionaryError {
    refuse(path, "would be of 4 GiB or more, which is not written")
}
