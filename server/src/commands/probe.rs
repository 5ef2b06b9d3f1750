//! `saescope probe`: whether a few of a dictionary's features tell the labels of texts.

use anyhow::{Context as _, Result, bail};
use api::{Answer, AskRequest, ProbeQuestion, Question};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

use super::{
    Global,
    asked::asked,
    say::{note, say},
    which::Which,
    workspace,
};

/// Probe labelled texts with a dictionary's features: k-sparse probing
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope probe --dictionary 7 --texts reviews.jsonl

FILE has a line of JSON for each text, such as {\"text\": \"a fine film\", \"label\": \"positive\"}. Each label is told from as many texts of the
others, by the 1, 2 and 5 features whose means differ most; beside it, by as many of the model's own activations. Half is chance.")]
pub struct Probe {
    /// The dictionaries' numbers
    #[arg(long, value_name = "N,N,...|all")]
    dictionary: Which,
    /// The labelled texts
    #[arg(long, value_name = "FILE")]
    texts: PathBuf,
    /// Seed of the split into training and test
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl Probe {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        let data = self.texts.to_str().context("the path of --texts is no UTF-8")?.to_owned();
        workspace::on(global, async |workspace| {
            let question = ProbeQuestion {
                data,
                sha256: None,
                seed: self.seed,
            };
            let request = AskRequest {
                dictionaries: self.dictionary.ids(&workspace.store).await?,
                question: Question::Probe(question),
            };
            let Answer::Probe(answer) = asked(&workspace, request).await?.answer else {
                bail!("these are no probes");
            };
            note!(
                "{} texts of {} labels in '{}'",
                answer.n_texts,
                answer.labels.len(),
                self.texts.display()
            );
            for probed in &answer.dictionaries {
                say!("dictionary {}", probed.dictionary)?;
                for pair in &probed.probes {
                    let k = pair.k;
                    say!(
                        "sae_top_{k}_test_accuracy: {:.4} (llm_top_{k}_test_accuracy: {:.4}; {} texts of training, {} of the test)",
                        pair.features,
                        pair.activations,
                        pair.n_train,
                        pair.n_test
                    )?;
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}
