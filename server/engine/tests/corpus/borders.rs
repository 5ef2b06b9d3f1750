//! Where documents begin in packed text: kept as they were, not told from token ids.

use api::{BosPolicy, EosPolicy};
use engine::corpus::{Split, TokenFile};
use proptest::prelude::*;
use serde_json::json;
use std::fs;

use crate::workplace::*;

#[test]
fn documents_by_hand() {
    let folder = workplace();
    // the second and third hold BOS and EOS as tokens of their own
    let lines = "{\"input_ids\": [3, 4, 5]}\n{\"input_ids\": [6, 0, 7, 1, 8]}\n{\"input_ids\": [1, 9, 10, 11]}\n";
    let source = write(&folder, "ids.jsonl", lines);
    let cases = [
        (4, BosPolicy::None, "abcd^e$f$ghi", [vec![0, 0, 0, 1], vec![0; 4], vec![0; 4]]),
        (
            5,
            BosPolicy::Context,
            "^abcd^^e$f^$ghi",
            [vec![0, 0, 0, 0, 1], vec![0; 5], vec![0; 5]],
        ),
    ];
    for (index, (n_ctx, bos, text, expected)) in cases.into_iter().enumerate() {
        let file = pack_into(
            &folder,
            &source,
            &packing(n_ctx, bos, EosPolicy::None),
            &format!("packed{index}"),
        )
        .unwrap();
        assert_eq!(all_contexts(&file).concat().concat(), text);
        let found = Split::ALL.map(|split| file.documents(split, file.n_contexts(split)));
        assert_eq!(found, expected, "case {index}");
    }
    let file = pack_into(&folder, &source, &packing(5, BosPolicy::Context, EosPolicy::None), "packed1").unwrap();
    // behind the BOS of its context
    assert_eq!(
        Split::ALL.map(|split| file.starts(split).to_vec()),
        [vec![1, 4], vec![], vec![1]]
    );
}

#[test]
fn a_token_file_without_its_borders_is_refused_and_an_old_one_packed_anew() {
    let folder = workplace();
    let source = write(&folder, "corpus.json", json!(documents()).to_string());
    let plain = packing(16, BosPolicy::Document, EosPolicy::None);
    pack_into(&folder, &source, &plain, "packed").unwrap();
    let to = folder.path().join("packed");
    let (borders, sound) = (
        to.join("train.documents.bin"),
        fs::read(to.join("train.documents.bin")).unwrap(),
    );
    fs::write(&borders, &sound[8..]).unwrap();
    assert!(message(TokenFile::open(&to)).contains("train.documents.bin': it was changed; pack the corpus again"));
    fs::remove_file(&borders).unwrap();
    assert!(message(TokenFile::open(&to)).contains("cannot read"));
    // as the version before this one wrote it
    let manifest = fs::read_to_string(to.join("manifest.json")).unwrap();
    let mut old: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    old["version"] = json!(1);
    for split in ["train", "validation", "held_out"] {
        old[split].as_object_mut().unwrap().remove("documents_sha256");
        let _ = fs::remove_file(to.join(format!("{split}.documents.bin")));
    }
    fs::write(to.join("manifest.json"), old.to_string()).unwrap();
    assert!(message(TokenFile::open(&to)).contains("version is 1; this program reads 2; pack the corpus again"));
    pack_into(&folder, &source, &plain, "packed").unwrap();
    assert_eq!(fs::read(&borders).unwrap(), sound);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Where each document has a BOS of its own and no other token is one, the borders are those of the BOS.
    #[test]
    fn borders_are_where_documents_begin(documents in prop::collection::vec("[a-d]{1,20}", 3..80), n_ctx in 2_usize..12) {
        let folder = workplace();
        let source = write(&folder, "corpus.json", json!(documents).to_string());
        let Ok(file) = pack_into(&folder, &source, &packing(n_ctx, BosPolicy::Document, EosPolicy::None), "packed") else { return Ok(()) };
        for split in Split::ALL {
            let ids: Vec<u32> = (0..file.n_contexts(split)).flat_map(|i| file.context(split, i).to_vec()).collect();
            let expected: Vec<u64> = (0..).zip(&ids).filter(|(_, id)| **id == BOS).map(|(at, _)| at).collect();
            prop_assert_eq!(file.starts(split), &expected[..]);
        }
    }
}
