//! A model's twin with random weights: each tensor as large as it was, norms as they were, the same again from the same seed.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

use api::ResidualFrame;
use engine::model::{Model, content_hash, randomise};
use safetensors::{Dtype, SafeTensors};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/models")
        .join(name)
}

fn twin(name: &str, seed: u64) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    randomise(&folder(name), to.path(), seed).unwrap();
    to
}

/// Every tensor's name, numbers and bytes, of one file or of shards.
fn tensors(folder: &Path) -> Vec<(String, Vec<f64>, Vec<u8>)> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files = names.filter(|name| name.starts_with("model") && name.ends_with(".safetensors"));
    let mut all: Vec<_> = files.flat_map(|name| of_file(&folder.join(name))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

fn of_file(file: &Path) -> Vec<(String, Vec<f64>, Vec<u8>)> {
    let bytes = fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    tensors
        .iter()
        .map(|(name, view)| {
            let halves = || bytemuck::pod_collect_to_vec::<u8, u16>(view.data()).into_iter();
            let numbers = match view.dtype() {
                Dtype::F32 => bytemuck::pod_collect_to_vec::<u8, f32>(view.data())
                    .into_iter()
                    .map(f64::from)
                    .collect(),
                Dtype::F16 => halves().map(|bits| half::f16::from_bits(bits).to_f64()).collect(),
                Dtype::BF16 => halves().map(|bits| half::bf16::from_bits(bits).to_f64()).collect(),
                other => panic!("{other:?}"),
            };
            (name.to_string(), numbers, view.data().to_vec())
        })
        .collect()
}

fn moments(numbers: &[f64]) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    (mean, (numbers.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
}

#[test]
fn each_tensor_keeps_its_mean_and_spread_and_norms_keep_everything() {
    for name in ["gpt2", "gpt_neox", "llama", "llama_f16", "llama_bf16"] {
        let twin = twin(name, 7);
        Model::<f32>::load(twin.path(), ResidualFrame::Raw).unwrap();
        let (before, after) = (tensors(&folder(name)), tensors(twin.path()));
        assert_eq!(before.len(), after.len(), "{name}");
        for ((tensor, old, old_bytes), (other, new, new_bytes)) in before.iter().zip(&after) {
            assert_eq!(tensor, other);
            if tensor.contains("norm") || tensor.contains("ln_") {
                assert_eq!(old_bytes, new_bytes, "{name}: {tensor}");
                continue;
            }
            let ((mean, size), (new_mean, new_size)) = (moments(old), moments(new));
            let bound = 5.0 / (old.len() as f64).sqrt();
            assert!(
                (mean - new_mean).abs() <= bound * size + 1e-6,
                "{name}: {tensor}: {mean} and {new_mean}"
            );
            assert!(
                (size - new_size).abs() <= bound * size + 1e-6,
                "{name}: {tensor}: {size} and {new_size}"
            );
            if size > 0.0 {
                let cosine = old.iter().zip(new).map(|(a, b)| (a - mean) * (b - new_mean)).sum::<f64>();
                let cosine = cosine / (old.len() as f64 * size * new_size);
                assert!(
                    cosine.abs() < 5.0 / (old.len() as f64).sqrt(),
                    "{name}: {tensor} is still there: {cosine}"
                );
            }
        }
    }
}

#[test]
fn a_seed_is_a_model_and_another_is_another() {
    let [first, again, other] = [1, 1, 2].map(|seed| twin("tiny", seed));
    let hash = |folder: &tempfile::TempDir| content_hash(folder.path()).unwrap();
    assert_eq!(hash(&first), hash(&again));
    assert_ne!(hash(&first), hash(&other));
    assert_ne!(hash(&first), content_hash(&folder("tiny")).unwrap());
    for file in ["config.json", "tokenizer.json"] {
        let read = |folder: &Path| fs::read(folder.join(file)).unwrap();
        assert_eq!(read(first.path()), read(&folder("tiny")), "{file}");
    }
}
