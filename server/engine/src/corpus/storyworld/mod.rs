//! Storyworld: short English stories from a grammar and a little world, of which everything is known.
//!
//! A story is a pure function of a seed and its number. While it is told, the generator keeps account of who is where, who
//! holds what and whom a pronoun would mean (`world.rs`); it knows the probability of each of its choices (`choice.rs`), and
//! writes beside every word what the word is ([`Word`]). So three things can be said of a language model that was trained on the
//! stories: how far its loss is from the best possible ([`Story::nats`]), whether it has learnt what the stories were written to
//! teach ([`prompts`]), and which of the known labels its activations, or a dictionary's features, tell ([`Label`]).
//!
//! The sentences are in `grammar.txt`, the words in `lexicon.txt`. Changing either, or the order of choices, changes
//! every story: then raise [`VERSION`].

mod behaviour;
mod choice;
mod grammar;
mod known;
mod labels;
mod lexicon;
mod places;
mod plot;
mod spans;
mod statistics;
mod teller;
mod world;
mod writer;

pub use behaviour::{Behaviour, Prompt, prompts};
pub use choice::{Decision, Plant};
pub use known::{Kind as LabelKind, LABELS, Label};
pub use labels::{Class, Frame, Gender, Number, Person, Planted, Role, Tense, Word};
pub use spans::{Spot, spots};
pub use statistics::Statistics;

use choice::Choices;

/// The version of the grammar, the lexicon and the order of choices: stories of the same seed agree where it does.
pub const VERSION: u32 = 1;

/// The stories of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storyworld {
    seed: u64,
}

/// A story and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// The text, one paragraph of ASCII without a line's end.
    pub text: String,
    /// Every word and mark, in order; between them lies nothing but spaces.
    pub words: Vec<Word>,
    /// −ln of the probability of all its choices, in nats: at least −ln of the text's own probability, because other choices may
    /// give the same text. The story's end is not counted apart; its last sentence always shows it.
    pub nats: f64,
    /// The gender of each of the cast, whom words refer to by index.
    pub cast: Vec<Gender>,
    probes: Vec<behaviour::Probe>,
}

impl Storyworld {
    /// The stories of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The story of that number. Any can be asked for in any order.
    pub fn story(&self, index: u64) -> Story {
        Story::told(plot::tell(Choices::seeded(self.seed, index))).0
    }

    /// The same with the list of its choices, in the order in which they were made.
    pub fn explain(&self, index: u64) -> (Story, Vec<Decision>) {
        Story::told(plot::tell(Choices::seeded(self.seed, index).logged()))
    }

    /// The story that comes of given choices: of each decision in turn the alternative, where it is possible, else the first
    /// that is.
    pub fn retell(chosen: Vec<usize>) -> (Story, Vec<Decision>) {
        Story::told(plot::tell(Choices::scripted(chosen).logged()))
    }
}

impl Story {
    fn told(teller: teller::Teller) -> (Self, Vec<Decision>) {
        let story = Story {
            text: teller.page.text,
            words: teller.page.words,
            nats: teller.nats,
            cast: teller.world.cast.iter().map(|one| one.gender).collect(),
            probes: teller.probes,
        };
        (story, teller.choices.into_log())
    }

    /// A word's letters.
    pub fn letters(&self, word: &Word) -> &str {
        &self.text[word.start as usize..word.end as usize]
    }
}
