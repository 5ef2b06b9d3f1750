//! Losses, gradients and ten optimiser steps: torch's, where torch computed them, and the engine's for every family.

use api::{DictionaryKind, HookPoint, Objective, ResidualFrame, Site, TrainConfig};
use engine::{
    dictionary::{Dictionary, Normaliser, Parameters},
    model::Model,
    objective::Terms,
    train::{Backend as _, Cpu, Device as _, Stepper, Steps, TrainError, Trainee, schedule},
};
use gpu::{Chunks, Gpu, GpuSteps, OnGpu};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{
    golden::{Case, Golden, Setup, close, model, models, relative},
    workplace::config,
};

fn terms(terms: &Terms) -> [(&'static str, f64); 4] {
    [
        ("reconstruction", terms.reconstruction),
        ("sparsity", terms.sparsity),
        ("kl", terms.kl),
        ("downstream", terms.downstream),
    ]
}

#[test]
fn losses_gradients_and_ten_steps_are_torchs() {
    let golden = Golden::read();
    for setup in golden.about.setups.iter().filter(|setup| setup.read_at.is_none()) {
        let host = model(setup);
        let mut gpu = OnGpu::new(&Gpu::processor(), &host).unwrap();
        // seven of the batch's 24 tokens, and one context's head, at a time
        gpu.model.chunks = Chunks {
            scores: 1,
            logits: 7 * host.facts().d_vocab,
        };
        for case in &setup.cases {
            as_torch(&golden, setup, case, &gpu);
        }
    }
}

fn as_torch(golden: &Golden, setup: &Setup, case: &Case, gpu: &OnGpu<'_>) {
    let mut config = config(setup.at);
    config.max_grad_norm = case.max_grad_norm;
    let trainee = Trainee::new(case.objective, case.lr, golden.dictionary(setup), config.adam);
    let mut steps = gpu.training(&config, setup.normaliser, vec![trainee]).unwrap();
    let tokens = golden.tokens(&format!("{}.tokens", setup.model));
    for step in 0..golden.about.n_steps {
        steps.gradients(&golden.batches(&tokens, step)).unwrap();
        let trainee = &steps.trainees()[0];
        let what = format!("{} step {step}", case.name);
        if step == 0 {
            for (name, ours) in terms(&trainee.terms) {
                match case.terms.get(name) {
                    Some(torchs) => close(&format!("{what} {name}"), ours, *torchs, 1e-5),
                    None => assert_eq!(ours, 0.0, "{what} has no {name}"),
                }
            }
            for tensor in &steps.grads(0).unwrap().0 {
                let torchs = golden.numbers(&format!("{}.grad.{}", case.name, tensor.name));
                let off = relative(&tensor.data, &torchs);
                assert!(off <= 1e-5, "{what}: the gradient of {} is {off:.1e} off", tensor.name);
            }
        }
        // the engine's own bounds in f32
        close(
            &format!("{what} loss"),
            trainee.terms.loss(&case.objective),
            case.losses[step],
            2e-5,
        );
        close(&format!("{what} norm"), trainee.grad_norm, case.grad_norms[step], 2e-4);
        let factor = schedule::factor(&golden.about.schedule, step, golden.about.n_steps);
        steps.update(factor).unwrap();
    }
    steps.fetch().unwrap();
    let trainee = &steps.trainees()[0];
    assert_eq!(trainee.adam.steps, golden.about.n_steps);
    for tensor in &trainee.dictionary.parameters().0 {
        let [init, last] = [format!("{}.init", setup.name), format!("{}.final", case.name)]
            .map(|name| golden.numbers(&format!("{name}.{}", tensor.name)));
        let ours: Vec<f64> = tensor
            .data
            .iter()
            .zip(&init)
            .map(|(last, init)| f64::from(*last) - init)
            .collect();
        let torchs: Vec<f64> = last.iter().zip(&init).map(|(last, init)| last - init).collect();
        let off = relative(&ours, &torchs);
        assert!(
            off < 2e-3,
            "{}: {} went {off:.1e} of its way elsewhere",
            case.name,
            tensor.name
        );
    }
}

/// A run of all three objectives at one hook point, on random text.
struct Place {
    host: Model<f32>,
    config: TrainConfig,
    scale: f64,
    n_ctx: usize,
    tokens: Vec<u32>,
}

const N_STEPS: usize = 10;
const BATCH: usize = 2;
/// Longer than any window of the golden models.
const N_CTX: usize = 48;

impl Place {
    fn new(folder: &str, at: HookPoint, scale: f64) -> Self {
        let host = Model::load(&models().join(folder), ResidualFrame::Raw).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let (n_ctx, d_vocab) = (host.facts().n_ctx.min(N_CTX), host.facts().d_vocab as u32);
        let tokens = (0..N_STEPS * 2 * BATCH * n_ctx)
            .map(|_| rng.random_range(0..d_vocab))
            .collect();
        Self {
            host,
            config: config(at),
            scale,
            n_ctx,
            tokens,
        }
    }

    fn trainees(&self) -> Vec<Trainee<f32>> {
        let width = self.host.width(self.config.at).unwrap();
        let objectives = [
            Objective::Local { sparsity: 0.1 },
            Objective::E2e { sparsity: 0.2, kl: 1.5 },
            Objective::E2eDs {
                sparsity: 0.3,
                kl: 0.5,
                downstream: 2.5,
            },
        ];
        let trainee = |(seed, objective)| {
            let dictionary = Dictionary::random(DictionaryKind::Relu, width, 50, seed);
            Trainee::new(objective, 1e-3, dictionary, self.config.adam)
        };
        (0..).zip(objectives).map(trainee).collect()
    }

    /// Two batches.
    fn batches(&self, step: usize) -> Vec<Vec<&[u32]>> {
        let contexts: Vec<&[u32]> = self.tokens.chunks(self.n_ctx).collect();
        let step = &contexts[step * 2 * BATCH..(step + 1) * 2 * BATCH];
        step.chunks(BATCH).map(<[&[u32]]>::to_vec).collect()
    }
}

fn apart(ours: &Parameters<f32>, engines: &Parameters<f32>) -> f64 {
    let tensors = ours.0.iter().zip(&engines.0);
    tensors
        .map(|(a, b)| {
            assert_eq!((a.name, &a.shape), (b.name, &b.shape));
            relative(&a.data, &b.data.iter().map(|x| f64::from(*x)).collect::<Vec<_>>())
        })
        .fold(0.0, f64::max)
}

fn as_on_the_processor(place: &Place, what: &str) {
    let gpu = OnGpu::new(&Gpu::processor(), &place.host).unwrap();
    let mut ours: GpuSteps<'_, '_> = gpu
        .training(&place.config, Normaliser::Scale(place.scale), place.trainees())
        .unwrap();
    let mut engines = Stepper::new(&place.host, &place.config, Normaliser::Scale(place.scale), place.trainees()).unwrap();
    for step in 0..N_STEPS {
        ours.gradients(&place.batches(step)).unwrap();
        engines.gradients(&place.batches(step)).unwrap();
        for (k, (a, b)) in ours.trainees().iter().zip(&engines.trainees).enumerate() {
            let what = format!("{what}, {:?}, step {step}", a.objective.kind());
            for ((name, a), (_, b)) in terms(&a.terms).into_iter().zip(terms(&b.terms)) {
                assert!((a - b).abs() <= 2e-5 * b.abs(), "{what}: {name} is {a}; the engine has {b}");
            }
            assert!(
                (a.l0 - b.l0).abs() <= 1e-3 * b.l0,
                "{what}: L0 is {}; the engine has {}",
                a.l0,
                b.l0
            );
            // after a step, Adam has made rounding in gradients that are nearly zero as large as a step
            let bound = if step == 0 { 1e-5 } else { 1e-3 };
            let off = apart(&ours.grads(k).unwrap(), b.grads());
            assert!(off <= bound, "{what}: the gradient is {off:.1e} off");
            assert!((a.grad_norm / b.grad_norm - 1.0).abs() <= bound, "{what}");
        }
        ours.update(1.0).unwrap();
        engines.update(1.0);
    }
    ours.fetch().unwrap();
    // as shares of the way from the first weights, as the engine's own weights in f32 are compared with torch's
    let trained = ours.trainees().iter().zip(&engines.trainees).zip(place.trainees());
    for ((a, b), init) in trained {
        let [way, engines_way] = [a, b].map(|trainee| way(&trainee.dictionary, &init.dictionary));
        let off = apart(&way, &engines_way);
        assert!(
            off <= 2e-3,
            "{what}, {:?}: went {off:.1e} of the way elsewhere",
            a.objective.kind()
        );
    }
}

/// What training has added to the weights.
fn way(trained: &Dictionary<f32>, init: &Dictionary<f32>) -> Parameters<f32> {
    let mut way = trained.parameters().clone();
    for (tensor, init) in way.0.iter_mut().zip(&init.parameters().0) {
        tensor.data.iter_mut().zip(&init.data).for_each(|(x, first)| *x -= first);
    }
    way
}

#[test]
fn ten_steps_of_every_family_are_the_engines() {
    for (folder, at, scale) in [
        ("gpt2", HookPoint::Embed, 1.0),
        ("gpt2_variant", HookPoint::block(0, Site::AttnOut), 0.7),
        ("gpt_neo", HookPoint::block(1, Site::Z), 1.3),
        ("gpt_neox", HookPoint::block(0, Site::AttnOut), 1.0),
        ("gpt_neox_sequential", HookPoint::block(1, Site::ResidMid), 1.0),
        ("llama", HookPoint::block(0, Site::MlpPost), 2.0),
        ("llama3", HookPoint::block(1, Site::ResidPost), 1.0),
        ("mistral", HookPoint::block(0, Site::AttnOut), 1.0),
        ("qwen2", HookPoint::block(1, Site::Z), 1.0),
        ("qwen3", HookPoint::resid_pre(1), 1.0),
        ("gemma2", HookPoint::block(0, Site::AttnOut), 1.0),
        ("tiny", HookPoint::resid_pre(1), 0.1),
    ] {
        as_on_the_processor(&Place::new(folder, at, scale), &format!("{folder} at {at}"));
    }
}

#[test]
fn a_loss_that_is_not_finite_and_a_foreign_token_are_refused() {
    let place = Place::new("gpt2", HookPoint::resid_pre(1), 1.0);
    let gpu = OnGpu::new(&Gpu::processor(), &place.host).unwrap();
    let mut spoilt = place.trainees();
    spoilt[1].dictionary.update(|parameters| parameters.0[2].data[0] = f32::NAN);
    let mut steps = gpu.training(&place.config, Normaliser::default(), spoilt).unwrap();
    let error = steps.gradients(&place.batches(0)).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { dictionary: 1, .. }), "{error}");

    let mut steps = gpu.training(&place.config, Normaliser::default(), place.trainees()).unwrap();
    let foreign = [0, place.host.facts().d_vocab as u32];
    let error = steps.gradients(&[vec![&foreign]]).unwrap_err();
    assert!(matches!(error, TrainError::Model(_)), "{error}");
    let mut config = place.config.clone();
    config.at = HookPoint::resid_pre(9);
    assert!(gpu.training(&config, Normaliser::default(), Vec::new()).is_err());
}

#[test]
fn a_buffer_is_refused_by_name_and_its_activations_are_the_engines() {
    let place = Place::new("gpt_neox", HookPoint::block(1, Site::MlpPost), 1.0);
    let on = OnGpu::new(&Gpu::processor(), &place.host).unwrap();
    let mut config = place.config.clone();
    config.buffer = Some(api::Buffer {
        tokens: 1 << 16,
        mixing: 0.5,
        on: api::BufferPlace::Memory,
    });
    let message = on
        .training(&config, Normaliser::default(), Vec::new())
        .err()
        .unwrap()
        .to_string();
    assert!(
        message.starts_with("buffer_tokens: found a buffer on candle on the cpu") && message.contains("leave --device out"),
        "{message}"
    );
    let (batch, host) = (&place.batches(0)[0], Cpu.backend(&place.host).unwrap());
    let (mut ours, mut engines) = (Vec::new(), Vec::new());
    on.activations(config.at, batch, &mut ours).unwrap();
    host.activations(config.at, batch, &mut engines).unwrap();
    let engines: Vec<f64> = engines.into_iter().map(f64::from).collect();
    assert!(relative(&ours, &engines) < 1e-5);
}

#[test]
fn kinds_that_are_not_computed_here_are_refused_by_name() {
    let place = Place::new("gpt2", HookPoint::resid_pre(1), 1.0);
    let width = place.host.width(place.config.at).unwrap();
    let dictionary = Dictionary::random(DictionaryKind::Gated, width, 50, 0);
    let trainee = Trainee::new(Objective::Local { sparsity: 0.1 }, 1e-3, dictionary, place.config.adam);
    let on = OnGpu::new(&Gpu::processor(), &place.host).unwrap();
    let message = on
        .training(&place.config, Normaliser::default(), vec![trainee])
        .err()
        .unwrap()
        .to_string();
    assert!(
        message.contains("found gated on candle on the cpu") && message.contains("leave --device out"),
        "{message}"
    );
}

#[test]
fn resampling_is_refused_and_a_lambda_that_moves_is_not() {
    let place = Place::new("gpt2", HookPoint::resid_pre(1), 1.0);
    let width = place.host.width(place.config.at).unwrap();
    let course = api::Course {
        sparsity_warmup_steps: 2,
        target_l0: Some(5.0),
        ..api::Course::default()
    };
    let mut config = place.config.clone();
    config.dictionaries = vec![api::DictionaryConfig {
        kind: DictionaryKind::Relu,
        d_sae: 50,
        objective: Objective::Local { sparsity: 0.0 },
        lr: 1e-3,
        seed: 0,
        course,
        origin: api::Origin::Fresh,
    }];
    let trainee = || {
        let dictionary = Dictionary::random(DictionaryKind::Relu, width, 50, 0);
        Trainee::new(Objective::Local { sparsity: 0.0 }, 1e-3, dictionary, config.adam).with_course(&course, 0, 10)
    };
    let on = OnGpu::new(&Gpu::processor(), &place.host).unwrap();
    let mut ours = on.training(&config, Normaliser::default(), vec![trainee()]).unwrap();
    let host = Cpu.backend(&place.host).unwrap();
    let mut engines = host.steps(&config, Normaliser::default(), vec![trainee()]).unwrap();
    for step in 0..4 {
        let batches = place.batches(step);
        ours.gradients(&batches).unwrap();
        engines.gradients(&batches).unwrap();
        ours.update(1.0).unwrap();
        engines.update(1.0).unwrap();
        let [ours, engines] = [ours.trainees(), engines.trainees()].map(|of| of[0].objective.sparsity());
        assert!(
            ours > 0.0 && (ours / engines - 1.0).abs() < 1e-4,
            "step {step}: {ours} and {engines}"
        );
    }
    config.dictionaries[0].course.resample_steps = 3;
    let message = on
        .training(&config, Normaliser::default(), Vec::new())
        .err()
        .unwrap()
        .to_string();
    assert!(
        message.starts_with("resample_steps: found 3 on candle on the cpu") && message.contains("leave --device out"),
        "{message}"
    );
}
