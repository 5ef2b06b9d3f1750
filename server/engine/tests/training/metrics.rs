//! Every metric is what torch computes in f64 from the same tokens.

use api::TokenSet;
use engine::{
    dictionary::Normaliser,
    metrics::{Depth, Subject, Text, evaluate, of_weights},
};

use crate::golden::{Golden, model};

#[test]
fn metrics_are_torchs() {
    let golden = Golden::read();
    let about = &golden.about;
    for setup in &golden.about.setups {
        let (model, dictionary) = (model(setup), golden.dictionary::<f32>(setup));
        let contexts = golden.tokens(&format!("{}.eval", setup.model));
        let contexts: Vec<&[u32]> = contexts.chunks(about.n_ctx).collect();
        let subject = Subject {
            dictionary: &dictionary,
            normaliser: setup.normaliser,
        };
        let text = Text {
            contexts: &contexts,
            special: &about.special,
            batch: about.eval_batch,
            documents: None,
            depth: Depth::Results,
        };
        let measured = evaluate(&model, setup.at, &[subject], text, &mut |_, _| true)
            .unwrap()
            .pop()
            .unwrap();
        let weights = of_weights(&dictionary, &measured.firings, measured.n_tokens);
        let measured: Vec<_> = measured.metrics.into_iter().chain(weights).collect();
        assert_eq!(measured.len(), setup.metrics.len(), "{}", setup.name);
        for torchs in &setup.metrics {
            let found: Vec<_> = measured
                .iter()
                .filter(|m| (&m.name, m.at, m.tokens) == (&torchs.name, torchs.at, torchs.tokens))
                .collect();
            let what = format!("{} {} at {:?} of {:?}", setup.name, torchs.name, torchs.at, torchs.tokens);
            let [ours] = found[..] else {
                panic!("{what}: found {found:?}")
            };
            assert_eq!(ours.n_tokens, torchs.n_tokens, "{what}");
            let off = setup.off(torchs, ours.value);
            assert!(
                off <= 1e-5,
                "{what}: {}; torch has {}, {off:.1e} off",
                ours.value,
                torchs.value
            );
        }
    }
}

/// A token that is alone in its batch has no variance to be explained: nothing is said then, rather than nonsense.
#[test]
fn what_is_not_defined_is_left_out() {
    let golden = Golden::read();
    let setup = golden.setup("llama_resid");
    let (model, dictionary) = (model(setup), golden.dictionary::<f32>(setup));
    let n_ctx = golden.about.n_ctx;
    // every context begins alike and has no special token
    let mut contexts = golden.tokens("llama.eval");
    contexts.iter_mut().step_by(n_ctx).for_each(|first| *first = 1);
    let contexts: Vec<&[u32]> = contexts.chunks(n_ctx).collect();
    let subject = Subject {
        dictionary: &dictionary,
        normaliser: Normaliser::default(),
    };
    for batch in [1, 4] {
        let text = Text {
            contexts: &contexts,
            special: &[],
            batch,
            documents: None,
            depth: Depth::Results,
        };
        let measured = evaluate(&model, setup.at, &[subject], text, &mut |_, _| true)
            .unwrap()
            .pop()
            .unwrap()
            .metrics;
        let names = |set: TokenSet| measured.iter().filter(move |m| m.tokens == set).map(|m| m.name.as_str());
        assert_eq!(names(TokenSet::Special).count(), 0);
        assert!(names(TokenSet::PositionZero).all(|name| !name.starts_with("explained_variance")));
        assert!(names(TokenSet::PositionZero).any(|name| name == "kl_div_with_sae"));
        assert_eq!(
            names(TokenSet::Ordinary).filter(|name| *name == "explained_variance").count(),
            4
        );
        assert!(measured.iter().all(|m| m.value.is_finite() && m.value > -1e4), "{measured:?}");
    }
}
