//! What is trained with nothing but model, text, hook point and kind, where `SAESCOPE_TEST_DATA` has a real model: short runs that end at
//! the features per token that were asked for, however large the activations are, and no seed that fails.
#![allow(clippy::print_stdout, reason = "a test that skips says so")]

use api::{HookPoint, KindName, ResidualFrame, ResolvedAgainst, SweepRequest};
use engine::{
    corpus::{TokenFile, pack, special_tokens},
    model::Model,
    train::{Cpu, Device as _, Inputs, Outcome, Trained, run},
};
use safetensors::{SafeTensors, tensor::TensorView};
use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::runs::Watch;

fn data() -> Option<PathBuf> {
    let data = std::env::var_os("SAESCOPE_TEST_DATA").map(PathBuf::from);
    if data.is_none() {
        println!("skipped: SAESCOPE_TEST_DATA is not set");
    }
    data
}

/// stories260k with a residual stream `size` times as large, and the same logits.
fn rescaled(from: &Path, size: f32, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ] {
        if from.join(name).is_file() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
    let bytes = fs::read(from.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let changed: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let factor = match name {
                "model.norm.weight" => 1.0 / size,
                // what writes to the residual stream
                name if ["embed_tokens", "o_proj", "down_proj"].iter().any(|part| name.contains(part)) => size,
                _ => 1.0,
            };
            let numbers = tensor
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()) * factor);
            (
                name.to_owned(),
                tensor.shape().to_vec(),
                numbers.flat_map(f32::to_le_bytes).collect(),
            )
        })
        .collect();
    let views = changed
        .iter()
        .map(|(name, shape, data)| (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap()));
    safetensors::serialize_to_file(views, None, &to.join("model.safetensors")).unwrap();
}

/// The dictionaries that come of a request on stories260k, whose residual stream is `size` times as large.
fn train(size: f32, asked: &serde_json::Value) -> Option<Vec<Trained>> {
    let data = data()?;
    let folder = tempfile::tempdir().unwrap();
    let model_folder = folder.path().join("model");
    rescaled(&data.join("models/stories260k"), size, &model_folder);
    let model = Model::load(&model_folder, ResidualFrame::Raw).unwrap();
    let at = HookPoint::resid_pre(2);
    let mut request = serde_json::json!({
        "model": "m", "corpus": "c", "at": at, "d_sae": 512, "n_ctx": 128, "batch": 8, "tokens": 200 * 1024,
        "validation_tokens": 1024, "eval_every_steps": 1000
    });
    request.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
    let request: SweepRequest = serde_json::from_value(request).unwrap();
    let facts = ResolvedAgainst {
        width: model.width(at).unwrap(),
        d_vocab: model.facts().d_vocab,
        max_n_ctx: 512,
        has_bos: special_tokens(&model_folder).unwrap().bos.is_some(),
        parents: &[],
    };
    let resolved = request.resolve(facts).unwrap();
    let tokens: TokenFile = pack(
        data.join("text/tinystories_1000.json"),
        &model_folder.join("tokenizer.json"),
        facts.d_vocab,
        &resolved.runs[0].packing,
        &folder.path().join("tokens"),
        &mut |_, _| true,
    )
    .unwrap();
    let backend = Cpu.backend(&model).unwrap();
    let mut made = Vec::new();
    for (number, config) in resolved.runs.iter().enumerate() {
        let place = folder.path().join(format!("run{number}"));
        fs::create_dir_all(&place).unwrap();
        let inputs = Inputs {
            config,
            backend: &*backend,
            model_hash: "m",
            tokens: &tokens,
            from: &[],
            folder: &place,
            cache: None,
        };
        match run(inputs, &mut Watch::default()).unwrap() {
            Outcome::Done(trained) => made.extend(trained),
            Outcome::Stopped { .. } => panic!("stopped"),
        }
    }
    Some(made)
}

fn value(trained: &Trained, name: &str) -> f64 {
    let found: Option<&api::Measurement> = trained.metrics.iter().find(|metric| metric.name == name);
    found.unwrap().value
}

#[test]
fn short_runs_end_at_what_was_asked_for_whatever_the_activations_size() {
    for size in [0.1, 1.0, 30.0] {
        for kind in [KindName::Relu, KindName::PAnneal, KindName::Gated, KindName::JumpRelu] {
            let asked = serde_json::json!({"kind": kind, "objectives": ["local"], "target_l0": [16, 32]});
            let Some(made) = train(size, &asked) else { return };
            for trained in made {
                let (l0, target) = (value(&trained, "l0"), trained.config.course.target_l0.unwrap());
                println!("{kind} × {size}: {l0} of {target}");
                assert!((l0 / target - 1.0).abs() < 0.05, "{kind} × {size}: {l0} of {target}");
            }
        }
    }
}

#[test]
fn no_seed_fails_end_to_end() {
    let asked = serde_json::json!({
        "objectives": ["e2e"], "target_l0": [32], "tokens": 100 * 1024, "seeds": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    });
    let Some(made) = train(1.0, &asked) else { return };
    let mut kl: Vec<f64> = made.iter().map(|trained| value(trained, "kl_div_with_sae")).collect();
    kl.sort_unstable_by(f64::total_cmp);
    let (median, worst) = ((kl[4] + kl[5]) / 2.0, kl[9]);
    assert!(worst < 1.2 * median, "{kl:?}");
}
