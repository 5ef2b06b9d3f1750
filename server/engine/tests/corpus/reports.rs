//! Texts as people have them, where `SAESCOPE_TEST_DATA` says they are, each with what it must come to.

use api::{BosPolicy, EosPolicy, FieldForm, SkipReason, Skipped};
use engine::corpus::{Split, TokenFile, inspect, pack};
use std::path::PathBuf;

use crate::workplace::packing;

#[test]
fn reported_texts_come_to_what_they_must() {
    let Some(data) = std::env::var_os("SAESCOPE_TEST_DATA").map(PathBuf::from) else {
        println!("skipped: SAESCOPE_TEST_DATA is not set");
        return;
    };
    let tokenizer = data.join("models/stories260k/tokenizer.json");
    let folder = tempfile::tempdir().unwrap();
    let packed = |name: &str| -> TokenFile {
        let source = data.join("reports").join(name);
        let packing = packing(32, BosPolicy::Document, EosPolicy::None);
        pack(&source, &tokenizer, 512, &packing, &folder.path().join(name), &mut |_, _| {
            true
        })
        .unwrap()
    };
    let summary = |name: &str| inspect(data.join("reports").join(name), &[]).unwrap().summary;
    let n_tokens = |file: &TokenFile| {
        let manifest = file.manifest();
        manifest.splits().iter().map(|split| split.n_tokens).sum::<u64>() + manifest.n_dropped_tokens
    };
    let n_starts = |file: &TokenFile| Split::ALL.map(|split| file.starts(split).len()).iter().sum::<usize>();
    let n_bos = |file: &TokenFile| {
        let contexts = Split::ALL
            .into_iter()
            .flat_map(|split| (0..file.n_contexts(split)).map(move |i| file.context(split, i)));
        contexts.flatten().filter(|id| **id == 1).count()
    };

    let chats = summary("only-id.jsonl");
    assert_eq!((chats.field.unwrap().form, chats.n_read), (FieldForm::Turns, 200));

    assert_eq!(summary("padded.jsonl").n_masked, 60 * (256 - 41));
    let padded = packed("padded.jsonl");
    assert_eq!(n_tokens(&padded), 60 * 41);
    let contexts = (0..padded.n_contexts(Split::Train)).map(|i| padded.context(Split::Train, i));
    assert!(contexts.flatten().all(|id| *id != 2));

    let literal = packed("literal.jsonl");
    assert_eq!(n_bos(&literal), n_starts(&literal));
    assert!(n_bos(&literal) > 190, "{}", n_bos(&literal));
    let found = summary("literal.jsonl").spellings;
    assert_eq!(
        found.iter().map(|found| (found.token.as_str(), found.n)).collect::<Vec<_>>(),
        [("</s>", 200), ("<s>", 200)]
    );

    let table = summary("table.csv");
    assert_eq!((table.field.unwrap().name.as_str(), table.n_read), ("text", 400));
    assert_eq!(summary("nan.jsonl").n_read, 200);
    assert_eq!(
        (summary("surrogate.jsonl").n_read, summary("surrogate.jsonl").n_surrogates),
        (200, 1)
    );
    let null = Skipped {
        reason: SkipReason::Null,
        n: 1,
    };
    assert_eq!(
        (summary("null.jsonl").n_read, summary("null.jsonl").skipped),
        (199, vec![null])
    );
    assert_eq!(summary("tokens.jsonl").field.unwrap().form, FieldForm::Tokens);
    assert_eq!(n_tokens(&packed("tokens.jsonl")), 60 * 101);
}
