//! Stories keep to their own world: only who holds a thing gives it, answers are true, clocks go on, later years are later.

use super::{letters, sentences, stories};
use engine::corpus::storyworld::{Class, Frame, Role, Story, Word};
use std::collections::HashMap;

/// Follows the things of a story by the sentences about them; what contradicts is a fault. Counts what was checked.
fn follow_things(story: &Story) -> (Vec<String>, usize) {
    let mut holders: HashMap<String, u8> = HashMap::new();
    let (mut faults, mut n_checked) = (Vec::new(), 0);
    let mut asked: Option<String> = None;
    for sentence in sentences(story) {
        let text = &story.text[sentence[0].start as usize..sentence[sentence.len() - 1].end as usize];
        let things: Vec<&Word> = sentence.iter().filter(|word| word.holder.is_some()).collect();
        for thing in &things {
            holders.entry(letters(story, thing)).or_insert(thing.holder.unwrap());
        }
        let mut expect = |thing: &str, who: Option<u8>| {
            n_checked += 1;
            if holders.get(thing).copied() != who {
                faults.push(format!("{who:?} has not the {thing} in: {text}"));
            }
        };
        for verb in sentence.iter().filter(|word| word.class == Class::Verb) {
            let subject = verb.subject.map(|index| &story.words[usize::from(index)]);
            let who = subject.and_then(|subject| subject.refers.or(subject.speaker.filter(|_| letters(story, subject) == "i")));
            let form = letters(story, verb);
            let thing = things.first().map(|thing| letters(story, thing));
            let gives = matches!(
                form.as_str(),
                "give"
                    | "gives"
                    | "gave"
                    | "hand"
                    | "hands"
                    | "handed"
                    | "lend"
                    | "lends"
                    | "lent"
                    | "pass"
                    | "passes"
                    | "passed"
            ) || (form.starts_with("br") && verb.frame != Frame::Opening);
            let has = form.starts_with("ha") && form != "hangs" && verb.quotes > 0 && who.is_some();
            match (thing, &asked) {
                // "so Anna gave him the map for it": the last thing is the one given
                (Some(_), _) if gives && things.len() > 1 && text.contains(" for it") => {
                    expect(&letters(story, things[things.len() - 1]), who);
                }
                (Some(thing), _) if gives => expect(&thing, who),
                (Some(thing), _) if has && verb.frame == Frame::Speech => expect(&thing, who),
                (Some(thing), _) if verb.frame == Frame::Ending && who.is_some() && !form.starts_with("go") => {
                    expect(&thing, who)
                }
                (Some(thing), _) if matches!(form.as_str(), "traded" | "trades") => expect(&thing, who),
                // "Who has the kite?" ... "Ben has it"
                (None, Some(thing)) if has => expect(thing, who),
                _ => {}
            }
        }
        asked = things
            .first()
            .map(|thing| letters(story, thing))
            .filter(|_| text.contains("Who ha"));
        let moves = matches!(sentence[0].frame, Frame::Transfer | Frame::IoiAbba | Frame::IoiBaba);
        let mut passed: Vec<(String, u8)> = Vec::new();
        for thing in things.iter().filter(|_| moves) {
            passed.push((letters(story, thing), thing.holder.unwrap()));
        }
        passed.dedup();
        for (thing, to) in passed {
            if holders.insert(thing.clone(), to) == Some(to) {
                faults.push(format!("{to} had the {thing} before: {text}"));
            }
        }
    }
    (faults, n_checked)
}

#[test]
fn only_who_holds_a_thing_gives_it_and_answers_are_true() {
    let mut n = 0;
    for story in stories(40, 5000) {
        let (faults, checked) = follow_things(&story);
        assert!(faults.is_empty(), "{faults:?}: {}", story.text);
        n += checked;
    }
    assert!(n > 8_000, "{n}");
}

#[test]
fn the_checker_sees_a_thing_given_by_somebody_else() {
    let mut seen = 0;
    for mut story in stories(41, 400) {
        let Some(transfer) = story
            .words
            .iter()
            .position(|word| word.frame == Frame::IoiAbba && word.holder.is_some())
        else {
            continue;
        };
        let Some(first) = story.words[..transfer].iter().position(|word| {
            word.holder.is_some() && story.letters(word) == story.letters(&story.words[transfer]) && word.frame == Frame::Opening
        }) else {
            continue;
        };
        if story.words[first + 1..transfer]
            .iter()
            .any(|word| word.frame == Frame::Transfer || word.frame == Frame::IoiBaba)
        {
            continue;
        }
        story.words[first].holder = story.words[transfer].holder;
        seen += 1;
        assert!(!follow_things(&story).0.is_empty(), "{}", story.text);
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn whoever_is_asked_for_is_where_they_went() {
    let mut n_asked = 0;
    for story in stories(42, 5000) {
        let mut went: HashMap<u8, String> = HashMap::new();
        let mut asked = None;
        for sentence in sentences(&story) {
            let says: Vec<String> = sentence.iter().map(|word| letters(&story, word)).collect();
            if says.starts_with(&["\"".into(), "where".into()]) && sentence[3].refers.is_some() {
                asked = sentence[3].refers;
            } else if let Some(who) = asked.take() {
                let place = &says[5];
                assert_eq!(
                    (sentence[1].refers, went.get(&who)),
                    (Some(who), Some(place)),
                    "{}",
                    story.text
                );
                n_asked += 1;
            }
            if let Some(to) = says.windows(2).position(|pair| pair == ["to", "the"]) {
                let subject = sentence[..to].iter().find_map(|word| word.refers);
                went.extend(subject.map(|who| (who, says[to + 2].clone())));
            }
        }
    }
    assert!(n_asked > 100, "{n_asked}");
}

#[test]
fn clocks_go_on_and_later_years_are_later() {
    const HOURS: [&str; 11] = [
        "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    ];
    let (mut n_hours, mut n_years) = (0, 0);
    for story in stories(43, 5000) {
        let of = |frame| {
            story
                .words
                .iter()
                .filter(move |word| word.frame == frame && word.class == Class::Number)
        };
        let hours: Vec<usize> = of(Frame::Time)
            .map(|word| HOURS.iter().position(|hour| *hour == letters(&story, word)).unwrap())
            .collect();
        assert!(hours.is_sorted_by(|a, b| a < b), "{}", story.text);
        n_hours += hours.len();
        let years: Vec<u32> = of(Frame::Years).filter_map(|word| story.letters(word).parse().ok()).collect();
        assert!(years.is_empty() || years.len() == 2, "{}", story.text);
        if let [from, to] = years[..] {
            assert!(from < to && from / 100 == to / 100, "{}", story.text);
            n_years += 1;
        }
    }
    assert!(n_hours > 1000 && n_years > 500, "{n_hours} {n_years}");
}

#[test]
fn indirect_object_identification_is_well_formed() {
    let (mut n_abba, mut n_baba) = (0, 0);
    for story in stories(44, 5000) {
        for frame in story.words.chunk_by(|a, b| a.frame == b.frame && b.position > 0) {
            let (first, order) = match frame[0].frame {
                Frame::IoiAbba => (Role::Io, [Role::Io, Role::S1, Role::S2, Role::Io]),
                Frame::IoiBaba => (Role::S1, [Role::S1, Role::Io, Role::S2, Role::Io]),
                _ => continue,
            };
            let named: Vec<&Word> = frame.iter().filter(|word| word.refers.is_some()).collect();
            let roles: Vec<Role> = named.iter().filter_map(|word| word.role).collect();
            assert_eq!(roles, order, "{}", story.text);
            assert!(named.iter().all(|word| word.class == Class::Name));
            let (giver, receiver) = if first == Role::Io { (1, 0) } else { (0, 1) };
            assert_eq!(named[2].refers, named[giver].refers);
            assert_eq!(named[3].refers, named[receiver].refers);
            assert_ne!(named[0].refers, named[1].refers);
            let end: Vec<&str> = frame[frame.len() - 3..].iter().map(|word| story.letters(word)).collect();
            assert_eq!(
                (end[0], end[1], end[2]),
                ("to", story.letters(named[3]), "."),
                "{}",
                story.text
            );
            *if first == Role::Io { &mut n_abba } else { &mut n_baba } += 1;
        }
    }
    assert!(n_abba > 1500 && n_baba > 1500, "{n_abba} {n_baba}");
}
