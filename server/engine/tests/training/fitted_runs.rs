//! Runs whose dictionaries are fitted: on any number of threads, interrupted, saved, read and measured again; and what is known of
//! their metrics without measuring.

use api::{Course, DictionaryConfig, DictionaryKind, InputScale, Objective, Origin, TrainConfig};
use engine::{
    dictionary::{self, Dictionary, Normaliser, Scratch, SparseCodes, TokenMean},
    metrics::{Subject, probing::pool},
    train::{Cpu, Device as _, Outcome, Trained, evaluate},
};

use crate::{
    runs::{Place, Watch, at, left},
    workplace::{config, tiny},
};

fn fitted(kinds: &[(DictionaryKind, usize)]) -> TrainConfig {
    let dictionary = |(kind, d_sae): &(DictionaryKind, usize)| DictionaryConfig {
        kind: *kind,
        d_sae: *d_sae,
        objective: Objective::Local { sparsity: 0.0 },
        lr: 0.0,
        seed: 3,
        origin: Origin::Fresh,
        course: Course::default(),
    };
    let config = TrainConfig {
        input_scale: InputScale::UnitNorm,
        dictionaries: kinds.iter().map(dictionary).collect(),
        ..config(at())
    };
    config.validate().unwrap();
    config
}

fn all(place: &Place) -> Vec<(DictionaryKind, usize)> {
    let d = place.model.width(at()).unwrap();
    vec![
        (DictionaryKind::PcaStatic { k: 4 }, 4),
        (DictionaryKind::PcaDynamic { k: 4 }, d),
        (DictionaryKind::PcaTopK { k: 4 }, 2 * d),
        (DictionaryKind::PcaNonNegative, 2 * d),
        (DictionaryKind::Ica { k: None }, 2 * d),
        (DictionaryKind::Ica { k: Some(4) }, 2 * d),
        (DictionaryKind::Nmf, d),
        (DictionaryKind::Random { k: Some(4) }, 3 * d),
        (DictionaryKind::Identity { k: None }, 2 * d),
        (DictionaryKind::TokenMean, place.model.facts().d_vocab),
    ]
}

fn done(outcome: Outcome) -> Vec<Trained> {
    match outcome {
        Outcome::Done(trained) => trained,
        Outcome::Stopped { step } => panic!("stopped at {step}"),
    }
}

fn metric(trained: &Trained, name: &str) -> f64 {
    trained
        .metrics
        .iter()
        .find(|m| m.name == name && m.at.is_none())
        .unwrap()
        .value
}

#[test]
fn threads_and_interruptions_change_no_bit_and_files_say_the_same_again() {
    let place = Place::new();
    let config = fitted(&all(&place));
    let expected = left(place.run("whole", &config, 2, &mut Watch::default()).unwrap());
    assert!(
        expected == left(place.run("one", &config, 1, &mut Watch::default()).unwrap()),
        "threads"
    );
    let mut watch = Watch {
        stop_at: Some(7),
        ..Watch::default()
    };
    let stopped = place.run("cut", &config, 3, &mut watch).unwrap();
    assert!(matches!(stopped, Outcome::Stopped { step: 0 }), "{stopped:?}");
    watch.stop_at = None;
    let trained = done(place.run("cut", &config, 2, &mut watch).unwrap());
    assert_eq!(watch.resumed, [0, 0]);
    assert!(watch.history.is_empty());
    let files: Vec<_> = trained.iter().map(|t| t.file.clone()).collect();
    let tokens = tiny(&place.folder.path().join("cut")).1;
    let backend = Cpu.backend(&place.model).unwrap();
    let again = evaluate(&files, &*backend, &tokens, &config, &mut |_, _| true).unwrap();
    for ((trained, again), wanted) in trained.iter().zip(&again).zip(&config.dictionaries) {
        let (dictionary, facts) = dictionary::load(&trained.file).unwrap();
        assert_eq!((dictionary.kind(), facts.config), (wanted.kind, wanted.clone()));
        for found in &again.metrics {
            let same = |m: &&api::Measurement| (&m.name, m.at, m.tokens) == (&found.name, found.at, found.tokens);
            let stored = trained.metrics.iter().find(same).unwrap();
            assert_eq!(
                stored.value.to_bits(),
                found.value.to_bits(),
                "{}: {}",
                wanted.kind.name(),
                found.name
            );
        }
        assert!(!trained.metrics.iter().any(|m| m.name == "grad_norm"));
    }
    assert!(left(Outcome::Done(trained)) == expected, "interruption");
}

#[test]
fn what_is_complete_leaves_the_model_as_it_is() {
    let place = Place::new();
    let d = place.model.width(at()).unwrap();
    let config = fitted(&[
        (DictionaryKind::PcaStatic { k: d }, d),
        (DictionaryKind::PcaDynamic { k: d }, d),
        (DictionaryKind::PcaNonNegative, 2 * d),
        (DictionaryKind::Ica { k: None }, 2 * d),
        (DictionaryKind::Identity { k: None }, 2 * d),
        (DictionaryKind::PcaStatic { k: 2 }, 2),
    ]);
    let trained = done(place.run("complete", &config, 2, &mut Watch::default()).unwrap());
    let (part, complete) = trained.split_last().unwrap();
    for (trained, wanted) in complete.iter().zip(&config.dictionaries) {
        let (model, spliced) = (metric(trained, "ce_loss_without_sae"), metric(trained, "ce_loss_with_sae"));
        assert!(
            (spliced - model).abs() < 1e-5 * model,
            "{}: {spliced} and {model}",
            wanted.kind.name()
        );
        assert!(metric(trained, "kl_div_with_sae") < 1e-6, "{}", wanted.kind.name());
        assert!(metric(trained, "explained_variance") > 1.0 - 1e-6);
    }
    assert!(
        metric(part, "kl_div_with_sae") > 1e-4 && metric(part, "l0") == 2.0,
        "the test cannot tell"
    );
}

#[test]
fn l0_is_k_and_the_token_alone_says_what_it_can() {
    let place = Place::new();
    let config = fitted(&all(&place));
    let trained = done(place.run("measured", &config, 2, &mut Watch::default()).unwrap());
    for (trained, wanted) in trained.iter().zip(&config.dictionaries) {
        match wanted.kind {
            DictionaryKind::PcaStatic { k }
            | DictionaryKind::PcaDynamic { k }
            | DictionaryKind::PcaTopK { k }
            | DictionaryKind::Ica { k: Some(k) }
            | DictionaryKind::Random { k: Some(k) } => assert_eq!(metric(trained, "l0"), k as f64, "{}", wanted.kind.name()),
            DictionaryKind::TokenMean => {
                assert!(metric(trained, "l0") <= 1.0);
                // at the first block's input a token's activation differs by its position alone
                let explained = metric(trained, "explained_variance");
                assert!((0.3..1.0).contains(&explained), "{explained}");
                // and where the tokens are not told, nothing fires
                let (dictionary, _) = dictionary::load(&trained.file).unwrap();
                let mut codes = SparseCodes::default();
                dictionary.encode(&vec![1.0; 5 * dictionary.d_in()], &mut codes, &Scratch::new());
                assert_eq!((codes.n_tokens(), codes.nnz()), (5, 0));
            }
            _ => {}
        }
        assert!(metric(trained, "l0") > 0.0 && metric(trained, "train_seconds") > 0.0);
    }
}

#[test]
fn fitted_and_trained_are_no_one_run() {
    let place = Place::new();
    let mut config = fitted(&all(&place));
    config.dictionaries.push(DictionaryConfig {
        kind: DictionaryKind::Relu,
        lr: 1e-3,
        ..config.dictionaries[0].clone()
    });
    let error = place.run("mixed", &config, 1, &mut Watch::default()).unwrap_err().to_string();
    assert!(error.contains("fitted and trained"), "{error}");
    let mut config = fitted(&[(DictionaryKind::PcaStatic { k: 4 }, 4)]);
    config.dictionaries[0].objective = Objective::E2e { sparsity: 0.0, kl: 1.0 };
    let error = place.run("e2e", &config, 1, &mut Watch::default()).unwrap_err().to_string();
    assert!(error.contains("e2e") && error.contains("expected local"), "{error}");
}

/// The one kind whose features are tokens is asked with the tokens; and a text of none is no error.
#[test]
fn texts_are_pooled_by_what_their_tokens_fire() {
    let place = Place::new();
    let model = &place.model;
    let (d, d_vocab) = (model.facts().d_model, model.facts().d_vocab);
    let rows: Vec<f32> = (0..d_vocab * d)
        .map(|i| if i % d == 0 { (i / d) as f32 } else { 0.0 })
        .collect();
    let dictionary = Dictionary::TokenMean(TokenMean::new(rows, vec![0.0; d]));
    let subject = Subject {
        dictionary: &dictionary,
        normaliser: Normaliser::default(),
    };
    let texts = [vec![1, 5, 5, 9], Vec::new(), vec![3, 2]];
    let pooled = pool(model, at(), subject, &texts, &[2], &mut |_, _| true).unwrap().unwrap();
    // position 0 and special tokens are left out
    let expected = |text: usize| match text {
        0 => vec![(5, 5.0 / 3.0 + 5.0 / 3.0), (9, 9.0 / 3.0)],
        _ => Vec::new(),
    };
    for (text, features) in pooled.features.chunks_exact(d_vocab).enumerate() {
        let found: Vec<(usize, f32)> = features.iter().copied().enumerate().filter(|(_, c)| *c != 0.0).collect();
        assert_eq!(found, expected(text), "text {text}");
    }
    assert!(pooled.activations[d..2 * d].iter().all(|x| *x == 0.0));
}
