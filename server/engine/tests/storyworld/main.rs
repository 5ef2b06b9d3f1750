//! Storyworld: the same seed tells the same stories; they keep to English grammar and to their own world, which checkers that
//! read the text and know nothing of the generator confirm; what is planted has no consequence; the account of choices is right.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod account;
mod agreement;
mod behaviour;
mod coherence;
mod determinism;
mod labels;
mod marks;
mod planted;
mod pronouns;
mod spans;
mod variety;

use engine::corpus::storyworld::{Story, Storyworld, Word};

/// Stories of a seed that no other test uses.
fn stories(seed: u64, n: u64) -> impl Iterator<Item = Story> {
    let world = Storyworld::new(seed);
    (0..n).map(move |index| world.story(index))
}

/// A word's letters in lower case.
fn letters(story: &Story, word: &Word) -> String {
    story.letters(word).to_ascii_lowercase()
}

/// The words of each sentence, where a sentence ends outside quotes.
fn sentences(story: &Story) -> impl Iterator<Item = &[Word]> {
    story.words.chunk_by(|a, b| a.sentence == b.sentence)
}
