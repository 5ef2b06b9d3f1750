//! Every site of every family: the whole loss' gradient through the splice is its slope, and a run there trains, measures and
//! verifies.

use api::{HookPoint, InputScale, Objective, ResidualFrame, Site, TrainConfig};
use engine::{
    dictionary::{self, Dictionary, Normaliser, Parameters},
    model::Model,
    train::{Cpu, Device as _, Inputs, Stepper, Trainee, discard_checkpoint, evaluate, run},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    golden::models,
    runs::{Watch, left},
    workplace::{config, token_file},
};

/// One of each way in which a block is put together: learnt positions, windows, parallel branches, gated MLPs, norms of queries
/// and keys, norms behind the branches and soft caps.
const FOLDERS: [&str; 7] = [
    "gpt2",
    "gpt_neo",
    "gpt_neox",
    "gpt_neox_sequential",
    "llama",
    "qwen3",
    "gemma2",
];

fn load(folder: &str) -> Model<f32> {
    Model::load(&models().join(folder), ResidualFrame::Raw).unwrap()
}

/// The objectives that there are at `at`: all, but downstream terms only where a block comes later.
fn config_at(model: &Model<f32>, at: HookPoint) -> TrainConfig {
    let mut config = TrainConfig {
        input_scale: InputScale::UnitNorm,
        ..config(at)
    };
    if at.next_block() >= model.facts().n_layers {
        config
            .dictionaries
            .retain(|d| !matches!(d.objective, Objective::E2eDs { .. }));
    }
    config
}

fn contexts(model: &Model<f32>, n: usize, n_ctx: usize) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    (0..n * n_ctx)
        .map(|_| rng.random_range(0..model.facts().d_vocab as u32))
        .collect()
}

#[test]
fn gradients_through_the_splice_are_slopes_at_every_site() {
    let mut seen = Vec::new();
    for folder in FOLDERS {
        let host = load(folder);
        let model = host.to_f64();
        let tokens = contexts(&host, 2, 9);
        let batch: Vec<&[u32]> = tokens.chunks(9).collect();
        for (at, width) in model.hook_points() {
            let config = config_at(&host, at);
            let trainee = |c: &api::DictionaryConfig| {
                let dictionary = Dictionary::<f64>::random(c.kind, width, 30, c.seed);
                Trainee::new(c.objective, c.lr, dictionary, config.adam)
            };
            let trainees = config.dictionaries.iter().map(trainee).collect();
            let mut stepper = Stepper::new(&model, &config, Normaliser::Scale(0.6), trainees).unwrap();
            stepper.gradients(std::slice::from_ref(&batch)).unwrap();
            let grads: Vec<Parameters<f64>> = stepper.trainees.iter().map(|t| t.grads().clone()).collect();
            let clean: Vec<Dictionary<f64>> = stepper.trainees.iter().map(|t| t.dictionary.clone()).collect();
            let mut rng = ChaCha8Rng::seed_from_u64(20);
            for tensor in 0..4 {
                let n = grads[0].0[tensor].data.len().max(grads.last().unwrap().0[tensor].data.len());
                let direction: Vec<f64> = (0..n).map(|_| rng.random_range(-1.0..1.0)).collect();
                // so small that nothing begins or ceases to fire
                let step = 1e-7;
                let mut losses = |by: f64| -> Vec<f64> {
                    for (trainee, clean) in stepper.trainees.iter_mut().zip(&clean) {
                        trainee.dictionary = clean.clone();
                        let add = |p: &mut Parameters<f64>| {
                            p.0[tensor].data.iter_mut().zip(&direction).for_each(|(x, d)| *x += by * d);
                        };
                        trainee.dictionary.update(add);
                    }
                    stepper.gradients(std::slice::from_ref(&batch)).unwrap();
                    stepper.trainees.iter().map(|t| t.terms.loss(&t.objective)).collect()
                };
                let (above, below) = (losses(step), losses(-step));
                for (k, grads) in grads.iter().enumerate() {
                    let slope = (above[k] - below[k]) / (2.0 * step);
                    let along: f64 = grads.0[tensor].data.iter().zip(&direction).map(|(g, d)| g * d).sum();
                    // the losses' own rounding, about 1e-15 of them, is divided by the step
                    let off = (slope - along).abs();
                    let bound = 1e-6 * along.abs() + 1e-7 * above[k].abs().max(1.0);
                    let (name, objective) = (grads.0[tensor].name, config.dictionaries[k].objective.kind());
                    assert!(
                        off <= bound,
                        "{folder} {at}, {objective} along {name}: slope {slope}, gradient {along}"
                    );
                }
            }
            seen.push(at);
        }
    }
    assert!(Site::ALL.iter().all(|site| seen.contains(&HookPoint::block(1, *site))));
}

#[test]
fn a_run_at_every_site_trains_measures_and_verifies() {
    for folder in ["gpt2", "gpt_neox", "llama"] {
        let (model, place) = (load(folder), tempfile::tempdir().unwrap());
        let n_ctx = 10;
        let tokens = contexts(&model, 40, n_ctx);
        let tokens = token_file(place.path(), n_ctx, model.facts().d_vocab, &[], &tokens);
        let backend = Cpu.backend(&model).unwrap();
        let train = |config: &TrainConfig| {
            let inputs = Inputs {
                config,
                from: &[],
                backend: &*backend,
                model_hash: "abc",
                tokens: &tokens,
                folder: place.path(),
                cache: None,
            };
            let outcome = run(inputs, &mut Watch::default());
            // the next hook point's run begins anew
            discard_checkpoint(place.path()).unwrap();
            outcome
        };
        // the embedding, a block in the middle, the final norm
        let points = model.hook_points().into_iter();
        for (at, width) in points.filter(|(at, _)| at.layer().is_none_or(|layer| layer == 1)) {
            let mut config = config_at(&model, at);
            config.packing = tokens.manifest().packing;
            (config.accumulation, config.tokens) = (1, 4 * config.batch_tokens() as u64);
            config.checkpoint_every_steps = 100;
            let made = left(train(&config).unwrap());
            let files: Vec<_> = (0..made.len())
                .map(|k| place.path().join(format!("dictionary-{k}.safetensors")))
                .collect();
            let (dictionary, facts) = dictionary::load(&files[0]).unwrap();
            assert_eq!((dictionary.d_in(), facts.at), (width, at), "{folder}");
            let again = evaluate(&files, &*backend, &tokens, &config, &mut |_, _| true).unwrap();
            for ((_, metrics), again) in made.iter().zip(again) {
                let again = again.metrics;
                assert!(
                    !again.is_empty() && again.iter().all(|m| metrics.contains(m)),
                    "{folder} {at}"
                );
                let metric = |name: &str| again.iter().find(|m| m.name == name && m.at.is_none()).unwrap().value;
                assert!(metric("mse") > 0.0 && metric("kl_div_with_sae") > 0.0 && metric("ce_increase").is_finite());
            }
        }
        // nothing comes later: refused, with what to do
        let at = HookPoint::block(model.facts().n_layers - 1, Site::MlpPost);
        let mut config = config(at);
        config.packing = tokens.manifest().packing;
        let message = train(&config).unwrap_err().to_string();
        assert!(message.contains(&at.to_string()) && message.contains("use e2e"), "{message}");
    }
}
