//! Puts words on the page: spaces, capitals, `a` or `an`, and the labels that follow from where a word stands.

use super::{
    labels::{Class, Frame, Number, Person, Planted, Role, Tense, Word},
    lexicon::{Form, FormId, LEXICON},
};

/// What verbs agree with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    /// The index of its word.
    pub word: u16,
    pub number: Number,
    pub person: Person,
}

/// What a word is by the part it plays, where its form alone does not say.
#[derive(Clone, Copy, Default)]
pub(super) struct Part {
    pub refers: Option<u8>,
    pub is_new: bool,
    pub role: Option<Role>,
    pub holder: Option<u8>,
    pub tense: Option<Tense>,
    pub agrees: Option<Number>,
    pub subject: Option<u16>,
    pub is_subject: bool,
}

/// A mark that is open: what it is and who the sentence's subjects were outside of it.
struct Open {
    mark: u8,
    speaker: Option<u8>,
    subjects: Vec<Subject>,
}

/// A story as far as it is written.
pub(super) struct Writer {
    pub text: String,
    pub words: Vec<Word>,
    pub planted: Planted,
    /// Sentences that have ended outside quotes.
    pub sentence: u16,
    frame: Frame,
    position: u8,
    subjects: Vec<Subject>,
    /// A verb whose subject comes next.
    waiting: Option<u16>,
    /// Whether the next noun, name or pronoun is a subject.
    subject_next: bool,
    open: Vec<Open>,
    /// An article whose form the next word decides, with the nats of the choices before it and what was planted by then.
    article: Option<(f64, Planted)>,
    is_capital: bool,
    is_glued: bool,
    /// Whether the sentence has a word yet.
    is_begun: bool,
}

impl Writer {
    /// An empty page.
    pub fn new() -> Self {
        Self {
            text: String::with_capacity(1024),
            words: Vec::with_capacity(256),
            planted: Planted::default(),
            sentence: 0,
            frame: Frame::Opening,
            position: 0,
            subjects: Vec::with_capacity(4),
            waiting: None,
            subject_next: false,
            open: Vec::with_capacity(4),
            article: None,
            is_capital: true,
            is_glued: true,
            is_begun: false,
        }
    }

    /// Begins a frame; its words are counted from here.
    pub fn begin(&mut self, frame: Frame) {
        self.frame = frame;
        self.position = 0;
    }

    /// The frame being written.
    pub fn frame(&self) -> Frame {
        self.frame
    }

    /// Ends the sentence, if one was begun.
    pub fn end_sentence(&mut self) {
        if self.is_begun {
            self.sentence += 1;
        }
        self.is_begun = false;
        self.is_capital = true;
        self.subjects.clear();
    }

    /// Whether words now stand in quotes, where the tense is the present.
    pub fn is_quoted(&self) -> bool {
        self.open.iter().any(|open| is_quote(open.mark))
    }

    /// The subject named last, or first, in the sentence.
    pub fn subject(&self, first: bool) -> Option<Subject> {
        if first {
            self.subjects.first().copied()
        } else {
            self.subjects.last().copied()
        }
    }

    /// The next noun, name or pronoun will be a subject.
    pub fn expect_subject(&mut self) {
        self.subject_next = true;
    }

    /// The verb just written agrees with the noun, name or pronoun that comes next.
    pub fn await_subject(&mut self) {
        self.waiting = Some((self.words.len() - 1) as u16);
    }

    /// `a` or `an`, as the next word will have it.
    pub fn article(&mut self, nats: f64) {
        self.article = Some((nats, self.planted));
    }

    /// A word of the lexicon; `nats` of the choices since the last one.
    pub fn form(&mut self, form: FormId, part: Part, nats: f64) {
        let form = LEXICON.forms[usize::from(form)];
        self.word(form.text, &form, part, nats);
    }

    /// A number in digits.
    pub fn digits(&mut self, digits: &str, nats: f64) {
        self.word(digits, &bare(Class::Number), Part::default(), nats);
    }

    /// The possessive `'s`, part of the word before it.
    pub fn clitic(&mut self) {
        self.is_glued = true;
        self.word("'s", &bare(Class::Clitic), Part::default(), 0.0);
    }

    /// A comma or another mark that opens and closes nothing.
    pub fn mark(&mut self, mark: u8, nats: f64) {
        self.is_glued = true;
        self.put_mark(mark, nats);
        if matches!(mark, b'.' | b'!' | b'?') {
            // within quotes or brackets, the sentence around them may go on
            if self.open.is_empty() {
                self.end_sentence();
            }
            self.is_capital = true;
        }
    }

    /// A bracket or a quote opens; who speaks in it.
    pub fn open(&mut self, mark: u8, speaker: Option<u8>, nats: f64) {
        let speaker = speaker.or(self.open.last().and_then(|open| open.speaker));
        let subjects = std::mem::take(&mut self.subjects);
        if !is_quote(mark) {
            // "Anna (who loves music)"
            self.subjects.extend(subjects.last());
        }
        self.open.push(Open { mark, speaker, subjects });
        self.put_mark(mark, nats);
        self.is_glued = true;
        self.is_capital |= is_quote(mark);
    }

    /// The innermost bracket or quote closes.
    pub fn close(&mut self, mark: u8, nats: f64) {
        let ends_sentence = self.text.ends_with('.');
        self.is_glued = true;
        self.put_mark(mark, nats);
        if let Some(open) = self.open.pop() {
            self.subjects = open.subjects;
        }
        self.is_capital = false;
        if ends_sentence && self.open.is_empty() {
            self.end_sentence();
        }
    }

    /// The subject named last is the first of two that are joined by "and".
    pub fn join_subjects(&mut self) {
        if let Some(subject) = self.subjects.last_mut() {
            subject.number = Number::Plural;
        }
    }

    /// Words of the frame so far.
    pub fn position(&self) -> u8 {
        self.position
    }

    fn put_mark(&mut self, mark: u8, nats: f64) {
        // every mark is ASCII
        let text = [mark];
        self.word(
            std::str::from_utf8(&text).unwrap_or_default(),
            &bare(Class::Mark),
            Part::default(),
            nats,
        );
    }

    fn word(&mut self, text: &str, form: &Form, part: Part, nats: f64) {
        if let Some((before, planted)) = self.article.take() {
            let is_vowel = text.starts_with(['a', 'e', 'i', 'o', 'u']);
            let now = std::mem::replace(&mut self.planted, planted);
            self.form(LEXICON.articles[usize::from(is_vowel)], Part::default(), before);
            self.planted = now;
        }
        if !self.is_glued {
            self.text.push(' ');
        }
        let start = self.text.len();
        let is_word = form.class != Class::Mark;
        if self.is_capital && is_word {
            self.text.push(text.as_bytes()[0].to_ascii_uppercase().into());
            self.text.push_str(&text[1..]);
            self.is_capital = false;
        } else {
            self.text.push_str(text);
        }
        self.is_glued = false;
        self.is_begun = true;
        let index = self.words.len() as u16;
        if matches!(form.class, Class::Name | Class::Noun | Class::Pronoun) && part.role != Some(Role::Possessor) {
            if let Some(verb) = self.waiting.take() {
                self.words[usize::from(verb)].subject = Some(index);
            }
            if part.is_subject || self.subject_next {
                self.subject_next = false;
                self.subjects.push(Subject {
                    word: index,
                    // `you` is one or several, and verbs treat it as several
                    number: form.number.unwrap_or(Number::Plural),
                    person: form.person.unwrap_or(Person::Third),
                });
            }
        }
        let (mut depth, mut quotes, mut speaker) = (0, 0, None);
        for open in &self.open {
            *if is_quote(open.mark) { &mut quotes } else { &mut depth } += 1;
            speaker = open.speaker.or(speaker);
        }
        self.words.push(Word {
            start: start as u32,
            end: self.text.len() as u32,
            nats: nats as f32,
            class: form.class,
            number: form.number,
            gender: form.gender,
            person: form.person,
            tense: part.tense.or(form.tense),
            agrees: part.agrees,
            subject: part.subject,
            refers: part.refers,
            is_new: part.is_new,
            role: part.role,
            holder: part.holder,
            frame: self.frame,
            position: self.position,
            sentence: self.sentence,
            depth,
            quotes,
            speaker: if quotes > 0 { speaker } else { None },
            planted: self.planted,
        });
        self.position = self.position.saturating_add(1);
    }
}

fn is_quote(mark: u8) -> bool {
    matches!(mark, b'"' | b'\'')
}

fn bare(class: Class) -> Form {
    Form {
        text: "",
        class,
        number: None,
        gender: None,
        person: None,
        tense: None,
    }
}
