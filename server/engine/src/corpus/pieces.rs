//! Tokens as people read them: the text that each contributes.

use tokenizers::Tokenizer;

/// Tokens before one that its text may depend on: a character has at most four bytes, each perhaps a token of its own.
const BEFORE: usize = 4;

/// The text of each of the tokens `ids` where it stands, special tokens by their names. A token that ends within a character is a
/// replacement character (U+FFFD), and the one that completes it has it whole; but for those, the pieces one after the other are the text.
pub fn pieces(tokenizer: &Tokenizer, ids: &[u32]) -> Vec<String> {
    // an id that the tokenizer does not know has no text
    let text = |ids: &[u32]| tokenizer.decode(ids, false).unwrap_or_default();
    let piece = |i: usize| {
        let from = i.saturating_sub(BEFORE);
        let (without, with) = (text(&ids[from..i]), text(&ids[from..=i]));
        let same = without.chars().zip(with.chars()).take_while(|(a, b)| a == b);
        let n_bytes: usize = same.map(|(c, _)| c.len_utf8()).sum();
        with[n_bytes..].to_owned()
    };
    (0..ids.len()).map(piece).collect()
}
