//! The tokenizer that is trained on the text.

use engine::corpus::{END_OF_TEXT, train_tokenizer};
use tokenizers::Tokenizer;

use crate::workplace::{pool, stories};

#[test]
fn it_is_the_same_each_time_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let source = stories(folder.path());
    let first = train_tokenizer(&source, 300).unwrap();
    for n_threads in [1, 2, 3] {
        assert!(pool(n_threads).install(|| train_tokenizer(&source, 300)).unwrap() == first);
    }
}

#[test]
fn it_has_the_size_asked_for_and_any_text_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let json = train_tokenizer(stories(folder.path()), 300).unwrap();
    let tokenizer: Tokenizer = json.parse().unwrap();
    assert_eq!(tokenizer.get_vocab_size(true), 300);
    assert_eq!(tokenizer.token_to_id(END_OF_TEXT), Some(0));
    for text in ["One day, Lily went to the park.", " two  spaces\n\ttab", "Zoë 漢字 🦊 \u{0}"] {
        let ids = tokenizer.encode(text, false).unwrap();
        assert_eq!(tokenizer.decode(ids.get_ids(), false).unwrap(), text);
    }
    // frequent words became tokens
    let day = tokenizer.encode("One day, Lily", false).unwrap();
    assert_eq!(day.get_tokens()[..3], ["One", "Ġday", ","]);
}

#[test]
fn digits_and_marks_stand_alone_with_the_space_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("text.jsonl");
    let line = "{\"text\": \"In 1732 (to 1754), he said: \\\"now it's mine.\\\" \"}\n";
    std::fs::write(&source, line.repeat(50)).unwrap();
    let tokenizer: Tokenizer = train_tokenizer(&source, 300).unwrap().parse().unwrap();
    let tokens = |text: &str| tokenizer.encode(text, false).unwrap().get_tokens().to_vec();
    let expected = ["In", "Ġ1", "7", "3", "2", "Ġ(", "to", "Ġ1", "7", "5", "4", ")", ","];
    assert_eq!(tokens("In 1732 (to 1754),"), expected);
    assert_eq!(tokens(".\""), [".", "\""]);
    assert_eq!(tokens(" it's"), ["Ġit", "'s"]);
}

#[test]
fn what_holds_tokens_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("tokens.jsonl");
    std::fs::write(&source, "{\"input_ids\": [1, 2, 3]}\n").unwrap();
    let message = train_tokenizer(&source, 300).unwrap_err().to_string();
    assert!(message.contains("it holds tokens, not text"), "{message}");
}
