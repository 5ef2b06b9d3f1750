//! What a run's dictionaries begin from: fresh weights, or another dictionary's, as it is or changed after its training.

use api::{ConfigError, Origin, PostHoc, TrainConfig};
use std::path::PathBuf;

use super::{TrainError, backend::Backend};
use crate::{
    corpus::{Split, TokenFile},
    dictionary::{self, Back, Dictionary, Normaliser, Scratch, Segment, SparseCodes},
};

/// A dictionary before its run.
#[derive(Debug)]
pub struct Start {
    /// It.
    pub dictionary: Dictionary<f32>,
    /// How it sees activations, where that is known already.
    pub normaliser: Option<Normaliser>,
}

/// What `config`'s dictionaries begin from; `files` has, for each, the file of the dictionary that it comes from, if any.
///
/// # Errors
/// When a file is missing, cannot be read, or holds a dictionary that does not fit the config.
pub fn starts(
    config: &TrainConfig,
    files: &[Option<PathBuf>],
    backend: &dyn Backend,
    tokens: &TokenFile,
) -> Result<Vec<Start>, TrainError> {
    let model = backend.model();
    let d_out = model.width(config.at)?;
    let mut validation = Validation {
        config,
        backend,
        tokens,
        x: Vec::new(),
    };
    let mut starts = Vec::with_capacity(config.dictionaries.len());
    for (index, wanted) in config.dictionaries.iter().enumerate() {
        let width = model.width(wanted.kind.read_at().unwrap_or(config.at))?;
        let start = match &wanted.origin {
            Origin::Fresh | Origin::Matched => Start {
                dictionary: Dictionary::between(wanted.kind, (width, d_out), wanted.d_sae, wanted.seed),
                normaliser: None,
            },
            origin => {
                let file = files.get(index).and_then(Option::as_ref).ok_or_else(|| {
                    ConfigError::new(
                        "dictionaries",
                        format!("the file of number {index} is missing, which begins as: {origin}"),
                    )
                })?;
                let (dictionary, facts) = dictionary::load(file)?;
                if (dictionary.d_in(), dictionary.d_out()) != (width, d_out)
                    || facts.at != config.at
                    || facts.residual != config.residual
                {
                    let message = format!(
                        "{} is {} wide, at {} ({}); expected {width}, at {} ({})",
                        file.display(),
                        dictionary.d_in(),
                        facts.at,
                        facts.residual,
                        config.at,
                        config.residual
                    );
                    return Err(ConfigError::new("from", message).into());
                }
                match origin {
                    Origin::Derived { by, .. } => validation.derive(dictionary, facts.normaliser, *by)?,
                    _ => Start {
                        dictionary,
                        normaliser: Some(facts.normaliser),
                    },
                }
            }
        };
        let (kind, d_sae) = (start.dictionary.kind(), start.dictionary.d_sae());
        if (kind, d_sae) != (wanted.kind, wanted.d_sae) {
            let message = format!(
                "number {index} begins as a {} dictionary of {d_sae} features; expected {} of {}",
                kind.name(),
                wanted.kind.name(),
                wanted.d_sae
            );
            return Err(ConfigError::new("dictionaries", message).into());
        }
        starts.push(start);
    }
    Ok(starts)
}

/// How all of them see the activations; none where all are fresh.
///
/// # Errors
/// When they differ: one run has one.
pub fn common_normaliser(starts: &[Start]) -> Result<Option<Normaliser>, TrainError> {
    let first = starts.first().and_then(|start| start.normaliser);
    match starts.iter().find(|start| start.normaliser != first) {
        None => Ok(first),
        Some(other) => {
            let say = |normaliser: Option<Normaliser>| normaliser.map_or("none yet".into(), Normaliser::name);
            let message = format!(
                "found input scales {} and {} in one run; put them into runs of their own",
                say(first),
                say(other.normaliser)
            );
            Err(ConfigError::new("from", message).into())
        }
    }
}

/// Smallest length of a row that an activation and its threshold are measured in: a row that nothing was learnt for is 0.
const MIN_LENGTH: f32 = 1e-12;

/// The validation text, which thresholds are set on.
struct Validation<'a> {
    config: &'a TrainConfig,
    backend: &'a dyn Backend,
    tokens: &'a TokenFile,
    /// One batch's activations.
    x: Vec<f32>,
}

impl Validation<'_> {
    fn derive(&mut self, dictionary: Dictionary<f32>, normaliser: Normaliser, by: PostHoc) -> Result<Start, TrainError> {
        let missing = || {
            ConfigError::new(
                "by",
                format!(
                    "found '{by}' of a {} dictionary, which has no such form",
                    dictionary.kind().name()
                ),
            )
        };
        let derived = match by {
            PostHoc::Fold => {
                let Normaliser::Scale(scale) = normaliser else {
                    let message = format!(
                        "found '{by}' of a dictionary whose input scale is {}: each token has a size of its own, which no weights can take in",
                        normaliser.input_scale()
                    );
                    return Err(ConfigError::new("by", message).into());
                };
                return Ok(Start {
                    dictionary: dictionary.folded(scale as f32),
                    normaliser: Some(Normaliser::default()),
                });
            }
            PostHoc::RescaleShift => dictionary.as_gated().ok_or_else(missing)?,
            PostHoc::Pursuit { k } => dictionary.with_pursuit(k),
            PostHoc::Prune { keep } => {
                let mut largest = self.largest((&dictionary, &dictionary.lengths()), normaliser, None)?;
                let least = least_of(&mut largest, keep);
                dictionary.with_threshold(least).ok_or_else(missing)?
            }
            PostHoc::Threshold => {
                let k = dictionary.kind().k().ok_or_else(missing)?;
                // among what the k largest are chosen from, the largest k per token on average; chosen whatever the rows' lengths are
                let all = dictionary.with_threshold(0.0).ok_or_else(missing)?;
                let lengths: Vec<f32> = dictionary.lengths().iter().map(|length| length.max(MIN_LENGTH)).collect();
                let chosen_by: Vec<f32> = lengths.iter().map(|length| 1.0 / length).collect();
                let largest = self.largest((&all, &chosen_by), normaliser, Some(k))?;
                let least = below(largest.iter().copied().reduce(f32::min).unwrap_or(0.0));
                let thresholds: Vec<f32> = lengths.iter().map(|length| least * length).collect();
                all.with_thresholds(&thresholds).ok_or_else(missing)?
            }
        };
        Ok(Start {
            dictionary: derived,
            normaliser: Some(normaliser),
        })
    }

    /// The activations of `dictionary` on the validation text, each times its feature's `weight`: all of them, or the largest `k` per token
    /// on average.
    fn largest(
        &mut self,
        (dictionary, weights): (&Dictionary<f32>, &[f32]),
        normaliser: Normaliser,
        k: Option<usize>,
    ) -> Result<Vec<f32>, TrainError> {
        let Self {
            config,
            backend,
            tokens,
            x,
        } = self;
        let n_ctx = tokens.manifest().packing.n_ctx;
        let n_contexts = tokens.n_contexts(Split::Validation);
        let wanted = config.evaluation.validation_tokens.div_ceil(n_ctx).min(n_contexts);
        let contexts: Vec<&[u32]> = (0..wanted).map(|i| tokens.context(Split::Validation, i)).collect();
        let most = k.map(|k| k * wanted * n_ctx);
        let (mut found, mut codes, scratch) = (Vec::new(), SparseCodes::default(), Scratch::new());
        for contexts in contexts.chunks(config.batch) {
            backend.activations(dictionary.kind().read_at().unwrap_or(config.at), contexts, x)?;
            normaliser.apply(x, dictionary.d_in(), &mut Back::default());
            dictionary.encode(x, &mut codes, &scratch);
            let weighed = |s: &Segment<f32>| {
                s.ids
                    .iter()
                    .zip(&s.values)
                    .map(|(id, value)| value * weights[*id as usize])
                    .collect::<Vec<_>>()
            };
            codes.segments.iter().for_each(|s| found.extend(weighed(s)));
            if let Some(most) = most.filter(|most| found.len() > *most) {
                found.select_nth_unstable_by(most - 1, |a, b| b.total_cmp(a));
                found.truncate(most);
            }
        }
        Ok(found)
    }
}

/// The number above which `keep` of `values` lie.
fn least_of(values: &mut [f32], keep: f64) -> f32 {
    let kept = (keep * values.len() as f64).round() as usize;
    match values.len().checked_sub(kept) {
        None | Some(0) => 0.0,
        Some(dropped) => *values.select_nth_unstable_by(dropped - 1, f32::total_cmp).1,
    }
}

/// The next smaller number, so that `value` itself lies above it.
fn below(value: f32) -> f32 {
    if value > 0.0 {
        f32::from_bits(value.to_bits() - 1)
    } else {
        0.0
    }
}
