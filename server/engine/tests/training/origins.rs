//! Dictionaries that do not begin from fresh weights: changed after their training, trained further, read from a file.

use api::{DictionaryConfig, DictionaryId, DictionaryKind, InputScale, Objective, Origin, PostHoc, TrainConfig, WeightType};
use engine::{
    dictionary::{self, Dictionary, DictionaryFile, Normaliser, Path, Scratch, SparseCodes},
    kernel::Real,
    train::{Outcome, TrainError, Trained},
};
use safetensors::SafeTensors;
use std::{fs, path::PathBuf};

use crate::{
    golden::{models, relative},
    kind_runs::kinds,
    runs::{Place, Watch, at, left},
    workplace::config,
};

const WIDTH: usize = 12;

pub fn codes_of<R: Real>(dictionary: &Dictionary<R>, x: &[R]) -> SparseCodes<R> {
    let mut codes = SparseCodes::default();
    dictionary.encode(x, &mut codes, &Scratch::new());
    codes
}

fn output_of(dictionary: &Dictionary<f64>, x: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    dictionary.decode(&codes_of(dictionary, x), &mut out, Path::default(), &Scratch::new());
    out
}

pub fn some_inputs(n: usize) -> Vec<f64> {
    (0..n * WIDTH)
        .map(|i| ((i * 7919 % 1013) as f64 / 506.5 - 1.0) * 2.0)
        .collect()
}

/// A dictionary of each kind that has seen some data, with biases, gains and thresholds that are not 0.
pub fn used(kind: DictionaryKind) -> Dictionary<f64> {
    let mut dictionary = Dictionary::random(kind, WIDTH, 40, 3);
    dictionary.prepare(&some_inputs(50));
    dictionary.update(|parameters| {
        for tensor in parameters.0.iter_mut().filter(|t| t.shape.len() == 1) {
            let wave = tensor.data.iter_mut().enumerate();
            wave.for_each(|(i, v)| *v += 0.05 * ((i * 13 % 17) as f64 - 6.0) / 6.0);
        }
    });
    dictionary.update_state(|state| {
        let thresholds = state.iter_mut().filter(|t| t.name == "threshold");
        thresholds.for_each(|t| t.data.fill(0.2));
    });
    dictionary
}

#[test]
fn thresholds_and_gates_give_the_same_codes() {
    let x = some_inputs(60);
    for kind in kinds() {
        let dictionary = used(kind);
        let (own, Some(jump)) = (codes_of(&dictionary, &x), dictionary.with_threshold(0.0)) else {
            continue;
        };
        let found = codes_of(&jump, &x);
        assert!(own.nnz() > 0);
        let name = kind.name();
        if let DictionaryKind::TopK { .. } = kind {
            // the k largest of what the threshold form finds
            assert!(found.nnz() > own.nnz(), "{name}");
        } else {
            let off = relative(&output_of(&jump, &x), &output_of(&dictionary, &x));
            assert!(off < 1e-12, "{name}: outputs {off:.1e}");
            assert_eq!(found.nnz(), own.nnz(), "{name}");
        }
        // pruning keeps exactly what is above
        let mut values: Vec<f64> = found.segments.iter().flat_map(|segment| segment.values.clone()).collect();
        values.sort_by(f64::total_cmp);
        let least = values[values.len() / 2];
        let pruned = codes_of(&dictionary.with_threshold(least).unwrap(), &x);
        let expected: Vec<f64> = found
            .to_dense()
            .into_iter()
            .map(|v| if v > least { v } else { 0.0 })
            .collect();
        assert!(relative(&pruned.to_dense(), &expected) < 1e-12, "{name}");
        assert!(pruned.nnz() < found.nnz(), "{name}");
    }
    for kind in kinds().into_iter().filter(|kind| PostHoc::RescaleShift.kind(*kind).is_ok()) {
        let (own, gated) = (used(kind), used(kind).as_gated().unwrap());
        let written: Vec<f64> = codes_of(&own, &x).to_dense();
        let lengths = own.lengths();
        let written: Vec<f64> = written
            .iter()
            .enumerate()
            .map(|(e, c)| c * lengths[e % lengths.len()])
            .collect();
        let name = kind.name();
        assert!(relative(&codes_of(&gated, &x).to_dense(), &written) < 1e-12, "{name}");
        assert!(relative(&output_of(&gated, &x), &output_of(&own, &x)) < 1e-12, "{name}");
    }
    let jump = kinds()
        .into_iter()
        .find(|kind| matches!(kind, DictionaryKind::JumpRelu { .. }));
    assert!(used(jump.unwrap()).as_gated().is_none(), "thresholds are no gates at 0");
}

#[test]
fn folding_takes_scale_and_norms_in() {
    let x = some_inputs(60);
    for kind in kinds() {
        let dictionary = used(kind);
        for factor in [1.0, 0.125, 3.0] {
            let scaled: Vec<f64> = x.iter().map(|v| v * factor).collect();
            let expected: Vec<f64> = output_of(&dictionary, &scaled).iter().map(|v| v / factor).collect();
            let folded = dictionary.clone().folded(factor);
            let off = relative(&output_of(&folded, &x), &expected);
            assert!(off < 1e-12, "{} at {factor}: {off:.1e}", kind.name());
            let decoder = folded.parameters().0.iter().find(|t| t.name == "W_dec");
            for row in decoder.iter().flat_map(|t| t.data.chunks(WIDTH)) {
                assert!((row.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn pursuit_is_torchs() {
    let bytes = fs::read(models().join("../posthoc/golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: &str| -> Vec<f64> { bytemuck::pod_collect_to_vec(golden.tensor(name).unwrap().data()) };
    let x = numbers("x");
    for k in [1, 3, 8] {
        let mut pursuit = Dictionary::<f64>::random(DictionaryKind::Pursuit { k }, WIDTH, 37, 0);
        pursuit.update(|parameters| {
            for tensor in &mut parameters.0 {
                tensor.data = numbers(tensor.name);
            }
        });
        let codes = codes_of(&pursuit, &x);
        let off = relative(&codes.to_dense(), &numbers(&format!("codes.{k}")));
        assert!(off < 1e-9, "{k}: {off:.1e}");
        for t in 0..40 {
            let (ids, _) = codes.row(t);
            assert!(ids.len() <= k && ids.is_sorted(), "{ids:?}");
        }
        assert!(codes.row(39).0.is_empty(), "the bias itself needs no feature");
    }
}

#[test]
fn pursuit_of_an_orthonormal_decoder_is_exact() {
    let rows: Vec<f64> = (0..WIDTH * WIDTH).map(|i| f64::from(i % (WIDTH + 1) == 0)).collect();
    let mut pursuit = Dictionary::<f64>::random(DictionaryKind::Pursuit { k: WIDTH }, WIDTH, WIDTH, 0);
    pursuit.update(|parameters| {
        parameters.0[0].data = rows;
        parameters.0[1].data.fill(0.25);
    });
    let x = some_inputs(30);
    let found = codes_of(&pursuit, &x).to_dense();
    let expected: Vec<f64> = x.iter().map(|v| (v - 0.25).max(0.0)).collect();
    assert!(relative(&found, &expected) < 1e-12);
}

/// A trained dictionary of `kind` in a file, with the config of its run.
pub fn parent(place: &Place, kind: DictionaryKind, scale: InputScale) -> (TrainConfig, PathBuf) {
    let mut config = TrainConfig {
        input_scale: scale,
        ..config(at())
    };
    config.dictionaries.truncate(1);
    config.dictionaries[0].kind = kind;
    if !kind.name().has_penalty() {
        config.dictionaries[0].objective = Objective::Local { sparsity: 0.0 };
    }
    let name = format!("parent {} {scale}", kind.name());
    let Outcome::Done(trained) = place.run(&name, &config, 1, &mut Watch::default()).unwrap() else {
        panic!("not done")
    };
    (config, trained[0].file.clone())
}

/// The config of what is made of it.
pub fn derived(config: &TrainConfig, by: PostHoc) -> TrainConfig {
    let own = &config.dictionaries[0];
    let kind = by.kind(own.kind).unwrap();
    let sparsity = if kind.name().has_penalty() && by != PostHoc::RescaleShift {
        own.objective.sparsity()
    } else {
        0.0
    };
    TrainConfig {
        tokens: if by == PostHoc::RescaleShift { config.tokens } else { 0 },
        input_scale: if by == PostHoc::Fold {
            InputScale::None
        } else {
            config.input_scale
        },
        dictionaries: vec![DictionaryConfig {
            kind,
            objective: own.objective.with_sparsity(sparsity),
            origin: Origin::Derived {
                from: DictionaryId(1),
                by,
            },
            ..own.clone()
        }],
        ..config.clone()
    }
}

pub fn metric(trained: &Trained, name: &str) -> f64 {
    let of = |m: &&api::Measurement| m.name == name && m.at.is_none_or(|point| point == at());
    trained.metrics.iter().find(of).unwrap().value
}

pub fn done(outcome: Outcome) -> Trained {
    let Outcome::Done(mut trained) = outcome else {
        panic!("{outcome:?}")
    };
    trained.remove(0)
}

#[test]
fn what_is_derived_is_measured_and_does_what_it_says() {
    let place = Place::new();
    let (relu, file) = parent(&place, DictionaryKind::Relu, InputScale::UnitNorm);
    let run = |name: &str, config: &TrainConfig, file: &PathBuf| {
        let mut watch = Watch::default();
        let outcome = place.run_from(name, config, &[Some(file.clone())], 2, &mut watch);
        (done(outcome.unwrap()), watch)
    };
    let (before, facts) = dictionary::load(&file).unwrap();
    let (folded, watch) = run("fold", &derived(&relu, PostHoc::Fold), &file);
    assert!(watch.history.is_empty() && folded.n_passes == 0.0);
    assert!(
        folded.metrics.iter().all(|m| m.name != "train_seconds"),
        "nothing was trained"
    );
    let (loaded, after) = dictionary::load(&folded.file).unwrap();
    assert_eq!(
        (after.normaliser, loaded.kind()),
        (Normaliser::default(), DictionaryKind::Relu)
    );
    assert!(facts.normaliser != Normaliser::default());
    // the whole as it was, in the model's own scale
    let (whole, _) = run("as it was", &derived(&relu, PostHoc::Prune { keep: 1.0 }), &file);
    for name in ["l0", "ce_loss_with_sae", "kl_div_with_sae", "mse"] {
        let (a, b) = (metric(&folded, name), metric(&whole, name));
        assert!((a - b).abs() < 1e-4 * b.abs(), "{name}: {a}, {b}");
    }
    let mut last = metric(&whole, "l0");
    for keep in [0.8, 0.4] {
        let (pruned, _) = run(&format!("prune {keep}"), &derived(&relu, PostHoc::Prune { keep }), &file);
        let (l0, wanted) = (metric(&pruned, "l0"), keep * metric(&whole, "l0"));
        // set on one text, measured on another
        assert!(l0 < last && (l0 - wanted).abs() < 0.1 * wanted, "{l0}, {wanted}");
        last = l0;
    }
    let (pursued, _) = run("pursuit", &derived(&relu, PostHoc::Pursuit { k: 4 }), &file);
    assert!(metric(&pursued, "l0") <= 4.0);
    let (_, facts) = dictionary::load(&pursued.file).unwrap();
    assert_eq!(
        facts.config.origin,
        derived(&relu, PostHoc::Pursuit { k: 4 }).dictionaries[0].origin
    );

    // scales and shifts are trained, and nothing else moves
    let config = derived(&relu, PostHoc::RescaleShift);
    let (rescaled, watch) = run("rescale", &config, &file);
    let (gated, _) = dictionary::load(&rescaled.file).unwrap();
    let gated_before = before.as_gated().unwrap();
    for (a, b) in gated.parameters().0.iter().zip(&gated_before.parameters().0) {
        let before: Vec<f64> = b.data.iter().map(|v| f64::from(*v)).collect();
        let moved = relative(&a.data, &before);
        match a.name {
            "r_mag" | "b_mag" => assert!(a.data != b.data, "{}", a.name),
            "W_dec" => assert!(moved < 1e-6, "only rounding: {moved:.1e}"),
            name => assert_eq!(a.data, b.data, "{name}"),
        }
    }
    assert!(metric(&rescaled, "mse") < metric(&whole, "mse"));
    assert!(!watch.history.is_empty());

    // the k largest, by a threshold at the same L0
    let k = 3;
    let kind = DictionaryKind::TopK {
        k,
        aux_coefficient: 0.03,
        dead_tokens: 1000,
    };
    let (topk, file) = parent(&place, kind, InputScale::None);
    let (thresholded, _) = run("threshold", &derived(&topk, PostHoc::Threshold), &file);
    let l0 = metric(&thresholded, "l0");
    assert!((l0 - k as f64).abs() < 0.15 * k as f64, "{l0}");
    let (jump, _) = dictionary::load(&thresholded.file).unwrap();
    assert_eq!(jump.kind(), PostHoc::Threshold.kind(kind).unwrap());
}

#[test]
fn finetuning_goes_on_from_the_weights_and_bears_interruption() {
    let place = Place::new();
    for scale in [InputScale::None, InputScale::UnitNorm] {
        let (parent, file) = parent(&place, DictionaryKind::Gated, scale);
        let from = [Some(file)];
        let mut config = parent.clone();
        config.dictionaries[0].origin = Origin::Finetuned { from: DictionaryId(1) };
        config.dictionaries[0].objective = Objective::KlMse { sparsity: 0.1 };
        let mut watch = Watch::default();
        let name = |what: &str| format!("{what} {scale}");
        let whole = place.run_from(&name("whole"), &config, &from, 1, &mut watch).unwrap();
        // the first step, at learning rate 0, measures what the parent was at its end
        let first = &watch.history[0].values;
        let ended = place.run(&name("again"), &parent, 1, &mut Watch::default()).unwrap();
        let Outcome::Done(ended) = ended else { panic!("not done") };
        let (own, _) = dictionary::load(&ended[0].file).unwrap();
        assert_eq!(
            own.parameters(),
            dictionary::load(from[0].as_ref().unwrap()).unwrap().0.parameters()
        );
        assert!(first.contains_key("loss/kl") && first["loss"] > 0.0);
        let whole = left(whole);
        for stop_at in [1, 4, 9] {
            let folder = name(&format!("stopped at {stop_at}"));
            let mut watch = Watch {
                stop_at: Some(stop_at),
                ..Watch::default()
            };
            assert!(matches!(
                place.run_from(&folder, &config, &from, 2, &mut watch).unwrap(),
                Outcome::Stopped { step } if step == stop_at
            ));
            let resumed = place.run_from(&folder, &config, &from, 3, &mut Watch::default()).unwrap();
            assert!(left(resumed) == whole, "{folder}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let place = Place::new();
    let (relu, file) = parent(&place, DictionaryKind::Relu, InputScale::None);
    let refused = |config: &TrainConfig, from: &[Option<PathBuf>]| -> String {
        let error: TrainError = place.run_from("refused", config, from, 1, &mut Watch::default()).unwrap_err();
        error.to_string()
    };
    let pruned = derived(&relu, PostHoc::Prune { keep: 0.5 });
    assert!(refused(&pruned, &[]).contains("missing"));
    // another width of dictionary, another hook point, another scale in the same run
    let mut wider = pruned.clone();
    wider.dictionaries[0].d_sae = 71;
    assert!(refused(&wider, &[Some(file.clone())]).contains("70 features; expected"));
    let elsewhere = TrainConfig {
        at: api::HookPoint::resid_pre(2),
        ..pruned.clone()
    };
    assert!(refused(&elsewhere, &[Some(file.clone())]).contains("blocks.2.hook_resid_pre"));
    let (dictionary, facts) = dictionary::load(&file).unwrap();
    let scaled = place.folder.path().join("scaled.safetensors");
    let facts = DictionaryFile {
        normaliser: Normaliser::Scale(0.5),
        ..facts
    };
    dictionary::save(&dictionary, &facts, WeightType::F32, &scaled).unwrap();
    let mut both = pruned.clone();
    both.dictionaries.push(pruned.dictionaries[0].clone());
    assert!(refused(&both, &[Some(file), Some(scaled)]).contains("input scales 1 and 0.5"));
    // trained and not trained in one run
    both.dictionaries[1] = relu.dictionaries[0].clone();
    assert!(refused(&both, &[]).contains("found 1 of 2 that are trained"));
}
