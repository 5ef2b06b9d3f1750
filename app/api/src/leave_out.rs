//! Tokens that dictionaries are neither trained nor measured on.

use crate::ConfigError;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What is left out: in training no gradient comes of it, in measurement it is none of the ordinary tokens, and the model's own activation
/// stays in its place. Written `nothing`, `special`, `longer=10` or `special,longer=10`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LeaveOut {
    /// Special tokens, which the tokenizer calls so.
    pub special: bool,
    /// Tokens whose activation is longer than so many times the median.
    pub longer: Option<f64>,
}

impl LeaveOut {
    /// Whether all tokens count.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for LeaveOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.special, self.longer) {
            (false, None) => f.write_str("nothing"),
            (true, None) => f.write_str("special"),
            (false, Some(times)) => write!(f, "longer={times}"),
            (true, Some(times)) => write!(f, "special,longer={times}"),
        }
    }
}

impl FromStr for LeaveOut {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let mut found = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| *part != "nothing") {
            match part.strip_prefix("longer=").map(str::parse::<f64>) {
                Some(Ok(times)) if times > 1.0 && times.is_finite() => found.longer = Some(times),
                None if part == "special" => found.special = true,
                _ => {
                    let message = format!(
                        "found '{text}'; expected nothing, special, longer=N with a number above 1 (tokens whose activation is longer than \
                         N times the median), or special,longer=N"
                    );
                    return Err(ConfigError::new("leave_out", message));
                }
            }
        }
        Ok(found)
    }
}

impl TryFrom<String> for LeaveOut {
    type Error = ConfigError;

    fn try_from(text: String) -> Result<Self, ConfigError> {
        text.parse()
    }
}

impl From<LeaveOut> for String {
    fn from(value: LeaveOut) -> Self {
        value.to_string()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for LeaveOut {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        String::schema()
    }
}
#[cfg(feature = "openapi")]
impl utoipa::ToSchema for LeaveOut {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (special, longer) in [(false, None), (true, None), (false, Some(10.0)), (true, Some(2.5))] {
            let one = LeaveOut { special, longer };
            assert_eq!(one.to_string().parse::<LeaveOut>().unwrap(), one);
            assert_eq!(one.is_nothing(), !special && longer.is_none());
        }
        for wrong in [
            "",
            "specials",
            "longer=1",
            "longer=inf",
            "longer",
            "special;longer=3",
            "longer=-3",
        ] {
            let error = wrong.parse::<LeaveOut>().unwrap_err();
            assert!(
                error.field == "leave_out" && error.message.contains(&format!("found '{wrong}'")),
                "{wrong}"
            );
        }
    }
}
