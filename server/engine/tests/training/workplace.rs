//! What the tests start from: a config, token files, and the tiny model with a text of made-up stories.

use api::{
    Adam, BosPolicy, CorpusId, DictionaryConfig, DictionaryKind, EosPolicy, Evaluation, EvaluationSplit, HookPoint, InputScale,
    ModelId, Objective, Origin, Packing, ResidualFrame, Schedule, TrainConfig,
};
use engine::{
    corpus::{Format, Manifest, Split, SplitBy, SplitManifest, TokenFile, pack},
    model::Model,
};
use sha2::{Digest, Sha256};
use std::{fs, path::Path};

use crate::golden::models;

pub const N_CTX: usize = 16;

/// A run of ten steps of three dictionaries, one of each objective, on the tiny model.
pub fn config(at: HookPoint) -> TrainConfig {
    let dictionary = |d_sae, objective, lr, seed| DictionaryConfig {
        kind: DictionaryKind::Relu,
        d_sae,
        objective,
        lr,
        seed,
        course: api::Course::default(),
        origin: Origin::Fresh,
    };
    TrainConfig {
        model: ModelId("tiny".into()),
        corpus: CorpusId("stories".into()),
        at,
        residual: ResidualFrame::Raw,
        input_scale: InputScale::None,
        leave_out: api::LeaveOut::default(),
        packing: packing(),
        batch: 3,
        accumulation: 2,
        tokens: (10 * 2 * 3 * N_CTX) as u64,
        schedule: Schedule {
            warmup_steps: 2,
            min_lr_factor: 0.1,
            hold_steps: 0,
        },
        adam: Adam::default(),
        max_grad_norm: 1.0,
        buffer: None,
        data_seed: 5,
        log_every_steps: 1,
        checkpoint_every_steps: 3,
        evaluation: Evaluation {
            split: EvaluationSplit::HeldOut,
            n_tokens: 1 << 20,
            validation_tokens: 4 * N_CTX,
            every_steps: 4,
        },
        dictionaries: vec![
            dictionary(70, Objective::Local { sparsity: 0.1 }, 1e-2, 1),
            dictionary(90, Objective::E2e { sparsity: 0.2, kl: 1.0 }, 5e-3, 2),
            dictionary(
                70,
                Objective::E2eDs {
                    sparsity: 0.3,
                    kl: 0.5,
                    downstream: 2.5,
                },
                5e-3,
                3,
            ),
        ],
    }
}

fn packing() -> Packing {
    Packing {
        n_ctx: N_CTX,
        bos: BosPolicy::Document,
        eos: EosPolicy::None,
    }
}

/// The tiny model and its text, packed.
pub fn tiny(folder: &Path) -> (Model<f32>, TokenFile) {
    let model = Model::load(&models().join("tiny"), ResidualFrame::Raw).unwrap();
    let story = |i: usize| {
        let pick = |words: [&'static str; 5], k: usize| words[(i * k + i / 5) % 5];
        let name = pick(["Lily", "Tom", "Mia", "Ben", "Anna"], 1);
        let place = pick(["park", "garden", "forest", "house", "river"], 2);
        let animal = pick(["cat", "dog", "bird", "fox", "frog"], 3);
        format!("One day, {name} went to the {place}. {name} saw a little {animal}. Story {i} ends.\n\n")
    };
    let source = folder.join("stories.jsonl");
    let lines = (0..120)
        .map(|i| serde_json::json!({ "text": story(i) }).to_string() + "\n")
        .collect::<String>();
    fs::write(&source, lines).unwrap();
    let tokenizer = models().join("tiny/tokenizer.json");
    let to = folder.join("packed");
    let tokens = pack(&source, &tokenizer, model.facts().d_vocab, &packing(), &to, &mut |_, _| true).unwrap();
    (model, tokens)
}

/// A token file each of whose splits has all of `contexts`.
pub fn token_file(folder: &Path, n_ctx: usize, d_vocab: usize, special: &[u32], contexts: &[u32]) -> TokenFile {
    let bytes: &[u8] = bytemuck::cast_slice(contexts);
    // a document per context
    let starts: Vec<u8> = (0..contexts.len())
        .step_by(n_ctx)
        .flat_map(|start| (start as u64).to_le_bytes())
        .collect();
    for split in Split::ALL {
        fs::write(folder.join(format!("{}.bin", split.name())), bytes).unwrap();
        fs::write(folder.join(format!("{}.documents.bin", split.name())), &starts).unwrap();
    }
    let n_tokens = contexts.len() as u64;
    let split = || SplitManifest {
        n_documents: 1,
        n_contexts: n_tokens / n_ctx as u64,
        n_tokens,
        sha256: hex::encode(Sha256::digest(bytes)),
        documents_sha256: hex::encode(Sha256::digest(&starts)),
    };
    let manifest = Manifest {
        version: Manifest::VERSION,
        source_hash: String::new(),
        source_format: Format::Text,
        tokenizer_hash: String::new(),
        packing: Packing {
            n_ctx,
            bos: BosPolicy::None,
            eos: EosPolicy::None,
        },
        reading: Default::default(),
        d_vocab,
        bos: None,
        eos: None,
        special: special.to_vec(),
        split_by: SplitBy::Context,
        train: split(),
        validation: split(),
        held_out: split(),
        n_dropped_tokens: 0,
        spellings: Vec::new(),
    };
    fs::write(folder.join("manifest.json"), serde_json::to_string(&manifest).unwrap()).unwrap();
    TokenFile::open(folder).unwrap()
}
