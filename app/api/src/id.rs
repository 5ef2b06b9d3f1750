//! Names of the things in the registry. Models and corpora are named by their users, jobs and dictionaries are numbered.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A language model's name in the registry: lower-case letters, digits, `-`, `_` and `.`.
    ModelId(String)
);
id!(
    /// A corpus' name in the registry: lower-case letters, digits, `-`, `_` and `.`.
    CorpusId(String)
);
id!(
    /// A job's number.
    #[derive(Copy)]
    JobId(i64)
);
id!(
    /// A dictionary's number.
    #[derive(Copy)]
    DictionaryId(i64)
);

impl ModelId {
    /// The id made of a folder's or a hub model's name.
    pub fn from_name(name: &str) -> Self {
        Self(slug(name))
    }
}

impl CorpusId {
    /// The id made of a file's or a data set's name.
    pub fn from_name(name: &str) -> Self {
        Self(slug(name))
    }
}

/// Lower-case, with every run of other characters than letters, digits, `-`, `_` and `.` replaced by one `-`.
fn slug(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
            out.push(c);
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    let trimmed = out.trim_matches(['-', '.']);
    if trimmed.is_empty() {
        "unnamed".into()
    } else {
        trimmed.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids() {
        assert_eq!(ModelId::from_name("EleutherAI/pythia-70m").0, "eleutherai-pythia-70m");
        assert_eq!(CorpusId::from_name("tinystories_1000.json").0, "tinystories_1000.json");
        assert_eq!(ModelId::from_name("../..").0, "unnamed");
    }
}
