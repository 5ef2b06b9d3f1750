//! What the tests start from: golden models and numbers, a text of made-up stories, a config.

use api::{
    Adam, CorpusId, Evaluation, EvaluationSplit, ModelId, ModelShape, PretrainConfig, ResidualFrame, Schedule, TokenizerSource,
    WeightType,
};
use engine::{
    corpus::{TokenFile, pack, train_tokenizer},
    model::{Model, Trainable},
};
use safetensors::SafeTensors;
use std::{
    fs,
    path::{Path, PathBuf},
};

pub fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// A golden model, trainable, in f32.
pub fn model(name: &str) -> Model<f32> {
    Model::load(&golden_folder().join("models").join(name), ResidualFrame::Raw).unwrap()
}

/// What torch computed.
pub struct Golden {
    bytes: Vec<u8>,
    pub about: serde_json::Value,
}

impl Golden {
    pub fn read() -> Self {
        let bytes = fs::read(golden_folder().join("pretraining/golden.safetensors")).unwrap();
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let about = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["golden"]).unwrap();
        Self { bytes, about }
    }

    pub fn number(&self, path: &str) -> f64 {
        self.about.pointer(path).unwrap().as_f64().unwrap()
    }

    pub fn numbers<T: bytemuck::Pod>(&self, name: &str) -> Vec<T> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        bytemuck::pod_collect_to_vec(tensors.tensor(name).unwrap().data())
    }

    /// The contexts of a model, those of all steps in order.
    pub fn contexts(&self, model: &str) -> Vec<Vec<u32>> {
        let n = 20;
        let tokens: Vec<u32> = self.numbers(&format!("{model}.tokens"));
        tokens.chunks(n).map(<[u32]>::to_vec).collect()
    }
}

/// ‖a − b‖ / ‖b‖.
pub fn relative(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> f64 {
    let (off, size) = a
        .zip(b)
        .fold((0.0, 0.0), |(off, size), (a, b)| (off + (a - b).powi(2), size + b * b));
    (off / size).sqrt()
}

pub fn pool(n_threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap()
}

/// A few hundred made-up stories as JSON lines.
pub fn stories(folder: &Path) -> PathBuf {
    let story = |i: usize| {
        let pick = |words: [&'static str; 5], k: usize| words[(i * k + i / 5) % 5];
        let name = pick(["Lily", "Tom", "Mia", "Ben", "Anna"], 1);
        let place = pick(["park", "garden", "forest", "house", "river"], 2);
        let animal = pick(["cat", "dog", "bird", "fox", "frog"], 3);
        format!("One day, {name} went to the {place}. {name} saw a little {animal}. Story {i} ends.")
    };
    let lines: String = (0..400)
        .map(|i| serde_json::json!({ "text": story(i) }).to_string() + "\n")
        .collect();
    let path = folder.join("stories.jsonl");
    fs::write(&path, lines).unwrap();
    path
}

/// A run of twelve steps of a model of two blocks.
pub fn config() -> PretrainConfig {
    let shape = ModelShape {
        n_layers: 2,
        d_model: 24,
        n_heads: 3,
        n_ctx: 32,
    };
    PretrainConfig {
        name: ModelId("tiny-stories".into()),
        corpus: CorpusId("stories".into()),
        tokenizer: TokenizerSource::Trained { vocab_size: 300 },
        shape,
        batch: 5,
        tokens: (12 * 5 * shape.n_ctx) as u64,
        lr: 1e-2,
        schedule: Schedule {
            warmup_steps: 2,
            min_lr_factor: 0.1,
            hold_steps: 0,
        },
        adam: Adam {
            beta2: 0.95,
            ..Adam::default()
        },
        weight_decay: 0.1,
        max_grad_norm: 1.0,
        seed: 7,
        dtype: WeightType::F32,
        log_every_steps: 1,
        checkpoint_every_steps: 3,
        evaluation: Evaluation {
            split: EvaluationSplit::HeldOut,
            n_tokens: 4_000,
            validation_tokens: 500,
            every_steps: 4,
        },
    }
}

/// A text with its tokenizer, packed as `config` says.
pub struct Text {
    pub folder: tempfile::TempDir,
    pub tokenizer: PathBuf,
    pub tokens: TokenFile,
}

impl Text {
    pub fn new(config: &PretrainConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = stories(folder.path());
        let tokenizer = folder.path().join("tokenizer/tokenizer.json");
        fs::create_dir(tokenizer.parent().unwrap()).unwrap();
        fs::write(&tokenizer, train_tokenizer(&source, 300).unwrap()).unwrap();
        let beside = tokenizer.with_file_name("tokenizer_config.json");
        fs::write(beside, r#"{"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}"#).unwrap();
        let to = folder.path().join("packed");
        let tokens = pack(&source, &tokenizer, 300, &config.packing(), &to, &mut |_, _| true).unwrap();
        Self {
            folder,
            tokenizer,
            tokens,
        }
    }
}

/// The numbers of a tensor by its name.
pub fn tensor<'a, R>(trainable: &Trainable<R>, numbers: &'a [R], name: &str) -> &'a [R]
where
    R: engine::kernel::Real,
{
    let found = trainable.tensors().iter().find(|tensor| tensor.name == name);
    &numbers[found.unwrap_or_else(|| panic!("no {name}")).place.clone()]
}
