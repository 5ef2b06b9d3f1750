//! The kinds of dictionary beside ReLU against torch, as `tests/golden/kinds.py` and `transcoders.py` describe it: codes, losses, every
//! gradient, ten optimiser steps.

use api::{DictionaryKind, HookPoint, KindName, ResidualFrame};
use engine::{
    dictionary::{Dictionary, Normaliser, Scratch, SparseCodes, Tensor},
    kernel::Real,
    model::Model,
    train::{Stepper, Trainee, schedule},
};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use std::{collections::BTreeMap, fs};

use crate::{
    golden::{close, models, relative},
    workplace::config,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    pub n_ctx: usize,
    pub batch: usize,
    pub accumulation: usize,
    pub n_steps: usize,
    pub d_sae: usize,
    pub at: HookPoint,
    /// The language model.
    #[serde(default = "gpt2")]
    pub model: String,
    pub kinds: Vec<Entry>,
}

fn gpt2() -> String {
    "gpt2".into()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub name: String,
    pub kind: DictionaryKind,
    pub parameters: Vec<String>,
    pub state: Vec<String>,
    pub cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub objective: api::Objective,
    pub lr: f64,
    pub max_grad_norm: f64,
    /// Of the first step, without coefficients.
    pub terms: BTreeMap<String, f64>,
    pub losses: Vec<f64>,
    pub lrs: Vec<f64>,
    pub grad_norms: Vec<f64>,
    /// Dead features at each step.
    pub n_dead: Vec<usize>,
}

pub struct Golden {
    pub about: About,
    bytes: Vec<u8>,
}

impl Golden {
    pub fn read() -> Self {
        Self::open("kinds/golden.safetensors")
    }

    /// Of one of the places of transcoders, by its model.
    pub fn transcoders(model: &str) -> Self {
        Self::open(&format!("transcoders/{model}.safetensors"))
    }

    fn open(file: &str) -> Self {
        let bytes = fs::read(models().join("..").join(file)).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let about = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["golden"]).unwrap();
        Self { about, bytes }
    }

    pub fn numbers(&self, name: &str) -> Vec<f64> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).unwrap();
        match view.dtype() {
            Dtype::F64 => bytemuck::pod_collect_to_vec(view.data()),
            Dtype::F32 => bytemuck::pod_collect_to_vec::<u8, f32>(view.data())
                .into_iter()
                .map(f64::from)
                .collect(),
            other => panic!("{name} is {other:?}"),
        }
    }

    pub fn tokens(&self) -> Vec<u32> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        bytemuck::pod_collect_to_vec(tensors.tensor("tokens").unwrap().data())
    }

    /// The dictionary before the first step.
    pub fn dictionary<R: Real>(&self, entry: &Entry) -> Dictionary<R> {
        let numbers = |name: &str| self.numbers(&format!("{}.init.{name}", entry.name)).len();
        let has = |wanted: &str| entry.parameters.iter().any(|name| name == wanted);
        // a pursuit has no encoder, and a tied dictionary no decoder
        let d_in = numbers(if has("W_enc") { "W_enc" } else { "W_dec" }) / self.about.d_sae;
        let d_out = if has("b_dec") { numbers("b_dec") } else { d_in };
        let mut dictionary = Dictionary::between(entry.kind, (d_in, d_out), self.about.d_sae, 0);
        let fill = |part: &str, tensors: &mut [Tensor<R>], names: &[String]| {
            let mut own: Vec<_> = tensors.iter().map(|t| t.name).collect();
            let mut names: Vec<_> = names.iter().map(String::as_str).collect();
            own.sort_unstable();
            names.sort_unstable();
            assert_eq!(own, names, "{}", entry.name);
            for tensor in tensors {
                let numbers = self.numbers(&format!("{}.{part}.{}", entry.name, tensor.name));
                assert_eq!(numbers.len(), tensor.data.len(), "{}", tensor.name);
                tensor.data = numbers.into_iter().map(R::of).collect();
            }
        };
        dictionary.update_state(|state| fill("state", state, &entry.state));
        dictionary.update(|parameters| fill("init", &mut parameters.0, &entry.parameters));
        dictionary
    }

    /// The batches of step `step`.
    pub fn batches<'t>(&self, tokens: &'t [u32], step: usize) -> Vec<Vec<&'t [u32]>> {
        let About {
            n_ctx,
            batch,
            accumulation,
            ..
        } = self.about;
        let step = tokens.chunks_exact(accumulation * batch * n_ctx).nth(step).unwrap();
        step.chunks_exact(batch * n_ctx)
            .map(|batch| batch.chunks_exact(n_ctx).collect())
            .collect()
    }

    pub fn model(&self) -> Model<f32> {
        Model::load(&models().join(&self.about.model), ResidualFrame::Raw).unwrap()
    }
}

pub fn stepper<'m, R: Real>(golden: &Golden, model: &'m Model<R>, entry: &Entry, cases: &[Case]) -> Stepper<'m, R> {
    let mut config = config(golden.about.at);
    config.max_grad_norm = cases[0].max_grad_norm;
    let trainee = |case: &Case| Trainee::new(case.objective, case.lr, golden.dictionary(entry), config.adam);
    Stepper::new(model, &config, Normaliser::default(), cases.iter().map(trainee).collect()).unwrap()
}

/// The codes of the trained dictionary's use.
fn codes<R: Real>(golden: &Golden, entry: &Entry, bound: f64) {
    let x: Vec<R> = golden.numbers("x").into_iter().map(R::of).collect();
    let mut dictionary = golden.dictionary::<R>(entry);
    dictionary.update_state(|state| {
        // the script's: before the first step there is none
        let threshold = state.iter_mut().find(|tensor| tensor.name == "threshold");
        threshold.into_iter().for_each(|tensor| tensor.data[0] = R::of(0.5));
    });
    let mut codes = SparseCodes::default();
    dictionary.encode(&x, &mut codes, &Scratch::new());
    let off = relative(&codes.to_dense(), &golden.numbers(&format!("{}.codes", entry.name)));
    assert!(off <= bound, "{}: codes {off:.1e} off", entry.name);
}

fn first_step<R: Real>(golden: &Golden, model: &Model<R>, entry: &Entry, bound: f64) {
    let tokens = golden.tokens();
    let mut stepper = stepper(golden, model, entry, &entry.cases);
    stepper.gradients(&golden.batches(&tokens, 0)).unwrap();
    for (case, trainee) in entry.cases.iter().zip(&stepper.trainees) {
        let (name, terms) = (&case.name, trainee.terms);
        let ours = [
            ("reconstruction", terms.reconstruction),
            ("sparsity", terms.sparsity),
            ("auxiliary", terms.auxiliary),
            ("kl", terms.kl),
            ("downstream", terms.downstream),
        ];
        for (term, ours) in ours {
            match case.terms.get(term) {
                Some(0.0) | None => assert_eq!(ours, 0.0, "{name} has no {term}"),
                Some(torchs) => close(&format!("{name} {term}"), ours, *torchs, bound),
            }
        }
        close(&format!("{name} loss"), terms.loss(&case.objective), case.losses[0], bound);
        close(&format!("{name} norm"), trainee.grad_norm, case.grad_norms[0], bound);
        for tensor in &trainee.grads().0 {
            let off = relative(&tensor.data, &golden.numbers(&format!("{name}.grad.{}", tensor.name)));
            assert!(off <= bound, "{name}: the gradient of {} is {off:.1e} off", tensor.name);
        }
    }
}

/// Ten steps in f64, in which nothing hides.
fn ten_steps(golden: &Golden, model: &Model<f64>, entry: &Entry) {
    let tokens = golden.tokens();
    let schedule = api::Schedule {
        warmup_steps: 3,
        min_lr_factor: 0.1,
        hold_steps: 0,
    };
    for case in &entry.cases {
        let mut stepper = stepper(golden, model, entry, std::slice::from_ref(case));
        for step in 0..golden.about.n_steps {
            stepper.gradients(&golden.batches(&tokens, step)).unwrap();
            let trainee = &stepper.trainees[0];
            let what = format!("{} step {step}", case.name);
            let loss = trainee.terms.loss(&case.objective);
            close(&format!("{what}, loss"), loss, case.losses[step], 1e-7);
            close(&format!("{what}, norm"), trainee.grad_norm, case.grad_norms[step], 1e-6);
            assert_eq!(
                trainee.terms.auxiliary > 0.0,
                case.terms["auxiliary"] > 0.0 || case.n_dead[step] > 0,
                "{what}"
            );
            let factor = schedule::factor(&schedule, step, golden.about.n_steps);
            assert!((trainee.lr * factor - case.lrs[step]).abs() < 1e-15, "{what}: {factor}");
            stepper.update(factor);
        }
        let ours = &stepper.trainees[0].dictionary;
        for (tensor, part) in ours
            .parameters()
            .0
            .iter()
            .map(|t| (t, "init"))
            .chain(ours.state().iter().map(|t| (t, "state")))
        {
            let init = golden.numbers(&format!("{}.{part}.{}", entry.name, tensor.name));
            let last = golden.numbers(&format!("{}.final.{}", case.name, tensor.name));
            if init == last {
                assert!(relative(&tensor.data, &last) < 1e-7, "{}", tensor.name);
                continue;
            }
            // as a share of the way that they went
            let [ours, torchs]: [Vec<f64>; 2] = [
                tensor.data.iter().zip(&init).map(|(last, init)| last - init).collect(),
                last.iter().zip(&init).map(|(last, init)| last - init).collect(),
            ];
            let off = relative(&ours, &torchs);
            assert!(off < 2e-6, "{}: '{}' is {off:.1e} off", case.name, tensor.name);
        }
    }
}

fn is_torchs(kind: KindName) {
    of_golden_is_torchs(&Golden::read(), kind);
}

/// The same of a file.
pub fn of_golden_is_torchs(golden: &Golden, kind: KindName) {
    let (model, name) = (golden.model(), kind.to_string());
    let exact = model.to_f64();
    let entry = golden.about.kinds.iter().find(|entry| entry.name == name).unwrap();
    codes::<f32>(golden, entry, 1e-5);
    codes::<f64>(golden, entry, 1e-6);
    first_step(golden, &model, entry, 1e-5);
    // the golden gradients are kept in f32
    first_step(golden, &exact, entry, 1e-6);
    ten_steps(golden, &exact, entry);
}

#[test]
fn the_conventions_of_relu_are_torchs() {
    for kind in [KindName::ReluUnit, KindName::ReluApril, KindName::ReluSaelens] {
        is_torchs(kind);
    }
}

#[test]
fn p_anneal_is_torchs() {
    is_torchs(KindName::PAnneal);
}

#[test]
fn tied_is_torchs() {
    is_torchs(KindName::Tied);
}

#[test]
fn gated_is_torchs() {
    is_torchs(KindName::Gated);
}

#[test]
fn topk_is_torchs() {
    is_torchs(KindName::TopK);
}

#[test]
fn abstopk_is_torchs() {
    is_torchs(KindName::AbsTopK);
}

#[test]
fn pursuit_is_torchs() {
    is_torchs(KindName::Pursuit);
}

#[test]
fn matching_pursuit_is_torchs() {
    is_torchs(KindName::MatchingPursuit);
}

#[test]
fn batchtopk_is_torchs() {
    is_torchs(KindName::BatchTopK);
}

#[test]
fn matryoshka_is_torchs() {
    is_torchs(KindName::Matryoshka);
}

#[test]
fn jumprelu_is_torchs() {
    is_torchs(KindName::JumpRelu);
}

#[test]
fn every_kind_has_its_golden_numbers() {
    let golden = Golden::read();
    let names: Vec<_> = golden.about.kinds.iter().map(|entry| entry.kind.name()).collect();
    // ReLU's are with the training's, and so are the plain transcoder's; the other transcoders' are in a file for each place, and what is
    // fitted is with the baselines
    let elsewhere = |name: &KindName| {
        let is_transcoder = name.settings().contains(&"read_at");
        *name == KindName::Relu || is_transcoder || name.is_fitted()
    };
    assert!(
        KindName::ALL.iter().all(|name| names.contains(name) != elsewhere(name)),
        "{names:?}"
    );
}

#[test]
fn the_decoders_bias_begins_at_the_geometric_median() {
    let golden = Golden::read();
    let x = golden.numbers("x");
    for entry in golden
        .about
        .kinds
        .iter()
        .filter(|entry| entry.kind.k().is_some() && entry.kind.name().has_auxiliary())
    {
        let mut dictionary = golden.dictionary::<f64>(entry);
        dictionary.prepare(&x);
        let off = relative(&dictionary.parameters().0[3].data, &golden.numbers("median"));
        assert!(off < 1e-3, "{}: {off:.1e} off", entry.name);
    }
}
