//! Stories are as long, as surprising and as varied as METHODS.md says.

use super::{letters, sentences, stories};
use engine::corpus::storyworld::{Class, Statistics};
use std::collections::{HashMap, HashSet};

#[test]
fn stories_are_of_the_length_and_the_variety_that_is_stated() {
    let mut statistics = Statistics::default();
    let mut texts = HashSet::new();
    for story in stories(100, 5000) {
        statistics.add(&story);
        assert!(texts.insert(story.text));
    }
    assert!(
        statistics.shortest >= 60 && statistics.longest <= 200,
        "{} {}",
        statistics.shortest,
        statistics.longest
    );
    let mean = statistics.n_tokens / statistics.n_stories;
    assert!((120..150).contains(&mean), "{mean}");
    let nats = statistics.nats_per_token();
    assert!((0.68..0.78).contains(&nats), "{nats}");
    for (n, least) in [(2, 8_000), (3, 35_000), (4, 100_000)] {
        let (share, distinct) = statistics.distinct(n);
        assert!(distinct > least, "{n}: {distinct} ({share})");
    }
}

#[test]
fn no_sentence_stands_out() {
    let n = 5000;
    let mut patterns: HashMap<String, u32> = HashMap::new();
    for story in stories(101, n) {
        let mut own = HashSet::new();
        for sentence in sentences(&story) {
            let pattern: Vec<String> = sentence
                .iter()
                .map(|word| {
                    if word.class == Class::Name {
                        "NAME".into()
                    } else {
                        letters(&story, word)
                    }
                })
                .collect();
            own.insert(pattern.join(" "));
        }
        for pattern in own {
            *patterns.entry(pattern).or_default() += 1;
        }
    }
    let (pattern, count) = patterns.iter().max_by_key(|(_, count)| **count).unwrap();
    assert!(f64::from(*count) < 0.1 * n as f64, "'{pattern}' is in {count} of {n} stories");
}

#[test]
fn the_vocabulary_is_of_some_hundreds_of_words() {
    let mut words = HashSet::new();
    for story in stories(102, 5000) {
        let own = story.words.iter().filter(|word| !matches!(word.class, Class::Mark));
        words.extend(
            own.map(|word| letters(&story, word))
                .filter(|word| !word.starts_with(|c: char| c.is_ascii_digit())),
        );
    }
    assert!((500..800).contains(&words.len()), "{}", words.len());
}
