//! A data folder with a model and a corpus in it, and configs that fit them.
#![allow(dead_code, missing_docs)]

use std::{path::PathBuf, time::Duration};

use api::*;
use store::Store;

pub const LEASE: Duration = Duration::from_secs(60);

pub async fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    store.add_model(&model("m", "aa")).await.unwrap();
    store.add_corpus(&corpus("c", "bb")).await.unwrap();
    (folder, store)
}

pub fn model(id: &str, hash: &str) -> ModelInfo {
    ModelInfo {
        id: ModelId(id.into()),
        source: "a folder".into(),
        folder: "/models/m".into(),
        family: "gpt2".into(),
        n_layers: 2,
        d_model: 16,
        n_heads: 2,
        d_mlp: 64,
        d_vocab: 100,
        n_ctx: 32,
        n_params: 12345,
        layer_norm: true,
        has_bos: true,
        hash: hash.into(),
        hook_points: vec![("blocks.1.hook_resid_pre".parse().unwrap(), 16)],
        created: 1,
    }
}

pub fn corpus(id: &str, hash: &str) -> CorpusInfo {
    CorpusInfo {
        reading: Default::default(),
        summary: None,
        id: CorpusId(id.into()),
        source: "a file".into(),
        path: "/c.txt".into(),
        format: "text".into(),
        n_documents: 3,
        n_bytes: 400,
        hash: hash.into(),
        created: 1,
    }
}

pub fn config() -> TrainConfig {
    let request: SweepRequest = serde_json::from_value(serde_json::json!({
        "model": "m", "corpus": "c", "at": "blocks.1.hook_resid_pre", "objectives": ["local"],
        "coefficient": "0.1,0.3", "tokens": 100_000
    }))
    .unwrap();
    let facts = ResolvedAgainst {
        width: 16,
        d_vocab: 512,
        max_n_ctx: 32,
        has_bos: true,
        parents: &[],
    };
    request.resolve(facts).unwrap().runs.remove(0)
}

/// Puts `n` runs of one sweep into the queue.
pub async fn enqueue(store: &Store, n: usize) -> Vec<JobId> {
    let runs: Vec<_> = (0..n).map(|i| (config(), format!("saescope sweep {i}"))).collect();
    store.enqueue(&runs).await.unwrap()
}

pub fn dictionary(job: JobId) -> DictionaryInfo {
    let config = config();
    DictionaryInfo {
        id: DictionaryId(0),
        job,
        sweep: job,
        model: config.model,
        corpus: config.corpus,
        at: config.at,
        residual: config.residual,
        input_scale: config.input_scale,
        config: config.dictionaries[0].clone(),
        tokens: 100_000,
        n_passes: 1.5,
        evaluated_on: EvaluationSplit::HeldOut,
        metrics: vec![measurement("l0", 12.25)],
        density: None,
        findings: Vec::new(),
        verified: None,
        checksum: String::new(),
        created: 0,
        command: String::new(),
    }
}

pub fn measurement(name: &str, value: f64) -> Measurement {
    Measurement {
        name: name.into(),
        version: 1,
        at: Some("blocks.1.hook_resid_pre".parse().unwrap()),
        tokens: TokenSet::PositionZero,
        n_tokens: 7,
        value,
        interval: None,
    }
}

/// A file with `content` in the job's folder.
pub fn weights(store: &Store, job: JobId, name: &str, content: &str) -> PathBuf {
    let path = store.job_folder(job).join(name);
    std::fs::write(&path, content).unwrap();
    path
}
