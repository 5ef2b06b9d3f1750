//! Lists of numbers that may differ by objective, as the command line and the form write them.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::{ConfigError, ObjectiveKind};

/// Values that may differ by objective: `1,3` for all of them, or `local=0.1,0.3;e2e=1,3`.
#[derive(Clone, Debug, PartialEq)]
pub enum PerObjective {
    /// The same values for every objective.
    All(Vec<f64>),
    /// Values by objective.
    Each(BTreeMap<ObjectiveKind, Vec<f64>>),
}

impl PerObjective {
    /// The values for `objective`; none when it is not named.
    pub fn of(&self, objective: ObjectiveKind) -> Option<&[f64]> {
        match self {
            PerObjective::All(values) => Some(values),
            PerObjective::Each(by) => by.get(&objective).map(Vec::as_slice),
        }
    }
}

impl FromStr for PerObjective {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let numbers = |list: &str| -> Result<Vec<f64>, ConfigError> {
            list.split(',')
                .map(|word| {
                    let word = word.trim();
                    word.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| {
                        ConfigError::new(
                            "list",
                            format!("'{word}' in '{text}' is not a number; expected 0.1,0.3 or local=0.1;e2e=1,3"),
                        )
                    })
                })
                .collect()
        };
        if !text.contains('=') {
            return Ok(PerObjective::All(numbers(text)?));
        }
        let mut by = BTreeMap::new();
        for part in text.split(';').filter(|p| !p.trim().is_empty()) {
            let (name, list) = part.split_once('=').ok_or_else(|| {
                ConfigError::new(
                    "list",
                    format!("'{part}' in '{text}' names no objective; expected local=0.1;e2e=1,3"),
                )
            })?;
            if by.insert(name.trim().parse::<ObjectiveKind>()?, numbers(list)?).is_some() {
                return Err(ConfigError::new(
                    "list",
                    format!("'{}' appears twice in '{text}'", name.trim()),
                ));
            }
        }
        Ok(PerObjective::Each(by))
    }
}

impl fmt::Display for PerObjective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        match self {
            PerObjective::All(values) => f.write_str(&join(values)),
            PerObjective::Each(by) => {
                let parts: Vec<_> = by.iter().map(|(o, v)| format!("{o}={}", join(v))).collect();
                f.write_str(&parts.join(";"))
            }
        }
    }
}

impl Serialize for PerObjective {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PerObjective {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for PerObjective {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}
#[cfg(feature = "openapi")]
impl utoipa::ToSchema for PerObjective {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_parse_and_print() {
        for text in ["0.1,0.3", "local=0.1;e2e=1,3;e2e+ds=5"] {
            assert_eq!(text.parse::<PerObjective>().unwrap().to_string(), text);
        }
        assert!("local=a".parse::<PerObjective>().unwrap_err().message.contains("'a'"));
        assert!("loca=1".parse::<PerObjective>().unwrap_err().message.contains("'loca'"));
    }
}
