//! What dictionaries are grouped by on every page and in every chart: kind, objective, and how they were made.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{ConfigError, DictionaryConfig, KindName, Making, ObjectiveKind};

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

impl Series {
    /// ReLU dictionaries that reconstruct, from fresh weights: what the others are held against where they are there.
    pub const USUAL: Series = Series {
        kind: KindName::Relu,
        objective: ObjectiveKind::Local,
        making: Making::Fresh,
    };
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

impl Series {
    /// Its name among series of several kinds: as it is printed, and `relu, e2e` for ReLU's.
    pub fn full(&self) -> String {
        match self.kind {
            KindName::Relu => format!("relu, {self}"),
            _ => self.to_string(),
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

/// A series as addresses and the command line name it: `relu.e2e`, `jumprelu.local.pruned`, `ica`, `ica.pursuit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SeriesKey(pub Series);

impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Series { kind, objective, making } = self.0;
        write!(f, "{kind}")?;
        if !kind.is_fitted() {
            write!(f, ".{objective}")?;
        }
        match making {
            Making::Fresh => Ok(()),
            making => write!(f, ".{making}"),
        }
    }
}

impl FromStr for SeriesKey {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refused = || {
            let message =
                format!("found '{text}'; expected a series as KIND.OBJECTIVE, KIND.OBJECTIVE.MAKING or the name of a baseline");
            ConfigError::new("series", message)
        };
        let mut words = text.split('.');
        let kind: KindName = words.next().unwrap_or_default().parse().map_err(|_| refused())?;
        let objective = match kind.is_fitted() {
            // fitted ones have no other
            true => ObjectiveKind::Local,
            false => words.next().unwrap_or_default().parse().map_err(|_| refused())?,
        };
        let making = words.next().map_or(Ok(Making::Fresh), str::parse).map_err(|_| refused())?;
        match words.next() {
            Some(_) => Err(refused()),
            None => Ok(Self(Series { kind, objective, making })),
        }
    }
}

impl From<SeriesKey> for String {
    fn from(key: SeriesKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for SeriesKey {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        text.parse()
    }
}

/// Some series, as `relu.local,ica`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SeriesSet(pub BTreeSet<Series>);

impl fmt::Display for SeriesSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, series) in self.0.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(f, "{comma}{}", SeriesKey(*series))?;
        }
        Ok(())
    }
}

impl FromStr for SeriesSet {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let each = text.split(',').map(|key| Ok(key.trim().parse::<SeriesKey>()?.0));
        each.collect::<Result<_, ConfigError>>().map(Self)
    }
}

impl From<SeriesSet> for String {
    fn from(set: SeriesSet) -> Self {
        set.to_string()
    }
}

impl TryFrom<String> for SeriesSet {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        text.parse()
    }
}

#[cfg(feature = "openapi")]
mod openapi {
    use super::{SeriesKey, SeriesSet};
    use utoipa::{
        PartialSchema, ToSchema,
        openapi::{RefOr, schema::Schema},
    };

    impl PartialSchema for SeriesKey {
        fn schema() -> RefOr<Schema> {
            String::schema()
        }
    }
    impl ToSchema for SeriesKey {}

    impl PartialSchema for SeriesSet {
        fn schema() -> RefOr<Schema> {
            String::schema()
        }
    }
    impl ToSchema for SeriesSet {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written_and_name_one_series() {
        let mut seen = BTreeSet::new();
        for kind in KindName::ALL {
            for objective in ObjectiveKind::ALL {
                for making in [Making::Fresh, Making::Pruned, Making::Imported] {
                    let objective = if kind.is_fitted() { ObjectiveKind::Local } else { objective };
                    let series = Series { kind, objective, making };
                    let key = SeriesKey(series).to_string();
                    assert_eq!(key.parse::<SeriesKey>().unwrap().0, series, "{key}");
                    seen.insert((key, series));
                }
            }
        }
        let keys: BTreeSet<_> = seen.iter().map(|(key, _)| key).collect();
        assert_eq!(keys.len(), seen.len());
    }

    #[test]
    fn a_set_survives_an_address_and_a_wrong_key_is_quoted() {
        let set: SeriesSet = "gated.e2e+ds, relu.local,ica".parse().unwrap();
        assert_eq!(set.to_string(), "relu.local,gated.e2e+ds,ica");
        for wrong in ["", "relu", "relu.local,", "relu.none", "relu.local.fresh.more", "ica.local"] {
            let error = wrong.parse::<SeriesSet>().unwrap_err().to_string();
            assert!(error.contains("KIND.OBJECTIVE"), "{wrong}: {error}");
        }
    }
}
