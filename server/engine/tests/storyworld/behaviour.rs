//! Prompts of each behaviour: as many as asked for, true to their story, with a chance that is what guessing gives.

use super::stories;
use engine::corpus::storyworld::{Behaviour, Prompt, Storyworld, prompts};
use std::collections::HashSet;

const SEED: u64 = 90;

#[test]
fn every_behaviour_has_prompts_that_stories_go_on_from() {
    let whole: Vec<String> = stories(SEED, 3000).map(|story| story.text).collect();
    for behaviour in Behaviour::ALL {
        let prompts = prompts(behaviour, 200, SEED);
        assert_eq!(prompts.len(), 200, "{behaviour}");
        assert_eq!(
            prompts.iter().map(|prompt| &prompt.text).collect::<HashSet<_>>().len(),
            200,
            "{behaviour}"
        );
        for Prompt { text, correct, wrong } in &prompts {
            let story = whole
                .iter()
                .find(|story| story.starts_with(text))
                .unwrap_or_else(|| panic!("{behaviour}: {text}"));
            let rest = &story[text.len()..];
            assert!(
                correct.iter().any(|right| rest.starts_with(right)),
                "{behaviour}: {text}|{rest}"
            );
            assert!(
                !wrong.iter().any(|wrong| rest.starts_with(wrong)),
                "{behaviour}: {text}|{rest}"
            );
            assert!(!correct.is_empty() && !wrong.is_empty() && !text.ends_with(' '));
        }
    }
}

#[test]
fn chance_is_a_half_between_two_and_the_share_of_later_years() {
    for behaviour in Behaviour::ALL
        .into_iter()
        .filter(|behaviour| *behaviour != Behaviour::GreaterThan)
    {
        assert!(
            prompts(behaviour, 50, SEED).iter().all(|prompt| prompt.chance() == 0.5),
            "{behaviour}"
        );
    }
    for prompt in prompts(Behaviour::GreaterThan, 50, SEED) {
        let digits: Vec<u32> = prompt
            .text
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|n| n.parse().ok())
            .collect();
        let [.., from, century] = digits[..] else {
            panic!("{}", prompt.text)
        };
        assert_eq!(from / 100, century);
        assert_eq!(prompt.correct.len() + prompt.wrong.len(), 100);
        assert!((prompt.chance() - f64::from(99 - from % 100) / 100.0).abs() < 1e-12);
        assert!(prompt.correct.iter().all(|year| year.parse::<u32>().unwrap() > from % 100));
    }
}

#[test]
fn both_answers_are_right_equally_often() {
    // else a model that knows no grammar could prefer one
    for behaviour in [
        Behaviour::AgreementSimple,
        Behaviour::AgreementAcrossPp,
        Behaviour::AgreementAcrossRc,
        Behaviour::AgreementWithinRc,
    ] {
        let prompts = prompts(behaviour, 400, 91);
        let singular = prompts.iter().filter(|prompt| prompt.correct[0].ends_with('s')).count();
        assert!((160..=240).contains(&singular), "{behaviour}: {singular} of 400");
    }
}

#[test]
fn every_story_asks_something() {
    let world = Storyworld::new(92);
    assert!((0..50).all(|index| world.story(index).words.len() > 50));
}
