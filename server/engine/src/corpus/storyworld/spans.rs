//! From words to the tokens of any tokenizer: which word each token belongs to.

use super::Word;

/// The word that a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The index of the word.
    pub word: usize,
    /// Whether the token reaches the word's end, so that the whole word has been read. A token of a beginning does not; that it
    /// belongs to the word may not be known there.
    pub is_complete: bool,
}

/// The word of each token, given the tokens' bytes in the text as (first, one past the last). A token belongs to the last
/// word of which it holds a letter: its activation has seen everything up to there. One that holds no letter, such as a special
/// token or a lone space, belongs to none.
///
/// Both words and offsets must be in the order of the text.
pub fn spots(words: &[Word], offsets: &[(usize, usize)]) -> Vec<Option<Spot>> {
    let mut next = 0;
    let mut spot = |(start, end): (usize, usize)| {
        // the first word that begins at the token's end or behind it
        while next < words.len() && (words[next].start as usize) < end {
            next += 1;
        }
        let word = next.checked_sub(1)?;
        let overlaps = start < end && start < words[word].end as usize;
        overlaps.then(|| Spot {
            word,
            is_complete: end >= words[word].end as usize,
        })
    };
    offsets.iter().map(|offset| spot(*offset)).collect()
}
