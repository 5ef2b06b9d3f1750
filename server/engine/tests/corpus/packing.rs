//! Packing, by hand and by law.

use std::collections::HashSet;

use api::{BosPolicy, EosPolicy, Packing};
use engine::corpus::{Split, SplitBy};
use proptest::prelude::*;
use serde_json::json;

use crate::workplace::*;

#[test]
fn contexts_by_hand() {
    let folder = workplace();
    let one = write(&folder, "one.jsonl", r#"{"text": "abcdefghijkl"}"#);
    let two = write(&folder, "two.json", r#"["abc", "def"]"#);
    let cases = [
        (
            &one,
            4,
            BosPolicy::None,
            EosPolicy::None,
            [vec!["abcd"], vec!["efgh"], vec!["ijkl"]],
            0,
        ),
        (
            &one,
            4,
            BosPolicy::Document,
            EosPolicy::None,
            [vec!["^abc"], vec!["defg"], vec!["hijk"]],
            1,
        ),
        (
            &one,
            4,
            BosPolicy::Context,
            EosPolicy::None,
            [vec!["^abc", "^def"], vec!["^ghi"], vec!["^jkl"]],
            0,
        ),
        (
            &one,
            4,
            BosPolicy::None,
            EosPolicy::Document,
            [vec!["abcd"], vec!["efgh"], vec!["ijkl"]],
            1,
        ),
        (
            &two,
            2,
            BosPolicy::None,
            EosPolicy::None,
            [vec!["ab"], vec!["cd"], vec!["ef"]],
            0,
        ),
        (
            &two,
            2,
            BosPolicy::Document,
            EosPolicy::None,
            [vec!["^a", "bc"], vec!["^d"], vec!["ef"]],
            0,
        ),
        (
            &two,
            3,
            BosPolicy::Document,
            EosPolicy::Document,
            [vec!["^ab"], vec!["c$^"], vec!["def"]],
            1,
        ),
    ];
    for (index, (source, n_ctx, bos, eos, expected, n_dropped)) in cases.into_iter().enumerate() {
        let file = pack_into(&folder, source, &packing(n_ctx, bos, eos), &format!("packed{index}")).unwrap();
        assert_eq!(
            all_contexts(&file),
            expected.map(|split| split.into_iter().map(String::from).collect::<Vec<_>>()),
            "case {index}"
        );
        let manifest = file.manifest();
        assert_eq!(
            (manifest.n_dropped_tokens, manifest.split_by),
            (n_dropped, SplitBy::Context),
            "case {index}"
        );
        assert_eq!(
            (manifest.bos, manifest.eos, &manifest.special),
            (Some(BOS), Some(EOS), &vec![0, 1, 2])
        );
        assert_eq!(manifest.train.n_tokens, (file.n_contexts(Split::Train) * n_ctx) as u64);
    }
}

#[test]
fn few_documents_are_dealt_whole() {
    let folder = workplace();
    let source = write(&folder, "few.json", r#"["aaaa", "bbbb", "cccc", "aaaa"]"#);
    let file = pack_into(&folder, &source, &packing(4, BosPolicy::None, EosPolicy::None), "packed").unwrap();
    let splits = all_contexts(&file);
    let mut all = splits.concat();
    all.sort_unstable();
    assert_eq!(all, ["aaaa", "aaaa", "bbbb", "cccc"]);
    for split in splits {
        assert!(
            split.iter().all(|context| *context == split[0]),
            "equal documents lie together: {split:?}"
        );
    }
    assert_eq!(file.manifest().split_by, SplitBy::Dealt);
}

fn policies() -> impl Strategy<Value = Packing> {
    let bos = prop_oneof![Just(BosPolicy::Document), Just(BosPolicy::Context), Just(BosPolicy::None)];
    let eos = prop_oneof![Just(EosPolicy::Document), Just(EosPolicy::None)];
    (2_usize..12, bos, eos).prop_map(|(n_ctx, bos, eos)| packing(n_ctx, bos, eos))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_but_the_dropped_ends(documents in prop::collection::vec("[a-d]{1,20}", 1..80), packing in policies()) {
        let folder = workplace();
        let source = write(&folder, "corpus.json", json!(documents).to_string());
        let per_document = usize::from(packing.bos == BosPolicy::Document) + usize::from(packing.eos == EosPolicy::Document);
        let n_tokens = documents.iter().map(|text| text.len() + per_document).sum::<usize>();
        let opens = usize::from(packing.bos == BosPolicy::Context);
        let context_text = packing.n_ctx - opens;

        let packed: Vec<_> = [1, 2, 3].map(|n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| pack_into(&folder, &source, &packing, &format!("packed{n_threads}")))
        }).into_iter().collect();
        if n_tokens / context_text < 3 {
            for result in packed {
                let said = message(result);
                prop_assert!(said.contains(&format!("has {n_tokens} tokens")) && said.contains(&format!("{} tokens", 3 * context_text)), "{}", said);
            }
            return Ok(());
        }
        let files = packed.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        let manifest = files[0].manifest();
        for (file, n_threads) in files.iter().zip(1..) {
            prop_assert_eq!(file.manifest(), manifest);
            prop_assert_eq!(binaries(&folder.path().join(format!("packed{n_threads}"))), binaries(&folder.path().join("packed1")));
        }

        let n_contexts: usize = Split::ALL.iter().map(|split| files[0].n_contexts(*split)).sum();
        prop_assert_eq!(n_contexts * context_text + manifest.n_dropped_tokens as usize, n_tokens);
        prop_assert_eq!(manifest.splits().iter().map(|split| split.n_documents).sum::<u64>(), documents.len() as u64);
        prop_assert!(Split::ALL.iter().all(|split| files[0].n_contexts(*split) > 0));

        let mut seen: HashSet<String> = HashSet::new();
        for split in Split::ALL {
            let contexts = contexts(&files[0], split);
            prop_assert!(opens == 0 || contexts.iter().all(|context| context.starts_with('^')));
            let joined: String = contexts.iter().map(|context| &context[opens..]).collect();
            if packing.eos == EosPolicy::Document && manifest.split_by != SplitBy::Context {
                // whole documents, in their order, each content in one split only
                let (whole, _) = joined.rsplit_once('$').unwrap_or_default();
                let found: Vec<&str> = whole.split('$').map(|text| text.trim_start_matches('^')).filter(|text| !text.is_empty()).collect();
                let mut rest = documents.iter();
                prop_assert!(found.iter().all(|text| rest.any(|document| document == text)));
                let distinct: HashSet<String> = found.into_iter().map(String::from).collect();
                prop_assert!(seen.is_disjoint(&distinct));
                seen.extend(distinct);
            }
        }
    }
}
