//! What is so in a story: who there is, who is where, who holds what, what time it is, whom a pronoun would mean.

use super::{
    labels::Gender,
    lexicon::{FormId, LEXICON},
};

/// One of the cast.
#[derive(Clone, Copy, Debug)]
pub(super) struct Character {
    pub name: FormId,
    pub gender: Gender,
    /// The place, as an index of the setting's.
    pub at: usize,
    /// The sentence of the last mention.
    pub mentioned: Option<u16>,
}

/// A thing that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thing {
    /// Which of the setting's objects.
    pub object: usize,
    pub holder: u8,
}

/// The state of a story's world.
pub(super) struct World {
    pub is_past: bool,
    pub cast: Vec<Character>,
    /// The place of the scene.
    pub here: usize,
    pub things: Vec<Thing>,
    /// The hour of the day, once it has been told.
    pub hour: Option<usize>,
    /// Who spoke last.
    pub spoke: Option<u8>,
}

/// How surely a pronoun would be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pronoun {
    /// It could mean somebody else, or nobody.
    Unclear,
    /// The person was named in the sentence before.
    Clear,
    /// The person was named in this sentence.
    Expected,
}

impl World {
    /// Somebody of that name joins the cast.
    pub fn join(&mut self, name: FormId) {
        let gender = LEXICON.forms[usize::from(name)].gender.unwrap_or(Gender::Feminine);
        let at = self.here;
        self.cast.push(Character {
            name,
            gender,
            at,
            mentioned: None,
        });
    }

    /// Who is at the scene.
    pub fn present(&self) -> impl Iterator<Item = u8> {
        self.cast
            .iter()
            .enumerate()
            .filter(|(_, one)| one.at == self.here)
            .map(|(who, _)| who as u8)
    }

    /// Who of the cast is elsewhere; at most one is.
    pub fn absent(&self) -> Option<u8> {
        self.cast.iter().position(|one| one.at != self.here).map(|who| who as u8)
    }

    /// The things that somebody holds, as indices of `things`.
    pub fn held_by(&self, who: u8) -> impl Iterator<Item = usize> {
        self.things
            .iter()
            .enumerate()
            .filter(move |(_, thing)| thing.holder == who)
            .map(|(index, _)| index)
    }

    /// Everybody at the scene goes to `place`.
    pub fn move_all(&mut self, place: usize) {
        let from = self.here;
        self.cast
            .iter_mut()
            .filter(|one| one.at == from)
            .for_each(|one| one.at = place);
        self.here = place;
    }

    /// Whether a pronoun in `sentence` would mean `who`: it does where `who` was mentioned in this sentence or the one
    /// before, and since then nobody else of the same gender.
    pub fn pronoun(&self, who: u8, sentence: u16) -> Pronoun {
        let one = &self.cast[usize::from(who)];
        let Some(last) = one.mentioned.filter(|last| last + 1 >= sentence) else {
            return Pronoun::Unclear;
        };
        let others = self.cast.iter().enumerate().filter(|(other, _)| *other != usize::from(who));
        let rivals = others.filter(|(_, other)| other.gender == one.gender);
        let mut mentions = rivals.filter_map(|(_, rival)| rival.mentioned);
        if mentions.any(|mention| mention >= last) {
            Pronoun::Unclear
        } else if last == sentence {
            Pronoun::Expected
        } else {
            Pronoun::Clear
        }
    }
}
