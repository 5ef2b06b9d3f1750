//! Runs of every kind of dictionary: with every objective, on any number of threads, interrupted, saved and measured.

use api::{DictionaryConfig, DictionaryKind, InputScale, TrainConfig};
use engine::{
    dictionary::{self, Normaliser},
    train::Outcome,
};
use std::fs;

use crate::{
    runs::{Place, Watch, at, left},
    workplace::config,
};

/// Every kind, with settings at which everything happens within ten steps.
pub fn kinds() -> [DictionaryKind; 14] {
    [
        DictionaryKind::Relu,
        DictionaryKind::ReluUnit,
        DictionaryKind::ReluApril,
        DictionaryKind::ReluSaelens,
        DictionaryKind::PAnneal {
            final_p: 0.3,
            anneal_start: 1,
            anneal_end: 9,
        },
        DictionaryKind::Tied,
        DictionaryKind::Gated,
        DictionaryKind::TopK {
            k: 3,
            aux_coefficient: 1.0 / 32.0,
            dead_tokens: 200,
        },
        DictionaryKind::AbsTopK {
            k: 3,
            aux_coefficient: 1.0 / 32.0,
            dead_tokens: 200,
        },
        DictionaryKind::BatchTopK {
            k: 3,
            aux_coefficient: 1.0 / 32.0,
            dead_tokens: 200,
            threshold_decay: 0.9,
        },
        DictionaryKind::Matryoshka {
            k: 3,
            aux_coefficient: 1.0 / 32.0,
            dead_tokens: 200,
            threshold_decay: 0.9,
            groups: 3,
        },
        DictionaryKind::JumpRelu {
            bandwidth: 0.05,
            initial_threshold: 0.001,
        },
        DictionaryKind::Pursuit { k: 3 },
        DictionaryKind::MatchingPursuit {
            k: 3,
            residual_threshold: 0.1,
            stop_on_duplicate: true,
        },
    ]
}

/// The three objectives' dictionaries, all of one kind.
pub fn of_kind(kind: DictionaryKind) -> TrainConfig {
    let mut config = TrainConfig {
        input_scale: InputScale::UnitNorm,
        ..config(at())
    };
    for d in &mut config.dictionaries {
        d.kind = kind;
        let sparsity = if kind.name().has_penalty() {
            d.objective.sparsity()
        } else {
            0.0
        };
        d.objective = d.objective.with_sparsity(sparsity);
    }
    config
}

#[test]
fn threads_and_interruptions_change_no_bit_of_any_kind() {
    let place = Place::new();
    for kind in kinds() {
        let (name, config) = (kind.name(), of_kind(kind));
        config.validate().unwrap();
        let mut whole = Watch::default();
        let expected = left(place.run(&format!("{name}.whole"), &config, 2, &mut whole).unwrap());
        let mut one = Watch::default();
        let alone = left(place.run(&format!("{name}.one"), &config, 1, &mut one).unwrap());
        assert!(alone == expected && one.history == whole.history, "{name}: threads");
        let mut watch = Watch::default();
        for (stop, n_threads) in [(0, 2), (1, 1), (5, 3), (6, 2)] {
            watch.stop_at = Some(stop);
            let outcome = place.run(&format!("{name}.cut"), &config, n_threads, &mut watch).unwrap();
            assert!(
                matches!(outcome, Outcome::Stopped { step } if step == stop),
                "{name}: {outcome:?}"
            );
        }
        watch.stop_at = None;
        let resumed = left(place.run(&format!("{name}.cut"), &config, 2, &mut watch).unwrap());
        assert_eq!(watch.resumed, [0, 0, 1, 5, 6]);
        assert!(resumed == expected && watch.history == whole.history, "{name}: interruptions");
    }
}

#[test]
fn threads_and_interruptions_change_no_bit_where_each_token_is_scaled() {
    let place = Place::new();
    for scale in [InputScale::LayerNorm, InputScale::ConstantNorm] {
        let config = TrainConfig {
            input_scale: scale,
            ..of_kind(DictionaryKind::Gated)
        };
        let expected = left(
            place
                .run(&format!("{scale}.whole"), &config, 2, &mut Watch::default())
                .unwrap(),
        );
        let alone = left(place.run(&format!("{scale}.one"), &config, 1, &mut Watch::default()).unwrap());
        assert!(alone == expected, "{scale}: threads");
        let mut watch = Watch {
            stop_at: Some(4),
            ..Watch::default()
        };
        place.run(&format!("{scale}.cut"), &config, 3, &mut watch).unwrap();
        watch.stop_at = None;
        let resumed = left(place.run(&format!("{scale}.cut"), &config, 2, &mut watch).unwrap());
        assert!(watch.resumed == [0, 4] && resumed == expected, "{scale}: an interruption");
        // and no other scale's
        let plain = TrainConfig {
            input_scale: InputScale::None,
            ..config
        };
        assert!(
            left(
                place
                    .run(&format!("{scale}.plain"), &plain, 2, &mut Watch::default())
                    .unwrap()
            ) != expected
        );
    }
}

#[test]
fn every_kind_is_measured_and_says_its_terms() {
    let place = Place::new();
    for kind in kinds() {
        let name = kind.name();
        let mut watch = Watch::default();
        let left = left(place.run(&format!("{name}.measured"), &of_kind(kind), 2, &mut watch).unwrap());
        for (_, metrics) in &left {
            let metric = |name: &str| metrics.iter().find(|m| m.name == name && m.at.is_none()).unwrap().value;
            assert!(metric("l0") > 0.0 && metric("ce_increase").is_finite(), "{name}");
            if let DictionaryKind::TopK { k, .. } | DictionaryKind::AbsTopK { k, .. } = kind {
                assert_eq!(metric("l0"), k as f64);
            }
        }
        let said = |term: &str| watch.history.iter().all(|point| point.values.contains_key(term));
        assert_eq!(said("loss/sparsity"), name.has_penalty(), "{name}");
        assert_eq!(said("loss/auxiliary"), name.has_auxiliary(), "{name}");
    }
}

#[test]
fn files_of_every_kind_come_back() {
    let place = Place::new();
    for kind in kinds() {
        let config = DictionaryConfig {
            kind,
            ..config(at()).dictionaries[0].clone()
        };
        let mut made = dictionary::Dictionary::<f32>::random(kind, 12, config.d_sae, 3);
        assert_eq!(made.kind(), kind);
        assert_eq!(
            made.parameters().len() as u128,
            kind.n_parameters(12, config.d_sae),
            "{}",
            kind.name()
        );
        made.update_state(|state| state.iter_mut().for_each(|tensor| tensor.data.fill(0.75)));
        let file = dictionary::DictionaryFile::new(
            config.clone(),
            at(),
            api::ResidualFrame::Raw,
            Normaliser::default(),
            "abc".into(),
        );
        let path = place.folder.path().join("one.safetensors");
        dictionary::save(&made, &file, api::WeightType::F32, &path).unwrap();
        let (back, facts) = dictionary::load(&path).unwrap();
        assert_eq!(
            (back.parameters(), back.state(), facts),
            (made.parameters(), made.state(), file)
        );
        // what another kind would need is not there
        let other = match kind {
            DictionaryKind::Gated => DictionaryKind::Relu,
            _ => DictionaryKind::Gated,
        };
        let config = DictionaryConfig { kind: other, ..config };
        let file = dictionary::DictionaryFile::new(config, at(), api::ResidualFrame::Raw, Normaliser::default(), "abc".into());
        dictionary::save(&made, &file, api::WeightType::F32, &path).unwrap();
        let error = dictionary::load(&path).unwrap_err().to_string();
        assert!(error.contains("is missing") && error.contains("one.safetensors"), "{error}");
        fs::remove_file(&path).unwrap();
    }
}
