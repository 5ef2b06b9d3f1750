//! What can be wrong with a corpus, a tokenizer or a token file, each with the file, what was found and what to do.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::Format;

/// Why a corpus cannot be read or packed.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The operating system refused a file or a folder.
    #[error("cannot {action} '{}': {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A text is not UTF-8.
    #[error("'{}' is not UTF-8 at byte {offset}; convert it to UTF-8 first", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The first byte that cannot be read, from 0.
        offset: usize,
    },
    /// A file is of no kind that is read.
    #[error("'{}' is {found}; expected plain text, JSON lines, a JSON array, CSV, TSV, Parquet or a folder of one of them", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },
    /// A folder holds files of several kinds.
    #[error(
        "'{}' holds files of two formats: '{first}' is {first_format} and '{second}' is {second_format}; give one of them, or a folder of one format",
        path.display()
    )]
    MixedFormats {
        /// The folder.
        path: PathBuf,
        /// A file in it.
        first: String,
        /// That file's format.
        first_format: Format,
        /// Another file in it.
        second: String,
        /// The other's format.
        second_format: Format,
    },
    /// A record (a line, an element, a row) cannot be read.
    #[error("'{}', {place}: {message}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Where in it: `line 3`, `element 0`, `row 12`.
        place: String,
        /// What is wrong and what was expected.
        message: String,
    },
    /// There is no document.
    #[error("'{}' holds no text", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
    },
    /// No record has the field that was asked for.
    #[error("'{}': no record has the field '{field}'; the first that lacks it has the fields {found}", path.display())]
    NoField {
        /// The file or folder.
        path: PathBuf,
        /// The field.
        field: String,
        /// The fields of a record.
        found: String,
    },
    /// Plain text has no fields.
    #[error("'{}' is plain text, which has no field '{field}'; leave the text field out", path.display())]
    PlainText {
        /// The file or folder.
        path: PathBuf,
        /// The field that was asked for.
        field: String,
    },
    /// Token ids that seem to be padded.
    #[error(
        "'{}': document {document} has the special token {id} ('{token}') {n} times in a row, as padding does; give 'attention_mask' beside the token ids, \
         or say with --keep-runs (in the form: long runs are meant) that it belongs to the text",
        path.display()
    )]
    Padding {
        /// The corpus.
        path: PathBuf,
        /// The document's number, from 0.
        document: u64,
        /// The special token.
        id: u32,
        /// Its spelling.
        token: String,
        /// How often it stands there in a row.
        n: usize,
    },
    /// Special tokens' spellings cannot be sought.
    #[error("cannot look for {n} special tokens in a text: {message}")]
    Spellings {
        /// How many.
        n: usize,
        /// Why not.
        message: String,
    },
    /// There are too few tokens for the three splits.
    #[error(
        "'{}' has {n_tokens} tokens; training, validation and held-out text need a context each: {n_needed} tokens at n_ctx {n_ctx}; give more text or a smaller n_ctx",
        path.display()
    )]
    TooSmall {
        /// The corpus.
        path: PathBuf,
        /// Tokens found.
        n_tokens: u64,
        /// Tokens needed.
        n_needed: u64,
        /// Tokens per context.
        n_ctx: usize,
    },
    /// A tokenizer or a file beside it cannot be read.
    #[error("'{}': {message}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The tokenizer knows more tokens than the model.
    #[error(
        "the tokenizer '{}' has token ids up to {largest}, and the model's vocabulary has {d_vocab} entries; give the model its own tokenizer",
        path.display()
    )]
    Vocabulary {
        /// The tokenizer's file.
        path: PathBuf,
        /// Its largest id.
        largest: u32,
        /// Entries of the model's vocabulary.
        d_vocab: usize,
    },
    /// A document holds a token that the model does not know.
    #[error(
        "'{}': document {document} holds {}token id {id}, and the model's vocabulary has {d_vocab} entries; leave the token out of the text",
        path.display(),
        token.as_ref().map_or_else(String::new, |token| format!("the token {token}, "))
    )]
    TokenOutOfRange {
        /// The corpus.
        path: PathBuf,
        /// The document's number, from 0.
        document: u64,
        /// Its name, in quotes, where the tokenizer has one.
        token: Option<String>,
        /// The id.
        id: u32,
        /// Entries of the model's vocabulary.
        d_vocab: usize,
    },
    /// A policy wants a token that the tokenizer does not name.
    #[error(
        "{field} '{policy}' needs a token that the tokenizer in '{}' does not have; name it in tokenizer_config.json or config.json, or choose {field} 'none'",
        folder.display()
    )]
    NoSpecialToken {
        /// `bos` or `eos`.
        field: &'static str,
        /// The policy.
        policy: String,
        /// The tokenizer's folder.
        folder: PathBuf,
    },
    /// A context is too short to hold anything.
    #[error("n_ctx is {n_ctx}; expected at least 2")]
    ContextTooShort {
        /// Tokens per context.
        n_ctx: usize,
    },
    /// A token file is damaged or was made for something else.
    #[error("token file '{}': {message}", path.display())]
    TokenFile {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
    /// The folder to write to holds something else.
    #[error("'{}' exists and is no token file; give a folder that does not exist yet", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The caller asked to stop.
    #[error("stopped before the corpus was packed")]
    Stopped,
}

impl CorpusError {
    /// For `map_err`: what was tried, on which path.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CorpusError {
        let path = path.to_owned();
        move |source| CorpusError::Io { action, path, source }
    }

    pub(super) fn record(path: &Path, place: impl Into<String>, message: impl Into<String>) -> CorpusError {
        CorpusError::Record {
            path: path.to_owned(),
            place: place.into(),
            message: message.into(),
        }
    }

    pub(super) fn tokenizer(path: &Path, message: impl Into<String>) -> CorpusError {
        CorpusError::Tokenizer {
            path: path.to_owned(),
            message: message.into(),
        }
    }

    pub(super) fn token_file(path: &Path, message: impl Into<String>) -> CorpusError {
        CorpusError::TokenFile {
            path: path.to_owned(),
            message: message.into(),
        }
    }
}
