//! The tokenizer of a language model: read, fitted to the model's vocabulary, and its special tokens.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::{AddedToken, Tokenizer};

use super::CorpusError;
use crate::{
    file,
    json::{self, NonFinite},
};

/// The tokens of a tokenizer that are not text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// Opens a document.
    pub bos: Option<u32>,
    /// Closes a document.
    pub eos: Option<u32>,
    /// Every special id, those two included, ascending.
    pub all: Vec<u32>,
}

/// The special tokens of the tokenizer in `model_folder`: those that tokenizer.json calls special; BOS and EOS as
/// tokenizer_config.json names them (`null` there means none), else by `bos_token_id` and `eos_token_id` (the first of a list) of
/// generation_config.json or config.json. An id without a token in the tokenizer (a config's default) is none.
///
/// # Errors
/// A file that cannot be read, or a field of another kind.
pub fn special_tokens(model_folder: &Path) -> Result<SpecialTokens, CorpusError> {
    let path = model_folder.join("tokenizer.json");
    special_tokens_of(&read(&path)?, model_folder)
}

/// Reads tokenizer.json in `model_folder`, without truncation or padding, and checks that its largest id is below `d_vocab`.
///
/// # Errors
/// No or an unreadable tokenizer.json; an id that the model's vocabulary does not have.
pub fn load_tokenizer(model_folder: &Path, d_vocab: usize) -> Result<Tokenizer, CorpusError> {
    load(&model_folder.join("tokenizer.json"), d_vocab)
}

pub(super) fn load(path: &Path, d_vocab: usize) -> Result<Tokenizer, CorpusError> {
    let tokenizer = read(path)?;
    let largest = tokenizer.get_vocab(true).values().copied().max();
    match largest {
        None => Err(CorpusError::tokenizer(path, "the tokenizer has no tokens")),
        Some(largest) if largest as usize >= d_vocab => Err(CorpusError::Vocabulary {
            path: path.to_owned(),
            largest,
            d_vocab,
        }),
        Some(_) => Ok(tokenizer),
    }
}

pub(super) fn read(path: &Path) -> Result<Tokenizer, CorpusError> {
    let bytes = file::read(path).map_err(CorpusError::io("read", path))?;
    let not_one = |error: tokenizers::Error| CorpusError::tokenizer(path, format!("not a tokenizer: {error}"));
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(not_one)?;
    // a corpus is cut by us, and never filled up
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(not_one)?;
    // what is written in a text is text, also where it is spelt as a special token is
    tokenizer.set_encode_special_tokens(true);
    Ok(tokenizer)
}

pub(super) fn special_tokens_of(tokenizer: &Tokenizer, folder: &Path) -> Result<SpecialTokens, CorpusError> {
    let beside = ["tokenizer_config.json", "generation_config.json", "config.json"].map(|name| folder.join(name));
    let [named, generation, config] = beside.map(|path| optional_json(&path).map(|json| (path, json)));
    let (named, numbered) = (named?, [generation?, config?]);
    let bos = opening_or_closing(tokenizer, "bos_token", &named, &numbered)?;
    let eos = opening_or_closing(tokenizer, "eos_token", &named, &numbered)?;
    let added = tokenizer.get_added_tokens_decoder();
    let mut all: Vec<u32> = added
        .into_iter()
        .filter(|(_, token)| token.special)
        .map(|(id, _)| id)
        .collect();
    all.extend(bos.iter().chain(&eos));
    all.sort_unstable();
    all.dedup();
    Ok(SpecialTokens { bos, eos, all })
}

/// Has `tokenizer` know BOS and EOS as special, which it need not where only the files beside it name them: else they would be found in
/// text.
pub(super) fn mark_special(tokenizer: &mut Tokenizer, special: &SpecialTokens) -> Result<(), tokenizers::Error> {
    let added = tokenizer.get_added_tokens_decoder();
    let unmarked = [special.bos, special.eos].into_iter().flatten().filter_map(|id| {
        let token = added.get(&id).filter(|token| !token.special)?;
        Some(AddedToken {
            special: true,
            ..token.clone()
        })
    });
    tokenizer.add_special_tokens(unmarked.collect::<Vec<_>>()).map(|_| ())
}

type JsonFile = (PathBuf, Option<Value>);

/// The id of `field` (`bos_token`, `eos_token`), from the first file that says.
fn opening_or_closing(
    tokenizer: &Tokenizer,
    field: &str,
    named: &JsonFile,
    numbered: &[JsonFile],
) -> Result<Option<u32>, CorpusError> {
    if let (path, Some(Some(token))) = (&named.0, named.1.as_ref().map(|json| json.get(field))) {
        let content = match token {
            Value::Null => return Ok(None),
            Value::String(content) => Some(content.as_str()),
            other => other.get("content").and_then(Value::as_str),
        };
        let content = content.ok_or_else(|| CorpusError::tokenizer(path, format!("{field} is {token}; expected a token")))?;
        let id = tokenizer.token_to_id(content);
        return id.map(Some).ok_or_else(|| {
            CorpusError::tokenizer(
                path,
                format!("{field} is '{content}', which tokenizer.json beside it does not have"),
            )
        });
    }
    let field = format!("{field}_id");
    for (path, json) in numbered {
        let id = match json.as_ref().and_then(|json| json.get(&field)) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(ids)) => ids.first().cloned().unwrap_or(Value::Null),
            Some(id) => id.clone(),
        };
        let id = id
            .as_i64()
            .ok_or_else(|| CorpusError::tokenizer(path, format!("{field} is {id}; expected a token id")))?;
        return Ok(u32::try_from(id).ok().filter(|id| tokenizer.id_to_token(*id).is_some()));
    }
    Ok(None)
}

fn optional_json(path: &Path) -> Result<Option<Value>, CorpusError> {
    match file::read(path) {
        Ok(bytes) => json::from_slice(&bytes, NonFinite::Named)
            .map(Some)
            .map_err(|error| CorpusError::tokenizer(path, format!("not JSON: {error}"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CorpusError::io("read", path)(error)),
    }
}
