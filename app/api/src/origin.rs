//! Where a run's dictionary comes from: fresh weights, a dictionary of the registry, or somebody's file.
//!
//! A run brings dictionaries into being and measures them, whatever they begin from. Those that are not trained make no step.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::{ConfigError, DictionaryId, DictionaryKind, KindName, config::positive, word::words};

/// What a run's dictionary begins from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Origin {
    /// From fresh weights, as the kind's source draws them (relu: e2e_sae's).
    #[default]
    Fresh,
    /// From fresh weights that are matched to the run's first batch: the encoder is the decoder's transpose, the biases lie at the
    /// data's centre, and each feature fires on the same share of the tokens.
    Matched,
    /// From a dictionary of the registry, which is trained further.
    Finetuned {
        /// The dictionary.
        from: DictionaryId,
    },
    /// From a dictionary of the registry, which is changed after its training.
    Derived {
        /// The dictionary.
        from: DictionaryId,
        /// What is done to it.
        by: PostHoc,
    },
    /// From a file in somebody else's format.
    Imported {
        /// The file, the folder or the name on the hub, as it was given.
        source: String,
        /// Whose format it is.
        format: String,
        /// SHA-256 of the file with the weights, in hexadecimal.
        sha256: String,
    },
}

/// What can be done to a trained dictionary. Formulas: docs/METHODS.md, "After training".
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PostHoc {
    /// Decoder rows of length 1 and the input's scale inside the weights; the output stays.
    Fold,
    /// Each feature's activation scaled and shifted, both trained with all else held (Rajamanoharan et al. 2024, Gated, ablations).
    RescaleShift,
    /// Activations below one threshold are taken for 0.
    Prune {
        /// Share of the firings on validation text that stay.
        keep: f64,
    },
    /// A threshold in place of the k largest, at the same L0 on validation text.
    Threshold,
    /// The decoder with gradient pursuit as its encoder (Blumensath and Davies 2008).
    Pursuit {
        /// The most features per token.
        k: usize,
    },
}

/// How a dictionary was made, as one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Making {
    /// Trained from fresh weights, or fitted.
    #[default]
    Fresh,
    /// Trained further.
    Finetuned,
    /// [`PostHoc::Fold`].
    Folded,
    /// [`PostHoc::RescaleShift`].
    Rescaled,
    /// [`PostHoc::Prune`].
    Pruned,
    /// [`PostHoc::Threshold`].
    Thresholded,
    /// [`PostHoc::Pursuit`].
    Pursuit,
    /// Read from somebody's file.
    Imported,
}

words!(Making, "making", "fresh" => Making::Fresh, "finetuned" => Making::Finetuned, "folded" => Making::Folded,
    "rescaled" => Making::Rescaled, "pruned" => Making::Pruned, "thresholded" => Making::Thresholded,
    "pursuit" => Making::Pursuit, "imported" => Making::Imported);

impl Origin {
    /// As one word.
    pub fn making(&self) -> Making {
        match self {
            Origin::Fresh | Origin::Matched => Making::Fresh,
            Origin::Finetuned { .. } => Making::Finetuned,
            Origin::Derived { by, .. } => match by {
                PostHoc::Fold => Making::Folded,
                PostHoc::RescaleShift => Making::Rescaled,
                PostHoc::Prune { .. } => Making::Pruned,
                PostHoc::Threshold => Making::Thresholded,
                PostHoc::Pursuit { .. } => Making::Pursuit,
            },
            Origin::Imported { .. } => Making::Imported,
        }
    }

    /// Whether it begins from fresh weights, however they come about.
    pub fn is_fresh(&self) -> bool {
        matches!(self, Origin::Fresh | Origin::Matched)
    }

    /// Whether it is [`Origin::Fresh`], which files of earlier versions do not say.
    pub(crate) fn is_unsaid(&self) -> bool {
        *self == Origin::Fresh
    }

    /// The dictionary of the registry that it begins from.
    pub fn parent(&self) -> Option<DictionaryId> {
        match self {
            Origin::Finetuned { from } | Origin::Derived { from, .. } => Some(*from),
            Origin::Fresh | Origin::Matched | Origin::Imported { .. } => None,
        }
    }

    /// Whether its run makes optimiser steps.
    pub fn is_trained(&self) -> bool {
        match self {
            Origin::Fresh | Origin::Matched | Origin::Finetuned { .. } => true,
            Origin::Derived { by, .. } => *by == PostHoc::RescaleShift,
            Origin::Imported { .. } => false,
        }
    }
}

/// What it began from, in words.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Fresh => f.write_str("fresh weights, as the kind's source draws them"),
            Origin::Matched => f.write_str("fresh weights, matched to the first batch"),
            Origin::Finetuned { from } => write!(f, "trained further from dictionary {from}"),
            Origin::Derived { from, by } => write!(f, "dictionary {from}, {by}"),
            Origin::Imported { source, format, .. } => write!(f, "{source} ({format})"),
        }
    }
}

impl fmt::Display for PostHoc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PostHoc::Fold => f.write_str("norms and scale folded into the weights"),
            PostHoc::RescaleShift => f.write_str("rescaled and shifted"),
            PostHoc::Prune { keep } => write!(f, "pruned to {keep} of its firings"),
            PostHoc::Threshold => f.write_str("with a threshold in place of the k largest"),
            PostHoc::Pursuit { k } => write!(f, "encoded by gradient pursuit with {k} features"),
        }
    }
}

impl PostHoc {
    /// The kind that comes of `kind`.
    ///
    /// # Errors
    /// Where it means nothing for `kind`, and for values that cannot be used.
    pub fn kind(&self, kind: DictionaryKind) -> Result<DictionaryKind, ConfigError> {
        let refused = |reason: &str| {
            let message = format!("found '{self}' of a {} dictionary; {reason}", kind.name());
            Err(ConfigError::new("by", message))
        };
        let topk = matches!(
            kind.name(),
            KindName::TopK | KindName::TopKTranscoder | KindName::TopKSkipTranscoder
        );
        // a threshold is in units of the input's size, which is 1 here
        let (bandwidth, initial_threshold) = (0.001, 0.0);
        let jump = match (kind.read_at(), kind.skips()) {
            (None, _) => DictionaryKind::JumpRelu {
                bandwidth,
                initial_threshold,
            },
            (Some(read_at), false) => DictionaryKind::JumpReluTranscoder {
                read_at,
                bandwidth,
                initial_threshold,
            },
            (Some(read_at), true) => DictionaryKind::JumpReluSkipTranscoder {
                read_at,
                bandwidth,
                initial_threshold,
            },
        };
        match *self {
            PostHoc::Pursuit { .. } if kind.name() == KindName::TokenMean => {
                refused("its features are tokens, and fire by nothing else")
            }
            by if kind.name().is_fitted() && !matches!(by, PostHoc::Pursuit { .. }) => {
                refused("it is fitted, and has neither a scale nor a threshold to change")
            }
            PostHoc::Fold if kind.name() == KindName::MatchingPursuit => {
                refused("what it finds of rows of other lengths is something else")
            }
            PostHoc::Fold if topk && kind.read_at().is_some() => {
                refused("the length of a row has no part in which features are the k largest, and would have one")
            }
            PostHoc::Fold => Ok(kind),
            PostHoc::RescaleShift => match kind.name() {
                KindName::Relu
                | KindName::ReluUnit
                | KindName::ReluApril
                | KindName::ReluSaelens
                | KindName::PAnneal
                | KindName::Tied => Ok(DictionaryKind::Gated),
                KindName::Transcoder | KindName::SkipTranscoder => refused("there is no gated transcoder that it could become"),
                _ => refused(
                    "it undoes the shrinkage of a penalty on the codes' size, which relu in its conventions, p-anneal and tied have",
                ),
            },
            PostHoc::Prune { keep } => {
                positive("keep", keep)?;
                if keep > 1.0 {
                    return Err(ConfigError::new("keep", format!("found {keep}; expected a share, at most 1")));
                }
                match topk {
                    true => refused("its k largest are no threshold: derive one with threshold, and prune that"),
                    false if kind.name() == KindName::AbsTopK => {
                        refused("its codes are chosen by their sizes and have signs, which no threshold cuts")
                    }
                    false if matches!(kind.name(), KindName::Pursuit | KindName::MatchingPursuit) => {
                        refused("it has no encoder whose activations a threshold could cut")
                    }
                    false => Ok(jump),
                }
            }
            PostHoc::Threshold if topk => Ok(jump),
            PostHoc::Threshold if matches!(kind.name(), KindName::AbsTopK | KindName::Pursuit | KindName::MatchingPursuit) => {
                refused("no threshold gives codes such as its; expected topk")
            }
            PostHoc::Threshold => refused("it fires by thresholds as it is; expected topk"),
            PostHoc::Pursuit { .. } if kind.read_at().is_some() => {
                refused("what it reads is not what its decoder writes, so that nothing could be pursued")
            }
            PostHoc::Pursuit { k } => match k {
                0 => Err(ConfigError::new("k", "found 0; expected 1 or more")),
                _ => Ok(DictionaryKind::Pursuit { k }),
            },
        }
    }
}
