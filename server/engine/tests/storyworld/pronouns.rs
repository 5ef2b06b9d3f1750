//! A pronoun has the gender of the person that it means, and could mean nobody else.

use super::{letters, stories};
use engine::corpus::storyworld::{Class, Gender, Story};

/// Pronouns of a story that break the rule, and how many there are: the person was named in this sentence or in the one before, and
/// since then nobody else of that gender.
fn check(story: &Story) -> (Vec<String>, usize) {
    let (mut faults, mut n) = (Vec::new(), 0);
    // of each of the cast: gender and the sentence of the last mention, from names' letters and labels alone
    let mut known: Vec<(u8, Gender, u16)> = Vec::new();
    for word in &story.words {
        let Some(who) = word.refers else { continue };
        let form = letters(story, word);
        if word.class == Class::Pronoun {
            n += 1;
            let gender = if matches!(form.as_str(), "she" | "her") {
                Gender::Feminine
            } else {
                Gender::Masculine
            };
            let rivals = known
                .iter()
                .filter(|(_, of, sentence)| *of == gender && sentence + 1 >= word.sentence);
            let last = rivals.clone().map(|(.., sentence)| *sentence).max();
            let meant: Vec<u8> = rivals
                .filter(|(.., sentence)| Some(*sentence) == last)
                .map(|(who, ..)| *who)
                .collect();
            if meant != [who] {
                faults.push(format!(
                    "'{form}' in sentence {} could be {meant:?}, not {who}",
                    word.sentence
                ));
            }
        }
        let gender = word.gender.unwrap();
        known.retain(|(other, ..)| *other != who);
        known.push((who, gender, word.sentence));
    }
    (faults, n)
}

#[test]
fn pronouns_mean_who_was_named_last() {
    let mut n = 0;
    for story in stories(30, 5000) {
        let (faults, pronouns) = check(&story);
        assert!(faults.is_empty(), "{faults:?}: {}", story.text);
        n += pronouns;
    }
    assert!(n > 10_000, "{n}");
}

#[test]
fn the_cast_has_the_gender_of_its_names() {
    const FEMININE: [&str; 12] = [
        "anna", "mary", "lucy", "emma", "alice", "nora", "clara", "ruth", "ella", "jane", "kate", "molly",
    ];
    for story in stories(31, 1000) {
        for word in story.words.iter().filter(|word| word.class == Class::Name) {
            let is_feminine = FEMININE.contains(&letters(&story, word).as_str());
            let cast = story.cast[usize::from(word.refers.unwrap())];
            assert_eq!(
                (word.gender, cast == Gender::Feminine),
                (Some(cast), is_feminine),
                "{}",
                story.text
            );
        }
    }
}

#[test]
fn the_checker_sees_a_wrong_pronoun() {
    let mut seen = 0;
    for mut story in stories(32, 200) {
        let Some(word) = story
            .words
            .iter()
            .find(|word| word.class == Class::Pronoun && word.refers.is_some())
            .copied()
        else {
            continue;
        };
        let other = match letters(&story, &word).as_str() {
            "he" => "she",
            "she" => "he ",
            "her" => "him",
            _ => "her",
        };
        story.text.replace_range(word.start as usize..word.end as usize, other);
        let index = story.words.iter().position(|w| w.start == word.start).unwrap();
        story.words[index].end = word.start + other.len() as u32;
        story.words.truncate(index + 1);
        seen += 1;
        assert!(!check(&story).0.is_empty(), "{}", story.text);
    }
    assert!(seen > 100, "{seen}");
}
