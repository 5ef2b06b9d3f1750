//! How documents begin, in a model's tokens: as packing takes them.

use api::{Excerpt, Piece, TokenisedExcerpt};
use std::path::Path;

use super::{CorpusError, pieces, spellings::encode_spelt, tokenizer};

/// The excerpts in the tokens of the tokenizer in `model_folder`, whose model has a vocabulary of `d_vocab` entries. Where there is no
/// tokenizer, tokens stand for themselves.
///
/// # Errors
/// A tokenizer that cannot be read, or that cannot take a text; a text where there is none.
pub fn tokenised(model_folder: &Path, d_vocab: usize, excerpts: &[Excerpt]) -> Result<Vec<TokenisedExcerpt>, CorpusError> {
    let path = model_folder.join("tokenizer.json");
    let failed = |error: tokenizers::Error| CorpusError::tokenizer(&path, error.to_string());
    let mut tokenizer = path.is_file().then(|| tokenizer::load(&path, d_vocab)).transpose()?;
    let special = tokenizer::special_tokens_of(tokenizer.as_ref(), model_folder)?.within(d_vocab);
    if let Some(tokenizer) = &mut tokenizer {
        tokenizer::mark_special(tokenizer, &special).map_err(failed)?;
    }
    let one = |excerpt: &Excerpt| {
        let (text, ids) = match (excerpt, &tokenizer) {
            (Excerpt::Text(text), Some(tokenizer)) => (
                Some(text.clone()),
                encode_spelt(tokenizer, text, &special.all).map_err(failed)?,
            ),
            (Excerpt::Text(_), None) => {
                let message = "there is none, and the corpus is text; expected token ids";
                return Err(CorpusError::tokenizer(&path, message));
            }
            (Excerpt::Tokens(ids), _) => (None, ids.clone()),
        };
        let pieces = match &tokenizer {
            Some(tokenizer) => pieces(tokenizer, &ids),
            None => ids.iter().map(|id| format!("{id} ")).collect(),
        };
        Ok(TokenisedExcerpt {
            text: text.unwrap_or_else(|| pieces.concat()),
            tokens: ids.into_iter().zip(pieces).map(|(id, text)| Piece { id, text }).collect(),
        })
    };
    excerpts.iter().map(one).collect()
}

/// How the special tokens of the tokenizer in `model_folder` are spelt; none where there is no tokenizer.
///
/// # Errors
/// As [`super::special_tokens`].
pub fn special_spellings(model_folder: &Path) -> Result<Vec<String>, CorpusError> {
    let path = model_folder.join("tokenizer.json");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let tokenizer = tokenizer::read(&path)?;
    let special = tokenizer::special_tokens_of(Some(&tokenizer), model_folder)?;
    Ok(special.all.iter().filter_map(|id| tokenizer.id_to_token(*id)).collect())
}
