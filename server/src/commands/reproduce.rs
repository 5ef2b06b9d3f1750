//! `saescope reproduce`: published dictionaries, measured here, beside the figures that were published of them.

use anyhow::{Result, bail};
use api::{
    ApiError, BosPolicy, ConfigError, CorpusReading, DictionaryInfo, EosPolicy, ErrorKind, Measurement, TokenSet, TrainConfig,
};
use clap::{Args, Subcommand};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{Global, runs, say::note, say::say, workspace};
use crate::{
    hub,
    imported::{Wanted, stage},
};

/// Measure published dictionaries, and set the figures beside the published ones
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope reproduce e2e-gpt2 --corpus openwebtext.parquet")]
pub struct Reproduce {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// GPT-2's dictionaries of Braun et al. 2024: L0, alive features and CE increase of its tables 2 and 3, norm ratios of its table 5
    ///
    /// The paper measures on 500 contexts of OpenWebText, and counts alive features on 500,000 tokens of training text; give a text of that kind.
    E2eGpt2(E2eGpt2),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope reproduce e2e-gpt2 --corpus openwebtext.parquet --eval-tokens 500000")]
struct E2eGpt2 {
    /// The checkpoints: a folder, or a name on the hub
    #[arg(long, value_name = "FOLDER|NAME", default_value = "apollo-research/e2e-saes-gpt2")]
    from: String,
    /// The language model: a Hugging Face folder, a registered name, or a name on the hub
    #[arg(long, value_name = "FOLDER|NAME", default_value = "gpt2")]
    model: String,
    /// The text: a file or a folder of files, or a registered name
    #[arg(long, value_name = "FILE|NAME")]
    corpus: String,
    /// Tokens to measure on
    #[arg(long, value_name = "N", default_value_t = 512_000)]
    eval_tokens: usize,
    /// Tokens per context [default: the paper's 1,024, or what the model takes]
    #[arg(long, value_name = "N")]
    n_ctx: Option<usize>,
}

/// A row of the paper's tables: the checkpoint's name, L0, alive features in thousands, CE increase.
type Row = (&'static str, f64, f64, f64);

/// Tables 2 (similar CE) and 3 (similar L0) of Braun et al. 2024.
const PUBLISHED: [Row; 18] = [
    ("local_similar_ce_layer_2", 73.5, 41.0, 0.016),
    ("e2e_similar_ce_layer_2", 33.4, 22.0, 0.020),
    ("downstream_similar_ce_layer_2", 36.2, 18.0, 0.015),
    ("local_similar_ce_layer_6", 69.4, 26.0, 0.144),
    ("e2e_similar_ce_layer_6", 27.5, 22.0, 0.145),
    ("downstream_similar_ce_layer_6", 36.8, 15.0, 0.124),
    ("local_similar_ce_layer_10", 162.7, 33.0, 0.122),
    ("e2e_similar_ce_layer_10", 62.3, 25.0, 0.131),
    ("downstream_similar_ce_layer_10", 70.2, 25.0, 0.144),
    ("local_similar_l0_layer_2", 18.4, 18.0, 0.101),
    ("e2e_similar_l0_layer_2", 18.6, 20.0, 0.043),
    ("downstream_similar_l0_layer_2", 17.9, 15.0, 0.039),
    ("local_similar_l0_layer_6", 42.8, 21.0, 0.228),
    ("e2e_similar_l0_layer_6", 39.7, 25.0, 0.099),
    ("downstream_similar_l0_layer_6", 36.8, 15.0, 0.124),
    ("local_similar_l0_layer_10", 74.9, 28.0, 0.202),
    ("e2e_similar_l0_layer_10", 62.3, 25.0, 0.131),
    ("downstream_similar_l0_layer_10", 70.2, 25.0, 0.144),
];

/// Table 5, of the dictionaries of similar CE: E ‖x̂‖ / ‖x‖ at position 0, and at the others.
const NORM_RATIOS: [(&str, f64, f64); 9] = [
    ("local_similar_ce_layer_2", 1.0, 0.98),
    ("local_similar_ce_layer_6", 1.0, 0.92),
    ("local_similar_ce_layer_10", 1.0, 0.91),
    ("e2e_similar_ce_layer_2", 0.16, 0.67),
    ("e2e_similar_ce_layer_6", 0.11, 0.31),
    ("e2e_similar_ce_layer_10", 0.08, 0.15),
    ("downstream_similar_ce_layer_2", 0.14, 0.74),
    ("downstream_similar_ce_layer_6", 0.99, 0.56),
    ("downstream_similar_ce_layer_10", 0.99, 0.32),
];

impl Reproduce {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        let What::E2eGpt2(asked) = self.what;
        workspace::on(global, async |workspace| {
            let model = workspace::model(&workspace, &asked.model).await?;
            let corpus = workspace::corpus(&workspace, &asked.corpus, &CorpusReading::default()).await?;
            let mut runs_of: Vec<(TrainConfig, String)> = Vec::new();
            let (mut found, mut staged_files) = (Vec::new(), Vec::new());
            for (name, ..) in PUBLISHED {
                let Some((source, path)) = checkpoint(&asked.from, name).await? else {
                    note!("{name}: not in {}", asked.from);
                    continue;
                };
                let wanted = Wanted {
                    source,
                    path,
                    number: None,
                    normaliser: None,
                    model: model.clone(),
                    // whose figures these are is said beside them
                    any_model: true,
                    corpus: corpus.id.clone(),
                    at: None,
                    read_at: None,
                    residual: None,
                    n_ctx: Some(asked.n_ctx.unwrap_or(1024).min(model.n_ctx)),
                    // documents end in EOS, and none begins with BOS, as their tokens do
                    bos: Some(BosPolicy::None),
                    eos: Some(EosPolicy::Document),
                    evaluate_on: None,
                    eval_tokens: Some(asked.eval_tokens),
                };
                let mut staged = stage(&workspace.store, wanted).await?;
                found.push((name, staged.config.dictionaries[0].origin.clone()));
                staged_files.push(staged.file);
                // those at one hook point are measured in one pass
                match runs_of.iter_mut().find(|(other, _)| other.at == staged.config.at) {
                    Some((other, _)) => other.dictionaries.append(&mut staged.config.dictionaries),
                    None => runs_of.push((staged.config, asked.command())),
                }
            }
            if found.is_empty() {
                bail!(ConfigError::new(
                    "from",
                    format!("'{}' has none of the published checkpoints", asked.from)
                ));
            }
            let ids = runs::jobs(&workspace, runs_of, false).await?;
            let code = runs::to_the_end(&workspace, &ids, "saescope reproduce", None).await?;
            if code != ExitCode::SUCCESS {
                return Ok(code);
            }
            let all = workspace.store.dictionaries().await?;
            say!(
                "checkpoint, L0, published, alive, published, CE increase, published, norm ratio at position 0, published, elsewhere, published"
            )?;
            for (name, origin) in &found {
                if let Some(info) = all
                    .iter()
                    .rev()
                    .find(|info| info.config.origin == *origin && ids.contains(&info.job))
                {
                    say!("{}", line(name, info))?;
                }
            }
            say!(
                "alive features are those that fired on the {} tokens measured; the paper's, on 500,000 of its training text",
                asked.eval_tokens
            )?;
            for file in staged_files {
                let _ = std::fs::remove_file(file);
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl E2eGpt2 {
    fn command(&self) -> String {
        let n_ctx = self.n_ctx.map_or(String::new(), |n| format!(" --n-ctx {n}"));
        format!(
            "saescope reproduce e2e-gpt2 --from {} --model {} --corpus {} --eval-tokens {}{n_ctx}",
            self.from, self.model, self.corpus, self.eval_tokens
        )
    }
}

/// The checkpoint of that name: what it is called, and where it lies. None where `from` does not have it.
async fn checkpoint(from: &str, name: &str) -> Result<Option<(String, PathBuf)>> {
    let source = format!("{}/{name}.pt", from.trim_end_matches('/'));
    if Path::new(from).is_dir() {
        let path = PathBuf::from(&source);
        return Ok(path.is_file().then_some((source, path)));
    }
    // a repository may hold a part of them, as a folder may
    match hub::pull_dictionary(source.clone(), hub::Show::Bars).await {
        Ok(path) => Ok(Some((source, path))),
        Err(error)
            if error
                .downcast_ref::<ApiError>()
                .is_some_and(|said| said.kind == ErrorKind::Invalid) =>
        {
            note!("{error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What was measured, each figure followed by the published one.
fn line(name: &str, info: &DictionaryInfo) -> String {
    let ours = |metric: &str| info.metric(metric);
    let ratio = |tokens: TokenSet| {
        let same = |m: &&Measurement| m.name == "l2_ratio" && m.tokens == tokens && m.at.is_none_or(|at| at == info.at);
        info.metrics.iter().find(same).map(|m| m.value)
    };
    let published = PUBLISHED.iter().find(|row| row.0 == name);
    let ratios = NORM_RATIOS.iter().find(|row| row.0 == name);
    let figure = |value: Option<f64>, digits: usize| value.map_or("-".into(), |v| format!("{v:.digits$}"));
    let thousands = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v}k"));
    [
        name.to_owned(),
        figure(ours("l0"), 1),
        figure(published.map(|row| row.1), 1),
        figure(ours("alive"), 0),
        thousands(published.map(|row| row.2)),
        figure(ours("ce_increase"), 3),
        figure(published.map(|row| row.3), 3),
        figure(ratio(TokenSet::PositionZero), 2),
        figure(ratios.map(|row| row.1), 2),
        figure(ratio(TokenSet::Ordinary), 2),
        figure(ratios.map(|row| row.2), 2),
    ]
    .join(", ")
}
