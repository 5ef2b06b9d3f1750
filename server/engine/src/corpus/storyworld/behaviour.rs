//! Tests of a language model's behaviour, cut from stories: a beginning, the ways in which it may go on, and the ways in which it
//! may not. Each is the prefix of a story from its first letter, so that a model meets nothing that it was not trained on.

use std::fmt;

use super::{
    Story, Storyworld,
    labels::Frame,
    lexicon::{FormId, LEXICON},
};

/// What is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Behaviour {
    /// "When Mary and John got to the market, John gave the kite to": Mary, not John.
    IoiAbba,
    /// "When John and Mary got to the market, John gave the kite to": Mary, not John.
    IoiBaba,
    /// "The lamps": were, not was.
    AgreementSimple,
    /// "The lamps beside the gate": were, not was.
    AgreementAcrossPp,
    /// "The lamps that the sailor loved": were, not was.
    AgreementAcrossRc,
    /// "The lamps that the sailor": was, not were, before "painting".
    AgreementWithinRc,
    /// `)` or `]`, whichever closes what is open innermost.
    ClosingBracket,
    /// `"` or `'`, whichever closes what is open innermost.
    ClosingQuote,
    /// "from 1732 to 17": 33 to 99, not 00 to 32.
    GreaterThan,
}

impl Behaviour {
    /// Every behaviour.
    pub const ALL: [Behaviour; 9] = [
        Behaviour::IoiAbba,
        Behaviour::IoiBaba,
        Behaviour::AgreementSimple,
        Behaviour::AgreementAcrossPp,
        Behaviour::AgreementAcrossRc,
        Behaviour::AgreementWithinRc,
        Behaviour::ClosingBracket,
        Behaviour::ClosingQuote,
        Behaviour::GreaterThan,
    ];

    /// The name, as reports print it: `ioi_abba`.
    pub fn name(self) -> &'static str {
        match self {
            Behaviour::IoiAbba => "ioi_abba",
            Behaviour::IoiBaba => "ioi_baba",
            Behaviour::AgreementSimple => "agreement_simple",
            Behaviour::AgreementAcrossPp => "agreement_across_pp",
            Behaviour::AgreementAcrossRc => "agreement_across_rc",
            Behaviour::AgreementWithinRc => "agreement_within_rc",
            Behaviour::ClosingBracket => "closing_bracket",
            Behaviour::ClosingQuote => "closing_quote",
            Behaviour::GreaterThan => "greater_than",
        }
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A beginning with its right and wrong continuations. A model is right where it gives the right ones together more
/// probability than the wrong ones together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The beginning of a story.
    pub text: String,
    /// What may follow, exactly as it would stand behind `text`: with the space before a word, without one before a mark
    /// or within a number.
    pub correct: Vec<String>,
    /// What may not follow, written likewise.
    pub wrong: Vec<String>,
}

impl Prompt {
    /// The accuracy of guessing among all the continuations alike, between 0 and 1: a half where there are two.
    pub fn chance(&self) -> f64 {
        self.correct.len() as f64 / (self.correct.len() + self.wrong.len()) as f64
    }
}

/// `n` prompts of a behaviour, each from another story. The stories are those of `seed`, counted from 0: use a seed that no training text
/// has.
pub fn prompts(behaviour: Behaviour, n: usize, seed: u64) -> Vec<Prompt> {
    let world = Storyworld::new(seed);
    let of_story = |index| {
        let story = world.story(index);
        let probes: Vec<&Probe> = story.probes.iter().filter(|probe| probe.behaviour == behaviour).collect();
        // the index spreads the choice over a story's early and late sentences
        let probe = probes.get(index as usize % probes.len().max(1))?;
        Some(probe.prompt(&story))
    };
    (0..).filter_map(of_story).take(n).collect()
}

/// A place in a story where a behaviour can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub behaviour: Behaviour,
    /// Bytes of the story before the question.
    pub at: u32,
    correct: Answer,
    wrong: Answer,
}

/// One side of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Word(FormId),
    Mark(u8),
    /// The two digits from the first to the second, both included.
    Years(u8, u8),
}

impl Probe {
    /// A question that belongs to a frame; none where the frame asks nothing.
    pub fn new(frame: Frame, at: u32, correct: Answer, wrong: Answer) -> Option<Self> {
        let behaviour = match frame {
            Frame::IoiAbba => Behaviour::IoiAbba,
            Frame::IoiBaba => Behaviour::IoiBaba,
            Frame::AgreementSimple => Behaviour::AgreementSimple,
            Frame::AgreementAcrossPp => Behaviour::AgreementAcrossPp,
            Frame::AgreementAcrossRc => Behaviour::AgreementAcrossRc,
            Frame::AgreementWithinRc => Behaviour::AgreementWithinRc,
            _ => return None,
        };
        Some(Self {
            behaviour,
            at,
            correct,
            wrong,
        })
    }

    /// Which mark closes: `mark`, not its like.
    pub fn closing(at: u32, mark: u8) -> Self {
        let (behaviour, wrong) = match mark {
            b')' => (Behaviour::ClosingBracket, b']'),
            b']' => (Behaviour::ClosingBracket, b')'),
            b'"' => (Behaviour::ClosingQuote, b'\''),
            _ => (Behaviour::ClosingQuote, b'"'),
        };
        Self {
            behaviour,
            at,
            correct: Answer::Mark(mark),
            wrong: Answer::Mark(wrong),
        }
    }

    /// Which years may end what began in the year `from` of the same century.
    pub fn years(at: u32, from: u8) -> Self {
        Self {
            behaviour: Behaviour::GreaterThan,
            at,
            correct: Answer::Years(from + 1, 99),
            wrong: Answer::Years(0, from),
        }
    }

    fn prompt(&self, story: &Story) -> Prompt {
        Prompt {
            text: story.text[..self.at as usize].to_owned(),
            correct: self.correct.continuations(),
            wrong: self.wrong.continuations(),
        }
    }
}

impl Answer {
    fn continuations(self) -> Vec<String> {
        match self {
            Answer::Word(form) => vec![format!(" {}", LEXICON.forms[usize::from(form)].text)],
            Answer::Mark(mark) => vec![char::from(mark).to_string()],
            Answer::Years(from, to) => (from..=to).map(|year| format!("{year:02}")).collect(),
        }
    }
}
