//! `saescope compare`: how alike two dictionaries are.

use anyhow::{Result, bail};
use api::{Answer, AskRequest, Question, Similarity};
use clap::Args;
use std::process::ExitCode;

use super::{Global, asked::asked, say::say, which::Which, workspace};

/// Compare the decoders of two dictionaries: mean max cosine similarity, and its Hungarian form
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope compare --dictionary 7,8

Only features that fire on the text of the stored metrics count. Beside each figure stands that of as many random directions in the place
of the second dictionary's features. The two may lie at different hook points, as long as these have the same width.")]
pub struct Compare {
    /// The two dictionaries' numbers
    #[arg(long, value_name = "N,N")]
    dictionary: Which,
}

impl Compare {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let request = AskRequest {
                dictionaries: self.dictionary.ids(&workspace.store).await?,
                question: Question::Compare,
            };
            let Answer::Compare(answer) = asked(&workspace, request).await?.answer else {
                bail!("this is no comparison");
            };
            for of in &answer.of {
                say!(
                    "dictionary {}: {} of {} features fire",
                    of.dictionary,
                    of.n_alive,
                    of.n_features
                )?;
            }
            let [a, b] = answer.of.map(|of| of.dictionary);
            let line = |name: &str, of: fn(&Similarity) -> f64| {
                say!("{name}: {:.4} (random directions {:.4})", of(&answer.found), of(&answer.null))
            };
            line(&format!("MMCS, {a} to {b}"), |s| s.mmcs)?;
            line(&format!("MMCS, {b} to {a}"), |s| s.mmcs_back)?;
            line("Hungarian, mean cosine of pairs", |s| s.hungarian)?;
            line("Hungarian, share of pairs above 0.9", |s| s.above[0])?;
            line("Hungarian, share of pairs above 0.7", |s| s.above[1])?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
