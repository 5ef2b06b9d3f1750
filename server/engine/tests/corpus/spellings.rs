//! Text that looks like a special token stays text.

use api::{BosPolicy, EosPolicy, Spelling};
use engine::corpus::{Split, inspect, pack};
use serde_json::json;

use crate::workplace::*;

fn spelling(token: &str, n: u64) -> Spelling {
    Spelling { token: token.into(), n }
}

#[test]
fn a_special_token_written_in_text_is_text() {
    let folder = workplace();
    let source = write(&folder, "spelt.json", json!(["ab<s>cd</s>", "ef", "gh<s>"]).to_string());
    let file = pack_into(&folder, &source, &packing(2, BosPolicy::Document, EosPolicy::None), "packed").unwrap();
    let joined = all_contexts(&file).concat().concat();
    assert_eq!(joined.matches('^').count(), 3, "{joined}");
    assert_eq!(joined.matches('$').count(), 0, "{joined}");
    for part in ["^ab?s?cd??s?", "^gh?s?"] {
        assert!(joined.contains(part), "{joined}");
    }
    let starts: Vec<usize> = Split::ALL.map(|split| file.starts(split).len()).to_vec();
    assert_eq!(starts.iter().sum::<usize>(), 3);
    assert_eq!(file.manifest().spellings, [spelling("<s>", 2), spelling("</s>", 1)]);

    let facts = inspect(&source, &["cd".into()]).unwrap();
    assert_eq!(
        facts.summary.spellings,
        [spelling("</s>", 1), spelling("<s>", 2), spelling("cd", 1)]
    );
    assert!(facts.summary.lines()[2].starts_with("special tokens written in the text, read as text: </s> 1 times"));
}

/// BOS and EOS that only config.json names, and a vocabulary that holds their spellings as words.
#[test]
fn a_vocabulary_that_holds_the_spelling_does_not_bring_it_back() {
    let folder = workplace();
    let vocab: Vec<_> = [
        ("<s>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("<", -3.0),
        ("s", -3.0),
        (">", -3.0),
        ("a", -3.0),
        ("b", -3.0),
    ]
    .map(|(token, score)| json!([token, score]))
    .to_vec();
    let added: Vec<_> = [(0, "<s>"), (1, "</s>")]
        .iter()
        .map(|(id, token)| {
            json!({"id": id, "content": token, "special": false, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
        })
        .collect();
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": null, "model": {"type": "Unigram", "unk_id": 2, "vocab": vocab, "byte_fallback": false},
    });
    let tokenizer = write(&folder, "tokenizer.json", tokenizer.to_string());
    let source = write(&folder, "spelt.json", json!(["ab<s>ab"]).to_string());
    let to = folder.path().join("packed");
    let file = pack(
        &source,
        &tokenizer,
        8,
        &packing(2, BosPolicy::None, EosPolicy::None),
        &to,
        &mut |_, _| true,
    )
    .unwrap();
    let ids: Vec<u32> = Split::ALL
        .into_iter()
        .flat_map(|split| file.context(split, 0).to_vec())
        .collect();
    assert_eq!(ids, [6, 7, 3, 4, 5, 6]);
}
