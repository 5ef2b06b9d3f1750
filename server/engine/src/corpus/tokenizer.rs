//! The tokenizer of a language model: read, fitted to the model's vocabulary, and its special tokens.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::{AddedToken, Tokenizer};

use super::{CorpusError, normaliser::Growth, spellings::encode_spelt};
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
/// generation_config.json or config.json. An id without a token in the tokenizer (a config's default) is none. Where there is no
/// tokenizer, the ids are all there is.
///
/// # Errors
/// A file that cannot be read, or a field of another kind.
pub fn special_tokens(model_folder: &Path) -> Result<SpecialTokens, CorpusError> {
    let path = model_folder.join("tokenizer.json");
    let tokenizer = path.is_file().then(|| read(&path)).transpose()?;
    special_tokens_of(tokenizer.as_ref(), model_folder)
}

impl SpecialTokens {
    /// Those that a model of `d_vocab` tokens has: a tokenizer may have been given more.
    #[must_use]
    pub fn within(self, d_vocab: usize) -> Self {
        let is_within = |id: &u32| (*id as usize) < d_vocab;
        Self {
            bos: self.bos.filter(is_within),
            eos: self.eos.filter(is_within),
            all: self.all.into_iter().filter(is_within).collect(),
        }
    }
}

/// Reads tokenizer.json in `model_folder`, without truncation or padding, and checks that the ids of its vocabulary are below `d_vocab`.
/// Tokens that were added to it may lie beyond: a text that has one is refused ([`text_ids`]).
///
/// # Errors
/// No or an unreadable tokenizer.json; an id that the model's vocabulary does not have; a normaliser that can make too much of a text.
pub fn load_tokenizer(model_folder: &Path, d_vocab: usize) -> Result<Tokenizer, CorpusError> {
    load(&model_folder.join("tokenizer.json"), d_vocab)
}

pub(super) fn load(path: &Path, d_vocab: usize) -> Result<Tokenizer, CorpusError> {
    let tokenizer = read(path)?;
    Growth::by_rules(&tokenizer).map_err(|message| CorpusError::tokenizer(path, message))?;
    let largest = tokenizer.get_vocab(false).into_values().max();
    match largest {
        None if tokenizer.get_vocab_size(true) == 0 => Err(CorpusError::tokenizer(path, "the tokenizer has no tokens")),
        Some(largest) if largest as usize >= d_vocab => Err(CorpusError::Vocabulary {
            path: path.to_owned(),
            largest,
            d_vocab,
        }),
        _ => Ok(tokenizer),
    }
}

/// The tokens of a text, without those that a tokenizer's own template adds, and without special tokens that are only spelt in it.
///
/// # Errors
/// A text that the normaliser makes too much of, one that cannot be tokenised, and one with a token that a model of `d_vocab` tokens has
/// not: its name and id.
pub fn text_ids(tokenizer: &Tokenizer, text: &str, d_vocab: usize) -> Result<Vec<u32>, String> {
    Growth::by_rules(tokenizer)?.check(tokenizer, text)?;
    let added = tokenizer.get_added_tokens_decoder().into_iter();
    let mut special: Vec<u32> = added.filter(|(_, token)| token.special).map(|(id, _)| id).collect();
    special.sort_unstable();
    let ids = encode_spelt(tokenizer, text, &special).map_err(|error| error.to_string())?;
    match ids.iter().find(|id| **id as usize >= d_vocab) {
        Some(id) => Err(format!(
            "it has the token {} (id {id}), and the model's vocabulary has {d_vocab} entries",
            named(tokenizer, *id).unwrap_or_default()
        )),
        None => Ok(ids),
    }
}

/// A token's name, in quotes.
pub(super) fn named(tokenizer: &Tokenizer, id: u32) -> Option<String> {
    Some(format!("'{}'", tokenizer.id_to_token(id)?))
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

pub(super) fn special_tokens_of(tokenizer: Option<&Tokenizer>, folder: &Path) -> Result<SpecialTokens, CorpusError> {
    let beside = ["tokenizer_config.json", "generation_config.json", "config.json"].map(|name| folder.join(name));
    let [named, generation, config] = beside.map(|path| optional_json(&path).map(|json| (path, json)));
    let (named, numbered) = (named?, [generation?, config?]);
    let bos = opening_or_closing(tokenizer, "bos_token", &named, &numbered)?;
    let eos = opening_or_closing(tokenizer, "eos_token", &named, &numbered)?;
    let added = tokenizer
        .map(|tokenizer| tokenizer.get_added_tokens_decoder())
        .unwrap_or_default();
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
    tokenizer: Option<&Tokenizer>,
    field: &str,
    named: &JsonFile,
    numbered: &[JsonFile],
) -> Result<Option<u32>, CorpusError> {
    if let (Some(tokenizer), (path, Some(Some(token)))) = (tokenizer, (&named.0, named.1.as_ref().map(|json| json.get(field)))) {
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
        let is_known = |id: &u32| tokenizer.is_none_or(|tokenizer| tokenizer.id_to_token(*id).is_some());
        return Ok(u32::try_from(id).ok().filter(is_known));
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
