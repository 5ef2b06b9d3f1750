//! Known features: does a dictionary have a feature for what is known of a text?
//!
//! Storyworld's generator knows what every word is ([`crate::corpus::storyworld::LABELS`]). For each label: how well does the
//! best single feature tell it, how well do two or five, and how well could it be told at all? Features and
//! thresholds are chosen on the first half of the stories and scored on the second. Below lies the same with shuffled labels, above
//! a probe on the activations; coverage is the share of labels that come close to the probe. And because a dictionary may well do
//! without what the model does not use, each label carries what the model loses without it. Definitions: [`api::METRICS`] and
//! docs/METHODS.md; the files are in the order of the work.

mod told;

mod shuffle;

mod ground;
mod outcome;
mod probe;
mod resample;

mod causal;
mod used;

mod absorption;
mod columns;
mod dictionary;
mod reading;
mod summary;
mod sweep;

use std::sync::atomic::{AtomicU64, Ordering};

use api::{HookPoint, KnownFeatures};
use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::{Subject, check_clean, logistic};
use crate::{
    corpus::storyworld::VERSION,
    kernel::PerThread,
    model::{Cut, Model, ModelError, NoHooks, Work},
};
use ground::{Ground, Half};
use told::Told;

/// Which stories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Their seed; one that no training text has.
    pub seed: u64,
    /// How many; features are chosen on the first half and scored on the second.
    pub n_stories: u64,
}

impl Default for Options {
    /// 600 stories of a seed that is unlikely to be anybody's: the letters of "known".
    fn default() -> Self {
        Self {
            seed: 0x006b_6e6f_776e,
            n_stories: 600,
        }
    }
}

/// Why known features cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum KnownError {
    /// The model's.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A story cannot be turned into tokens.
    #[error("the tokenizer cannot encode a story: {0}")]
    Tokenizer(tokenizers::Error),
    /// Too few stories to choose on some and score on others.
    #[error("found {0} stories; expected at least 2: features are chosen on half of them and scored on the others")]
    Stories(u64),
    /// A dictionary that does not fit the hook point.
    #[error("a dictionary is {found} wide; {at} of the model is {expected} wide")]
    Width {
        /// The hook point.
        at: HookPoint,
        /// The dictionary's width.
        found: usize,
        /// The hook point's.
        expected: usize,
    },
}

/// Who is told what is being done, how much of it is done and how much there is, and may end it by answering false.
pub type Observe<'a> = dyn Fn(&'static str, u64, u64) -> bool + Send + Sync + 'a;

/// The model that dictionaries are of, and what turns stories into its tokens.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The model.
    pub model: &'a Model<f32>,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// What opens a document, where there is such a token.
    pub bos: Option<u32>,
}

/// What each of `subjects`, all at `at`, knows of storyworld's labels, from one pass over the stories. None when `observe` ended it.
/// The result does not depend on the number of threads.
///
/// # Errors
/// See [`KnownError`].
pub fn measure(
    reader: Reader<'_>,
    at: HookPoint,
    subjects: &[Subject<'_>],
    options: Options,
    observe: &Observe<'_>,
) -> Result<Option<Vec<KnownFeatures>>, KnownError> {
    let width = reader.model.width(at)?;
    for subject in subjects {
        let found = subject.dictionary.d_in();
        if found != width {
            return Err(KnownError::Width {
                at,
                found,
                expected: width,
            });
        }
    }
    if options.n_stories < 2 {
        return Err(KnownError::Stories(options.n_stories));
    }
    let Some((choose, score)) = read(reader, at, options, observe)? else {
        return Ok(None);
    };
    let stories: Vec<&[u32]> = choose.told.contexts.iter().map(Vec::as_slice).collect();
    check_clean(reader.model, &stories)?;
    let Some(ground) = Ground::new(choose, score, width, observe) else {
        return Ok(None);
    };
    let Some(uses) = used::uses(reader.model, at, &ground, observe)? else {
        return Ok(None);
    };
    let mut found = Vec::with_capacity(subjects.len());
    for (done, subject) in subjects.iter().enumerate() {
        if !observe("measuring dictionaries", done as u64, subjects.len() as u64) {
            return Ok(None);
        }
        let (labels, summary) = dictionary::known(&ground, &uses, subject);
        found.push(KnownFeatures {
            storyworld: VERSION,
            seed: options.seed,
            n_stories: options.n_stories,
            n_tokens: ground.score.told.n_tokens() as u64,
            causal_floor: uses.floor,
            summary,
            labels,
        });
    }
    Ok(Some(found))
}

/// The two halves of the stories, with the activations at `at` of their labelled tokens.
fn read(reader: Reader<'_>, at: HookPoint, options: Options, observe: &Observe<'_>) -> Result<Option<(Half, Half)>, KnownError> {
    let Options { seed, n_stories } = options;
    let n_ctx = reader.model.facts().n_ctx;
    let done = AtomicU64::new(0);
    let half = |numbers: std::ops::Range<u64>| {
        let told = Told::new(reader.tokenizer, reader.bos, n_ctx, seed, numbers)?;
        let threads = PerThread::<(Cut<f32>, Work<f32>)>::new();
        let of_story = |(tokens, positions): (&Vec<u32>, &Vec<usize>)| {
            if !observe("reading stories", done.fetch_add(1, Ordering::Relaxed), n_stories) {
                return Ok(None);
            }
            threads
                .with(|(cut, work)| {
                    reader.model.prefix(tokens, at, cut, &mut NoHooks, work)?;
                    let d = cut.value.len() / tokens.len();
                    let rows = positions
                        .iter()
                        .flat_map(|position| &cut.value[position * d..(position + 1) * d]);
                    Ok(rows.copied().collect::<Vec<f32>>())
                })
                .map(Some)
        };
        let stories = told.contexts.par_iter().zip(&told.positions).map(of_story);
        let x: Option<Vec<Vec<f32>>> = stories.collect::<Result<_, ModelError>>()?;
        Ok::<_, KnownError>(x.map(|x| Half { told, x: x.concat() }))
    };
    let Some(choose) = half(0..n_stories / 2)? else {
        return Ok(None);
    };
    Ok(half(n_stories / 2..n_stories)?.map(|score| (choose, score)))
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod laws;
