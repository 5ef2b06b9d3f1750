//! The labels that a feature may turn out to mean: each a question about a word with yes or no for an answer.

use super::labels::{
    Class, Frame,
    Gender::{self, Feminine, Masculine},
    Number, Person, Role, Tense, Word,
};

/// From what a label follows, and whether anything follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// From the word's letters alone, in lower case, wherever it stands.
    Token,
    /// From what came before as well.
    Context,
    /// From what came before as well; and planted: no later word depends on it.
    Planted,
}

/// A yes-or-no label of words.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// The name, as reports print it: `class=verb`.
    pub name: &'static str,
    /// From what the answer follows.
    pub kind: Kind,
    /// The label that is true of every word that this one is true of, where there is one.
    pub parent: Option<&'static str>,
    /// The answer; none for words of which it is not asked (of a noun, whether it is in the past).
    of: fn(&Word, &[Gender]) -> Option<bool>,
}

impl Label {
    /// The answer for one of a story's words; `cast` is the story's. None where the question makes no sense.
    pub fn of(&self, word: &Word, cast: &[Gender]) -> Option<bool> {
        (self.of)(word, cast)
    }

    /// Whether the answer follows from the word's letters alone.
    pub fn from_token_alone(&self) -> bool {
        self.kind == Kind::Token
    }

    /// Whether no later word depends on it.
    pub fn is_planted(&self) -> bool {
        self.kind == Kind::Planted
    }

    /// The label of that name.
    pub fn named(name: &str) -> Option<&'static Label> {
        LABELS.iter().find(|label| label.name == name)
    }
}

const fn label(name: &'static str, kind: Kind, parent: Option<&'static str>, of: fn(&Word, &[Gender]) -> Option<bool>) -> Label {
    Label { name, kind, parent, of }
}

/// Every label.
pub static LABELS: &[Label] = &[
    label("class=name", Kind::Token, None, |w, _| Some(w.class == Class::Name)),
    label("class=noun", Kind::Token, None, |w, _| Some(w.class == Class::Noun)),
    label("class=verb", Kind::Token, None, |w, _| Some(w.class == Class::Verb)),
    label("class=adjective", Kind::Token, None, |w, _| Some(w.class == Class::Adjective)),
    label("class=adverb", Kind::Token, None, |w, _| Some(w.class == Class::Adverb)),
    label("class=preposition", Kind::Token, None, |w, _| {
        Some(w.class == Class::Preposition)
    }),
    label("class=conjunction", Kind::Token, None, |w, _| {
        Some(w.class == Class::Conjunction)
    }),
    label("class=determiner", Kind::Token, None, |w, _| {
        Some(w.class == Class::Determiner)
    }),
    label("class=pronoun", Kind::Token, None, |w, _| Some(w.class == Class::Pronoun)),
    label("class=number", Kind::Token, None, |w, _| Some(w.class == Class::Number)),
    label("class=mark", Kind::Token, None, |w, _| Some(w.class == Class::Mark)),
    label("name=feminine", Kind::Token, Some("class=name"), |w, _| {
        Some(w.class == Class::Name && w.gender == Some(Feminine))
    }),
    label("name=masculine", Kind::Token, Some("class=name"), |w, _| {
        Some(w.class == Class::Name && w.gender == Some(Masculine))
    }),
    label("noun=plural", Kind::Token, Some("class=noun"), |w, _| {
        Some(w.class == Class::Noun && w.number == Some(Number::Plural))
    }),
    label("pronoun=feminine", Kind::Token, Some("class=pronoun"), |w, _| {
        Some(w.class == Class::Pronoun && w.gender == Some(Feminine))
    }),
    label("pronoun=masculine", Kind::Token, Some("class=pronoun"), |w, _| {
        Some(w.class == Class::Pronoun && w.gender == Some(Masculine))
    }),
    label("verb=past", Kind::Token, Some("class=verb"), |w, _| {
        Some(w.class == Class::Verb && w.tense == Some(Tense::Past))
    }),
    label("number=plural", Kind::Token, None, |w, _| {
        w.number.map(|n| n == Number::Plural)
    }),
    label("gender=feminine", Kind::Token, None, |w, _| w.gender.map(|g| g == Feminine)),
    label("person=first", Kind::Token, None, |w, _| w.person.map(|p| p == Person::First)),
    label("agrees=plural", Kind::Context, None, |w, _| {
        w.agrees.map(|n| n == Number::Plural)
    }),
    label("quoted", Kind::Context, None, |w, _| Some(w.quotes > 0)),
    label("quoted=nested", Kind::Context, Some("quoted"), |w, _| Some(w.quotes > 1)),
    label("bracketed", Kind::Context, None, |w, _| Some(w.depth > 0)),
    label("bracketed=nested", Kind::Context, Some("bracketed"), |w, _| Some(w.depth > 1)),
    label("speaker=feminine", Kind::Context, None, |w, cast| {
        w.speaker.map(|who| cast[usize::from(who)] == Feminine)
    }),
    label("holder=feminine", Kind::Context, None, |w, cast| {
        w.holder.map(|who| cast[usize::from(who)] == Feminine)
    }),
    label("name=new", Kind::Context, Some("class=name"), |w, _| {
        Some(w.is_new && w.class == Class::Name)
    }),
    label("role=subject", Kind::Context, None, |w, _| w.role.map(|r| r == Role::Subject)),
    label("role=object", Kind::Context, None, |w, _| w.role.map(|r| r == Role::Object)),
    label("role=indirect_object", Kind::Context, None, |w, _| {
        w.role.map(|r| r == Role::IndirectObject)
    }),
    label("role=possessor", Kind::Context, None, |w, _| {
        w.role.map(|r| r == Role::Possessor)
    }),
    label("role=addressee", Kind::Context, None, |w, _| {
        w.role.map(|r| r == Role::Addressee)
    }),
    label("role=s1", Kind::Context, None, |w, _| w.role.map(|r| r == Role::S1)),
    label("role=s2", Kind::Context, None, |w, _| w.role.map(|r| r == Role::S2)),
    label("role=io", Kind::Context, None, |w, _| w.role.map(|r| r == Role::Io)),
    label("frame=opening", Kind::Context, None, |w, _| Some(w.frame == Frame::Opening)),
    label("frame=narration", Kind::Context, None, |w, _| {
        Some(w.frame == Frame::Narration)
    }),
    label("frame=transfer", Kind::Context, None, |w, _| Some(w.frame == Frame::Transfer)),
    label("frame=ioi_abba", Kind::Context, None, |w, _| Some(w.frame == Frame::IoiAbba)),
    label("frame=ioi_baba", Kind::Context, None, |w, _| Some(w.frame == Frame::IoiBaba)),
    label("frame=agreement_simple", Kind::Context, None, |w, _| {
        Some(w.frame == Frame::AgreementSimple)
    }),
    label("frame=agreement_across_pp", Kind::Context, None, |w, _| {
        Some(w.frame == Frame::AgreementAcrossPp)
    }),
    label("frame=agreement_across_rc", Kind::Context, None, |w, _| {
        Some(w.frame == Frame::AgreementAcrossRc)
    }),
    label("frame=agreement_within_rc", Kind::Context, None, |w, _| {
        Some(w.frame == Frame::AgreementWithinRc)
    }),
    label("frame=speech", Kind::Context, None, |w, _| Some(w.frame == Frame::Speech)),
    label("frame=aside", Kind::Context, None, |w, _| Some(w.frame == Frame::Aside)),
    label("frame=list", Kind::Context, None, |w, _| Some(w.frame == Frame::List)),
    label("frame=time", Kind::Context, None, |w, _| Some(w.frame == Frame::Time)),
    label("frame=years", Kind::Context, None, |w, _| Some(w.frame == Frame::Years)),
    label("frame=ending", Kind::Context, None, |w, _| Some(w.frame == Frame::Ending)),
    label("frame=begins", Kind::Context, None, |w, _| Some(w.position == 0)),
    label("planted=wet", Kind::Planted, None, |w, _| w.planted.wet),
    label("planted=weekend", Kind::Planted, None, |w, _| w.planted.weekend),
    label("planted=odd", Kind::Planted, None, |w, _| w.planted.odd),
    label("planted=warm", Kind::Planted, None, |w, _| w.planted.warm),
];
