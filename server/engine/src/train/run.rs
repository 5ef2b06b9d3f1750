//! A training run from its config to measured dictionaries on disk.

use api::{
    ConfigError, Density, DictionaryConfig, HistoryPoint, InputScale, Measurement, Objective, Progress, TokenSet, TrainConfig,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    TrainError,
    backend::{Backend, Steps},
    buffer::ActivationCache,
    checkpoint::{self, State},
    feed::{Contexts, Feed},
    findings::Reference,
    fit, left_out,
    reference::Components,
    results, schedule,
    start::{self, Start},
    trainee::Trainee,
};
use crate::{
    corpus::{Split, TokenFile},
    dictionary::{self, DictionaryFile, Fired, Normaliser, TokenNorm},
    metrics::{Subject, check_clean, check_contexts, close_up},
};

/// Contexts of each text on which the model is looked at before a run.
const PROBED: usize = 4;
/// Tokens over which the input's scale is measured, rounded up to whole steps.
const SCALE_TOKENS: usize = 1 << 16;
/// How often progress is told at most.
const PROGRESS: Duration = Duration::from_millis(500);

/// What a run works on.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// Its config.
    pub config: &'a TrainConfig,
    /// The language model, read in the config's residual frame, where it computes.
    pub backend: &'a dyn Backend,
    /// SHA-256 of the model's folder, in hexadecimal.
    pub model_hash: &'a str,
    /// The text, packed as the config says.
    pub tokens: &'a TokenFile,
    /// For each dictionary the file of the one that it begins from, where its origin names one.
    pub from: &'a [Option<PathBuf>],
    /// The run's own folder: its checkpoint and its dictionaries. A checkpoint found there is resumed.
    pub folder: &'a Path,
    /// Where a buffer on disk finds and leaves activations; none where there is no such place.
    pub cache: Option<ActivationCache<'a>>,
}

/// Who is told of a run, and may stop it.
pub trait Observer {
    /// The run begins at `step`; history from there on that an interrupted run left is void.
    fn resumed(&mut self, step: usize);
    /// New points of the curves.
    fn history(&mut self, points: Vec<HistoryPoint>);
    /// How far the run is.
    fn progress(&mut self, progress: Progress);
    /// Asked at every step; true makes a checkpoint and ends the run.
    fn stop(&mut self) -> bool;
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    /// With its dictionaries, in the config's order.
    Done(Vec<Trained>),
    /// Because its observer said so; its checkpoint stands at `step`.
    Stopped {
        /// Steps made.
        step: usize,
    },
}

/// A finished dictionary.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Its config: the run's, with the λ that was found where one was searched for.
    pub config: DictionaryConfig,
    /// Its file, in the run's folder.
    pub file: PathBuf,
    /// Everything measured on the text of `config.evaluation`, and the run's own figures.
    pub metrics: Vec<Measurement>,
    /// How often its features fire on that text.
    pub density: Density,
    /// How often the training text was passed over.
    pub n_passes: f64,
    /// What as many principal components explain as features fire per token; none of what is not trained, and where they were not
    /// computed.
    pub reference: Option<Reference>,
}

/// Runs `inputs.config`; what the processor does of it, on the threads of rayon's current pool.
///
/// # Errors
/// When the config does not fit model and text, what the model gives or a loss is not finite, or a file cannot be read or written.
pub fn run(inputs: Inputs<'_>, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let Inputs {
        config,
        backend,
        model_hash,
        tokens,
        from,
        folder,
        ..
    } = inputs;
    check(inputs)?;
    if config.is_fit() {
        return fit::run(inputs, observer);
    }
    let inputs_hash = format!("{model_hash} {}", tokens.manifest().train.sha256);
    let mut state = State::new(config, inputs_hash, Normaliser::default());
    let starts = start::starts(config, from, backend, tokens)?;
    let known = start::common_normaliser(&starts)?;
    let begin = |(c, start): (&DictionaryConfig, Start)| {
        Trainee::new(c.objective, c.lr, start.dictionary, config.adam)
            .from_origin(c.origin.clone())
            .with_course(&c.course, c.seed, config.n_steps())
    };
    let mut trainees: Vec<_> = config.dictionaries.iter().zip(starts).map(begin).collect();
    match (checkpoint::load(folder, &state, &mut trainees)?, known) {
        (Some(found), _) => state = found,
        (None, Some(known)) => state.normaliser = known,
        (None, None) => state.normaliser = normaliser(inputs)?,
    }
    let n_steps = config.n_steps();
    let mut steps = backend.steps(config, state.normaliser, trainees)?;
    let mask = left_out::mask(backend, tokens, config)?;
    if let Some(mask) = &mask {
        steps.leave_out(mask.clone());
    }
    let Some(mut feed) = Feed::new(inputs, mask, state.step, observer)? else {
        return Ok(Outcome::Stopped { step: state.step });
    };
    if state.step == 0 && n_steps > 0 {
        feed.prepare(&mut *steps)?;
    }
    observer.resumed(state.step);
    let mut kept = state.step;
    let mut clock = Clock::new(state.step, config);
    while state.step < n_steps {
        let step = state.step;
        if observer.stop() {
            save(&mut state, &mut *steps, folder).map_err(at(step, kept))?;
            return Ok(Outcome::Stopped { step });
        }
        feed.gradients(step, &mut *steps)
            .map_err(|error| the_models(inputs, step, error))
            .map_err(at(step, kept))?;
        // only now is it known that these weights give a finite loss: a checkpoint of others would end every resumed run
        if step != kept && step.is_multiple_of(config.checkpoint_every_steps) {
            save(&mut state, &mut *steps, folder).map_err(at(step, kept))?;
            kept = step;
        }
        let factor = schedule::factor(&config.schedule, step, n_steps);
        let measured = step.is_multiple_of(config.evaluation.every_steps) || step + 1 == n_steps;
        if measured || step.is_multiple_of(config.log_every_steps) {
            observer.history(history(inputs, &mut *steps, state.normaliser, step, factor, measured)?);
        }
        steps.update(factor).map_err(at(step, kept))?;
        if step >= n_steps / 2 {
            for (sum, trainee) in state.grad_norms.iter_mut().zip(steps.trainees()) {
                *sum = (sum.0 + trainee.grad_norm, sum.1 + 1);
            }
        }
        state.step += 1;
        clock.tell(state.step, config, observer);
    }
    if kept != n_steps {
        save(&mut state, &mut *steps, folder).map_err(at(n_steps, kept))?;
    }
    steps.fetch()?;
    finish(inputs, &state, steps.trainees(), observer)
}

/// Says at which step an error came, and which checkpoint is kept.
fn at(step: usize, kept: usize) -> impl FnOnce(TrainError) -> TrainError {
    move |cause| TrainError::Step {
        step,
        kept,
        cause: Box::new(cause),
    }
}

fn check(inputs: Inputs<'_>) -> Result<(), TrainError> {
    let Inputs {
        config, backend, tokens, ..
    } = inputs;
    let model = backend.model();
    config.validate()?;
    model.width(config.at)?;
    let later = model.facts().n_layers.saturating_sub(config.at.next_block());
    if later == 0
        && config
            .dictionaries
            .iter()
            .any(|d| matches!(d.objective, Objective::E2eDs { .. }))
    {
        return Err(ConfigError::new(
            "objective",
            format!("found e2e+ds at {}; no block comes after it; use e2e", config.at),
        )
        .into());
    }
    if tokens.manifest().packing != config.packing {
        return Err(ConfigError::new("packing", "the text is packed in another way than the config says").into());
    }
    let first = |split| -> Vec<&[u32]> {
        let n = tokens.n_contexts(split).min(PROBED);
        (0..n).map(|index| tokens.context(split, index)).collect()
    };
    for split in [Split::Train, results::split(config)] {
        check_clean(model, &first(split))?;
    }
    Ok(())
}

/// A loss that is not finite may be the model's fault and not a setting's: then the error says so.
fn the_models(inputs: Inputs<'_>, step: usize, error: TrainError) -> TrainError {
    let TrainError::NotFinite { .. } = error else {
        return error;
    };
    let batches = Contexts::new(inputs.config, inputs.tokens).of_step(step);
    match check_contexts(inputs.backend.model(), &batches.concat()) {
        Err(of_model) => of_model.into(),
        Ok(()) => error,
    }
}

/// How the config's input scale has dictionaries see activations: where it is one number, that which makes E‖x‖² = 1 over the first
/// batches.
pub(super) fn normaliser(inputs: Inputs<'_>) -> Result<Normaliser, TrainError> {
    let Inputs {
        config, backend, tokens, ..
    } = inputs;
    match config.input_scale {
        InputScale::None => return Ok(Normaliser::default()),
        InputScale::LayerNorm => return Ok(Normaliser::Token(TokenNorm::Layer)),
        InputScale::ConstantNorm => return Ok(Normaliser::Token(TokenNorm::Constant)),
        InputScale::UnitNorm => {}
    }
    let (mut contexts, mut sum, mut n, mut seen) = (Contexts::new(config, tokens), 0.0, 0, 0);
    let (mask, mut x) = (left_out::mask(backend, tokens, config)?, Vec::new());
    for step in 0..config.n_steps() {
        for contexts in contexts.of_step(step) {
            seen += config.batch_tokens();
            let Some(mask) = &mask else {
                sum += backend.squares(config.at, &contexts)?;
                n += config.batch_tokens();
                continue;
            };
            backend.activations(config.at, &contexts, &mut x)?;
            let kept = mask.kept(&contexts.concat(), &x);
            close_up(&mut x, &kept);
            sum += x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
            n += kept.iter().filter(|kept| **kept).count();
        }
        if seen >= SCALE_TOKENS {
            break;
        }
    }
    Ok(Normaliser::Scale((n as f64 / sum).sqrt()))
}

/// Writes a checkpoint, unless a weight is NaN or infinite: the former one is better then.
fn save(state: &mut State, steps: &mut dyn Steps, folder: &Path) -> Result<(), TrainError> {
    steps.fetch()?;
    let trainees = steps.trainees();
    for (dictionary, trainee) in trainees.iter().enumerate() {
        let mut tensors = trainee.dictionary.parameters().0.iter();
        if let Some(tensor) = tensors.find(|tensor| tensor.data.iter().any(|x| !x.is_finite())) {
            return Err(TrainError::Weights {
                dictionary,
                tensor: tensor.name,
            });
        }
    }
    state.seconds = trainees.iter().map(|t| t.seconds).collect();
    state.searches = trainees.iter().map(Trainee::search).collect();
    checkpoint::save(folder, state, trainees)
}

/// The curves' points of one step: the terms of the loss and, where `measured`, the metrics on validation text.
fn history(
    inputs: Inputs<'_>,
    steps: &mut dyn Steps,
    normaliser: Normaliser,
    step: usize,
    factor: f64,
    measured: bool,
) -> Result<Vec<HistoryPoint>, TrainError> {
    let Inputs {
        config, backend, tokens, ..
    } = inputs;
    let validation = if measured {
        steps.fetch()?;
        results::curves(backend, tokens, config, &subjects(steps.trainees(), normaliser))?
    } else {
        vec![Vec::new(); config.dictionaries.len()]
    };
    let points = steps
        .trainees()
        .iter()
        .zip(validation)
        .enumerate()
        .map(|(index, (trainee, validation))| {
            let mut values = BTreeMap::from([
                ("loss".to_string(), trainee.terms.loss(&trainee.objective)),
                ("loss/reconstruction".to_string(), trainee.terms.reconstruction),
                ("lr".to_string(), trainee.lr * factor),
                ("grad_norm".to_string(), trainee.grad_norm),
                ("l0".to_string(), trainee.l0),
            ]);
            let kind = trainee.dictionary.kind().name();
            if kind.has_penalty() {
                values.insert("loss/sparsity".into(), trainee.terms.sparsity);
                if !config.dictionaries[index].course.is_plain() {
                    values.insert("coefficient".into(), trainee.objective.sparsity());
                }
            }
            if kind.has_auxiliary() {
                values.insert("loss/auxiliary".into(), trainee.terms.auxiliary);
            }
            if trainee.kl_wanted() > 0.0 {
                values.insert("loss/kl".into(), trainee.terms.kl);
            }
            if trainee.objective.downstream() > 0.0 {
                values.insert("loss/downstream".into(), trainee.terms.downstream);
            }
            for m in validation
                .iter()
                .filter(|m| m.at.is_none() && m.tokens == TokenSet::Ordinary && m.value.is_finite())
            {
                values.insert(format!("validation/{}", m.name), m.value);
            }
            let tokens = ((step + 1) * config.accumulation * config.batch_tokens()) as u64;
            HistoryPoint {
                step,
                tokens,
                dictionary: index,
                values,
            }
        });
    Ok(points.collect())
}

fn subjects(trainees: &[Trainee<f32>], normaliser: Normaliser) -> Vec<Subject<'_>> {
    trainees
        .iter()
        .map(|trainee| Subject {
            dictionary: &trainee.dictionary,
            normaliser,
        })
        .collect()
}

pub(super) fn finish(
    inputs: Inputs<'_>,
    state: &State,
    trainees: &[Trainee<f32>],
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let Inputs {
        config,
        backend,
        model_hash,
        tokens,
        folder,
        ..
    } = inputs;
    let mut told = Instant::now();
    let mut stopped = false;
    let measured = results::measure(
        backend,
        tokens,
        config,
        &subjects(trainees, state.normaliser),
        &mut |done, total| {
            if told.elapsed() > PROGRESS {
                told = Instant::now();
                let stage = format!("measuring on {}", config.evaluation.split.text());
                observer.progress(Progress {
                    stage,
                    done,
                    total,
                    unit: "tokens".into(),
                    rate: 0.0,
                });
            }
            stopped = observer.stop();
            !stopped
        },
    )?;
    if stopped {
        return Ok(Outcome::Stopped { step: state.step });
    }
    let n_contexts = (config.n_steps() * config.accumulation * config.batch) as f64;
    let n_passes = n_contexts / tokens.n_contexts(Split::Train) as f64;
    let is_compared = config.n_steps() > 0 && !config.is_fit();
    let components = match is_compared && config.dictionaries.iter().any(is_coded) {
        true => Components::new(backend, tokens, config)?,
        false => None,
    };
    let mut trained = Vec::with_capacity(measured.len());
    for (index, measured) in measured.into_iter().enumerate() {
        let mut own = config.dictionaries[index].clone();
        own.objective = own.objective.with_sparsity(trainees[index].coefficient());
        let facts = DictionaryFile::new(
            own.clone(),
            config.at,
            config.residual,
            state.normaliser,
            model_hash.to_string(),
        );
        let file = folder.join(format!("dictionary-{index}.safetensors"));
        let density = Density::new(&measured.firings, measured.n_tokens);
        let fired = Fired {
            firings: measured.firings,
            n_tokens: measured.n_tokens,
        };
        dictionary::save_measured(&trainees[index].dictionary, &facts, &fired, &file)?;
        let mut metrics = measured.metrics;
        let l0 = metrics.iter().find(|m| m.name == "l0" && m.tokens == TokenSet::Ordinary);
        let reference = components.as_ref().filter(|_| is_coded(&own)).zip(l0);
        let reference = reference.map(|(components, l0)| components.like(l0.value));
        if config.n_steps() > 0 {
            metrics.extend(of_the_run(config, state, index));
        }
        trained.push(Trained {
            config: own,
            file,
            metrics,
            density,
            n_passes,
            reference,
        });
    }
    Ok(Outcome::Done(trained))
}

/// Whether it reconstructs what it reads: a transcoder does something else.
fn is_coded(dictionary: &DictionaryConfig) -> bool {
    dictionary.kind.read_at().is_none()
}

/// The run's own figures of a dictionary: what cannot be measured afterwards.
fn of_the_run(config: &TrainConfig, state: &State, index: usize) -> Vec<Measurement> {
    let (sum, n) = state.grad_norms[index];
    let n_tokens = (config.n_steps() * config.accumulation * config.batch_tokens()) as u64;
    // what is fitted has no gradient
    let grad_norm = (n > 0).then(|| ("grad_norm", sum / n as f64));
    let figures = grad_norm.into_iter().chain([("train_seconds", state.seconds[index])]);
    figures.map(|(name, value)| Measurement::new(name, n_tokens, value)).collect()
}

/// Tells of progress now and then, with the rate since it last did.
struct Clock {
    told: Instant,
    at_step: usize,
    tokens_per_step: u64,
}

impl Clock {
    fn new(step: usize, config: &TrainConfig) -> Self {
        Self {
            told: Instant::now(),
            at_step: step,
            tokens_per_step: (config.batch_tokens() * config.accumulation) as u64,
        }
    }

    fn tell(&mut self, step: usize, config: &TrainConfig, observer: &mut dyn Observer) {
        let elapsed = self.told.elapsed();
        if elapsed < PROGRESS && step != config.n_steps() {
            return;
        }
        let rate = ((step - self.at_step) as u64 * self.tokens_per_step) as f64 / elapsed.as_secs_f64().max(1e-9);
        *self = Self {
            told: Instant::now(),
            at_step: step,
            ..*self
        };
        observer.progress(Progress {
            stage: "training".into(),
            done: step as u64 * self.tokens_per_step,
            total: config.n_steps() as u64 * self.tokens_per_step,
            unit: "tokens".into(),
            rate,
        });
    }
}
