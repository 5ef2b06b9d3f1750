//! Tokens of any tokenizer find their words.

use super::stories;
use engine::corpus::storyworld::{Spot, spots};

#[test]
fn a_token_belongs_to_the_last_word_it_touches() {
    let story = stories(80, 1).next().unwrap();
    let words = &story.words;
    let whole: Vec<(usize, usize)> = words.iter().map(|word| (word.start as usize, word.end as usize)).collect();
    let found = spots(words, &whole);
    assert!(found.iter().enumerate().all(|(index, spot)| *spot
        == Some(Spot {
            word: index,
            is_complete: true
        })));

    // with the space before it, as GPT-2's tokens have it
    let spaced: Vec<(usize, usize)> = whole
        .iter()
        .map(|(start, end)| (start.saturating_sub(usize::from(*start > 0)), *end))
        .collect();
    assert_eq!(spots(words, &spaced), found);

    let (first, second, third) = (whole[0], whole[1], whole[2]);
    let offsets = [
        (0, 0),                  // a special token
        (first.0, first.0 + 1),  // a word's beginning
        (first.0 + 1, first.1),  // its end
        (first.1, first.1 + 1),  // a lone space
        (second.0, third.0 + 1), // two words, the second not to its end
    ];
    let spot = |word, is_complete| Some(Spot { word, is_complete });
    let is_short = third.1 == third.0 + 1;
    assert_eq!(second.0, first.1 + 1, "the story begins with two words");
    assert_eq!(
        spots(words, &offsets),
        [None, spot(0, first.1 == 1), spot(0, true), None, spot(2, is_short)]
    );
}

#[test]
fn every_letter_finds_its_word() {
    for story in stories(81, 100) {
        let letters: Vec<(usize, usize)> = (0..story.text.len()).map(|at| (at, at + 1)).collect();
        for (at, spot) in spots(&story.words, &letters).into_iter().enumerate() {
            let inside = story
                .words
                .iter()
                .position(|word| (word.start as usize..word.end as usize).contains(&at));
            assert_eq!(spot.map(|spot| spot.word), inside, "{at}: {}", story.text);
            assert_eq!(
                spot.is_some_and(|spot| spot.is_complete),
                story.words.iter().any(|word| word.end as usize == at + 1)
            );
        }
    }
}
