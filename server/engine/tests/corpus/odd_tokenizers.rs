//! Tokenizers as people have them: with tokens that the model has not, with none at all, and with rules that make too much of a text.

use api::{BosPolicy, EosPolicy};
use engine::corpus::{Split, load_tokenizer, special_tokens, text_ids};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

use crate::workplace::{D_VOCAB, contexts, documents, message, pack_into, packing, workplace, write};

/// A change to the folder's tokenizer.json.
fn change(folder: &TempDir, change: impl FnOnce(&mut Value)) {
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut tokenizer);
    fs::write(path, tokenizer.to_string()).unwrap();
}

fn add(tokenizer: &mut Value, id: usize, content: &str, special: bool) {
    let token = json!({"id": id, "content": content, "special": special, "single_word": false, "lstrip": false, "rstrip": false,
                       "normalized": false});
    tokenizer["added_tokens"].as_array_mut().unwrap().push(token);
}

const PLAIN: (BosPolicy, EosPolicy) = (BosPolicy::None, EosPolicy::None);

#[test]
fn a_token_beyond_the_vocabulary_is_refused_where_a_text_has_it() {
    let folder = workplace();
    let tokens = load_tokenizer(folder.path(), D_VOCAB).unwrap().get_vocab_size(true);
    // the ids in between are nobody's
    change(&folder, |tokenizer| {
        (tokens..D_VOCAB).for_each(|id| add(tokenizer, id, &format!("<unused{id}>"), true));
        add(tokenizer, D_VOCAB, "#PAD#", false);
    });
    let tokenizer = load_tokenizer(folder.path(), D_VOCAB).unwrap();
    let plain = write(
        &folder,
        "plain.jsonl",
        documents()
            .iter()
            .map(|text| json!({"text": text}).to_string() + "\n")
            .collect::<String>(),
    );
    pack_into(&folder, &plain, &packing(8, PLAIN.0, PLAIN.1), "packed").unwrap();

    let lines = ["abcd", "ab#PAD#cd", "abcd"]
        .map(|text| json!({"text": text}).to_string())
        .join("\n");
    let padded = write(&folder, "padded.jsonl", lines);
    let said = message(pack_into(&folder, &padded, &packing(2, PLAIN.0, PLAIN.1), "other"));
    assert!(
        said.contains("document 1 holds the token '#PAD#', token id 32, and the model's vocabulary has 32 entries"),
        "{said}"
    );
    assert!(!folder.path().join("other").exists());
    let error = text_ids(&tokenizer, "x#PAD#", D_VOCAB).unwrap_err();
    assert!(error.contains("'#PAD#' (id 32)"), "{error}");
    assert_eq!(text_ids(&tokenizer, "ab", D_VOCAB), Ok(vec![3, 4]));
    // a vocabulary of its own beyond the model's is another model's tokenizer
    assert!(message(load_tokenizer(folder.path(), 30)).contains("token ids up to 30"));
}

#[test]
fn a_special_token_that_the_model_has_not_opens_nothing() {
    let folder = workplace();
    change(&folder, |tokenizer| {
        add(tokenizer, D_VOCAB - 1, "<unused>", false);
        add(tokenizer, D_VOCAB, "<begin>", true);
    });
    write(
        &folder,
        "tokenizer_config.json",
        r#"{"bos_token": "<begin>", "eos_token": "</s>"}"#,
    );
    let special = special_tokens(folder.path()).unwrap();
    assert_eq!((special.bos, special.eos), (Some(32), Some(1)));
    let within = special.within(D_VOCAB);
    assert_eq!((within.bos, within.eos, within.all), (None, Some(1), vec![0, 1, 2]));
    let source = write(&folder, "some.txt", "abcdefghij\n\nabcdefgh");
    let said = message(pack_into(
        &folder,
        &source,
        &packing(2, BosPolicy::Document, EosPolicy::None),
        "packed",
    ));
    assert!(said.starts_with("bos 'document' needs a token"), "{said}");
}

#[test]
fn without_a_tokenizer_token_ids_are_read_and_text_is_not() {
    let folder = workplace();
    fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert_eq!(special_tokens(folder.path()).unwrap().bos, Some(0));
    let ids = write(&folder, "ids.jsonl", "{\"input_ids\": [3, 4, 5, 6]}\n".repeat(30));
    let packed = pack_into(&folder, &ids, &packing(5, BosPolicy::Document, EosPolicy::None), "packed").unwrap();
    assert_eq!(contexts(&packed, Split::Train)[0], "^abcd");
    // what is there is opened again
    let again = pack_into(&folder, &ids, &packing(5, BosPolicy::Document, EosPolicy::None), "packed").unwrap();
    assert_eq!(again.manifest(), packed.manifest());
    let text = write(&folder, "some.txt", "abcdefghij");
    let said = message(pack_into(&folder, &text, &packing(2, PLAIN.0, PLAIN.1), "other"));
    assert!(said.contains("the model has no tokenizer.json; expected token ids"), "{said}");
}

fn replace(pattern: &str, content: &str) -> Value {
    json!({"type": "Replace", "pattern": {"String": pattern}, "content": content})
}

#[test]
fn a_normaliser_that_makes_too_much_of_a_text() {
    let folder = workplace();
    let doubling = json!({"type": "Sequence", "normalizers": vec![replace("a", "aa"); 40]});
    for (normaliser, says) in [
        (replace("a", &"b".repeat(1 << 20)), "1048576 bytes of each byte"),
        (doubling, "bytes of each byte"),
    ] {
        change(&folder, |tokenizer| tokenizer["normalizer"] = normaliser);
        let said = message(load_tokenizer(folder.path(), D_VOCAB));
        assert!(said.contains("its normaliser can make") && said.contains(says), "{said}");
    }
    // a thousand of one is a rule that small texts may need, and no text that is large
    change(&folder, |tokenizer| tokenizer["normalizer"] = replace("z", &"b".repeat(1000)));
    let tokenizer = load_tokenizer(folder.path(), D_VOCAB).unwrap();
    assert_eq!(text_ids(&tokenizer, "azc", D_VOCAB).unwrap().len(), 1002);
    let source = write(&folder, "large.txt", "z".repeat(1 << 20));
    let said = message(pack_into(&folder, &source, &packing(8, PLAIN.0, PLAIN.1), "packed"));
    assert!(
        said.contains("document 0") && said.contains("normaliser makes more than"),
        "{said}"
    );
    // the same text without what grows
    let source = write(&folder, "plain.txt", "ab\n\n".repeat(1 << 18));
    pack_into(&folder, &source, &packing(8, PLAIN.0, PLAIN.1), "packed").unwrap();
}
