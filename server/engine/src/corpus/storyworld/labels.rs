//! What is known of every word of a story, because the generator wrote it knowing.

/// Word classes. A form belongs to one class wherever it stands, so that a word's class follows from the word alone:
/// `that` is a conjunction and `her` a pronoun in every use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A person's name.
    Name,
    /// A noun, names of days included.
    Noun,
    /// A verb in any form, participles and auxiliaries included.
    Verb,
    /// An adjective.
    Adjective,
    /// An adverb.
    Adverb,
    /// A preposition.
    Preposition,
    /// A conjunction or a relative or question word.
    Conjunction,
    /// An article or another determiner.
    Determiner,
    /// A pronoun, possessive ones included.
    Pronoun,
    /// A number in letters or digits.
    Number,
    /// A word that stands for a whole sentence.
    Interjection,
    /// The possessive `'s`.
    Clitic,
    /// A mark of punctuation.
    Mark,
}

/// Grammatical number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Number {
    /// One.
    Singular,
    /// More than one.
    Plural,
}

/// Grammatical gender, which names, some nouns and some pronouns have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Gender {
    /// She.
    Feminine,
    /// He.
    Masculine,
}

/// Grammatical person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Person {
    /// I, we.
    First,
    /// You.
    Second,
    /// Everything else.
    Third,
}

/// Tense of a verb's form; a participle in `-ed` and the like counts as past. Infinitives and `-ing` have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tense {
    /// Now.
    Present,
    /// Then.
    Past,
}

/// What a name or a pronoun that stands for a person does in its sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Subject of a verb.
    Subject,
    /// Object of a verb or of a preposition.
    Object,
    /// To whom something is given, told or asked.
    IndirectObject,
    /// Whose something is.
    Possessor,
    /// Who is spoken to, by name.
    Addressee,
    /// In an indirect object identification: the giver's first mention.
    S1,
    /// In an indirect object identification: the giver's second mention.
    S2,
    /// In an indirect object identification: the receiver, at both mentions.
    Io,
}

/// The kind of sentence that a word belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Frame {
    /// Day, weather, who lives where, who meets whom, who brings what.
    Opening,
    /// Nothing in particular: finding, using, moving, feeling.
    Narration,
    /// Giving and trading outside of an indirect object identification.
    Transfer,
    /// Indirect object identification, receiver named first.
    IoiAbba,
    /// Indirect object identification, giver named first.
    IoiBaba,
    /// A subject and its verb, side by side.
    AgreementSimple,
    /// A prepositional phrase between subject and verb.
    AgreementAcrossPp,
    /// A relative clause between subject and verb.
    AgreementAcrossRc,
    /// Subject and verb within a relative clause.
    AgreementWithinRc,
    /// Something is said.
    Speech,
    /// A sentence built around brackets.
    Aside,
    /// Things are listed.
    List,
    /// The time of day.
    Time,
    /// Two years, the second of which is later.
    Years,
    /// How it ends.
    Ending,
}

/// What is planted: read from the text, and of no consequence for anything later. `None` until the story has said it;
/// from then on it stays what it is, `tint` until another color is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Planted {
    /// Whether the night before was wet (rain, fog, storm, snow) rather than fine.
    pub wet: Option<bool>,
    /// Whether the day is a Saturday or a Sunday.
    pub weekend: Option<bool>,
    /// Whether the number of the house is odd.
    pub odd: Option<bool>,
    /// Whether the last color named is a warm one (red, golden, yellow, pink).
    pub warm: Option<bool>,
}

/// A word or a mark of punctuation, with all that is known of it. Where a story counts tokens, it counts these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// The first byte in the story's text.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
    /// −ln of the probability of the choices made since the word before, in nats.
    pub nats: f32,
    /// The word class.
    pub class: Class,
    /// Of nouns, names and pronouns; `you` has none.
    pub number: Option<Number>,
    /// Of names, pronouns and some nouns.
    pub gender: Option<Gender>,
    /// Of pronouns.
    pub person: Option<Person>,
    /// Of verbs.
    pub tense: Option<Tense>,
    /// Of verbs that agree with a subject: whether that is one or several.
    pub agrees: Option<Number>,
    /// Of verbs that agree with a subject: the index of the subject's first noun, name or pronoun, where it has one.
    pub subject: Option<u16>,
    /// Of names and pronouns: which of the story's cast is meant.
    pub refers: Option<u8>,
    /// Of names: whether this is the story's first mention of the person.
    pub is_new: bool,
    /// Of names and pronouns that mean one of the cast.
    pub role: Option<Role>,
    /// Of nouns that are a story's object: who of the cast holds it after the sentence.
    pub holder: Option<u8>,
    /// The kind of sentence.
    pub frame: Frame,
    /// Words of the frame before this one.
    pub position: u8,
    /// Sentences before this one, where a sentence ends outside quotes.
    pub sentence: u16,
    /// Brackets that are open: those around the word, and for a bracket itself, both of its marks included.
    pub depth: u8,
    /// Quotes that are open, the marks themselves included.
    pub quotes: u8,
    /// Whose speech it is, of the cast; the marks included. None outside quotes and on signs.
    pub speaker: Option<u8>,
    /// What is planted, as far as it has been said.
    pub planted: Planted,
}
