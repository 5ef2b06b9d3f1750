//! Text that looks like a special token: `<s>` or `<|endoftext|>` written inside a document. It is text: it is tokenised as its
//! characters are, counted, and said.

use aho_corasick::{AhoCorasick, MatchKind};
use api::Spelling;
use tokenizers::{Model as _, Tokenizer};

use super::CorpusError;

/// What tokenizers in use call their special tokens.
const KNOWN: [&str; 24] = [
    "<s>",
    "</s>",
    "<pad>",
    "<unk>",
    "<mask>",
    "<bos>",
    "<eos>",
    "<start_of_turn>",
    "<end_of_turn>",
    "[CLS]",
    "[SEP]",
    "[PAD]",
    "[UNK]",
    "[MASK]",
    "[INST]",
    "[/INST]",
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
];

/// Words that are sought in texts.
pub(super) struct Spellings {
    words: Vec<String>,
    finder: AhoCorasick,
}

impl Spellings {
    /// Those that are known, and `more`.
    pub fn known(more: &[String]) -> Result<Self, CorpusError> {
        let mut words: Vec<String> = KNOWN
            .iter()
            .map(|word| (*word).to_owned())
            .chain(more.iter().cloned())
            .collect();
        words.sort_unstable();
        words.dedup();
        Self::new(words)
    }

    /// The spellings of the tokens `ids`; none where there is no tokenizer.
    pub fn of_tokens(tokenizer: Option<&Tokenizer>, ids: &[u32]) -> Result<Self, CorpusError> {
        let spelling = |id: &u32| tokenizer?.id_to_token(*id);
        Self::new(ids.iter().filter_map(spelling).collect())
    }

    fn new(mut words: Vec<String>) -> Result<Self, CorpusError> {
        words.retain(|word| !word.trim().is_empty());
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&words);
        let finder = finder.map_err(|error| CorpusError::Spellings {
            n: words.len(),
            message: error.to_string(),
        })?;
        Ok(Self { words, finder })
    }

    /// No count of any.
    pub fn none(&self) -> Vec<u64> {
        vec![0; self.words.len()]
    }

    /// Adds up how often each stands in `text`; how many stand in it.
    pub fn count(&self, text: &str, counts: &mut [u64]) -> u64 {
        let mut n = 0;
        for found in self.finder.find_iter(text) {
            counts[found.pattern().as_usize()] += 1;
            n += 1;
        }
        n
    }

    /// Those that were found.
    pub fn found(&self, counts: &[u64]) -> Vec<Spelling> {
        let each = self.words.iter().zip(counts).filter(|(_, n)| **n > 0);
        each.map(|(token, &n)| Spelling { token: token.clone(), n }).collect()
    }
}

/// The tokens of `text`, in which special tokens are spelt: by their characters, where the tokenizer's own model takes a spelling for the
/// special token. (Added special tokens are not sought in text at all; but some vocabularies hold them as words besides.)
pub(super) fn encode_spelt(tokenizer: &Tokenizer, text: &str, special: &[u32]) -> Result<Vec<u32>, tokenizers::Error> {
    let encoding = tokenizer.encode(text, false)?;
    let mut ids = Vec::with_capacity(encoding.len());
    for (&id, &(start, end)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
        let spelt = text.get(start..end).unwrap_or_default();
        let is_spelling =
            special.binary_search(&id).is_ok() && tokenizer.id_to_token(id).is_some_and(|token| token == spelt.trim());
        if !is_spelling {
            ids.push(id);
            continue;
        }
        for character in spelt.chars() {
            let tokens = tokenizer.get_model().tokenize(character.encode_utf8(&mut [0; 4]))?;
            ids.extend(tokens.into_iter().map(|token| token.id));
        }
    }
    Ok(ids)
}
