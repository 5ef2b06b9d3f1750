//! What torch computed, as `tests/golden/training.py` describes it.

use api::{HookPoint, Objective, ResidualFrame, Schedule, TokenSet};
use engine::{
    dictionary::{Dictionary, Normaliser, Relu},
    kernel::Real,
    model::Model,
};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The parameters, in the order of a ReLU dictionary's.
pub const NAMES: [&str; 4] = ["W_enc", "b_enc", "W_dec", "b_dec"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    pub n_ctx: usize,
    pub batch: usize,
    pub accumulation: usize,
    pub n_steps: usize,
    pub d_sae: usize,
    pub schedule: Schedule,
    pub eval_batch: usize,
    pub special: Vec<u32>,
    pub setups: Vec<Setup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    pub name: String,
    pub model: String,
    pub at: HookPoint,
    /// Where a transcoder reads.
    pub read_at: Option<HookPoint>,
    pub residual: ResidualFrame,
    #[serde(rename = "scale")]
    pub normaliser: Normaliser,
    pub metrics: Vec<Measured>,
    pub cases: Vec<Case>,
}

impl Setup {
    /// How far a metric is from torch's, as a share of the larger of its size and 1.
    pub fn off(&self, torchs: &Measured, ours: f64) -> f64 {
        let same = |m: &&Measured, name: &str| m.name == name && m.tokens == torchs.tokens && m.at.is_none();
        off(&torchs.name, ours, torchs.value, |name| {
            self.metrics.iter().find(|m| same(m, name)).map_or(f64::NAN, |m| m.value)
        })
    }
}

/// How far two values of a metric are apart, as a share of the larger of their size and 1; `other` gives another metric of the same
/// tokens. A score is a ratio: where its denominator is small, as over the few special tokens of an untrained dictionary, it magnifies
/// the rounding of the model's f32 by as much, and what is compared is what was divided.
pub fn off(name: &str, value: f64, expected: f64, other: impl Fn(&str) -> f64) -> f64 {
    let denominator = match name {
        "ce_loss_score" => other("ce_loss_with_ablation") - other("ce_loss_without_sae"),
        "ce_loss_score_mean" => other("ce_loss_with_mean_ablation") - other("ce_loss_without_sae"),
        "kl_div_score" => other("kl_div_with_ablation"),
        "relative_reconstruction_bias" => 1.0 / expected,
        _ => 1.0,
    };
    (value - expected).abs() * denominator.abs().min(1.0) / expected.abs().max(1.0)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    pub name: String,
    pub at: Option<HookPoint>,
    pub tokens: TokenSet,
    pub n_tokens: u64,
    pub value: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub objective: Objective,
    pub lr: f64,
    pub max_grad_norm: f64,
    /// Of the first step, without coefficients.
    pub terms: BTreeMap<String, f64>,
    pub losses: Vec<f64>,
    pub lrs: Vec<f64>,
    pub grad_norms: Vec<f64>,
}

pub struct Golden {
    pub about: About,
    bytes: Vec<u8>,
}

impl Golden {
    pub fn read() -> Self {
        let bytes = fs::read(models().join("../training/golden.safetensors")).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let about = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["golden"]).unwrap();
        Self { about, bytes }
    }

    pub fn setup(&self, name: &str) -> &Setup {
        self.about.setups.iter().find(|setup| setup.name == name).unwrap()
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

    /// Contexts of `n_ctx` ids, one after the other.
    pub fn tokens(&self, name: &str) -> Vec<u32> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        bytemuck::pod_collect_to_vec(tensors.tensor(name).unwrap().data())
    }

    /// The dictionary before the first step.
    pub fn dictionary<R: Real>(&self, setup: &Setup) -> Dictionary<R> {
        let [w_enc, b_enc, w_dec, b_dec] = NAMES.map(|name| {
            self.numbers(&format!("{}.init.{name}", setup.name))
                .into_iter()
                .map(R::of)
                .collect::<Vec<_>>()
        });
        let relu = Relu::new(w_enc, b_enc, w_dec, b_dec);
        let dictionary = Dictionary::Relu(match setup.read_at {
            Some(read_at) => relu.reading_at(read_at),
            None => relu,
        });
        assert_eq!(dictionary.d_sae(), self.about.d_sae);
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
}

pub fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/models")
}

pub fn model(setup: &Setup) -> Model<f32> {
    Model::load(&models().join(&setup.model), setup.residual).unwrap()
}

/// ‖a − b‖ / ‖b‖; NaN counts as infinitely far.
pub fn relative<R: Real>(a: &[R], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let off: f64 = a.iter().zip(b).map(|(a, b)| (a.f64() - b).powi(2)).sum();
    let size: f64 = b.iter().map(|b| b.powi(2)).sum();
    let distance = (off / size).sqrt();
    if distance.is_nan() { f64::INFINITY } else { distance }
}

/// Says what is farther from torch than `bound`.
pub fn close(what: &str, ours: f64, torchs: f64, bound: f64) {
    let off = (ours - torchs).abs() / torchs.abs();
    assert!(off <= bound, "{what}: {ours}; torch has {torchs}, {off:.1e} off");
}
