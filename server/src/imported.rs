//! Dictionaries from other tools' files: read, held against a model of the registry, and made into a run of no steps that begins from
//! them, so that they are measured and kept like any others.

use anyhow::{Context as _, Result};
use api::{
    BosPolicy, ConfigError, CorpusId, Course, DictionaryConfig, EosPolicy, EvaluationSplit, HookPoint, ModelInfo, Objective,
    Origin, ResidualFrame, Site, TrainConfig, WeightType, quoted,
};
use engine::{
    dictionary::{Dictionary, DictionaryFile, Normaliser, save},
    exchange::{Beside, Choice, Facts, read, weights_file},
    model::Model,
};
use serde_json::json;
use std::path::{Path, PathBuf};
use store::Store;

use crate::{hub, jobs::request, model_name, saelens};

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
    /// Whether the file may name another.
    pub any_model: bool,
    /// The text that it is measured on.
    pub corpus: CorpusId,
    /// Where it reads and writes, of a transcoder where it writes; else what the file says.
    pub at: Option<HookPoint>,
    /// Where a transcoder reads; else what the file says.
    pub read_at: Option<HookPoint>,
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
    /// What was taken from the file for want of a word of the user's, as sentences.
    pub taken: Vec<String>,
}

/// Where what `source` names lies on this machine: a file or a folder, or else what SAELens' registry or the hub has under that name, which
/// is fetched. With it comes what the registry knows of how it sees activations.
///
/// # Errors
/// The hub's.
pub async fn locate(source: &str, show: hub::Show) -> Result<(PathBuf, Option<Normaliser>)> {
    let path = PathBuf::from(source);
    if path.exists() {
        return Ok((path, None));
    }
    let (place, normaliser) = match saelens::find(source)? {
        Some(entry) => (entry.place, entry.normaliser),
        None => (source.to_owned(), None),
    };
    Ok((hub::pull_dictionary(place, show).await?, normaliser))
}

/// Reads the file, checks it against the model, and keeps it as ours for the run.
///
/// # Errors
/// What [`read`] refuses, and a dictionary that is not for the model or the hook point.
pub async fn stage(store: &Store, wanted: Wanted) -> Result<Staged> {
    let choice = Choice {
        at: wanted.at,
        index: wanted.number,
        read_at: wanted.read_at,
        normaliser: wanted.normaliser,
    };
    let weights = weights_file(&wanted.path).map_err(refused)?;
    let imported = read(&wanted.path, &choice).map_err(refused)?;
    let (dictionary, facts) = (imported.dictionary, imported.facts);
    if let Some(named) = facts.model.as_deref().filter(|_| !wanted.any_model) {
        model_name::check(&wanted.model, named)?;
    }
    let read_at = dictionary.kind().read_at();
    if wanted.read_at.is_some() && read_at.is_none() {
        let message = format!(
            "found with '{}', which holds no transcoder: it reads what it writes",
            wanted.source
        );
        return Err(ConfigError::new("read_at", message).into());
    }
    let at = place(wanted.at, &facts)?;
    let model = &wanted.model;
    let residual = match (wanted.residual, facts.residual) {
        (Some(given), _) => given,
        // TransformerLens does not centre what RMSNorms read
        (None, Some(ResidualFrame::Centred)) if model.layer_norm => ResidualFrame::Centred,
        _ => ResidualFrame::Raw,
    };
    let packing = as_made(&wanted, &facts);
    let request = json!({
        "model": model.id, "corpus": wanted.corpus, "at": at, "residual": residual,
        "objectives": ["local"], "coefficient": "0", "d_sae": dictionary.d_sae(),
        "n_ctx": packing.n_ctx, "bos": packing.bos, "eos": wanted.eos,
        "evaluate_on": wanted.evaluate_on, "eval_tokens": wanted.eval_tokens, "input_scale": facts.normaliser.input_scale(),
    });
    let request = serde_json::from_value(request).context("the request of an import")?;
    let resolved = request::resolve(store, &request).await?;
    let mut config = resolved.runs.into_iter().next().context("an import is one run")?;
    let reads = read_at.unwrap_or(at);
    if model.width(reads).is_none() {
        let message = format!(
            "'{}' reads at {reads}, and '{}' has no such hook point",
            wanted.source, model.id
        );
        return Err(ConfigError::new("read_at", message).into());
    }
    for (at, found) in [(reads, dictionary.d_in()), (at, dictionary.d_out())] {
        if let Some(width) = model.width(at).filter(|width| *width != found) {
            let message = format!(
                "'{}' holds a dictionary of activations {found} wide; '{}' is {width} wide at {at}: it is for another model, or another hook point",
                wanted.source, model.id
            );
            return Err(ConfigError::new("model", message).into());
        }
    }
    let dictionary = as_here(dictionary, &facts, model, residual)?;
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
        taken: packing.taken,
    })
}

/// How the text of an import is packed, where that is known before the defaults of training.
#[derive(Debug, Default, PartialEq)]
struct AsMade {
    n_ctx: Option<usize>,
    bos: Option<BosPolicy>,
    taken: Vec<String>,
}

/// As the user says; else as the file says that its dictionary was made, as far as the model can do that.
fn as_made(wanted: &Wanted, facts: &Facts) -> AsMade {
    let model = &wanted.model;
    let mut made = AsMade {
        n_ctx: wanted.n_ctx,
        bos: wanted.bos,
        taken: Vec::new(),
    };
    if let (None, Some(said)) = (wanted.n_ctx, facts.n_ctx.filter(|n_ctx| *n_ctx >= 2)) {
        made.n_ctx = Some(said.min(model.n_ctx));
        made.taken.push(match said <= model.n_ctx {
            true => format!("contexts of {said} tokens, as the file says that it was made (--n-ctx)"),
            false => format!(
                "contexts of {} tokens, as many as '{}' takes; the file says that it was made on {said} (--n-ctx)",
                model.n_ctx, model.id
            ),
        });
    }
    if let (None, Some(said)) = (wanted.bos, facts.bos) {
        let is_there = said == BosPolicy::None || model.has_bos;
        made.bos = Some(said).filter(|_| is_there);
        made.taken.push(match is_there {
            true => format!("BOS policy '{said}', as the file says that it was made (--bos)"),
            false => format!(
                "no BOS, which the tokenizer of '{}' has not; the file says '{said}'",
                model.id
            ),
        });
    }
    made
}

/// Our file of the imported dictionary number `index` of `config`.
pub fn staged_file(store: &Store, config: &TrainConfig, index: usize) -> PathBuf {
    let of = json!({"at": config.at, "residual": config.residual, "model": config.model, "dictionary": config.dictionaries.get(index)});
    store.import_file(&of.to_string())
}

/// The dictionary at our hook points: what its tool has between them and its own is taken in.
///
/// # Errors
/// What cannot be taken in, and a model that cannot be loaded.
fn as_here(dictionary: Dictionary<f32>, facts: &Facts, model: &ModelInfo, residual: ResidualFrame) -> Result<Dictionary<f32>> {
    // of the families that are known, these have norms behind attention and MLP
    if facts.beside == Beside::PostNorm && model.family == "gemma2" {
        let message = format!(
            "its tool reads what attention or the MLP writes before the norm that follows them in '{}'; expected what the stream takes",
            model.id
        );
        return Err(ConfigError::new("source", message).into());
    }
    let has_gain = |beside| match beside {
        Beside::Gain => true,
        Beside::GainOfLayerNorm => model.layer_norm,
        Beside::Nothing | Beside::PostNorm => false,
    };
    let Some(reads) = facts.reads else {
        if has_gain(facts.beside) {
            let message = "its tool reads and writes behind a norm's gain and bias, which nothing here can be put back behind; expected one \
                           whose model has them folded";
            return Err(ConfigError::new("source", message).into());
        }
        return Ok(dictionary);
    };
    if !has_gain(reads.beside) {
        return Ok(dictionary);
    }
    let (gain, bias) = gain_at(model, residual, reads.at)?;
    Ok(dictionary.before_gain(&gain, bias.as_deref()))
}

/// Gain and bias of the norm that `at` is of.
///
/// # Errors
/// A model that cannot be loaded, and a place that is of none of its norms.
pub fn gain_at(model: &ModelInfo, residual: ResidualFrame, at: HookPoint) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
    let loaded = Model::load(Path::new(&model.folder), residual)?;
    let parts = loaded.parts();
    let norm = match at {
        HookPoint::FinalNorm => Some(&parts.final_norm),
        HookPoint::Block { layer, site } => parts.blocks.get(layer).and_then(|block| match site {
            Site::Ln1 => Some(&block.attention_norm),
            Site::Ln2 => Some(&block.mlp_norm),
            _ => None,
        }),
        HookPoint::Embed => None,
    };
    let norm = norm.with_context(|| format!("{at} is behind no norm of '{}'", model.id))?;
    Ok((norm.gain.to_vec(), norm.bias.map(<[f32]>::to_vec)))
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
        format!("saescope import {}", quoted(&wanted.source)),
        format!("--model {}", config.model),
        format!("--corpus {}", config.corpus),
        format!("--at {}", config.at),
        format!("--residual {}", config.residual),
    ];
    words.extend(wanted.any_model.then(|| "--any-model".to_owned()));
    words.extend(wanted.number.map(|number| format!("--number {number}")));
    words.extend(wanted.read_at.map(|at| format!("--read-at {at}")));
    words.push(format!("--n-ctx {}", config.packing.n_ctx));
    words.push(format!("--bos {}", config.packing.bos));
    words.push(format!("--eos {}", config.packing.eos));
    words.push(format!("--evaluate-on {}", config.evaluation.split));
    words.push(format!("--eval-tokens {}", config.evaluation.n_tokens));
    words.join(" ")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use api::{DictionaryKind, ModelId};
    use engine::{
        dictionary::{Path as Passes, Scratch, SparseCodes},
        exchange::{Format, Place},
    };

    /// A tiny model of the golden files, as the registry has it.
    pub fn model(family: &str) -> ModelInfo {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/golden/models")
            .join(family);
        let model = Model::load(&folder, ResidualFrame::Raw).unwrap();
        let facts = *model.facts();
        ModelInfo {
            id: ModelId(family.into()),
            source: String::new(),
            folder: folder.display().to_string(),
            family: facts.family.to_string(),
            n_layers: facts.n_layers,
            d_model: facts.d_model,
            n_heads: facts.n_heads,
            d_mlp: facts.d_mlp,
            d_vocab: facts.d_vocab,
            n_ctx: facts.n_ctx,
            n_params: facts.n_params,
            layer_norm: facts.layer_norm,
            has_bos: false,
            hash: String::new(),
            hook_points: model.hook_points(),
            created: 0,
        }
    }

    #[test]
    fn text_is_packed_as_the_file_says_unless_the_user_does() {
        let wanted = |n_ctx, bos, has_bos| Wanted {
            source: String::new(),
            path: PathBuf::new(),
            number: None,
            normaliser: None,
            model: ModelInfo {
                has_bos,
                n_ctx: 64,
                ..model("llama")
            },
            any_model: false,
            corpus: CorpusId(String::new()),
            at: None,
            read_at: None,
            residual: None,
            n_ctx,
            bos,
            eos: None,
            evaluate_on: None,
            eval_tokens: None,
        };
        let said = |n_ctx, bos| Facts {
            n_ctx,
            bos,
            ..Facts::new(Format::SaeLens)
        };
        let made = |wanted: &Wanted, facts: &Facts| {
            let made = as_made(wanted, facts);
            (made.n_ctx, made.bos, made.taken.len())
        };
        let silent = wanted(None, None, true);
        assert_eq!(made(&silent, &said(None, None)), (None, None, 0));
        assert_eq!(
            made(&silent, &said(Some(32), Some(BosPolicy::Context))),
            (Some(32), Some(BosPolicy::Context), 2)
        );
        assert_eq!(
            made(&silent, &said(Some(32), Some(BosPolicy::None))),
            (Some(32), Some(BosPolicy::None), 2)
        );
        // what the model cannot do
        assert_eq!(made(&silent, &said(Some(1024), None)), (Some(64), None, 1));
        assert_eq!(
            made(&wanted(None, None, false), &said(None, Some(BosPolicy::Context))),
            (None, None, 1)
        );
        // the user's word
        let told = wanted(Some(16), Some(BosPolicy::Document), true);
        assert_eq!(
            made(&told, &said(Some(32), Some(BosPolicy::Context))),
            (Some(16), Some(BosPolicy::Document), 0)
        );
    }

    fn facts(at: HookPoint, beside: Beside) -> Facts {
        Facts {
            reads: Some(Place { at, beside }),
            ..Facts::new(Format::SaeLens)
        }
    }

    /// What a dictionary makes of `x`.
    pub fn output(dictionary: &Dictionary<f32>, x: &[f32]) -> Vec<f32> {
        let (mut codes, scratch) = (SparseCodes::default(), Scratch::new());
        dictionary.encode(x, &mut codes, &scratch);
        let mut out = vec![0.0; x.len() / dictionary.d_in() * dictionary.d_out()];
        dictionary.reconstruct(&codes, x, &mut out, Passes::SPARSE, &scratch);
        out
    }

    /// At each norm of a model: what reads behind its gain and bias comes to read before them, and gives the same.
    #[test]
    fn gains_are_those_of_the_norm_that_is_read() {
        for family in ["gpt2", "llama", "gemma2"] {
            let info = model(family);
            let loaded = Model::load(Path::new(&info.folder), ResidualFrame::Raw).unwrap();
            let d = info.d_model;
            let x: Vec<f32> = (0..20 * d).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
            for layer in 0..info.n_layers {
                for site in [Site::Ln1, Site::Ln2] {
                    let parts = loaded.parts();
                    let block = &parts.blocks[layer];
                    let norm = if site == Site::Ln1 {
                        &block.attention_norm
                    } else {
                        &block.mlp_norm
                    };
                    let bias = norm.bias.map_or_else(|| vec![0.0; d], <[f32]>::to_vec);
                    let each = norm.gain.iter().zip(&bias).cycle();
                    let behind: Vec<f32> = x.iter().zip(each).map(|(x, (g, b))| x * g + b).collect();
                    let at = HookPoint::block(layer, site);
                    let kind = DictionaryKind::SkipTranscoder { read_at: at };
                    let mut theirs = Dictionary::<f32>::between(kind, (d, d), 40, 1);
                    theirs.update(|p| {
                        let skip = &mut p.0[4].data;
                        skip.iter_mut()
                            .enumerate()
                            .for_each(|(i, w)| *w = (i % 7) as f32 / 10.0 - 0.3);
                    });
                    let here = |beside| as_here(theirs.clone(), &facts(at, beside), &info, ResidualFrame::Raw).unwrap();
                    let off = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    let expected = output(&theirs, &behind);
                    assert!(off(&output(&here(Beside::Gain), &x), &expected) < 1e-4, "{family} {at}");
                    let of_layer_norm = output(&here(Beside::GainOfLayerNorm), &x);
                    assert_eq!(off(&of_layer_norm, &expected) < 1e-4, info.layer_norm, "{family} {at}");
                    assert!(off(&output(&here(Beside::Nothing), &x), &output(&theirs, &x)) == 0.0);
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_brought_here_is_refused() {
        let plain = || Dictionary::<f32>::random(DictionaryKind::Relu, 24, 40, 1);
        let refused = |beside, family: &str| {
            let facts = Facts {
                beside,
                ..Facts::new(Format::Sparsify)
            };
            as_here(plain(), &facts, &model(family), ResidualFrame::Raw)
                .map(drop)
                .map_err(|e| e.to_string())
        };
        let error = refused(Beside::PostNorm, "gemma2").unwrap_err();
        assert!(error.contains("before the norm that follows them in 'gemma2'"), "{error}");
        let error = refused(Beside::GainOfLayerNorm, "gpt2").unwrap_err();
        assert!(error.contains("reads and writes behind a norm's gain"), "{error}");
        assert_eq!(refused(Beside::PostNorm, "gpt2"), Ok(()));
        assert_eq!(refused(Beside::GainOfLayerNorm, "llama"), Ok(()));
    }
}
