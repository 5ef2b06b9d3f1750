//! Renders lines of the grammar: chooses among them, fills their slots from the world and the beat, notes what is asked.

use super::{
    behaviour::{Answer, Probe},
    choice::{Choices, Plant, WIDEST},
    grammar::{Agree, BankId, Case, GRAMMAR, Line, Noun, Piece, Who, fact},
    labels::{Frame, Number, Person, Role, Tense},
    lexicon::{FormId, LEXICON, Verb},
    places::{Place, SETTING},
    world::{Pronoun, World},
    writer::{Part, Writer},
};

/// What a beat is about.
#[derive(Clone, Copy, Default)]
pub(super) struct Beat {
    /// The persons A, B and C, of the cast.
    pub people: [u8; 3],
    /// Indices of the world's things.
    pub thing: usize,
    pub other_thing: usize,
    /// The place gone to.
    pub to: usize,
    pub hour: usize,
}

/// A story being told.
pub(super) struct Teller {
    pub choices: Choices,
    pub world: World,
    pub page: Writer,
    pub beat: Beat,
    pub probes: Vec<Probe>,
    /// Of every bank that is used `once`, which lines have been.
    used: Vec<u64>,
    /// What stood first in the sentence, so that something else can stand beside it.
    scene: Option<usize>,
    /// The year named last, as (century's digits, year's digits).
    year: (usize, usize),
    /// −ln p of the choices, as far as they are written.
    pub nats: f64,
}

impl Teller {
    /// A story of which nothing is told.
    pub fn new(choices: Choices) -> Self {
        Self {
            choices,
            world: World {
                is_past: true,
                cast: Vec::with_capacity(3),
                here: 0,
                things: Vec::with_capacity(3),
                hour: None,
                spoke: None,
            },
            page: Writer::new(),
            beat: Beat::default(),
            probes: Vec::with_capacity(16),
            used: vec![0; GRAMMAR.banks.len()],
            scene: None,
            year: (0, 0),
            nats: 0.0,
        }
    }

    /// Tells one of the bank's lines as a sentence, or several.
    pub fn tell(&mut self, frame: Frame, bank: BankId) {
        self.page.begin(frame);
        self.scene = None;
        self.line(bank);
        self.page.end_sentence();
    }

    /// Whether one of the bank's lines can be told, given the facts.
    pub fn can_tell(&self, bank: BankId, facts: u16) -> bool {
        (0..GRAMMAR.banks[bank].lines.len()).any(|index| self.weight(bank, index, facts) > 0)
    }

    fn weight(&self, bank: BankId, index: usize, facts: u16) -> u32 {
        let line = &GRAMMAR.banks[bank].lines[index];
        let is_possible = line.needs & !facts == 0 && self.used[bank] & (1 << index) == 0;
        if is_possible { line.weight } else { 0 }
    }

    fn line(&mut self, bank: BankId) {
        let facts = self.facts();
        let lines = &GRAMMAR.banks[bank].lines;
        let mut weights = [0; WIDEST];
        for (index, weight) in weights[..lines.len()].iter_mut().enumerate() {
            *weight = self.weight(bank, index, facts);
        }
        let chosen = self.choices.among(&weights[..lines.len()]);
        if GRAMMAR.banks[bank].once {
            self.used[bank] |= 1 << chosen;
        }
        let line: &'static Line = &lines[chosen];
        for piece in &line.pieces {
            self.piece(*piece);
        }
    }

    /// What is so now, as lines ask for it.
    pub fn facts(&self) -> u16 {
        let [a, b, _] = self.beat.people;
        let holder = self.world.things.get(self.beat.thing).map(|thing| thing.holder);
        let bit = |holds: bool, bit: u16| if holds { bit } else { 0 };
        let is_outdoors = SETTING.places[self.world.here].is_outdoors;
        let present = self.world.present().count();
        bit(is_outdoors, fact::OUT)
            | bit(!is_outdoors, fact::IN)
            | bit(self.world.is_past, fact::PAST)
            | bit(!self.world.is_past, fact::PRESENT)
            | bit(present == 2, fact::TWO)
            | bit(present == 3, fact::THREE)
            | bit(holder == Some(a), fact::A_HAS)
            | bit(holder == Some(b), fact::B_HAS)
            | bit(holder.is_some_and(|holder| holder != a && holder != b), fact::OTHER_HAS)
            | if self.world.absent().is_some() {
                fact::ABSENT
            } else {
                fact::ALL
            }
    }

    fn piece(&mut self, piece: Piece) {
        match piece {
            Piece::Word { form, is_subject } => self.word(
                form,
                Part {
                    is_subject,
                    ..Part::default()
                },
            ),
            Piece::Article => {
                let nats = self.take();
                self.page.article(nats);
            }
            Piece::Mark(mark) => {
                let nats = self.take();
                self.page.mark(mark, nats);
            }
            Piece::Open(mark, who) => {
                let speaker = who.map(|who| self.person(who));
                self.world.spoke = speaker.or(self.world.spoke);
                let nats = self.take();
                self.page.open(mark, speaker, nats);
            }
            Piece::Close(mark) => self.close(mark),
            Piece::Verb { verb, agree, is_asked } => self.verb(verb, agree, is_asked),
            Piece::Person { who, case, is_name } => self.mention(self.person(who), case, is_name),
            Piece::Pair => self.pair(),
            Piece::IoAsked => self.asked_name(),
            Piece::Object { second, is_subject } => self.object(second, is_subject),
            Piece::Noun { noun, is_subject } => self.noun(noun, is_subject),
            Piece::At => self.at(&SETTING.places[self.world.here]),
            Piece::AtNew => self.at(&SETTING.places[self.beat.to]),
            Piece::AtAbsent => self.at(self.absent_place()),
            Piece::To => {
                self.word(LEXICON.to, Part::default());
                self.the(SETTING.places[self.beat.to].noun);
            }
            Piece::Place => self.the(SETTING.places[self.world.here].noun),
            Piece::AbsentPlace => self.the(self.absent_place().noun),
            Piece::Day { is_subject } => self.day(is_subject),
            Piece::Weather => {
                let is_dry = self.choices.plant(Plant::Weather);
                let word = self.one_of(&LEXICON.weather[usize::from(is_dry)]);
                self.page.planted.wet = Some(!is_dry);
                self.word(word, Part::default());
            }
            Piece::Door => self.door(),
            Piece::Tint => {
                let is_cool = self.choices.plant(Plant::Tint);
                let word = self.one_of(&LEXICON.tints[usize::from(is_cool)]);
                self.page.planted.warm = Some(!is_cool);
                self.word(word, Part::default());
            }
            Piece::Count => {
                let count = self.one_of(&LEXICON.numbers[..8]);
                self.word(count, Part::default());
            }
            Piece::Hour => self.word(hour_name(self.beat.hour), Part::default()),
            Piece::Year => self.year(),
            Piece::LaterYear => self.later_year(),
            Piece::Act => self.line(GRAMMAR.acts[self.world.things[self.beat.thing].object]),
            Piece::Bank { bank, is_subject } => {
                if is_subject {
                    self.page.expect_subject();
                }
                self.line(bank);
            }
        }
    }

    fn take(&mut self) -> f64 {
        let nats = self.choices.take_nats();
        self.nats += nats;
        nats
    }

    fn word(&mut self, form: FormId, part: Part) {
        let nats = self.take();
        self.page.form(form, part, nats);
    }

    fn one_of(&mut self, forms: &[FormId]) -> FormId {
        forms[self.choices.uniform(forms.len())]
    }

    fn person(&self, who: Who) -> u8 {
        match who {
            Who::A => self.beat.people[0],
            Who::B => self.beat.people[1],
            Who::C => self.beat.people[2],
            Who::Holder => self.world.things[self.beat.thing].holder,
        }
    }

    fn absent_place(&self) -> &'static Place {
        &SETTING.places[self.world.cast[usize::from(self.beat.people[2])].at]
    }

    fn at(&mut self, place: &Place) {
        self.word(place.at, Part::default());
        self.the(place.noun);
    }

    fn the(&mut self, noun: FormId) {
        self.word(LEXICON.the, Part::default());
        self.word(noun, Part::default());
    }

    /// A name, or where nobody else could be meant a pronoun: always in the sentence that names the person, three times
    /// in four in the sentence after it.
    fn mention(&mut self, who: u8, case: Case, is_name: bool) {
        let sentence = self.page.sentence;
        let is_pronoun = !is_name
            && match self.world.pronoun(who, sentence) {
                Pronoun::Unclear => false,
                Pronoun::Clear => self.choices.among(&[1, 3]) == 1,
                Pronoun::Expected => true,
            };
        let role = self.role(who, case);
        let one = &mut self.world.cast[usize::from(who)];
        let is_new = one.mentioned.replace(sentence).is_none();
        let part = Part {
            refers: Some(who),
            is_new,
            role: Some(role),
            is_subject: case == Case::Subject,
            ..Part::default()
        };
        let column = match case {
            Case::Subject | Case::Addressee => 0,
            Case::Object | Case::IndirectObject => 1,
            Case::Possessor => 2,
        };
        let form = if is_pronoun {
            LEXICON.pronouns[one.gender as usize][column]
        } else {
            one.name
        };
        self.word(form, part);
        if case == Case::Possessor && !is_pronoun {
            self.page.clitic();
        }
    }

    fn role(&self, who: u8, case: Case) -> Role {
        if matches!(self.page.frame(), Frame::IoiAbba | Frame::IoiBaba) {
            let is_giver = who == self.beat.people[0];
            let before = self.page.words.iter().rev().take(usize::from(self.page.position()));
            return match (is_giver, before.filter(|word| word.role == Some(Role::S1)).count()) {
                (true, 0) => Role::S1,
                (true, _) => Role::S2,
                (false, _) => Role::Io,
            };
        }
        match case {
            Case::Subject => Role::Subject,
            Case::Object => Role::Object,
            Case::IndirectObject => Role::IndirectObject,
            Case::Possessor => Role::Possessor,
            Case::Addressee => Role::Addressee,
        }
    }

    fn pair(&mut self) {
        let [giver, receiver, _] = self.beat.people;
        let (first, second) = if self.page.frame() == Frame::IoiAbba {
            (receiver, giver)
        } else {
            (giver, receiver)
        };
        self.mention(first, Case::Subject, true);
        self.word(LEXICON.and, Part::default());
        self.mention(second, Case::Object, true);
        self.page.join_subjects();
    }

    fn asked_name(&mut self) {
        let [giver, receiver, _] = self.beat.people;
        let name = |who: u8| Answer::Word(self.world.cast[usize::from(who)].name);
        let (correct, wrong) = (name(receiver), name(giver));
        self.ask(correct, wrong);
        self.mention(receiver, Case::IndirectObject, true);
    }

    fn ask(&mut self, correct: Answer, wrong: Answer) {
        let at = self.page.text.len() as u32;
        self.probes.extend(Probe::new(self.page.frame(), at, correct, wrong));
    }

    fn close(&mut self, mark: u8) {
        let at = self.page.text.len() as u32;
        self.probes.push(Probe::closing(at, mark));
        let nats = self.take();
        self.page.close(mark, nats);
    }

    fn verb(&mut self, verb: Verb, agree: Agree, is_asked: bool) {
        let is_past = self.world.is_past && !self.page.is_quoted();
        let found = match agree {
            Agree::Last => self.page.subject(false),
            Agree::First | Agree::Joined => self.page.subject(true),
            Agree::Next | Agree::NextPlural => None,
        };
        let (number, person) = match (agree, found) {
            (Agree::NextPlural | Agree::Joined, _) => (Number::Plural, Person::Third),
            (_, Some(subject)) => (subject.number, subject.person),
            (_, None) => (Number::Singular, Person::Third),
        };
        let inflect = |number| match (is_past, person, number) {
            (true, Person::First | Person::Third, Number::Singular) => verb.past,
            (true, ..) => verb.past_plural,
            (false, Person::First, Number::Singular) => verb.first,
            (false, Person::Third, Number::Singular) => verb.third,
            (false, ..) => verb.plural,
        };
        let other = inflect(if number == Number::Singular {
            Number::Plural
        } else {
            Number::Singular
        });
        if is_asked {
            self.ask(Answer::Word(inflect(number)), Answer::Word(other));
        }
        let part = Part {
            tense: Some(if is_past { Tense::Past } else { Tense::Present }),
            agrees: (person == Person::Third).then_some(number),
            subject: found.map(|subject| subject.word),
            ..Part::default()
        };
        self.word(inflect(number), part);
        if matches!(agree, Agree::Next | Agree::NextPlural) {
            self.page.await_subject();
        }
    }

    fn object(&mut self, second: bool, is_subject: bool) {
        let thing = self.world.things[if second { self.beat.other_thing } else { self.beat.thing }];
        let part = Part {
            holder: Some(thing.holder),
            is_subject,
            ..Part::default()
        };
        self.word(SETTING.objects[thing.object], part);
    }

    fn noun(&mut self, noun: Noun, is_subject: bool) {
        let nouns = match noun {
            Noun::Folk => &SETTING.folk,
            Noun::Scene | Noun::OtherScene => &SETTING.places[self.world.here].scenes,
        };
        let mut weights = [1; WIDEST];
        if let (Noun::OtherScene, Some(scene)) = (noun, self.scene) {
            weights[scene] = 0;
        }
        let chosen = self.choices.among(&weights[..nouns.len()]);
        if noun != Noun::Folk {
            self.scene = Some(chosen);
        }
        let is_plural = self.choices.uniform(2) == 1;
        let form = if is_plural {
            LEXICON.plural(nouns[chosen])
        } else {
            nouns[chosen]
        };
        self.word(
            form,
            Part {
                is_subject,
                ..Part::default()
            },
        );
    }

    fn day(&mut self, is_subject: bool) {
        let is_weekend = self.choices.plant(Plant::Day);
        let days = if is_weekend { &LEXICON.days[5..] } else { &LEXICON.days[..5] };
        let day = self.one_of(days);
        self.page.planted.weekend = Some(is_weekend);
        self.word(
            day,
            Part {
                is_subject,
                ..Part::default()
            },
        );
    }

    /// 2 to 99: the parity first, then one of the 49 numbers of that parity.
    fn door(&mut self) {
        let is_odd = self.choices.plant(Plant::Door);
        let number = 2 + 2 * self.choices.uniform(49) + usize::from(is_odd);
        self.page.planted.odd = Some(is_odd);
        let nats = self.take();
        self.page.digits(&number.to_string(), nats);
    }

    /// 1702 to 1990, by century and by the years within it.
    fn year(&mut self) {
        self.year = (17 + self.choices.uniform(3), 2 + self.choices.uniform(89));
        self.write_year();
    }

    /// One to thirty years after, in the same century.
    fn later_year(&mut self) {
        let (century, from) = self.year;
        // asked for within the word, behind the space and the century's digits
        let at = self.page.text.len() + 3;
        self.probes.push(Probe::years(at as u32, from as u8));
        self.year = (century, from + 1 + self.choices.uniform(30.min(99 - from)));
        self.write_year();
    }

    fn write_year(&mut self) {
        let nats = self.take();
        let (century, year) = self.year;
        self.page.digits(&format!("{century}{year:02}"), nats);
    }
}

/// The word for an hour of the clock, two to twelve: no story's clock stands at one.
fn hour_name(hour: usize) -> FormId {
    LEXICON.numbers[hour - 2]
}
