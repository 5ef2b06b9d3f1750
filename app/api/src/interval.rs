//! How sure a measured value is: an interval over resampled texts.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What was drawn anew, with replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Resampled {
    /// Documents, which are independent of each other as far as the corpus is.
    Documents,
    /// Contexts, where nothing in the text says where documents begin; one document may then lie in several.
    Contexts,
}

impl fmt::Display for Resampled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documents => "documents",
            Self::Contexts => "contexts",
        })
    }
}

/// The 95 % interval of a value: from the 2.5th to the 97.5th percentile of 1,000 resamples of the evaluated text, or, for the numbers of
/// features alive, 1.96 of the jackknife's standard deviations to either side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// What was resampled.
    pub over: Resampled,
    /// How many of them there were.
    pub n: u64,
}
