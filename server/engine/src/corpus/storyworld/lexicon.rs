//! The words: their forms and what is known of a form alone. Read once from `lexicon.txt`.

use std::{collections::HashMap, sync::LazyLock};

use super::labels::{Class, Gender, Number, Person, Tense};

/// A form of a word, by its place in the lexicon.
pub(super) type FormId = u16;

/// A form and what follows from it alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub text: &'static str,
    pub class: Class,
    pub number: Option<Number>,
    pub gender: Option<Gender>,
    pub person: Option<Person>,
    pub tense: Option<Tense>,
}

/// The forms of a verb that a subject chooses between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verb {
    /// I.
    pub first: FormId,
    /// It.
    pub third: FormId,
    /// They, you.
    pub plural: FormId,
    /// It, then.
    pub past: FormId,
    /// They, then.
    pub past_plural: FormId,
}

/// Every word that a story may hold.
pub(super) struct Lexicon {
    pub forms: Vec<Form>,
    by_text: HashMap<&'static str, FormId>,
    verbs: HashMap<&'static str, Verb>,
    /// Names of women, then of men.
    pub names: Vec<FormId>,
    /// Monday to Friday, then Saturday and Sunday.
    pub days: Vec<FormId>,
    /// Wet, then dry.
    pub weather: [Vec<FormId>; 2],
    /// Warm, then cool.
    pub tints: [Vec<FormId>; 2],
    /// Two to twelve.
    pub numbers: Vec<FormId>,
    /// `a` and `an`.
    pub articles: [FormId; 2],
    /// `the`, `to` and `and`, which slots write.
    pub the: FormId,
    pub to: FormId,
    pub and: FormId,
    /// She, her, her; he, him, his.
    pub pronouns: [[FormId; 3]; 2],
}

/// The lexicon that the program holds.
pub(super) static LEXICON: LazyLock<Lexicon> =
    LazyLock::new(|| Lexicon::parse(include_str!("lexicon.txt")).expect("the embedded lexicon is whole: a test reads it"));

impl Lexicon {
    /// # Errors
    /// A line that is none, a form in two classes.
    fn parse(text: &'static str) -> Result<Self, String> {
        let mut lexicon = Lexicon {
            forms: Vec::new(),
            by_text: HashMap::new(),
            verbs: HashMap::new(),
            names: Vec::new(),
            days: Vec::new(),
            weather: Default::default(),
            tints: Default::default(),
            numbers: Vec::new(),
            articles: [0; 2],
            the: 0,
            to: 0,
            and: 0,
            pronouns: [[0; 3]; 2],
        };
        lexicon.add_be();
        let mut section = "";
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name;
                continue;
            }
            for entry in line.split_whitespace() {
                lexicon
                    .entry(section, entry)
                    .map_err(|why| format!("[{section}] {entry}: {why}"))?;
            }
        }
        let form = |text| lexicon.form(text).ok_or(format!("'{text}' is missing"));
        let pronouns = [
            [form("she")?, form("her")?, form("her")?],
            [form("he")?, form("him")?, form("his")?],
        ];
        let (articles, the, to, and) = ([form("a")?, form("an")?], form("the")?, form("to")?, form("and")?);
        Ok(Lexicon {
            articles,
            the,
            to,
            and,
            pronouns,
            ..lexicon
        })
    }

    /// The form that is written so.
    pub fn form(&self, text: &str) -> Option<FormId> {
        self.by_text.get(text).copied()
    }

    /// The verb whose infinitive is written so.
    pub fn verb(&self, base: &str) -> Option<Verb> {
        self.verbs.get(base).copied()
    }

    /// The plural of a noun, which lies behind its singular.
    pub fn plural(&self, noun: FormId) -> FormId {
        noun + 1
    }

    fn entry(&mut self, section: &str, entry: &'static str) -> Result<(), String> {
        let class = |class| Form {
            text: "",
            class,
            number: None,
            gender: None,
            person: None,
            tense: None,
        };
        let name = |gender| Form {
            number: Some(Number::Singular),
            gender: Some(gender),
            ..class(Class::Name)
        };
        match section {
            "feminine names" | "masculine names" => {
                let gender = if section.starts_with('f') {
                    Gender::Feminine
                } else {
                    Gender::Masculine
                };
                let id = self.add(entry, name(gender))?;
                self.names.push(id);
            }
            "nouns" => self.add_noun(entry)?,
            "days" => {
                let id = self.add(
                    entry,
                    Form {
                        number: Some(Number::Singular),
                        ..class(Class::Noun)
                    },
                )?;
                self.days.push(id);
            }
            "verbs" => self.add_verb(entry)?,
            "weather wet" | "weather dry" | "tint warm" | "tint cool" => {
                let id = self.add(entry, class(Class::Adjective))?;
                let sets = if section.starts_with('w') {
                    &mut self.weather
                } else {
                    &mut self.tints
                };
                sets[usize::from(section.ends_with("dry") || section.ends_with("cool"))].push(id);
            }
            "numbers" => {
                let id = self.add(entry, class(Class::Number))?;
                self.numbers.push(id);
            }
            "pronouns" => {
                let (text, kind) = entry.split_once('/').ok_or("expected PRONOUN/PERSON")?;
                let mut form = class(Class::Pronoun);
                let (kind, gender) = kind
                    .split_once('.')
                    .map_or((kind, None), |(kind, gender)| (kind, Some(gender)));
                form.gender = gender.map(|g| if g == "f" { Gender::Feminine } else { Gender::Masculine });
                form.person = Some(match kind.as_bytes().first() {
                    Some(b'1') => Person::First,
                    Some(b'2') => Person::Second,
                    Some(b'3') => Person::Third,
                    _ => return Err("expected person 1, 2 or 3".into()),
                });
                form.number = match kind.as_bytes().get(1) {
                    Some(b's') => Some(Number::Singular),
                    Some(b'p') => Some(Number::Plural),
                    _ => None,
                };
                self.add(text, form)?;
            }
            _ => {
                let class = class(match section {
                    "auxiliaries" => Class::Verb,
                    "adjectives" => Class::Adjective,
                    "adverbs" => Class::Adverb,
                    "prepositions" => Class::Preposition,
                    "conjunctions" => Class::Conjunction,
                    "determiners" => Class::Determiner,
                    "interjections" => Class::Interjection,
                    _ => return Err("no such section".into()),
                });
                self.add(entry, class)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, text: &'static str, form: Form) -> Result<FormId, String> {
        let id = self.forms.len() as FormId;
        if self.by_text.insert(text, id).is_some() {
            return Err(format!("'{text}' is there already"));
        }
        self.forms.push(Form { text, ..form });
        Ok(id)
    }

    fn add_noun(&mut self, entry: &'static str) -> Result<(), String> {
        let noun = |number, gender| Form {
            text: "",
            class: Class::Noun,
            number: Some(number),
            gender,
            person: None,
            tense: None,
        };
        if let Some(text) = entry.strip_suffix('*') {
            self.add(text, noun(Number::Plural, None))?;
            return Ok(());
        }
        let (singular, plural) = entry.split_once('/').map_or((entry, None), |(one, many)| (one, Some(many)));
        let (singular, gender) = match singular.split_once('.') {
            Some((text, "f")) => (text, Some(Gender::Feminine)),
            Some((text, _)) => (text, Some(Gender::Masculine)),
            None => (singular, None),
        };
        self.add(singular, noun(Number::Singular, gender))?;
        if let Some(plural) = plural {
            self.add(plural, noun(Number::Plural, gender))?;
        }
        Ok(())
    }

    fn add_verb(&mut self, entry: &'static str) -> Result<(), String> {
        let forms: Vec<&'static str> = entry.split('/').collect();
        let [base, third, past, ing] = forms[..] else {
            return Err("expected BASE/THIRD/PAST/ING".into());
        };
        let base_id = self.add(base, verb(None))?;
        let third = self.add(third, verb(Some(Tense::Present)))?;
        let past = self.add(past, verb(Some(Tense::Past)))?;
        self.add(ing, verb(None))?;
        self.verbs.insert(
            base,
            Verb {
                first: base_id,
                third,
                plural: base_id,
                past,
                past_plural: past,
            },
        );
        Ok(())
    }

    fn add_be(&mut self) {
        let mut id = |text, tense| {
            let id = self.forms.len() as FormId;
            self.forms.push(Form { text, ..verb(tense) });
            self.by_text.insert(text, id);
            id
        };
        let (base, _been) = (id("be", None), id("been", Some(Tense::Past)));
        let be = Verb {
            first: id("am", Some(Tense::Present)),
            third: id("is", Some(Tense::Present)),
            plural: id("are", Some(Tense::Present)),
            past: id("was", Some(Tense::Past)),
            past_plural: id("were", Some(Tense::Past)),
        };
        debug_assert_eq!(base, 0);
        self.verbs.insert("be", be);
    }
}

fn verb(tense: Option<Tense>) -> Form {
    Form {
        text: "",
        class: Class::Verb,
        number: None,
        gender: None,
        person: None,
        tense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_lexicon_is_whole() {
        let lexicon = Lexicon::parse(include_str!("lexicon.txt")).unwrap();
        assert_eq!((lexicon.names.len(), lexicon.days.len(), lexicon.numbers.len()), (24, 7, 11));
        assert!(lexicon.weather.iter().chain(&lexicon.tints).all(|set| set.len() == 4));
    }

    #[test]
    fn a_form_in_two_classes_is_refused() {
        let error = Lexicon::parse("[nouns]\nring/rings\n[verbs]\nring/rings/rang/ringing")
            .err()
            .unwrap();
        assert!(error.contains("[verbs] ring") && error.contains("already"), "{error}");
    }
}
