//! How a text is read, and what was read of it.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::{ConfigError, quoted};

/// How the files of a text are to be read, where they do not say themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CorpusReading {
    /// The field or column that holds the text, the token ids or the messages; a field inside others by their names joined with
    /// dots. None: it is chosen, or asked for where that is not clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_field: Option<String>,
    /// Whether long runs of one special token in given token ids are meant. Else they are refused as padding.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_runs: bool,
}

impl CorpusReading {
    /// Whether nothing was said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses what names no field.
    ///
    /// # Errors
    /// A `text_field` that is empty.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.text_field.as_deref().map(str::trim) {
            Some("") => {
                let message = "it is empty; expected a field's or a column's name, or leave it out";
                Err(ConfigError::new("text_field", message))
            }
            _ => Ok(()),
        }
    }

    /// The options of the command line that say the same.
    pub fn options(&self) -> Vec<String> {
        let field = self
            .text_field
            .as_ref()
            .map(|field| format!("--text-field {}", quoted(field)));
        field
            .into_iter()
            .chain(self.keep_runs.then(|| "--keep-runs".into()))
            .collect()
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FieldForm {
    /// The text itself.
    Text,
    /// Token ids.
    Tokens,
    /// Messages of a conversation. They are written one after the other by the template `turns`: `role: content`, with a blank line
    /// between two.
    Turns,
}

/// The field or column that the documents were taken from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldTaken {
    /// Its name, or the names from the outside in with dots between.
    pub name: String,
    /// What it holds.
    pub form: FieldForm,
}

impl fmt::Display for FieldTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.form {
            FieldForm::Text => Ok(()),
            FieldForm::Tokens => f.write_str(" (token ids)"),
            FieldForm::Turns => f.write_str(" (messages, by the template 'turns')"),
        }
    }
}

/// Why a record gave no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// It lacks the field.
    Absent,
    /// The field is null.
    Null,
    /// The field is empty, or only white space.
    Empty,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::Absent => "the field is missing",
            SkipReason::Null => "the field is null",
            SkipReason::Empty => "the text is empty",
        })
    }
}

/// Records that gave no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Skipped {
    /// Why.
    pub reason: SkipReason,
    /// How many.
    pub n: u64,
}

/// A special token's spelling that the text has as ordinary text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Spelling {
    /// Such as `<|endoftext|>`.
    pub token: String,
    /// How often.
    pub n: u64,
}

/// The beginning of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Excerpt {
    /// Of its text.
    Text(String),
    /// Of its token ids.
    Tokens(Vec<u32>),
}

/// What was read of a text when it was added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct CorpusSummary {
    /// The field taken; none where there are no fields (plain text, strings).
    pub field: Option<FieldTaken>,
    /// Documents read.
    pub n_read: u64,
    /// Records that gave no document, by reason.
    pub skipped: Vec<Skipped>,
    /// Halves of surrogate pairs that stood alone, each read as U+FFFD.
    pub n_surrogates: u64,
    /// Token ids left out because their `attention_mask` is 0.
    pub n_masked: u64,
    /// Spellings of special tokens in the text. They are read as the text that they are.
    pub spellings: Vec<Spelling>,
    /// How the first documents begin, three at most.
    pub first: Vec<Excerpt>,
}

impl CorpusSummary {
    /// Records that gave no document.
    pub fn n_skipped(&self) -> u64 {
        self.skipped.iter().map(|skipped| skipped.n).sum()
    }

    /// The field, the documents read and skipped, and what was found in them: a sentence each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![match &self.field {
            Some(field) => format!("field: {field}"),
            None => "field: none, the text itself".into(),
        }];
        let reasons: Vec<_> = self
            .skipped
            .iter()
            .map(|skipped| format!("{} because {}", skipped.n, skipped.reason))
            .collect();
        lines.push(match reasons.is_empty() {
            true => format!("documents: {} read, none skipped", self.n_read),
            false => format!(
                "documents: {} read, {} skipped: {}",
                self.n_read,
                self.n_skipped(),
                reasons.join(", ")
            ),
        });
        if self.n_surrogates > 0 {
            lines.push(format!("lone surrogates: {}, each read as U+FFFD", self.n_surrogates));
        }
        if self.n_masked > 0 {
            lines.push(format!(
                "padding: {} token ids left out, their attention_mask is 0",
                self.n_masked
            ));
        }
        if !self.spellings.is_empty() {
            let found: Vec<_> = self
                .spellings
                .iter()
                .map(|found| format!("{} {} times", found.token, found.n))
                .collect();
            lines.push(format!(
                "special tokens written in the text, read as text: {}",
                found.join(", ")
            ));
        }
        lines
    }
}

/// A token and its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Piece {
    /// Its id.
    pub id: u32,
    /// What it contributes to the text.
    pub text: String,
}

/// How a document begins, in a model's tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenisedExcerpt {
    /// The text.
    pub text: String,
    /// The tokens that it comes to.
    pub tokens: Vec<Piece>,
}
