//! What dictionaries are grouped by on every page and in every chart: kind, objective, and how they were made.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::{DictionaryConfig, KindName, Making, ObjectiveKind};

/// Dictionaries that differ in sparsity, width, rate and seed alone. The order is that in which pages list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Series {
    /// The kind.
    pub kind: KindName,
    /// The objective.
    pub objective: ObjectiveKind,
    /// How they were made.
    #[serde(default)]
    pub making: Making,
}

impl DictionaryConfig {
    /// The series it belongs to.
    pub fn series(&self) -> Series {
        Series {
            kind: self.kind.name(),
            objective: self.objective.kind(),
            making: self.origin.making(),
        }
    }
}

/// `e2e` for a ReLU dictionary from fresh weights, `ica` for one that is fitted, `gated, e2e` for another kind, `jumprelu, local, pruned` for another making.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            KindName::Relu => write!(f, "{}", self.objective)?,
            // it has no other objective
            fitted if fitted.is_fitted() => write!(f, "{fitted}")?,
            kind => write!(f, "{kind}, {}", self.objective)?,
        }
        match self.making {
            Making::Fresh => Ok(()),
            making => write!(f, ", {making}"),
        }
    }
}
