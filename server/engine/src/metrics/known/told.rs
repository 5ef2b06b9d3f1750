//! Stories as a language model's tokens, with what is known of each token.

use std::ops::Range;

use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::KnownError;
use crate::corpus::storyworld::{LABELS, Storyworld, spots};

/// Some stories, each a context of its own. A token is labelled where it completes a word: there the word has been read.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Each story's tokens: BOS first, where the tokenizer has one, and no more than the model reads.
    pub contexts: Vec<Vec<u32>>,
    /// Each story's labelled tokens, as positions in its context; position 0 is never one.
    pub positions: Vec<Vec<usize>>,
    /// Of each labelled token, all stories' one after the other: its story.
    pub story: Vec<u32>,
    /// The answers, [label][labelled token]; none where the label is not asked.
    pub answers: Vec<Vec<Option<bool>>>,
}

impl Told {
    /// The stories of `numbers`, each a function of `seed` and its number, in at most `n_ctx` tokens; what is longer is cut off.
    ///
    /// # Errors
    /// When the tokenizer cannot encode a story.
    pub fn new(
        tokenizer: &Tokenizer,
        bos: Option<u32>,
        n_ctx: usize,
        seed: u64,
        numbers: Range<u64>,
    ) -> Result<Self, KnownError> {
        let one = |number: u64| one(tokenizer, bos, n_ctx, seed, number);
        let stories = numbers.into_par_iter().map(one).collect::<Result<Vec<_>, _>>()?;
        let mut told = Self {
            answers: vec![Vec::new(); LABELS.len()],
            ..Self::default()
        };
        for (number, (context, positions, answers)) in stories.into_iter().enumerate() {
            told.story.extend(positions.iter().map(|_| number as u32));
            for (all, some) in told.answers.iter_mut().zip(answers) {
                all.extend(some);
            }
            told.contexts.push(context);
            told.positions.push(positions);
        }
        Ok(told)
    }

    /// Number of labelled tokens.
    pub fn n_tokens(&self) -> usize {
        self.story.len()
    }

    /// The labelled tokens of each story.
    pub fn ranges(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        let range = |positions: &Vec<usize>| {
            end += positions.len();
            end - positions.len()..end
        };
        self.positions.iter().map(range).collect()
    }
}

/// A story's tokens, its labelled positions, and their answers by label.
type One = (Vec<u32>, Vec<usize>, Vec<Vec<Option<bool>>>);

fn one(tokenizer: &Tokenizer, bos: Option<u32>, n_ctx: usize, seed: u64, number: u64) -> Result<One, KnownError> {
    let story = Storyworld::new(seed).story(number);
    let encoding = tokenizer.encode(story.text.as_str(), false).map_err(KnownError::Tokenizer)?;
    let first = usize::from(bos.is_some());
    let mut context: Vec<u32> = bos.into_iter().chain(encoding.get_ids().iter().copied()).collect();
    context.truncate(n_ctx);
    let spots = spots(&story.words, encoding.get_offsets());
    let complete = spots.iter().enumerate().filter_map(|(token, spot)| {
        let spot = spot.filter(|spot| spot.is_complete)?;
        Some((token + first, &story.words[spot.word]))
    });
    let labelled: Vec<_> = complete
        .filter(|(position, _)| (1..context.len()).contains(position))
        .collect();
    let answers = LABELS
        .iter()
        .map(|label| labelled.iter().map(|(_, word)| label.of(word, &story.cast)).collect());
    let answers = answers.collect();
    Ok((context, labelled.iter().map(|(position, _)| *position).collect(), answers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{load_tokenizer, special_tokens, storyworld::Word};
    use std::path::Path;

    #[test]
    fn a_labelled_token_ends_its_word() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/models/tiny"));
        let (tokenizer, bos) = (load_tokenizer(folder, 384).unwrap(), special_tokens(folder).unwrap().bos);
        assert!(bos.is_some());
        let (whole, cut) = (1 << 20, 50);
        for (bos, n_ctx) in [(bos, whole), (None, whole), (bos, cut)] {
            let told = Told::new(&tokenizer, bos, n_ctx, 4, 3..6).unwrap();
            assert_eq!(told.contexts.len(), 3);
            assert_eq!(told.ranges().last().unwrap().end, told.n_tokens());
            for (n, (context, positions)) in told.contexts.iter().zip(&told.positions).enumerate() {
                let story = Storyworld::new(4).story(3 + n as u64);
                let first = usize::from(bos.is_some());
                assert!(context.len() <= n_ctx && context.first() != bos.is_none().then_some(&0));
                // every word but those that are cut off, and the first where it is one token at position 0
                let mut words = story.words.iter().enumerate();
                let answers = &told.answers[0][told.ranges()[n].clone()];
                for (position, answer) in positions.iter().zip(answers) {
                    let read = tokenizer.decode(&context[first..=*position], false).unwrap();
                    let (index, word) = words.find(|(_, word)| word.end as usize == read.len()).unwrap();
                    assert_eq!(read, story.text[..word.end as usize]);
                    assert_eq!(*answer, LABELS[0].of(word, &story.cast), "word {index}");
                }
                let encoding = tokenizer.encode(story.text.as_str(), false).unwrap();
                let is_ended = |word: &&Word| encoding.get_offsets().iter().any(|(_, end)| *end == word.end as usize);
                let n_ended = story.words.iter().filter(is_ended).count();
                assert!(
                    n_ctx < whole || positions.len() + 1 - first == n_ended,
                    "{} of {n_ended}",
                    positions.len()
                );
            }
        }
    }
}
