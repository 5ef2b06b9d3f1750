//! The grammar: banks of lines, and lines of pieces. Read once from `grammar.txt`, whose opening lines list the marks.
//!
//! A slot in braces is one of the names in `slot`, else a bank. `act.NAME` banks belong to objects and are found through
//! `{act}`. A pronoun right before a verb is its subject; other words that are subjects say so with `^`.

use std::{collections::HashMap, sync::LazyLock};

use super::{
    labels::Class,
    lexicon::{FormId, LEXICON, Verb},
    places::OBJECTS,
};

/// A bank, by its place in the grammar.
pub(super) type BankId = usize;

/// Facts that a line may ask for, as bits.
pub(super) mod fact {
    pub const OUT: u16 = 1;
    pub const IN: u16 = 1 << 1;
    pub const PAST: u16 = 1 << 2;
    pub const PRESENT: u16 = 1 << 3;
    pub const TWO: u16 = 1 << 4;
    pub const THREE: u16 = 1 << 5;
    /// The speaker holds the object that is spoken of; the one spoken to does; somebody else does.
    pub const A_HAS: u16 = 1 << 6;
    pub const B_HAS: u16 = 1 << 7;
    pub const OTHER_HAS: u16 = 1 << 8;
    /// Somebody of the cast is elsewhere.
    pub const ABSENT: u16 = 1 << 9;
    /// Nobody is.
    pub const ALL: u16 = 1 << 10;
}

const FACTS: [(&str, u16); 11] = [
    ("out", fact::OUT),
    ("in", fact::IN),
    ("past", fact::PAST),
    ("present", fact::PRESENT),
    ("two", fact::TWO),
    ("three", fact::THREE),
    ("Ahas", fact::A_HAS),
    ("Bhas", fact::B_HAS),
    ("Ohas", fact::OTHER_HAS),
    ("absent", fact::ABSENT),
    ("all", fact::ALL),
];

/// Whom a beat is about, as the grammar names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    A,
    B,
    C,
    /// The object's holder.
    Holder,
}

/// The case in which a person is mentioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Subject,
    Object,
    IndirectObject,
    Possessor,
    Addressee,
}

/// With what a verb agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agree {
    /// The subject named last.
    Last,
    /// The sentence's first subject.
    First,
    /// The name or noun that comes next, singular.
    Next,
    /// The noun that comes next, plural.
    NextPlural,
    /// All subjects joined by "and", of which the sentence's first is one.
    Joined,
}

/// A noun with a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noun {
    /// Something that stands at the place.
    Scene,
    /// Something else that stands there.
    OtherScene,
    /// Somebody of no name.
    Folk,
}

/// A line's smallest part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece {
    Word {
        form: FormId,
        is_subject: bool,
    },
    Article,
    Mark(u8),
    /// A bracket or a quote opens, or closes; a double quote with who speaks.
    Open(u8, Option<Who>),
    Close(u8),
    Verb {
        verb: Verb,
        agree: Agree,
        is_asked: bool,
    },
    Person {
        who: Who,
        case: Case,
        is_name: bool,
    },
    /// Both persons of an indirect object identification, joined by "and".
    Pair,
    /// The name that an indirect object identification asks for.
    IoAsked,
    /// An object, the first or the second that the beat is about.
    Object {
        second: bool,
        is_subject: bool,
    },
    Noun {
        noun: Noun,
        is_subject: bool,
    },
    /// The scene's place with its preposition, or the place gone to, or where the absent person is.
    At,
    AtNew,
    AtAbsent,
    /// "to" the place gone to.
    To,
    /// The scene's place, or the absent person's, with its article.
    Place,
    AbsentPlace,
    Day {
        is_subject: bool,
    },
    Weather,
    Door,
    Tint,
    /// A number of things, two to nine.
    Count,
    Hour,
    Year,
    /// A later year of the same century, which is asked for.
    LaterYear,
    /// What is done with the object.
    Act,
    Bank {
        bank: BankId,
        is_subject: bool,
    },
}

/// A line: what it needs, how often it comes, what it says.
#[derive(Debug)]
pub(super) struct Line {
    pub weight: u32,
    pub needs: u16,
    pub pieces: Vec<Piece>,
}

/// Alternatives to choose from.
#[derive(Debug)]
pub(super) struct Bank {
    pub lines: Vec<Line>,
    /// Whether a story uses each line at most once.
    pub once: bool,
}

/// Every bank.
pub(super) struct Grammar {
    pub banks: Vec<Bank>,
    names: HashMap<&'static str, BankId>,
    /// The bank `act.NAME` of each object.
    pub acts: Vec<BankId>,
}

/// The grammar that the program holds.
pub(super) static GRAMMAR: LazyLock<Grammar> =
    LazyLock::new(|| Grammar::parse(include_str!("grammar.txt")).expect("the embedded grammar is whole: a test reads it"));

impl Grammar {
    /// # Errors
    /// The line that is none, and why.
    fn parse(text: &'static str) -> Result<Self, String> {
        let mut names = HashMap::new();
        let mut banks: Vec<(bool, Vec<&'static str>)> = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            if line.starts_with(' ') {
                banks.last_mut().ok_or("a line before the first bank")?.1.push(line);
                continue;
            }
            let name = line.strip_suffix(':').ok_or(format!("'{line}': expected `name:`"))?;
            let (name, once) = name.strip_suffix(" once").map_or((name, false), |name| (name, true));
            if names.insert(name, banks.len()).is_some() {
                return Err(format!("the bank '{name}' is there twice"));
            }
            banks.push((once, Vec::new()));
        }
        let read = |(once, lines): (bool, Vec<&'static str>)| {
            let lines: Result<Vec<Line>, String> = lines
                .into_iter()
                .map(|line| read_line(line, &names).map_err(|why| format!("'{line}': {why}")))
                .collect();
            lines.map(|lines| Bank { lines, once })
        };
        let banks = banks.into_iter().map(read).collect::<Result<Vec<Bank>, String>>()?;
        if let Some(wide) = banks.iter().position(|bank| bank.lines.len() > super::choice::WIDEST) {
            return Err(format!("bank {wide} has more than {} lines", super::choice::WIDEST));
        }
        let acts = OBJECTS.iter().map(|object| {
            let bank = names.iter().find(|(name, _)| name.strip_prefix("act.") == Some(object));
            bank.map(|(_, id)| *id).ok_or(format!("there is no bank 'act.{object}'"))
        });
        let acts = acts.collect::<Result<_, _>>()?;
        Ok(Grammar { banks, names, acts })
    }

    /// The bank of a name that the plot knows.
    pub fn bank(&self, name: &str) -> BankId {
        self.names[name]
    }
}

fn read_line(line: &'static str, banks: &HashMap<&'static str, BankId>) -> Result<Line, String> {
    let (head, body) = line.split_once('|').unwrap_or(("1", line));
    let mut head = head.split_whitespace();
    let weight = head.next().and_then(|n| n.parse().ok()).ok_or("expected WEIGHT|")?;
    let mut needs = 0;
    for word in head {
        let (_, bit) = FACTS
            .iter()
            .find(|(name, _)| *name == word)
            .ok_or(format!("'{word}' is no fact"))?;
        needs |= bit;
    }
    let mut reader = Reader {
        rest: body,
        quotes: Vec::new(),
        banks,
    };
    let mut pieces = Vec::new();
    while let Some(piece) = reader.piece()? {
        if let (Piece::Verb { .. }, Some(Piece::Word { form, is_subject })) = (piece, pieces.last_mut()) {
            *is_subject |= LEXICON.forms[usize::from(*form)].class == Class::Pronoun;
        }
        pieces.push(piece);
    }
    Ok(Line { weight, needs, pieces })
}

struct Reader<'a> {
    rest: &'static str,
    quotes: Vec<u8>,
    banks: &'a HashMap<&'static str, BankId>,
}

impl Reader<'_> {
    fn piece(&mut self) -> Result<Option<Piece>, String> {
        self.rest = self.rest.trim_start();
        let is_subject = self.rest.starts_with('^');
        self.rest = self.rest.trim_start_matches('^');
        let Some(first) = self.rest.bytes().next() else {
            return Ok(None);
        };
        let piece = match first {
            b'{' => slot(self.until('}')?, is_subject, self.banks)?,
            b'<' => read_verb(self.until('>')?)?,
            b'"' | b'\'' => self.quote(first, None),
            b'A' | b'B' if self.rest.as_bytes().get(1) == Some(&b'"') => {
                self.rest = &self.rest[1..];
                self.quote(b'"', Some(if first == b'A' { Who::A } else { Who::B }))
            }
            b'(' | b'[' => self.mark(Piece::Open(first, None)),
            b')' | b']' => self.mark(Piece::Close(first)),
            b',' | b'.' | b'!' | b'?' | b':' => self.mark(Piece::Mark(first)),
            _ => self.word(is_subject)?,
        };
        Ok(Some(piece))
    }

    fn mark(&mut self, piece: Piece) -> Piece {
        self.rest = &self.rest[1..];
        piece
    }

    fn quote(&mut self, mark: u8, speaker: Option<Who>) -> Piece {
        if self.quotes.last() == Some(&mark) {
            self.quotes.pop();
            return self.mark(Piece::Close(mark));
        }
        self.quotes.push(mark);
        self.mark(Piece::Open(mark, speaker))
    }

    fn until(&mut self, end: char) -> Result<&'static str, String> {
        let (inside, rest) = self.rest[1..].split_once(end).ok_or(format!("'{end}' is missing"))?;
        self.rest = rest;
        Ok(inside)
    }

    fn word(&mut self, is_subject: bool) -> Result<Piece, String> {
        let bytes = self.rest.as_bytes();
        let inner = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
        let length = (0..=bytes.len())
            .find(|at| !(inner(*at) || bytes.get(*at) == Some(&b'\'') && inner(*at + 1)))
            .unwrap_or(bytes.len());
        let word = &self.rest[..length];
        if word.is_empty() {
            return Err(format!("'{}' is no word", self.rest));
        }
        self.rest = &self.rest[length..];
        if word == "a" || word == "an" || word == "A" || word == "An" {
            return Ok(Piece::Article);
        }
        let form = LEXICON.form(word).or_else(|| LEXICON.form(&word.to_ascii_lowercase()));
        let form = form.ok_or(format!("'{word}' is not in the lexicon"))?;
        Ok(Piece::Word { form, is_subject })
    }
}

fn read_verb(inside: &str) -> Result<Piece, String> {
    let (inside, is_asked) = inside.split_once('!').map_or((inside.to_owned(), false), |(base, tag)| {
        (
            if tag.is_empty() {
                base.to_owned()
            } else {
                format!("{base}:{tag}")
            },
            true,
        )
    });
    let (base, tag) = inside.split_once(':').unwrap_or((&inside, ""));
    let agree = match tag {
        "" => Agree::Last,
        "1" => Agree::First,
        "next" => Agree::Next,
        "nextpl" => Agree::NextPlural,
        "pl" => Agree::Joined,
        _ => return Err(format!("'{tag}' is nothing to agree with")),
    };
    let verb = LEXICON.verb(base).ok_or(format!("the verb '{base}' is not in the lexicon"))?;
    Ok(Piece::Verb { verb, agree, is_asked })
}

fn slot(name: &str, is_subject: bool, banks: &HashMap<&'static str, BankId>) -> Result<Piece, String> {
    let piece = match name {
        "pair" => Piece::Pair,
        "B*" => Piece::IoAsked,
        "o" => Piece::Object {
            second: false,
            is_subject,
        },
        "o2" => Piece::Object {
            second: true,
            is_subject,
        },
        "scene" => Piece::Noun {
            noun: Noun::Scene,
            is_subject,
        },
        "scene2" => Piece::Noun {
            noun: Noun::OtherScene,
            is_subject,
        },
        "folk" => Piece::Noun {
            noun: Noun::Folk,
            is_subject,
        },
        "at" => Piece::At,
        "atnew" => Piece::AtNew,
        "atabsent" => Piece::AtAbsent,
        "to" => Piece::To,
        "place" => Piece::Place,
        "absent" => Piece::AbsentPlace,
        "day" => Piece::Day { is_subject },
        "weather" => Piece::Weather,
        "door" => Piece::Door,
        "tint" => Piece::Tint,
        "n" => Piece::Count,
        "hour" => Piece::Hour,
        "year" => Piece::Year,
        "year2" => Piece::LaterYear,
        "act" => Piece::Act,
        _ => match person(name) {
            Some(piece) => piece,
            None => {
                let bank = banks.get(name).ok_or(format!("there is no slot and no bank '{name}'"))?;
                Piece::Bank { bank: *bank, is_subject }
            }
        },
    };
    Ok(piece)
}

/// `A`, `B!`, `C.o`, `B.o!`.
fn person(name: &str) -> Option<Piece> {
    let (name, is_name) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
    let (who, case) = name.split_once('.').unwrap_or((name, ""));
    let who = match who {
        "A" => Who::A,
        "B" => Who::B,
        "C" => Who::C,
        "H" => Who::Holder,
        _ => return None,
    };
    let (case, is_name) = match case {
        "" => (Case::Subject, is_name),
        "o" => (Case::Object, is_name),
        "i" => (Case::IndirectObject, is_name),
        "s" => (Case::Possessor, is_name),
        "v" => (Case::Addressee, true),
        _ => return None,
    };
    Some(Piece::Person { who, case, is_name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_grammar_is_whole() {
        let grammar = Grammar::parse(include_str!("grammar.txt")).unwrap();
        assert!(grammar.banks.iter().all(|bank| !bank.lines.is_empty()));
    }

    /// Else the one would begin the other's tokens.
    #[test]
    fn a_verb_that_is_asked_for_has_forms_that_do_not_begin_each_other() {
        let letters = |form: FormId| LEXICON.forms[usize::from(form)].text;
        let mut n_asked = 0;
        for piece in GRAMMAR
            .banks
            .iter()
            .flat_map(|bank| &bank.lines)
            .flat_map(|line| &line.pieces)
        {
            if let Piece::Verb {
                verb, is_asked: true, ..
            } = piece
            {
                for (one, many) in [(verb.third, verb.plural), (verb.past, verb.past_plural)] {
                    assert!(!letters(one).starts_with(letters(many)), "{}", letters(one));
                }
                n_asked += 1;
            }
        }
        assert!(n_asked > 15, "{n_asked}");
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        for (line, message) in [
            ("  3| the unheard word", "'unheard' is not in the lexicon"),
            ("  3 rainy| the cat", "'rainy' is no fact"),
            ("  x| the cat", "expected WEIGHT|"),
            ("  the {dog}", "no bank 'dog'"),
            ("  the <bark>", "the verb 'bark'"),
            ("  the <be:so>", "'so' is nothing to agree with"),
            ("  the {cat", "'}' is missing"),
        ] {
            let error = read_line(line, &HashMap::new()).unwrap_err();
            assert!(error.contains(message), "{line}: {error}");
        }
    }
}
