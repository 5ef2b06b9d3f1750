//! Baselines: dictionaries that are fitted to activations in some passes over them, and not trained. Formulas and sources:
//! docs/METHODS.md, "Baselines".
//!
//! To add one: its file here, its arm in `Fits::dictionary`, and a kind that [`api::KindName::is_fitted`].

mod ica;
mod moments;
mod nmf;
mod pca;
mod random;
mod token_mean;

use api::{ConfigError, DictionaryConfig, DictionaryKind};
use std::ops::Range;

pub use ica::{FastIca, Ica, SAMPLE};
pub use moments::Moments;
pub use nmf::Factors;
pub use token_mean::TokenSums;

use crate::dictionary::{Dictionary, Projection};

/// Activations that can be passed over again and again, in batches, always in the same order.
pub trait Stream {
    /// What ends a pass early.
    type Error: From<ConfigError>;

    /// Width of the vectors.
    fn width(&self) -> usize;

    /// Number of batches.
    fn n_batches(&self) -> usize;

    /// Gives the batches of `range`, one after the other: x [n_tokens, width], and the tokens [n_tokens] that they stand at.
    /// `stage` says what for.
    ///
    /// # Errors
    /// The stream's own, and that somebody wants it to end.
    fn pass(&mut self, stage: &str, range: Range<usize>, each: &mut dyn FnMut(&[f32], &[u32])) -> Result<(), Self::Error>;
}

/// Fits every dictionary of `configs`, all of which see the same activations; what several need is computed once.
///
/// # Errors
/// The stream's, and activations that a kind cannot be fitted to.
pub fn fit<S: Stream>(configs: &[DictionaryConfig], d_vocab: usize, stream: &mut S) -> Result<Vec<Dictionary<f32>>, S::Error> {
    let mut fits = Fits {
        stream,
        d_vocab,
        moments: None,
        ica: None,
    };
    configs.iter().map(|config| fits.dictionary(config)).collect()
}

/// What has been computed so far.
struct Fits<'a, S> {
    stream: &'a mut S,
    d_vocab: usize,
    moments: Option<Moments>,
    ica: Option<(u64, Ica)>,
}

impl<S: Stream> Fits<'_, S> {
    fn dictionary(&mut self, config: &DictionaryConfig) -> Result<Dictionary<f32>, S::Error> {
        let (kind, d_sae, seed) = (config.kind, config.d_sae, config.seed);
        let fitted = match kind {
            DictionaryKind::PcaStatic { k } => pca::through_origin(self.moments()?, kind, k, false),
            DictionaryKind::PcaDynamic { .. } => {
                let d = self.stream.width();
                pca::through_origin(self.moments()?, kind, d, false)
            }
            DictionaryKind::PcaTopK { .. } => {
                let d = self.stream.width();
                pca::through_origin(self.moments()?, kind, d, true)
            }
            DictionaryKind::PcaNonNegative => pca::around_mean(self.moments()?, kind),
            DictionaryKind::Ica { .. } => self.ica(seed)?.dictionary(kind),
            DictionaryKind::Nmf => nmf::fit(self.moments()?.clone(), d_sae, seed, self.stream)?,
            DictionaryKind::Random { .. } => random::fit(self.moments()?.clone(), kind, d_sae, seed, self.stream)?,
            DictionaryKind::Identity { .. } => identity(kind, self.stream.width()),
            DictionaryKind::TokenMean => token_mean::fit(self.d_vocab, self.stream)?,
            other => {
                let message = format!("found {}, which is trained; expected a kind that is fitted", other.name());
                return Err(ConfigError::new("kind", message).into());
            }
        };
        let (found, width) = ((fitted.d_sae(), fitted.d_in()), self.stream.width());
        if found != (d_sae, width) {
            let message = format!("found {d_sae}; {} has {} features here", kind.name(), found.0);
            return Err(ConfigError::new("d_sae", message).into());
        }
        Ok(fitted)
    }

    fn moments(&mut self) -> Result<&Moments, S::Error> {
        if self.moments.is_none() {
            self.moments = Some(Moments::of(self.stream)?);
        }
        Ok(self.moments.as_ref().expect("it was just computed"))
    }

    fn ica(&mut self, seed: u64) -> Result<&Ica, S::Error> {
        if self.ica.as_ref().is_none_or(|(of, _)| *of != seed) {
            let moments = self.moments()?.clone();
            self.ica = Some((seed, Ica::fit(&moments, seed, FastIca::default(), self.stream)?));
        }
        Ok(&self.ica.as_ref().expect("it was just computed").1)
    }
}

/// Both signs of each coordinate of the residual stream (or wherever it stands).
fn identity(kind: DictionaryKind, d: usize) -> Dictionary<f32> {
    let rows: Vec<f32> = (0..d * d).map(|i| f32::from(u8::from(i / d == i % d))).collect();
    let rows = both_signs(rows);
    Dictionary::Projection(Projection::new(kind, rows.clone(), rows, vec![0.0; d]))
}

/// [V; −V].
fn both_signs(mut rows: Vec<f32>) -> Vec<f32> {
    rows.extend_from_within(..);
    let n = rows.len() / 2;
    rows[n..].iter_mut().for_each(|v| *v = -*v);
    rows
}

fn to_f32(numbers: &[f64]) -> Vec<f32> {
    numbers.iter().map(|v| *v as f32).collect()
}
