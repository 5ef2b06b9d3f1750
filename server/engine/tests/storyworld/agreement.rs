//! Every verb agrees with its subject, judged from the letters of both.

use super::{letters, stories};
use engine::corpus::storyworld::{Class, Number, Story, Tense, Word};

/// Plural or not, from the letters of a noun, a name or a pronoun.
fn is_plural(letters: &str, class: Class) -> bool {
    match class {
        Class::Name => false,
        Class::Pronoun => matches!(letters, "they" | "we" | "them"),
        _ => {
            let is_irregular = matches!(letters, "children" | "women" | "men" | "people" | "geese" | "mice");
            is_irregular || (letters.ends_with('s') && !letters.ends_with("ss"))
        }
    }
}

/// Whether a present verb, or a past form of "be", is one that a singular subject takes.
fn is_singular_verb(letters: &str) -> bool {
    letters.ends_with('s') && !letters.ends_with("ss")
}

/// "Anna and ... Ben": the words between a name and its verb join it with another name.
fn is_joined(story: &Story, head: usize, verb: usize) -> bool {
    let between = &story.words[head + 1..verb];
    let outside: Vec<&Word> = between.iter().filter(|word| word.depth == 0).collect();
    let and = outside.iter().position(|word| story.letters(word) == "and");
    and.is_some_and(|and| outside[and..].iter().any(|word| word.class == Class::Name))
        && outside.iter().all(|word| word.class != Class::Verb)
}

/// What is wrong with a verb, if something is.
fn fault(story: &Story, index: usize) -> Option<String> {
    let verb = &story.words[index];
    let number = verb.agrees?;
    let form = letters(story, verb);
    let shows = verb.tense == Some(Tense::Present) || form == "was" || form == "were";
    if shows && is_singular_verb(&form) != (number == Number::Singular) {
        return Some(format!("'{form}' is labelled {number:?}"));
    }
    let head = usize::from(verb.subject?);
    let subject = letters(story, &story.words[head]);
    let plural = is_plural(&subject, story.words[head].class) || (head < index && is_joined(story, head, index));
    (plural != (number == Number::Plural)).then(|| format!("'{subject}' with '{form}'"))
}

#[test]
fn verbs_agree_with_their_subjects() {
    let (mut n_checked, mut n_without) = (0, 0);
    for story in stories(20, 5000) {
        for (index, word) in story.words.iter().enumerate() {
            assert_eq!(fault(&story, index), None, "{}", story.text);
            n_checked += u32::from(word.subject.is_some());
            n_without += u32::from(word.agrees.is_some() && word.subject.is_none());
        }
    }
    assert!(n_checked > 50_000 && n_without * 100 < n_checked, "{n_checked} {n_without}");
}

#[test]
fn the_checker_sees_a_wrong_verb() {
    let mut seen = 0;
    for mut story in stories(22, 2000) {
        let is_plural = |word: &Word| word.agrees.is_some() && word.subject.is_some() && story.letters(word) == "are";
        let Some(index) = story.words.iter().position(is_plural) else {
            continue;
        };
        let (start, end) = (story.words[index].start as usize, story.words[index].end as usize);
        // as long, so that no label moves
        story.text.replace_range(start..end, "was");
        assert!(fault(&story, index).unwrap().contains("labelled"), "{}", story.text);
        story.words[index].agrees = Some(Number::Singular);
        assert!(fault(&story, index).unwrap().contains("with 'was'"), "{}", story.text);
        seen += 1;
    }
    assert!(seen > 200, "{seen}");
}
