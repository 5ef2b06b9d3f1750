//! A Hugging Face folder as transformers itself writes one: `config.json`, `model.safetensors`, `tokenizer.json`,
//! `tokenizer_config.json`, and a `README.md` that says where the model comes from.

use api::{PretrainConfig, WeightType};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Map, Value, json};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::Write,
    path::Path,
};

use super::{PretrainError, config_json};
use crate::model::Trainable;

/// What is written beside the weights.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The run's config.
    pub config: &'a PretrainConfig,
    /// The `tokenizer.json` to copy.
    pub tokenizer: &'a Path,
    /// The token that opens a document, by its id and its text.
    pub bos: Option<(u32, &'a str)>,
    /// The token that closes a document.
    pub eos: Option<(u32, &'a str)>,
    /// The text of the README.
    pub readme: &'a str,
}

/// Writes the folder `to`, which must not be there; it appears whole or not at all. Weights are written as `config.dtype` says.
///
/// # Errors
/// The system's.
pub fn write(trainable: &Trainable<f32>, facts: Facts<'_>, to: &Path) -> Result<(), PretrainError> {
    let failed = |error: std::io::Error| PretrainError::File {
        path: to.display().to_string(),
        message: format!("cannot be written: {error}"),
    };
    let parent = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(failed)?;
    let staging = tempfile::Builder::new()
        .prefix(".writing-")
        .tempdir_in(parent)
        .map_err(failed)?;
    write_files(trainable, facts, staging.path()).map_err(failed)?;
    fs::rename(staging.path(), to).map_err(failed)?;
    drop(staging.keep()); // it has its name now
    if let Ok(parent) = File::open(parent) {
        parent.sync_all().map_err(failed)?;
    }
    Ok(())
}

fn write_files(trainable: &Trainable<f32>, facts: Facts<'_>, folder: &Path) -> std::io::Result<()> {
    let Facts {
        config,
        tokenizer,
        bos,
        eos,
        readme,
    } = facts;
    let d_vocab = trainable.model().facts().d_vocab;
    let ids = [bos, eos].map(|token| token.map(|(id, _)| id));
    let dtype = match config.dtype {
        WeightType::F16 => "float16",
        WeightType::F32 => "float32",
    };
    let file = |name: &str, bytes: &[u8]| {
        let mut file = File::create(folder.join(name))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    let json = |name: &str, fields: &Map<String, Value>| {
        let text = serde_json::to_string_pretty(fields)? + "\n";
        file(name, text.as_bytes())
    };
    json("config.json", &config_json(&config.shape, d_vocab, ids[0], ids[1], dtype))?;
    file("tokenizer.json", &fs::read(tokenizer)?)?;
    let mut about = Map::new();
    about.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
    about.insert("model_max_length".into(), json!(config.shape.n_ctx));
    about.insert("bos_token".into(), json!(bos.map(|(_, text)| text)));
    about.insert("eos_token".into(), json!(eos.map(|(_, text)| text)));
    json("tokenizer_config.json", &about)?;
    file(
        "model.safetensors",
        &weights(trainable, config.dtype).map_err(std::io::Error::other)?,
    )?;
    file("README.md", readme.as_bytes())?;
    File::open(folder)?.sync_all()
}

fn weights(trainable: &Trainable<f32>, dtype: WeightType) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let tensors = trainable.tensors().iter().map(|tensor| {
        let numbers = &trainable.numbers()[tensor.place.clone()];
        let bytes: Vec<u8> = match dtype {
            WeightType::F32 => bytemuck::cast_slice(numbers).to_vec(),
            WeightType::F16 => numbers.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect(),
        };
        (tensor, bytes)
    });
    let tensors: Vec<_> = tensors.collect();
    let kind = match dtype {
        WeightType::F32 => Dtype::F32,
        WeightType::F16 => Dtype::F16,
    };
    let views = tensors
        .iter()
        .map(|(tensor, bytes)| Ok((tensor.name.as_str(), TensorView::new(kind, tensor.shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    // transformers asks for this line
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize(views, Some(metadata))
}
