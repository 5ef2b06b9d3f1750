//! Tokens that are left out: no gradient, no scale, no initial weight and no figure comes of them, in whichever way steps are fed.

use api::{Buffer, BufferPlace, DictionaryKind, HookPoint, InputScale, LeaveOut, Objective, TokenSet, TrainConfig};
use engine::{
    dictionary::{self, Parameters},
    train::{Cpu, Device as _, Outcome, Trained, evaluate},
};

use crate::{
    clean_model::changed,
    runs::{Place, Watch},
    workplace::config,
};

const TOPK: DictionaryKind = DictionaryKind::BatchTopK {
    k: 4,
    aux_coefficient: 0.03,
    dead_tokens: 100,
    threshold_decay: 0.9,
};

/// What makes a run of another kind, or fed in another way.
type Change = dyn Fn(&mut TrainConfig);

/// The tiny model's text; of the second model, BOS is 300 times as long as it was.
fn places() -> [Place; 2] {
    let plain = Place::new();
    let mut loud = Place::new();
    let d_model = plain.model.facts().d_model;
    let bos = plain.tokens().manifest().bos.unwrap() as usize;
    loud.model = changed("wte.weight", |i, x| if i / d_model == bos { 300.0 * x } else { x });
    [plain, loud]
}

/// Where the embeddings are, so that the other tokens have the same activations in both models.
fn local(leave_out: &str) -> TrainConfig {
    let mut config = config(HookPoint::resid_pre(0));
    config.dictionaries.truncate(1);
    config.leave_out = leave_out.parse().unwrap();
    config
}

fn trained(place: &Place, name: &str, config: &TrainConfig) -> Trained {
    match place.run(name, config, 2, &mut Watch::default()).unwrap() {
        Outcome::Done(mut trained) => trained.remove(0),
        Outcome::Stopped { .. } => panic!("nobody stopped it"),
    }
}

fn weights(trained: &Trained) -> Parameters<f32> {
    dictionary::load(&trained.file).unwrap().0.parameters().clone()
}

fn figure(trained: &Trained, name: &str) -> f64 {
    let found = |m: &&api::Measurement| m.name == name && m.tokens == TokenSet::Ordinary && m.at.is_none();
    trained.metrics.iter().find(found).unwrap_or_else(|| panic!("{name}")).value
}

/// By their ids or by their length, the same tokens are left out, and the dictionary is the one of the model without them: to the bit.
#[test]
fn a_loud_token_that_is_left_out_changes_nothing() {
    let [plain, loud] = places();
    let buffer = |config: &mut TrainConfig| {
        config.buffer = Some(Buffer {
            tokens: 200,
            mixing: 0.5,
            on: BufferPlace::Memory,
        });
    };
    let changes: [(&str, &Change); 6] = [
        ("as it is", &|_| {}),
        ("unit norm", &|config| config.input_scale = InputScale::UnitNorm),
        ("buffer", &buffer),
        ("the largest of a batch", &|config| {
            config.dictionaries[0].kind = TOPK;
            config.dictionaries[0].objective = Objective::Local { sparsity: 0.0 };
        }),
        ("jumps", &|config| {
            config.dictionaries[0].kind = DictionaryKind::JumpRelu {
                bandwidth: 0.01,
                initial_threshold: 0.01,
            };
        }),
        ("fitted", &|config| {
            config.dictionaries[0].kind = DictionaryKind::PcaTopK { k: 4 };
            config.dictionaries[0].d_sae = 64;
            config.dictionaries[0].objective = Objective::Local { sparsity: 0.0 };
            config.dictionaries[0].lr = 0.0;
        }),
    ];
    for (name, change) in changes {
        let with = |leave_out| {
            let mut config = local(leave_out);
            change(&mut config);
            config
        };
        let reference = trained(&plain, &format!("{name} plain"), &with("special"));
        for (leave_out, is_same) in [
            ("special", true),
            ("longer=10", true),
            ("special,longer=10", true),
            ("nothing", false),
        ] {
            let found = trained(&loud, &format!("{name} {leave_out}"), &with(leave_out));
            assert_eq!(weights(&found) == weights(&reference), is_same, "{name}: {leave_out}");
            for metric in ["l0", "explained_variance", "mse"] {
                let same = figure(&found, metric).to_bits() == figure(&reference, metric).to_bits();
                assert!(same || !is_same, "{name}, {leave_out}: {metric}");
            }
        }
    }
}

/// Where the loss looks past the hook point, the model goes on with its own activations of what is left out.
#[test]
fn the_models_own_activation_stays_in_its_place() {
    let [_, loud] = places();
    for objective in [
        Objective::E2e { sparsity: 0.01, kl: 1.0 },
        Objective::KlMse { sparsity: 0.01 },
        Objective::E2eDs {
            sparsity: 0.01,
            kl: 0.5,
            downstream: 2.5,
        },
    ] {
        let run = |leave_out: &str| {
            let mut config = local(leave_out);
            config.dictionaries[0].objective = objective;
            trained(&loud, &format!("{:?} {leave_out}", objective.kind()), &config)
        };
        let (with, without) = (run("special"), run("nothing"));
        let (with, without) = (figure(&with, "ce_increase"), figure(&without, "ce_increase"));
        assert!(with.is_finite() && without.is_finite() && with != without, "{with} {without}");
    }
}

#[test]
fn an_interrupted_run_ends_with_the_same_bits_and_is_measured_again_to_them() {
    let [_, loud] = places();
    for (name, buffer) in [("in order", None), ("buffer", Some(()))] {
        let mut config = local("longer=10");
        config.buffer = buffer.map(|()| Buffer {
            tokens: 200,
            mixing: 0.5,
            on: BufferPlace::Memory,
        });
        let whole = trained(&loud, &format!("{name} whole"), &config);
        let stopped = loud
            .run(&format!("{name} cut"), &config, 1, &mut Watch::stopping_at(5))
            .unwrap();
        assert!(matches!(stopped, Outcome::Stopped { step: 5 }));
        let resumed = trained(&loud, &format!("{name} cut"), &config);
        assert!(weights(&whole) == weights(&resumed), "{name}");
        let backend = Cpu.backend(&loud.model).unwrap();
        let again = evaluate(
            std::slice::from_ref(&whole.file),
            &*backend,
            loud.tokens(),
            &config,
            &mut |_, _| true,
        )
        .unwrap();
        let ce = again[0]
            .metrics
            .iter()
            .find(|m| m.name == "ce_increase" && m.tokens == TokenSet::Ordinary)
            .unwrap();
        assert_eq!(ce.value.to_bits(), figure(&whole, "ce_increase").to_bits());
    }
}

#[test]
fn a_run_of_nothing_but_what_is_left_out_says_so() {
    let [plain, _] = places();
    let mut config = local("nothing");
    config.leave_out = LeaveOut {
        special: false,
        // the config's check is not asked here
        longer: Some(1e-6),
    };
    let error = plain.run("none", &config, 1, &mut Watch::default()).unwrap_err().to_string();
    assert!(
        error.contains("leave_out") && error.contains("leaves no token of a step"),
        "{error}"
    );
}
