//! What is done to dictionaries whose rows have other lengths than 1, and to those that read elsewhere than they write.

use api::{DictionaryConfig, DictionaryId, DictionaryKind, HookPoint, InputScale, Objective, Origin, PostHoc, Site, TrainConfig};
use engine::dictionary::{self, Dictionary, Path, Scratch};
use std::path::PathBuf;

use crate::{
    golden::relative,
    origins::{codes_of, derived, done, metric, parent, some_inputs, used},
    runs::{Place, Watch},
};

/// What is cut is what features write, whatever the lengths of the decoder's rows are, and wherever the dictionary reads.
#[test]
fn pruning_leaves_the_share_that_it_says() {
    let place = Place::new();
    let read_at = HookPoint::block(0, Site::Ln2);
    let topk = DictionaryKind::TopKTranscoder {
        read_at,
        k: 3,
        aux_coefficient: 0.03,
        dead_tokens: 1000,
    };
    let l0 = |name: &str, config: &TrainConfig, file: &PathBuf| {
        let outcome = place.run_from(name, config, &[Some(file.clone())], 2, &mut Watch::default());
        let trained = done(outcome.unwrap());
        (metric(&trained, "l0"), dictionary::load(&trained.file).unwrap().0)
    };
    for kind in [
        DictionaryKind::ReluApril,
        DictionaryKind::ReluSaelens,
        DictionaryKind::SkipTranscoder { read_at },
    ] {
        let (config, file) = parent(&place, kind, InputScale::UnitNorm);
        let [(whole, _), (pruned, made)] = [1.0, 0.4].map(|keep| {
            let by = PostHoc::Prune { keep };
            l0(&format!("{} {keep}", kind.name()), &derived(&config, by), &file)
        });
        assert!(
            (pruned - 0.4 * whole).abs() < 0.1 * 0.4 * whole,
            "{}: {pruned} of {whole}",
            kind.name()
        );
        assert_eq!(made.kind(), PostHoc::Prune { keep: 0.4 }.kind(kind).unwrap());
    }
    let (config, file) = parent(&place, topk, InputScale::None);
    let (found, made) = l0("topk", &derived(&config, PostHoc::Threshold), &file);
    assert!((found - 3.0).abs() < 0.15 * 3.0, "{found}");
    assert_eq!(made.kind(), PostHoc::Threshold.kind(topk).unwrap());
}

/// The threshold form of a transcoder gives what it gives.
#[test]
fn transcoders_by_thresholds_are_what_they_were() {
    let x = some_inputs(60);
    let read_at = HookPoint::resid_pre(0);
    let (bandwidth, initial_threshold) = (0.05, 0.001);
    for kind in [
        DictionaryKind::Transcoder { read_at },
        DictionaryKind::SkipTranscoder { read_at },
        DictionaryKind::JumpReluSkipTranscoder {
            read_at,
            bandwidth,
            initial_threshold,
        },
        DictionaryKind::TopKSkipTranscoder {
            read_at,
            k: 40,
            aux_coefficient: 0.03,
            dead_tokens: 1000,
        },
    ] {
        let mut own = used(kind);
        own.update(|parameters| {
            for tensor in parameters.0.iter_mut().filter(|t| matches!(t.name, "W_dec" | "W_skip")) {
                // rows of different lengths, where they may have them
                let wave = tensor.data.iter_mut().enumerate();
                wave.for_each(|(i, w)| *w += 0.3 * ((i * 29 % 23) as f64 - 11.0) / 11.0);
            }
        });
        let jump = own.with_threshold(0.0).unwrap();
        let (mut expected, mut found) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        for (dictionary, out) in [(&own, &mut expected), (&jump, &mut found)] {
            dictionary.reconstruct(&codes_of(dictionary, &x), &x, out, Path::default(), &Scratch::new());
        }
        let name = kind.name();
        // JumpReLU keeps its rows at length 1 in training alone
        assert!(
            relative(&found, &expected) < 1e-12,
            "{name}: {:.1e}",
            relative(&found, &expected)
        );
        assert!(
            PostHoc::Prune { keep: 0.5 }.kind(kind).is_ok() != kind.name().settings().contains(&"k"),
            "{name}"
        );
    }
}

/// A window of a thousandth of nothing would hold every threshold where it is.
#[test]
fn thresholds_of_what_was_not_trained_here_move_when_it_is_trained_further() {
    let x: Vec<f64> = some_inputs(200).iter().map(|v| 50.0 * v).collect();
    let imported = used(DictionaryKind::Relu).with_threshold(3.0).unwrap();
    let config = DictionaryConfig {
        kind: imported.kind(),
        d_sae: 40,
        objective: Objective::Local { sparsity: 0.1 },
        lr: 1e-3,
        seed: 0,
        origin: Origin::Finetuned { from: DictionaryId(1) },
        course: api::Course::default(),
    };
    let mut trainee = engine::train::Trainee::new(config.objective, config.lr, imported.clone(), api::Adam::default())
        .from_origin(config.origin);
    trainee.prepare(&x);
    let off = relative(
        &codes_of(&trainee.dictionary, &x).to_dense(),
        &codes_of(&imported, &x).to_dense(),
    );
    assert!(off < 1e-12, "the same codes: {off:.1e}");
    let threshold = |dictionary: &Dictionary<f64>| {
        let all = &dictionary.parameters().0;
        all.iter().find(|t| t.name == "threshold").unwrap().data.clone()
    };
    let before = threshold(&trainee.dictionary);
    for _ in 0..3 {
        trainee.begin();
        trainee.forward(&x, 1.0, &Scratch::new());
        trainee.backward(&x, 1.0, &Scratch::new());
        trainee.complete();
        trainee.update(1.0, 10.0);
    }
    let moved = threshold(&trainee.dictionary)
        .iter()
        .zip(&before)
        .filter(|(a, b)| a != b)
        .count();
    assert!(moved > 5, "{moved} of 40 thresholds moved");
}
