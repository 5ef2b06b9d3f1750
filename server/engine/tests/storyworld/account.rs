//! The account of choices: probabilities add up to one, are those with which things happen, and sum to a story's nats.

use super::stories;
use engine::corpus::storyworld::{Decision, Storyworld};
use std::collections::HashMap;

fn probability(decision: &Decision) -> f64 {
    f64::from(decision.weights[decision.chosen]) / f64::from(decision.weights.iter().sum::<u32>())
}

#[test]
fn a_storys_nats_are_those_of_its_choices_and_of_its_words() {
    let world = Storyworld::new(50);
    for index in 0..500 {
        let (story, decisions) = world.explain(index);
        assert_eq!(story, world.story(index));
        let of_choices: f64 = decisions.iter().map(|decision| -probability(decision).ln()).sum();
        let of_words: f64 = story.words.iter().map(|word| f64::from(word.nats)).sum();
        assert!(
            (story.nats - of_choices).abs() < 1e-9 * of_choices,
            "{} {of_choices}",
            story.nats
        );
        assert!((story.nats - of_words).abs() < 1e-5 * of_words, "{} {of_words}", story.nats);
    }
}

#[test]
fn the_same_choices_tell_the_same_story() {
    let world = Storyworld::new(51);
    for index in 0..200 {
        let (story, decisions) = world.explain(index);
        let (again, _) = Storyworld::retell(decisions.iter().map(|decision| decision.chosen).collect());
        assert_eq!(story, again);
    }
}

/// Every first sentence with its probability: all choices that come before its end, one after the other.
fn first_sentences() -> HashMap<String, f64> {
    let mut sentences = HashMap::new();
    let mut open = vec![Vec::new()];
    while let Some(prefix) = open.pop() {
        let (story, decisions) = Storyworld::retell(prefix.clone());
        let first: Vec<_> = story.words.iter().take_while(|word| word.sentence == 0).collect();
        let nats: f64 = first.iter().map(|word| f64::from(word.nats)).sum();
        let p: f64 = decisions[..prefix.len()].iter().map(probability).product();
        // the sentence is decided once its words have all of their nats from the choices made
        if (nats + p.ln()).abs() < 1e-4 {
            let text = story.text[..first[first.len() - 1].end as usize].to_owned();
            *sentences.entry(text).or_insert(0.0) += p;
        } else {
            let next = &decisions[prefix.len()];
            let possible = (0..next.weights.len()).filter(|index| next.weights[*index] > 0);
            open.extend(possible.map(|index| prefix.iter().copied().chain([index]).collect()));
        }
    }
    sentences
}

#[test]
fn the_first_sentences_probabilities_add_up_to_one_and_are_how_often_they_come() {
    let expected = first_sentences();
    let total: f64 = expected.values().sum();
    assert!((total - 1.0).abs() < 1e-12, "{total}");

    let n = 60_000;
    let mut counts: HashMap<String, u64> = HashMap::new();
    for story in stories(52, n) {
        let end = story.words.iter().take_while(|word| word.sentence == 0).last().unwrap().end;
        *counts.entry(story.text[..end as usize].to_owned()).or_default() += 1;
    }
    assert!(counts.keys().all(|sentence| expected.contains_key(sentence)));
    let chi_square: f64 = expected
        .iter()
        .map(|(sentence, p)| {
            let mean = p * n as f64;
            (counts.get(sentence).copied().unwrap_or(0) as f64 - mean).powi(2) / mean
        })
        .sum();
    let df = (expected.len() - 1) as f64;
    assert!(
        (chi_square - df).abs() < 4.0 * (2.0 * df).sqrt(),
        "{chi_square} with {df} degrees of freedom"
    );
}

#[test]
fn alternatives_come_as_often_as_their_weights_say() {
    let world = Storyworld::new(53);
    let mut counts: HashMap<Vec<u32>, Vec<u64>> = HashMap::new();
    for index in 0..3000 {
        for decision in world.explain(index).1 {
            counts
                .entry(decision.weights.clone())
                .or_insert_with(|| vec![0; decision.weights.len()])[decision.chosen] += 1;
        }
    }
    let (mut chi_square, mut df) = (0.0, 0.0);
    for (weights, counts) in &counts {
        let (n, total) = (counts.iter().sum::<u64>() as f64, f64::from(weights.iter().sum::<u32>()));
        let possible = weights.iter().filter(|weight| **weight > 0).count() as f64;
        // rare decisions say little, and their statistic is not that of chi-square
        if n / possible < 10.0 {
            continue;
        }
        df += possible - 1.0;
        for (weight, count) in weights.iter().zip(counts) {
            let mean = n * f64::from(*weight) / total;
            assert!(*weight > 0 || *count == 0);
            chi_square += if *weight > 0 {
                (*count as f64 - mean).powi(2) / mean
            } else {
                0.0
            };
        }
    }
    assert!(df > 200.0, "{df}");
    assert!(
        (chi_square - df).abs() < 4.0 * (2.0_f64 * df).sqrt(),
        "{chi_square} with {df} degrees of freedom"
    );
}
