//! How a story goes: an opening, some beats that the world allows, an ending.

use std::sync::LazyLock;

use super::{
    choice::{Choices, WIDEST},
    grammar::{BankId, GRAMMAR},
    labels::Frame,
    lexicon::LEXICON,
    places::SETTING,
    teller::{Beat, Teller},
    world::Thing,
};

/// Words after which a story comes to its end.
const LONG: usize = 135;
/// The most things that a story has.
const MOST_THINGS: usize = 3;

/// What may happen between the opening and the ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    IoiOnTheWay,
    IoiHere,
    AgreementSimple,
    AgreementAcrossPp,
    AgreementAcrossRc,
    AgreementWithinRc,
    Say,
    Where,
    Find,
    Give,
    Trade,
    Use,
    Move,
    Leave,
    Return,
    Aside,
    List,
    Time,
    Years,
    Feel,
}

/// Each kind with its weight, where the world allows it, and how often it may come in a story.
const KINDS: [(Kind, u32, u8); 20] = [
    (Kind::IoiOnTheWay, 6, 1),
    (Kind::IoiHere, 6, 1),
    (Kind::AgreementSimple, 2, 1),
    (Kind::AgreementAcrossPp, 3, 1),
    (Kind::AgreementAcrossRc, 3, 1),
    (Kind::AgreementWithinRc, 3, 1),
    (Kind::Say, 9, 3),
    (Kind::Where, 8, 1),
    (Kind::Find, 4, 2),
    (Kind::Give, 4, 1),
    (Kind::Trade, 2, 1),
    (Kind::Use, 5, 2),
    (Kind::Move, 3, 2),
    (Kind::Leave, 6, 1),
    (Kind::Return, 2, 1),
    (Kind::Aside, 4, 2),
    (Kind::List, 3, 1),
    (Kind::Time, 2, 2),
    (Kind::Years, 3, 1),
    (Kind::Feel, 2, 1),
];

impl Kind {
    fn frame(self) -> Frame {
        match self {
            Kind::IoiOnTheWay | Kind::IoiHere => Frame::IoiAbba,
            Kind::AgreementSimple => Frame::AgreementSimple,
            Kind::AgreementAcrossPp => Frame::AgreementAcrossPp,
            Kind::AgreementAcrossRc => Frame::AgreementAcrossRc,
            Kind::AgreementWithinRc => Frame::AgreementWithinRc,
            Kind::Say | Kind::Where => Frame::Speech,
            Kind::Give | Kind::Trade => Frame::Transfer,
            Kind::Aside => Frame::Aside,
            Kind::List => Frame::List,
            Kind::Time => Frame::Time,
            Kind::Years => Frame::Years,
            Kind::Find | Kind::Use | Kind::Move | Kind::Leave | Kind::Return | Kind::Feel => Frame::Narration,
        }
    }

    fn bank(self) -> &'static str {
        match self {
            Kind::IoiOnTheWay => "ioi",
            Kind::IoiHere => "ioi.stay",
            Kind::AgreementSimple => "agree.simple",
            Kind::AgreementAcrossPp => "agree.pp",
            Kind::AgreementAcrossRc => "agree.across",
            Kind::AgreementWithinRc => "agree.within",
            Kind::Say => "say",
            Kind::Where => "where",
            Kind::Find => "find",
            Kind::Give => "give",
            Kind::Trade => "trade",
            Kind::Use => "use",
            Kind::Move => "move",
            Kind::Leave => "leave",
            Kind::Return => "return",
            Kind::Aside => "aside",
            Kind::List => "list",
            Kind::Time => "time",
            Kind::Years => "years",
            Kind::Feel => "feel",
        }
    }
}

/// The banks that the plot asks for by name.
struct Banks {
    opening: BankId,
    home: BankId,
    meet: BankId,
    bring: BankId,
    thanks: BankId,
    reunion: BankId,
    ending: BankId,
    kinds: [BankId; KINDS.len()],
}

static BANKS: LazyLock<Banks> = LazyLock::new(|| Banks {
    opening: GRAMMAR.bank("opening"),
    home: GRAMMAR.bank("home"),
    meet: GRAMMAR.bank("meet"),
    bring: GRAMMAR.bank("bring"),
    thanks: GRAMMAR.bank("thanks"),
    reunion: GRAMMAR.bank("reunion"),
    ending: GRAMMAR.bank("ending"),
    kinds: KINDS.map(|(kind, ..)| GRAMMAR.bank(kind.bank())),
});

/// Tells a whole story.
pub(super) fn tell(choices: Choices) -> Teller {
    let mut teller = Teller::new(choices);
    teller.open();
    let mut counts = [0; KINDS.len()];
    let mut last = None;
    for n_beats in 0.. {
        if teller.is_over(n_beats) {
            break;
        }
        let Some(kind) = teller.choose(&counts, last) else { break };
        counts[kind] += 1;
        last = Some(kind);
        teller.happen(KINDS[kind].0, BANKS.kinds[kind]);
    }
    teller.end();
    teller
}

impl Teller {
    fn open(&mut self) {
        self.world.is_past = self.choices.among(&[1, 3]) == 1;
        self.tell(Frame::Opening, BANKS.opening);

        self.world.here = self.choices.uniform(SETTING.places.len());
        let n_cast = 2 + self.choices.uniform(2);
        let mut weights = [1; 24];
        for _ in 0..n_cast {
            let name = self.choices.among(&weights);
            weights[name] = 0;
            self.world.join(LEXICON.names[name]);
        }
        self.beat = Beat {
            people: [0, 1, 2],
            to: self.world.here,
            ..Beat::default()
        };
        if self.choices.uniform(2) == 1 {
            self.tell(Frame::Opening, BANKS.home);
        }
        self.tell(Frame::Opening, BANKS.meet);
        let owner = self.choices.uniform(n_cast) as u8;
        self.appear(owner);
        self.beat.people[0] = owner;
        self.tell(Frame::Opening, BANKS.bring);
    }

    /// After four beats at the earliest and eight at the latest; a long story at once.
    fn is_over(&mut self, n_beats: u32) -> bool {
        match n_beats {
            _ if self.page.words.len() > LONG => true,
            0..4 => false,
            4..8 => self.choices.among(&[9 - n_beats, 1]) == 1,
            _ => true,
        }
    }

    fn choose(&mut self, counts: &[u8], last: Option<usize>) -> Option<usize> {
        let facts = self.facts();
        let mut weights = [0; KINDS.len()];
        for (index, (kind, weight, most)) in KINDS.into_iter().enumerate() {
            let is_fresh = counts[index] < most && last != Some(index);
            if is_fresh && self.allows(kind) && self.can_tell(BANKS.kinds[index], facts) {
                weights[index] = weight;
            }
        }
        weights.iter().any(|weight| *weight > 0).then(|| self.choices.among(&weights))
    }

    fn allows(&self, kind: Kind) -> bool {
        let world = &self.world;
        let n_present = world.present().count();
        let n_holders = world.present().filter(|who| self.is_holder(*who)).count();
        match kind {
            Kind::IoiOnTheWay | Kind::IoiHere | Kind::Give | Kind::Use => n_holders > 0,
            Kind::Trade => n_holders > 1,
            Kind::Find => world.things.len() < MOST_THINGS,
            Kind::Leave => n_present == 3,
            Kind::Where | Kind::Return => world.absent().is_some(),
            Kind::Years => SETTING.places[world.here].is_built,
            _ => true,
        }
    }

    fn happen(&mut self, kind: Kind, bank: BankId) {
        let mut frame = kind.frame();
        self.cast_beat(kind);
        let [a, b, c] = self.beat.people;
        match kind {
            Kind::IoiOnTheWay | Kind::IoiHere => {
                if self.choices.uniform(2) == 1 {
                    frame = Frame::IoiBaba;
                }
                if kind == Kind::IoiOnTheWay {
                    // where the two would meet nobody
                    self.beat.to = self.elsewhere(self.world.absent());
                }
                self.world.things[self.beat.thing].holder = b;
            }
            Kind::Find => self.appear(a),
            Kind::Give => self.world.things[self.beat.thing].holder = b,
            Kind::Trade => {
                self.world.things[self.beat.thing].holder = b;
                self.world.things[self.beat.other_thing].holder = a;
            }
            Kind::Move | Kind::Leave => self.beat.to = self.elsewhere(None),
            Kind::Time => self.pass_time(),
            _ => {}
        }
        self.tell(frame, bank);
        match kind {
            Kind::IoiOnTheWay => self.world.move_all(self.beat.to),
            Kind::Give if self.choices.uniform(2) == 1 => self.tell(Frame::Narration, BANKS.thanks),
            Kind::Move => {
                let was_apart = self.world.absent().is_some();
                self.world.move_all(self.beat.to);
                if was_apart && self.world.absent().is_none() {
                    self.tell(Frame::Narration, BANKS.reunion);
                }
            }
            Kind::Leave => self.world.cast[usize::from(c)].at = self.beat.to,
            Kind::Return => self.world.cast[usize::from(c)].at = self.world.here,
            _ => {}
        }
    }

    /// Chooses whom the beat is about, and which things.
    fn cast_beat(&mut self, kind: Kind) {
        let absent = self.world.absent();
        let a = match kind {
            Kind::IoiOnTheWay | Kind::IoiHere | Kind::Give | Kind::Use | Kind::Trade => {
                self.pick(|teller, who| teller.is_holder(who))
            }
            // whoever spoke last lets another begin
            Kind::Say | Kind::Where => self.pick(|teller, who| teller.world.spoke != Some(who)),
            _ => self.pick(|_, _| true),
        };
        let b = match kind {
            Kind::Trade => self.pick(|teller, who| who != a && teller.is_holder(who)),
            _ => self.pick(|_, who| who != a),
        };
        // a third, wherever they are; with a cast of two, nothing asks for one
        let third = (0..self.world.cast.len() as u8).find(|who| *who != a && *who != b);
        self.beat.people = [a, b, absent.or(third).unwrap_or(b)];
        self.beat.thing = match kind {
            Kind::Say => self.choices.uniform(self.world.things.len()),
            _ if self.is_holder(a) => self.thing_of(a),
            _ => 0,
        };
        if kind == Kind::Trade {
            self.beat.other_thing = self.thing_of(b);
        }
    }

    /// Somebody present of whom `suits` is true.
    fn pick(&mut self, suits: impl Fn(&Teller, u8) -> bool) -> u8 {
        let mut weights = [0; 3];
        for who in self.world.present() {
            weights[usize::from(who)] = u32::from(suits(self, who));
        }
        self.choices.among(&weights) as u8
    }

    fn is_holder(&self, who: u8) -> bool {
        self.world.held_by(who).next().is_some()
    }

    fn thing_of(&mut self, who: u8) -> usize {
        let mut weights = [0; MOST_THINGS];
        for thing in self.world.held_by(who) {
            weights[thing] = 1;
        }
        self.choices.among(&weights)
    }

    /// A place that is not this one, nor where `avoided` is.
    fn elsewhere(&mut self, avoided: Option<u8>) -> usize {
        let mut weights = [1; WIDEST];
        weights[self.world.here] = 0;
        if let Some(who) = avoided {
            weights[self.world.cast[usize::from(who)].at] = 0;
        }
        self.choices.among(&weights[..SETTING.places.len()])
    }

    /// A new thing, of a sort that the story does not have yet, is in somebody's hands.
    fn appear(&mut self, holder: u8) {
        let mut weights = [1; WIDEST];
        for thing in &self.world.things {
            weights[thing.object] = 0;
        }
        let object = self.choices.among(&weights[..SETTING.objects.len()]);
        self.beat.thing = self.world.things.len();
        self.world.things.push(Thing { object, holder });
    }

    /// The clock's first hour is six, seven or eight; later ones are one or two hours on.
    fn pass_time(&mut self) {
        self.beat.hour = match self.world.hour {
            Some(hour) => hour + 1 + self.choices.uniform(2),
            None => 6 + self.choices.uniform(3),
        };
        self.world.hour = Some(self.beat.hour);
    }

    fn end(&mut self) {
        self.beat.thing = self.choices.uniform(self.world.things.len());
        self.tell(Frame::Ending, BANKS.ending);
    }
}
