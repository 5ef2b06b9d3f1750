//! Which text dictionaries are measured on: the curves' during a run, and the results' at its end and whenever they are computed
//! again.

use api::{ConfigError, EvaluationSplit, Measurement, TrainConfig};
use std::path::PathBuf;

use super::{Backend, TrainError, left_out};
use crate::{
    corpus::{Split, TokenFile},
    dictionary::{self, Dictionary, Normaliser},
    metrics::{By, Depth, Evaluated, Hardest, Subject, Text, compare_tokens, of_weights},
};

/// Measures dictionaries at `config.at` again, all in one pass: the same metrics as at the end of their run, on the text of
/// `config.evaluation`. `progress` is told the tokens done and wanted and may end the pass by answering false; what was measured
/// until then is given.
///
/// # Errors
/// When a file cannot be read, or its dictionary belongs elsewhere or does not fit the model.
pub fn evaluate(
    files: &[PathBuf],
    backend: &dyn Backend,
    tokens: &TokenFile,
    config: &TrainConfig,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Vec<Evaluated>, TrainError> {
    let loaded = load(files, backend, config)?;
    measure(backend, tokens, config, &subjects(&loaded), progress)
}

/// The predictions of the text of `config.evaluation` that every one of some dictionaries at `config.at` loses most of: the first
/// `top`, ordered by what `wanted` says ([`hardest`]). `progress` is as in [`evaluate`].
///
/// # Errors
/// As [`evaluate`].
pub fn hardest_tokens(
    files: &[PathBuf],
    backend: &dyn Backend,
    tokens: &TokenFile,
    config: &TrainConfig,
    (by, top): (By, usize),
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Hardest, TrainError> {
    let loaded = load(files, backend, config)?;
    let (_, contexts) = final_contexts(tokens, config);
    let text = text(tokens, &contexts, config);
    let subjects = subjects(&loaded);
    let mut passes = backend.passes(config.at, &subjects)?;
    if let Some(mask) = left_out::mask(backend, tokens, config)? {
        passes.leave_out(mask);
    }
    let compared = compare_tokens(text, progress, &mut *passes)?;
    Ok(Hardest::new(compared, text, by, top))
}

/// Context number `index` of the text of `config.evaluation`, as the rows of [`hardest_tokens`] count them.
pub fn measured_context<'a>(tokens: &'a TokenFile, config: &TrainConfig, index: usize) -> &'a [u32] {
    tokens.context(split(config), index)
}

/// A dictionary, and per feature on how many tokens it fired.
pub type Fired = (Dictionary<f32>, Vec<u32>);

/// Dictionaries at `config.at`, and on how many ordinary tokens of the text of `config.evaluation` each of their features fires.
/// `progress` is as in [`evaluate`].
///
/// # Errors
/// As [`evaluate`].
pub fn firings(
    files: &[PathBuf],
    backend: &dyn Backend,
    tokens: &TokenFile,
    config: &TrainConfig,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Vec<Fired>, TrainError> {
    let loaded = load(files, backend, config)?;
    let (_, contexts) = final_contexts(tokens, config);
    let text = text(tokens, &contexts, config);
    let measured = measured(backend, tokens, config, &subjects(&loaded), text, progress)?;
    let dictionaries = loaded.into_iter().map(|(dictionary, _)| dictionary);
    Ok(dictionaries
        .zip(measured.into_iter().map(|measured| measured.firings))
        .collect())
}

/// A dictionary, and how it sees activations.
type Loaded = (Dictionary<f32>, Normaliser);

fn load(files: &[PathBuf], backend: &dyn Backend, config: &TrainConfig) -> Result<Vec<Loaded>, TrainError> {
    let width = backend.model().width(config.at)?;
    let one = |file: &PathBuf| -> Result<Loaded, TrainError> {
        let (dictionary, facts) = dictionary::load(file)?;
        if (dictionary.d_out(), facts.at) != (width, config.at) {
            let (file, at, d_out) = (file.display(), facts.at, dictionary.d_out());
            let message = format!("{file} is {d_out} wide, at {at}; expected {width}, at {}", config.at);
            return Err(ConfigError::new("dictionary", message).into());
        }
        if let Some(read_at) = dictionary.kind().read_at() {
            let (d_in, width) = (dictionary.d_in(), backend.model().width(read_at)?);
            if d_in != width {
                let message = format!("{} reads {d_in} numbers at {read_at}; expected {width}", file.display());
                return Err(ConfigError::new("dictionary", message).into());
            }
        }
        Ok((dictionary, facts.normaliser))
    };
    files.iter().map(one).collect()
}

fn subjects(loaded: &[Loaded]) -> Vec<Subject<'_>> {
    loaded
        .iter()
        .map(|(dictionary, normaliser)| Subject {
            dictionary,
            normaliser: *normaliser,
        })
        .collect()
}

/// What [`evaluate`] measures, of dictionaries that are here.
///
/// # Errors
/// The model's and the device's.
pub fn measure(
    backend: &dyn Backend,
    tokens: &TokenFile,
    config: &TrainConfig,
    subjects: &[Subject<'_>],
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Vec<Evaluated>, TrainError> {
    let (split, contexts) = final_contexts(tokens, config);
    let documents = tokens.documents(split, contexts.len());
    let text = Text {
        documents: Some(&documents),
        depth: Depth::Results,
        ..text(tokens, &contexts, config)
    };
    let mut measured = measured(backend, tokens, config, subjects, text, progress)?;
    for (measured, subject) in measured.iter_mut().zip(subjects) {
        let of_weights = of_weights(subject.dictionary, &measured.firings, measured.n_tokens);
        measured.metrics.extend(of_weights);
    }
    Ok(measured)
}

/// [`Backend::evaluate`], without the tokens that the config leaves out.
fn measured(
    backend: &dyn Backend,
    tokens: &TokenFile,
    config: &TrainConfig,
    subjects: &[Subject<'_>],
    text: Text<'_>,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Vec<Evaluated>, TrainError> {
    let Some(mask) = left_out::mask(backend, tokens, config)? else {
        return backend.evaluate(config.at, subjects, text, progress);
    };
    let d_sae: Vec<usize> = subjects.iter().map(|s| s.dictionary.d_sae()).collect();
    let mut passes = backend.passes(config.at, subjects)?;
    passes.leave_out(mask);
    crate::metrics::measure(backend.model(), config.at, &d_sae, text, progress, &mut *passes)
}

/// What a run's curves show of its dictionaries: the metrics on the first of the validation text.
///
/// # Errors
/// The model's and the device's.
pub fn curves(
    backend: &dyn Backend,
    tokens: &TokenFile,
    config: &TrainConfig,
    subjects: &[Subject<'_>],
) -> Result<Vec<Vec<Measurement>>, TrainError> {
    let contexts = contexts(tokens, Split::Validation, config.evaluation.validation_tokens);
    let text = text(tokens, &contexts, config);
    let measured = measured(backend, tokens, config, subjects, text, &mut |_, _| true)?;
    Ok(measured.into_iter().map(|measured| measured.metrics).collect())
}

/// The first contexts of a split, as many as hold `n_tokens`, or all.
fn contexts(tokens: &TokenFile, split: Split, n_tokens: usize) -> Vec<&[u32]> {
    let wanted = n_tokens.div_ceil(tokens.manifest().packing.n_ctx);
    (0..tokens.n_contexts(split).min(wanted))
        .map(|i| tokens.context(split, i))
        .collect()
}

/// What a run is measured on at its end.
pub(super) fn final_contexts<'a>(tokens: &'a TokenFile, config: &TrainConfig) -> (Split, Vec<&'a [u32]>) {
    let split = split(config);
    (split, contexts(tokens, split, config.evaluation.n_tokens))
}

pub(super) fn split(config: &TrainConfig) -> Split {
    match config.evaluation.split {
        EvaluationSplit::HeldOut => Split::HeldOut,
        EvaluationSplit::Validation => Split::Validation,
    }
}

fn text<'a>(tokens: &'a TokenFile, contexts: &'a [&'a [u32]], config: &TrainConfig) -> Text<'a> {
    Text {
        contexts,
        special: &tokens.manifest().special,
        batch: config.batch,
        documents: None,
        depth: Depth::Curves,
    }
}
