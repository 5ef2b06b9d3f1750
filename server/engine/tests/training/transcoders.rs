//! Transcoders: where they read and write at one point they are the kinds that they come from; elsewhere their runs are repeatable, their
//! files come back, and their gradients are slopes. What torch makes of them is among the golden setups of the training.

use api::{DictionaryKind, HookPoint, InputScale, Origin, PostHoc, Site, TrainConfig};
use engine::{
    dictionary::{self, Dictionary, Normaliser, Parameters},
    train::{Cpu, Device as _, Stepper, Trainee, evaluate},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::runs::{Place, Watch, left};

const BANDWIDTH: f64 = 0.05;

fn at() -> HookPoint {
    HookPoint::block(1, Site::MlpOut)
}

fn transcoders(read_at: HookPoint) -> [DictionaryKind; 2] {
    [
        DictionaryKind::Transcoder { read_at },
        DictionaryKind::JumpReluTranscoder {
            read_at,
            bandwidth: BANDWIDTH,
            initial_threshold: 0.001,
        },
    ]
}

/// The three objectives' dictionaries, all of one kind.
fn of_kind(kind: DictionaryKind) -> TrainConfig {
    let mut config = TrainConfig {
        input_scale: InputScale::UnitNorm,
        ..crate::workplace::config(at())
    };
    config.dictionaries.iter_mut().for_each(|d| d.kind = kind);
    config.validate().unwrap();
    config
}

#[test]
fn where_they_read_and_write_at_one_point_they_are_the_kinds_that_they_come_from() {
    let place = Place::new();
    let plain = [
        DictionaryKind::Relu,
        DictionaryKind::JumpRelu {
            bandwidth: BANDWIDTH,
            initial_threshold: 0.001,
        },
    ];
    for (plain, transcoder) in plain.into_iter().zip(transcoders(at())) {
        let [a, b] = [plain, transcoder].map(|kind| {
            let mut watch = Watch::default();
            let name = format!("one {}", kind.name());
            let left = left(place.run(&name, &of_kind(kind), 2, &mut watch).unwrap());
            let load = |k: usize| {
                let file = place.folder.path().join(format!("{name}/dictionary-{k}.safetensors"));
                dictionary::load(&file).unwrap().0
            };
            let weights: Vec<_> = (0..left.len()).map(|k| load(k).parameters().clone()).collect();
            let metrics: Vec<_> = left.into_iter().map(|(_, metrics)| metrics).collect();
            (weights, metrics, watch.history)
        });
        assert!(a == b, "{}", transcoder.name());
    }
}

#[test]
fn runs_are_repeatable_and_what_they_leave_is_measured_again() {
    let place = Place::new();
    // as wide on both sides, and wider where it is read
    for read_at in [HookPoint::block(1, Site::ResidMid), HookPoint::block(0, Site::MlpPost)] {
        let width = place.model.width(read_at).unwrap();
        for kind in transcoders(read_at) {
            let (name, config) = (format!("{} {read_at}", kind.name()), of_kind(kind));
            let mut whole = Watch::default();
            let expected = left(place.run(&format!("{name} whole"), &config, 2, &mut whole).unwrap());
            let mut watch = Watch::default();
            for (stop, n_threads) in [(0, 2), (1, 1), (5, 3)] {
                watch.stop_at = Some(stop);
                place.run(&format!("{name} cut"), &config, n_threads, &mut watch).unwrap();
            }
            watch.stop_at = None;
            let resumed = left(place.run(&format!("{name} cut"), &config, 1, &mut watch).unwrap());
            assert!(resumed == expected && watch.history == whole.history, "{name}");

            let file = |k| place.folder.path().join(format!("{name} whole/dictionary-{k}.safetensors"));
            let files: Vec<_> = (0..expected.len()).map(file).collect();
            let (made, facts) = dictionary::load(&files[0]).unwrap();
            let d_out = place.model.width(at()).unwrap();
            assert_eq!((made.kind(), facts.at, made.d_in(), made.d_out()), (kind, at(), width, d_out));
            let again = evaluate(
                &files,
                &*Cpu.backend(&place.model).unwrap(),
                place.tokens(),
                &config,
                &mut |_, _| true,
            )
            .unwrap();
            for ((_, metrics), again) in expected.iter().zip(again) {
                let again = again.metrics;
                assert!(!again.is_empty() && again.iter().all(|m| metrics.contains(m)), "{name}");
            }
        }
    }
}

#[test]
fn gradients_between_two_points_are_slopes() {
    let place = Place::new();
    let model = place.model.to_f64();
    let tokens: Vec<u32> = (0..24).map(|i| (i * 7 + 3) % place.model.facts().d_vocab as u32).collect();
    let batch: Vec<&[u32]> = tokens.chunks(12).collect();
    let read_at = HookPoint::block(1, Site::MlpPost);
    for kind in transcoders(read_at) {
        let config = of_kind(kind);
        let widths = (model.width(read_at).unwrap(), model.width(at()).unwrap());
        assert_ne!(widths.0, widths.1);
        let trainee = |c: &api::DictionaryConfig| {
            let dictionary = Dictionary::<f64>::between(kind, widths, 40, c.seed);
            Trainee::new(c.objective, c.lr, dictionary, config.adam)
        };
        let mut stepper = Stepper::new(
            &model,
            &config,
            Normaliser::Scale(0.7),
            config.dictionaries.iter().map(trainee).collect(),
        )
        .unwrap();
        stepper.prepare(&batch).unwrap();
        stepper.gradients(std::slice::from_ref(&batch)).unwrap();
        let grads: Vec<Parameters<f64>> = stepper.trainees.iter().map(|t| t.grads().clone()).collect();
        let clean: Vec<Dictionary<f64>> = stepper.trainees.iter().map(|t| t.dictionary.clone()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for (t, tensor) in grads[0].0.iter().enumerate() {
            // a threshold's derivative is no slope, and jumprelu's rows have none along themselves
            if tensor.name == "threshold" || (tensor.name == "W_dec" && clean[0].parameters().0.len() == 5) {
                continue;
            }
            let direction: Vec<f64> = (0..3 * tensor.data.len()).map(|_| rng.random_range(-1.0..1.0)).collect();
            let step = 1e-7;
            let mut losses = |by: f64| -> Vec<f64> {
                for (trainee, clean) in stepper.trainees.iter_mut().zip(&clean) {
                    trainee.dictionary = clean.clone();
                    trainee.dictionary.update(|p| {
                        p.0[t].data.iter_mut().zip(&direction).for_each(|(x, d)| *x += by * d);
                    });
                }
                stepper.gradients(std::slice::from_ref(&batch)).unwrap();
                stepper.trainees.iter().map(|t| t.terms.loss(&t.objective)).collect()
            };
            let (above, below) = (losses(step), losses(-step));
            for (k, grads) in grads.iter().enumerate() {
                let slope = (above[k] - below[k]) / (2.0 * step);
                let along: f64 = grads.0[t].data.iter().zip(&direction).map(|(g, d)| g * d).sum();
                let off = (slope - along).abs();
                let (name, objective) = (tensor.name, config.dictionaries[k].objective.kind());
                assert!(
                    off <= 1e-6 * along.abs() + 1e-7 * above[k].abs().max(1.0),
                    "{}, {objective} along {name}: slope {slope}, gradient {along}",
                    kind.name()
                );
            }
        }
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let place = Place::new();
    let refused = |config: &TrainConfig, from: &[Option<std::path::PathBuf>], expected: &str| {
        let error = place.run_from("refused", config, from, 1, &mut Watch::default()).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(expected), "{message}");
    };
    let mut config = of_kind(transcoders(HookPoint::resid_pre(0))[0]);
    config.dictionaries[0].kind = transcoders(HookPoint::resid_pre(2))[0];
    refused(
        &config,
        &[],
        "blocks.2.hook_resid_pre, which comes after blocks.1.hook_mlp_out",
    );

    // what is done to a trained dictionary is thought of where it reads what it writes
    let mut config = of_kind(transcoders(HookPoint::block(1, Site::ResidMid))[0]);
    config.dictionaries.truncate(1);
    place.run("made", &config, 1, &mut Watch::default()).unwrap();
    let file = place.folder.path().join("made/dictionary-0.safetensors");
    config.dictionaries[0].origin = Origin::Derived {
        from: api::DictionaryId(1),
        by: PostHoc::RescaleShift,
    };
    refused(
        &config,
        &[Some(file)],
        "of a transcoder, which reads elsewhere than it writes",
    );
}
