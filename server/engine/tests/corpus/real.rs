//! Real text and tokenizers, where `SAESCOPE_TEST_DATA` says they are.

use std::path::PathBuf;

use api::{BosPolicy, EosPolicy};
use engine::corpus::{Format, Split, SplitBy, inspect, load_tokenizer, pack, special_tokens};

use crate::workplace::*;

#[test]
fn real_text_and_tokenizers() {
    let Some(data) = std::env::var_os("SAESCOPE_TEST_DATA").map(PathBuf::from) else {
        println!("skipped: SAESCOPE_TEST_DATA is not set");
        return;
    };
    for (name, d_vocab, expected) in [("gpt2", 50_257, [15_496, 995]), ("neox", 50_304, [12_092, 1_533])] {
        let tokenizer = load_tokenizer(&data.join("tokenizers").join(name), d_vocab).unwrap();
        assert_eq!(tokenizer.encode_fast("Hello world", false).unwrap().get_ids(), expected);
    }
    let model = data.join("models/stories260k");
    let special = special_tokens(&model).unwrap();
    assert_eq!((special.bos, special.eos, special.all), (Some(1), Some(2), vec![0, 1, 2]));

    let stories = data.join("text/tinystories_1000.json");
    let facts = inspect(&stories, &[]).unwrap();
    assert_eq!((facts.format, facts.n_documents), (Format::JsonArray, 1000));
    let folder = tempfile::tempdir().unwrap();
    let packing = packing(256, BosPolicy::Document, EosPolicy::None);
    let file = pack(
        &stories,
        &model.join("tokenizer.json"),
        512,
        &packing,
        &folder.path().join("packed"),
        &mut |_, _| true,
    )
    .unwrap();
    let manifest = file.manifest();
    let held: u64 = manifest.splits().iter().map(|split| split.n_tokens).sum();
    assert_eq!(held + manifest.n_dropped_tokens, 479_318);
    assert_eq!((manifest.split_by, file.context(Split::Train, 0)[0]), (SplitBy::Hash, 1));
    let shares = manifest.splits().map(|split| split.n_documents);
    assert!(shares[0] > 860 && shares[1] > 25 && shares[2] > 25, "{shares:?}");

    let novels = inspect(data.join("text/novels"), &[]).unwrap();
    assert_eq!((novels.format, novels.n_documents), (Format::Text, 12));
    let wikitext = inspect(data.join("text/wikitext2_valid.txt"), &[]).unwrap();
    assert_eq!((wikitext.format, wikitext.n_documents), (Format::Text, 60));
}
