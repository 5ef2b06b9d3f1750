//! Brackets and quotes balance and nest, labels say how deep a word is, spaces and capitals are where English has them.

use super::{letters, stories};
use engine::corpus::storyworld::Class;

#[test]
fn brackets_and_quotes_balance_and_depths_count_them() {
    let (mut deepest, mut nested_quotes) = (0, 0);
    for story in stories(10, 3000) {
        let mut open: Vec<&str> = Vec::new();
        for word in &story.words {
            let mark = story.letters(word);
            let closes = open
                .last()
                .is_some_and(|last| matches!((*last, mark), ("(", ")") | ("[", "]") | ("\"", "\"") | ("'", "'")));
            if !closes && matches!(mark, "(" | "[" | "\"" | "'") {
                open.push(mark);
            }
            let depth = open.iter().filter(|mark| matches!(**mark, "(" | "[")).count();
            assert_eq!(
                (usize::from(word.depth), usize::from(word.quotes)),
                (depth, open.len() - depth),
                "{}",
                story.text
            );
            deepest = deepest.max(depth);
            nested_quotes = nested_quotes.max(open.len() - depth);
            if closes {
                open.pop();
            }
            assert!(closes || !matches!(mark, ")" | "]"), "{}", story.text);
        }
        assert!(open.is_empty(), "{open:?}: {}", story.text);
    }
    assert_eq!((deepest, nested_quotes), (2, 2));
}

#[test]
fn words_cover_the_text_and_sentences_begin_with_capitals() {
    for story in stories(11, 2000) {
        assert!(story.text.is_ascii());
        let mut end = 0;
        for word in &story.words {
            let gap = &story.text[end..word.start as usize];
            assert!(gap.is_empty() || gap == " ", "'{gap}': {}", story.text);
            assert!(word.end > word.start);
            end = word.end as usize;
        }
        assert_eq!(end, story.text.len());
        for wrong in [
            " ,", " .", " )", " ]", "( ", "[ ", "  ", " '\"", ",,", "..", " a a", " a e", " a i", " a o", " a u",
        ] {
            assert!(!story.text.contains(wrong), "'{wrong}': {}", story.text);
        }
        for sentence in super::sentences(&story) {
            let first = sentence.iter().find(|word| word.class != Class::Mark).unwrap();
            let start = story.letters(first).chars().next().unwrap();
            assert!(start.is_ascii_uppercase() || start.is_ascii_digit(), "{}", story.text);
            assert!(
                matches!(story.letters(sentence.last().unwrap()), "." | "!" | "?" | "\"" | ")"),
                "{}",
                story.text
            );
        }
        for pair in story.words.windows(2) {
            let (article, next) = (letters(&story, &pair[0]), letters(&story, &pair[1]));
            if article == "a" || article == "an" {
                assert_eq!(article == "an", next.starts_with(['a', 'e', 'i', 'o', 'u']), "{}", story.text);
            }
        }
    }
}
