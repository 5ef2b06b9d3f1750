//! Dictionaries from other tools' files: read, held against a model of the registry, and made into a run of no steps that begins from
//! them, so that they are measured and kept like any others.

use anyhow::{Context as _, Result};
use api::{
    BosPolicy, ConfigError, CorpusId, Course, DictionaryConfig, EosPolicy, EvaluationSplit, HookPoint, ModelInfo, Objective,
    Origin, ResidualFrame, TrainConfig, WeightType,
};
use engine::{
    dictionary::{DictionaryFile, Normaliser, save},
    exchange::{Choice, Facts, read, weights_file},
};
use serde_json::json;
use std::path::PathBuf;
use store::Store;

use crate::jobs::request;

/// A dictionary to be imported, and what it is measured with. What is left out takes the default that training has.
#[derive(Debug)]
pub struct Wanted {
    /// The file, the folder or the name on the hub, as it was given.
    pub source: String,
    /// Where it lies on this machine.
    pub path: PathBuf,
    /// Its number, in a file of several.
    pub number: Option<usize>,
    /// How it sees activations, where more is known of that than the file says.
    pub normaliser: Option<Normaliser>,
    /// The model.
    pub model: ModelInfo,
    /// The text that it is measured on.
    pub corpus: CorpusId,
    /// Where it reads and writes; else what the file says.
    pub at: Option<HookPoint>,
    /// How it reads the residual stream; else as its tool does.
    pub residual: Option<ResidualFrame>,
    /// Tokens per context.
    pub n_ctx: Option<usize>,
    /// What the BOS token opens.
    pub bos: Option<BosPolicy>,
    /// What the EOS token closes.
    pub eos: Option<EosPolicy>,
    /// The text of the metrics.
    pub evaluate_on: Option<EvaluationSplit>,
    /// Tokens of it.
    pub eval_tokens: Option<usize>,
}

/// What came of reading a file.
#[derive(Debug)]
pub struct Staged {
    /// The run that measures it.
    pub config: TrainConfig,
    /// The command that does the same.
    pub command: String,
    /// What the file says.
    pub facts: Facts,
    /// Our file of it, which the run begins from.
    pub file: PathBuf,
}

/// Reads the file, checks it against the model, and keeps it as ours for the run.
///
/// # Errors
/// What [`read`] refuses, and a dictionary that is not for the model or the hook point.
pub async fn stage(store: &Store, wanted: Wanted) -> Result<Staged> {
    let choice = Choice {
        at: wanted.at,
        index: wanted.number,
        normaliser: wanted.normaliser,
    };
    let weights = weights_file(&wanted.path).map_err(refused)?;
    let imported = read(&wanted.path, &choice).map_err(refused)?;
    let (dictionary, facts) = (imported.dictionary, imported.facts);
    let at = place(wanted.at, &facts)?;
    let model = &wanted.model;
    let residual = match (wanted.residual, facts.residual) {
        (Some(given), _) => given,
        // TransformerLens does not centre what RMSNorms read
        (None, Some(ResidualFrame::Centred)) if model.layer_norm => ResidualFrame::Centred,
        _ => ResidualFrame::Raw,
    };
    let request = json!({
        "model": model.id, "corpus": wanted.corpus, "at": at, "residual": residual,
        "objectives": ["local"], "coefficient": "0", "d_sae": dictionary.d_sae(),
        "n_ctx": wanted.n_ctx, "bos": wanted.bos, "eos": wanted.eos,
        "evaluate_on": wanted.evaluate_on, "eval_tokens": wanted.eval_tokens, "input_scale": facts.normaliser.input_scale(),
    });
    let request = serde_json::from_value(request).context("the request of an import")?;
    let resolved = request::resolve(store, &request).await?;
    let mut config = resolved.runs.into_iter().next().context("an import is one run")?;
    match model.width(at) {
        Some(width) if width != dictionary.d_in() => {
            let message = format!(
                "'{}' holds a dictionary of activations {} wide; '{}' is {width} wide at {at}: it is for another model, or another hook point",
                wanted.source,
                dictionary.d_in(),
                model.id
            );
            return Err(ConfigError::new("model", message).into());
        }
        _ => {}
    }
    let own = DictionaryConfig {
        kind: dictionary.kind(),
        d_sae: dictionary.d_sae(),
        objective: facts.objective.unwrap_or(Objective::Local { sparsity: 0.0 }),
        lr: facts.lr.unwrap_or(0.0),
        seed: facts.seed.unwrap_or(0),
        course: Course::default(),
        origin: Origin::Imported {
            source: match wanted.number {
                Some(number) => format!("{}, number {number}", wanted.source),
                None => wanted.source.clone(),
            },
            format: facts.format.to_string(),
            sha256: store::checksum(&weights)?,
        },
    };
    config.tokens = 0;
    config.dictionaries = vec![own];
    config.validate()?;
    let file = staged_file(store, &config, 0);
    let folder = file.parent().context("the staged file has a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let about = DictionaryFile::new(
        config.dictionaries[0].clone(),
        at,
        residual,
        facts.normaliser,
        model.hash.clone(),
    );
    save(&dictionary, &about, WeightType::F32, &file)?;
    Ok(Staged {
        command: command(&wanted, &config),
        config,
        facts,
        file,
    })
}

/// Our file of the imported dictionary number `index` of `config`.
pub fn staged_file(store: &Store, config: &TrainConfig, index: usize) -> PathBuf {
    let of = json!({"at": config.at, "residual": config.residual, "model": config.model, "dictionary": config.dictionaries.get(index)});
    store.import_file(&of.to_string())
}

/// A file's own fault is the user's to mend.
fn refused(error: engine::dictionary::DictionaryError) -> ConfigError {
    ConfigError::new("source", error.to_string())
}

fn place(given: Option<HookPoint>, facts: &Facts) -> Result<HookPoint, ConfigError> {
    match (given, facts.at(), &facts.hook) {
        (Some(given), Some(said), _) if given != said => {
            let message = format!("found {given}; the file says that its dictionary is at {said}");
            Err(ConfigError::new("at", message))
        }
        (Some(at), ..) | (None, Some(at), _) => Ok(at),
        (None, None, Some(hook)) => {
            let message = format!("nothing is given; the file says '{hook}', which is no hook point here: give one");
            Err(ConfigError::new("at", message))
        }
        (None, None, None) => {
            let message = "nothing is given, and the file does not say where its dictionary reads: give a hook point";
            Err(ConfigError::new("at", message))
        }
    }
}

fn command(wanted: &Wanted, config: &TrainConfig) -> String {
    let mut words = vec![
        format!("saescope import {}", wanted.source),
        format!("--model {}", config.model),
        format!("--corpus {}", config.corpus),
        format!("--at {}", config.at),
        format!("--residual {}", config.residual),
    ];
    words.extend(wanted.number.map(|number| format!("--number {number}")));
    words.push(format!("--n-ctx {}", config.packing.n_ctx));
    words.push(format!("--bos {}", config.packing.bos));
    words.push(format!("--eos {}", config.packing.eos));
    words.push(format!("--evaluate-on {}", config.evaluation.split));
    words.push(format!("--eval-tokens {}", config.evaluation.n_tokens));
    words.join(" ")
}
