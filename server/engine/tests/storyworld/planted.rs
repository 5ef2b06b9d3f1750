//! What is planted has no consequence: nothing later changes when it does, nor tells what it was.

use super::{letters, stories};
use engine::corpus::storyworld::{LABELS, Label, Plant, Story, Storyworld, Word};
use std::collections::{HashMap, HashSet};

/// The proof: every story told again with one planted decision turned differs in the planted words and nowhere else.
#[test]
fn turning_what_is_planted_changes_only_the_planted_word() {
    let world = Storyworld::new(60);
    let mut turned = HashMap::new();
    for index in 0..400 {
        let (story, decisions) = world.explain(index);
        let chosen: Vec<usize> = decisions.iter().map(|decision| decision.chosen).collect();
        for (place, decision) in decisions.iter().enumerate() {
            let Some(plant) = decision.plant else { continue };
            let mut other = chosen.clone();
            other[place] = 1 - other[place];
            let (changed, _) = Storyworld::retell(other);
            assert_eq!(story.words.len(), changed.words.len());
            let differ: Vec<usize> = (0..story.words.len())
                .filter(|i| story.letters(&story.words[*i]) != changed.letters(&changed.words[*i]))
                .collect();
            assert_eq!(differ.len(), 1, "{plant:?}: {}\n{}", story.text, changed.text);
            let label = |word: &Word| match plant {
                Plant::Weather => word.planted.wet,
                Plant::Day => word.planted.weekend,
                Plant::Door => word.planted.odd,
                Plant::Tint => word.planted.warm,
            };
            let (before, after) = (label(&story.words[differ[0]]), label(&changed.words[differ[0]]));
            assert_eq!(before, after.map(|value| !value), "{plant:?}: {}", story.text);
            *turned.entry(plant).or_insert(0) += 1;
        }
    }
    assert!(
        [Plant::Weather, Plant::Day, Plant::Door, Plant::Tint]
            .iter()
            .all(|plant| turned[plant] > 100),
        "{turned:?}"
    );
}

/// A later color is another choice, about which the label says nothing because it is the label.
const TINTS: [&str; 8] = ["red", "golden", "yellow", "pink", "blue", "green", "gray", "purple"];

/// What is first said of a label, and the words that come after.
fn said(story: &Story, label: &Label) -> Option<(bool, HashSet<String>)> {
    let first = story.words.iter().position(|word| label.of(word, &story.cast).is_some())?;
    let value = label.of(&story.words[first], &story.cast)?;
    let after = story.words[first + 1..].iter().map(|word| letters(story, word));
    Some((value, after.filter(|word| !TINTS.contains(&word.as_str())).collect()))
}

/// The greatest chi-square, with one degree of freedom, between the label and whether a word comes later, over all words that
/// come in more than one story of a hundred and in fewer than all but one of a hundred.
fn strongest(seen: &[(bool, HashSet<String>)]) -> (f64, String) {
    let n = seen.len() as f64;
    let n_yes = seen.iter().filter(|(value, _)| *value).count() as f64;
    let mut counts: HashMap<&str, [f64; 2]> = HashMap::new();
    for (value, words) in seen {
        for word in words {
            counts.entry(word).or_default()[usize::from(*value)] += 1.0;
        }
    }
    let of = |[without, with]: [f64; 2]| {
        let total = without + with;
        let determinant = with * (n - n_yes - without) - without * (n_yes - with);
        n * determinant * determinant / (total * (n - total) * n_yes * (n - n_yes))
    };
    let common = counts.iter().filter(|(_, [a, b])| a + b > 0.01 * n && a + b < 0.99 * n);
    common
        .map(|(word, counts)| (of(*counts), (*word).to_owned()))
        .fold((0.0, String::new()), |a, b| if a.0 > b.0 { a } else { b })
}

/// A chi-square that a fair label passes with one word in 300,000; some 400 words are asked.
const LIMIT: f64 = 22.0;

#[test]
fn no_later_word_tells_what_is_planted() {
    let all: Vec<Story> = stories(61, 8000).collect();
    for label in LABELS.iter().filter(|label| label.is_planted()) {
        let mut seen: Vec<_> = all.iter().filter_map(|story| said(story, label)).collect();
        assert!(seen.len() > 3000, "{}", label.name);
        let (chi_square, word) = strongest(&seen);
        assert!(chi_square < LIMIT, "{}: '{word}' {chi_square}", label.name);

        // the same test finds a word that depends on the label ever so little: one mention in three left out
        for (_, words) in seen.iter_mut().filter(|(value, _)| *value).step_by(3) {
            words.remove("laughed");
        }
        let (chi_square, word) = strongest(&seen);
        assert!(
            chi_square > LIMIT && word == "laughed",
            "{}: '{word}' {chi_square}",
            label.name
        );
    }
}

#[test]
fn a_label_that_is_used_is_told_by_later_words() {
    let seen: Vec<_> = stories(62, 2000)
        .filter_map(|story| {
            let first = story.words.iter().position(|word| word.refers == Some(0))?;
            let value = Label::named("gender=feminine")?.of(&story.words[first], &story.cast)?;
            Some((
                value,
                story.words[first + 1..].iter().map(|word| letters(&story, word)).collect(),
            ))
        })
        .collect();
    assert!(strongest(&seen).0 > 10.0 * LIMIT);
}
