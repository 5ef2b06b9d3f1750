//! `saescope tokens`: the predictions that dictionaries lose most of, token by token.

use anyhow::{Result, bail};
use api::{Answer, AskRequest, Question, TokenOrder, TokensQuestion};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

use super::{
    Global,
    asked::asked,
    say::{note, say},
    table,
    which::Which,
    workspace,
};

/// Rows on stdout where nothing is said.
const TOP: usize = 20;

/// List the tokens whose predictions dictionaries lose most of; of several, those that every one of them loses
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope tokens --dictionary 7,8,9 --top 50 --by kl --to lost.csv

A row per token: its context and position in the text of the dictionaries' stored metrics, the token and the next one, the CE of the
model, each dictionary's CE increase and KL, and the least of each: what all the dictionaries lose. Rows are ordered by that. Position 0
and special tokens are left out.")]
pub struct Tokens {
    /// The dictionaries' numbers, all at one hook point
    #[arg(long, value_name = "N,N,...|all")]
    dictionary: Which,
    /// How many tokens [default: 20, and all with --to]
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// What they are ordered by: ce_increase or kl
    #[arg(long, value_name = "METRIC", default_value_t = TokenOrder::CeIncrease)]
    by: TokenOrder,
    /// Tokens of the text to look at [default: as many as the first one's run measured on]
    #[arg(long, value_name = "N")]
    tokens: Option<usize>,
    /// Write them to this file, as CSV, instead of to stdout
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

impl Tokens {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let question = TokensQuestion {
                by: self.by,
                top: self.top.or(self.to.is_none().then_some(TOP)),
                tokens: self.tokens,
            };
            let request = AskRequest {
                dictionaries: self.dictionary.ids(&workspace.store).await?,
                question: Question::Tokens(question),
            };
            let found = asked(&workspace, request).await?;
            let Answer::Tokens(answer) = &found.answer else {
                bail!("these are no tokens");
            };
            match &self.to {
                None => say!("{}", found.csv.trim_end())?,
                Some(path) => {
                    table::write(path, found.csv.as_bytes())?;
                    note!("{} tokens in '{}'", answer.n_rows, path.display());
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}
