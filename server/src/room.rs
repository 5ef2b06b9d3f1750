//! Whether there is room in memory for what is asked for: checked when it is asked, and again before it begins. What does not fit is
//! refused with the figures, before the system ends the process for it.

use anyhow::Result;
use api::{ConfigError, ModelInfo, PretrainConfig, TokenizerSource, TrainConfig};
use engine::{
    memory::{Needs, Sizes},
    pretrain, train,
};
use std::fmt;

use crate::{memory::Memory, workspace::Workspace};

/// When room is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Something is asked for, and begins when what runs in this process has ended.
    Asked,
    /// It begins.
    Begins,
}

impl Moment {
    fn memory(self) -> Option<Memory> {
        match self {
            Self::Asked => Memory::when_idle(),
            Self::Begins => Memory::now(),
        }
    }
}

/// What is to be done with dictionaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// They are made and measured.
    Run,
    /// They are measured, and were made before.
    Measure,
}

/// Checks the runs that are asked for, each against the model that it names.
///
/// # Errors
/// The field that takes too much, with the figures.
pub async fn check_asked(workspace: &Workspace, runs: &[&TrainConfig]) -> Result<()> {
    let mut last: Option<ModelInfo> = None;
    for run in runs {
        if last.as_ref().is_none_or(|model| model.id != run.model) {
            last = workspace.store.model(&run.model).await?;
        }
        if let Some(model) = &last {
            check(workspace, run, model, Work::Run, Moment::Asked)?;
        }
    }
    Ok(())
}

/// Checks one run, or the measuring of its dictionaries.
///
/// # Errors
/// The field that takes too much, with the figures.
pub fn check(workspace: &Workspace, run: &TrainConfig, model: &ModelInfo, work: Work, moment: Moment) -> Result<(), ConfigError> {
    let Some((width, memory)) = model.width(run.at).zip(moment.memory()) else {
        return Ok(());
    };
    let (sizes, n_threads) = (Sizes::of(model), workspace.n_threads);
    let is_loaded = moment == Moment::Begins && workspace.models.holds(model.folder.as_ref(), &model.hash, run.residual);
    let needs_of = |run: &TrainConfig| {
        let mut needs = match work {
            Work::Run => train::needs(run, width, &sizes, n_threads),
            Work::Measure => train::measuring_needs(run, width, &sizes, n_threads),
        };
        if workspace.device.name() != "cpu" {
            // a batch lies in the device's own memory
            (needs.activations, needs.codes, needs.evaluation) = (0, 0, 0);
        }
        if is_loaded {
            needs.model = 0; // it has its memory already
        }
        needs
    };
    let needs = needs_of(run);
    let Err(message) = fits(&needs, memory) else {
        return Ok(());
    };
    let least = TrainConfig { batch: 1, ..run.clone() };
    let refused = |field: &str, found: &dyn fmt::Display, instead: &str| {
        Err(ConfigError::new(
            field,
            format!("found {found}; {message}; expected {instead}"),
        ))
    };
    match too_large(&needs, &needs_of(&least), memory) {
        TooLarge::Model => refused("model", &model.id, "a smaller one"),
        TooLarge::Buffer => {
            let found = run.buffer.map_or(0, |buffer| buffer.tokens);
            refused("buffer_tokens", &found, "a smaller buffer")
        }
        TooLarge::Features => {
            let widest = run.dictionaries.iter().map(|d| d.d_sae).max().unwrap_or(0);
            let found = format!("{widest}, in {} dictionaries", run.dictionaries.len());
            refused("d_sae", &found, "fewer features, or fewer dictionaries in one run")
        }
        TooLarge::Batch => {
            let instead = "fewer or shorter contexts per batch, or fewer dictionaries in one run";
            refused("batch", &run.batch, instead)
        }
    }
}

/// Checks a pretraining run. `d_vocab` is the size of the vocabulary where it is known better than from the config.
///
/// # Errors
/// The field that takes too much, with the figures.
pub fn check_pretraining(
    workspace: &Workspace,
    config: &PretrainConfig,
    d_vocab: Option<usize>,
    moment: Moment,
) -> Result<(), ConfigError> {
    let told = match &config.tokenizer {
        TokenizerSource::Trained { vocab_size } => *vocab_size,
        TokenizerSource::Given { .. } => 0,
    };
    let Some(memory) = moment.memory() else { return Ok(()) };
    let needs_of = |config: &PretrainConfig| pretrain::needs(config, d_vocab.unwrap_or(told), workspace.n_threads);
    let least = PretrainConfig {
        batch: 1,
        ..config.clone()
    };
    fits(&needs_of(config), memory).map_err(|message| match fits(&needs_of(&least), memory) {
        Ok(()) => {
            let instead = "expected fewer or shorter contexts per batch, or a smaller model";
            ConfigError::new("batch", format!("found {}; {message}; {instead}", config.batch))
        }
        Err(_) => ConfigError::new(
            "d_model",
            format!("found {}; {message}; expected a smaller model", config.shape.d_model),
        ),
    })
}

/// What of a run is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TooLarge {
    Model,
    Buffer,
    Features,
    Batch,
}

/// What is to be made smaller of a run with these `needs`, and with those that it would have with the `least` batch there is.
fn too_large(needs: &Needs, least: &Needs, memory: Memory) -> TooLarge {
    let free = u128::from(memory.free);
    if needs.model > free {
        TooLarge::Model
    } else if needs.buffer > free {
        TooLarge::Buffer
    } else if least.total() > free {
        TooLarge::Features
    } else {
        TooLarge::Batch
    }
}

/// # Errors
/// What it would take, in parts, and what is free.
fn fits(needs: &Needs, memory: Memory) -> Result<(), String> {
    let total = needs.total();
    if total <= u128::from(memory.free) {
        return Ok(());
    }
    let mut parts = needs.parts();
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
    let parts: Vec<String> = parts
        .iter()
        .filter(|part| part.bytes * 100 >= total)
        .map(|part| format!("{} {}", part.what, gib(part.bytes)))
        .collect();
    Err(format!(
        "it would take {} of memory ({}), and {} are {}",
        gib(total),
        parts.join(", "),
        gib(memory.free.into()),
        memory.bound
    ))
}

fn gib(bytes: u128) -> String {
    match bytes >> 20 {
        0..1024 => format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Bound;

    #[test]
    fn what_does_not_fit_is_refused_with_the_figures() {
        let needs = Needs {
            model: 1 << 20,
            state: 3 << 30,
            activations: 2 << 30,
            ..Needs::default()
        };
        let free = |free| Memory {
            bound: Bound::Group,
            total: 64 << 30,
            free,
        };
        assert_eq!(fits(&needs, free(6 << 30)), Ok(()));
        let message = fits(&needs, free(5 << 30)).unwrap_err();
        assert_eq!(
            message,
            "it would take 5.0 GiB of memory (weights, gradients, moments and a checkpoint 3.0 GiB, activations, tapes and logits \
             2.0 GiB), and 5.0 GiB are free within the limit of this control group"
        );
        let least = Needs { activations: 0, ..needs };
        assert_eq!(too_large(&needs, &least, free(4 << 30)), TooLarge::Batch);
        assert_eq!(too_large(&needs, &least, free(3 << 30)), TooLarge::Features);
        assert_eq!(too_large(&needs, &least, free(1 << 10)), TooLarge::Model);
        let buffered = Needs {
            buffer: 9 << 30,
            ..needs
        };
        assert_eq!(too_large(&buffered, &least, free(5 << 30)), TooLarge::Buffer);
    }
}
