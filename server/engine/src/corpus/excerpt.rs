//! How documents begin, in a model's tokens: as packing takes them.

use api::{Excerpt, Piece, TokenisedExcerpt};
use std::path::Path;

use super::{CorpusError, pieces, spellings::encode_spelt, tokenizer};

/// The excerpts in the tokens of the tokenizer in `model_folder`, whose model has a vocabulary of `d_vocab` entries.
///
/// # Errors
/// A tokenizer that cannot be read, or that cannot take a text.
pub fn tokenised(model_folder: &Path, d_vocab: usize, excerpts: &[Excerpt]) -> Result<Vec<TokenisedExcerpt>, CorpusError> {
    let path = model_folder.join("tokenizer.json");
    let mut tokenizer = tokenizer::load(&path, d_vocab)?;
    let special = tokenizer::special_tokens_of(&tokenizer, model_folder)?;
    let failed = |error: tokenizers::Error| CorpusError::tokenizer(&path, error.to_string());
    tokenizer::mark_special(&mut tokenizer, &special).map_err(failed)?;
    let one = |excerpt: &Excerpt| {
        let (text, ids) = match excerpt {
            Excerpt::Text(text) => (
                Some(text.clone()),
                encode_spelt(&tokenizer, text, &special.all).map_err(failed)?,
            ),
            Excerpt::Tokens(ids) => (None, ids.clone()),
        };
        let pieces = pieces(&tokenizer, &ids);
        Ok(TokenisedExcerpt {
            text: text.unwrap_or_else(|| pieces.concat()),
            tokens: ids.into_iter().zip(pieces).map(|(id, text)| Piece { id, text }).collect(),
        })
    };
    excerpts.iter().map(one).collect()
}

/// How the special tokens of the tokenizer in `model_folder` are spelt.
///
/// # Errors
/// As [`super::special_tokens`].
pub fn special_spellings(model_folder: &Path) -> Result<Vec<String>, CorpusError> {
    let tokenizer = tokenizer::read(&model_folder.join("tokenizer.json"))?;
    let special = tokenizer::special_tokens_of(&tokenizer, model_folder)?;
    Ok(special.all.iter().filter_map(|id| tokenizer.id_to_token(*id)).collect())
}
