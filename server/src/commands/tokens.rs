//! `saescope tokens`: the predictions that dictionaries lose most of, token by token.

use anyhow::Result;
use api::{DictionaryId, DictionaryInfo};
use app::charts::push_record;
use clap::{Args, ValueEnum};
use engine::{
    corpus::load_tokenizer,
    metrics::{By, TokenRow},
};
use std::{path::PathBuf, process::ExitCode};

use super::{
    Global,
    say::{note, say},
    table,
    which::Which,
    workspace,
};
use crate::on_text::{common_config, on_text};

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
    /// What they are ordered by
    #[arg(long, value_enum, default_value_t = Order::CeIncrease)]
    by: Order,
    /// Tokens of the text to look at [default: as many as the first one's run measured on]
    #[arg(long, value_name = "N")]
    tokens: Option<usize>,
    /// Write them to this file, as CSV, instead of to stdout
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Order {
    /// the CE increase
    #[value(name = "ce_increase")]
    CeIncrease,
    /// KL(model ‖ spliced)
    Kl,
}

impl Tokens {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let infos = self.dictionary.of(&workspace.store).await?;
            let mut config = common_config(&workspace, &infos).await?;
            if let Some(tokens) = self.tokens {
                config.evaluation.n_tokens = tokens;
            }
            config.validate()?;
            let by = match self.by {
                Order::CeIncrease => By::CeIncrease,
                Order::Kl => By::Kl,
            };
            let top = self.top.unwrap_or(if self.to.is_some() { usize::MAX } else { TOP });
            let (rows, words) = on_text(&workspace, &infos, config, move |on| {
                let rows =
                    engine::train::hardest_tokens(on.files, on.backend, on.tokens, on.config, (by, top), &mut |_, _| true)?;
                let tokenizer = load_tokenizer(on.model.folder.as_ref(), on.model.d_vocab)?;
                let word = |id: u32| tokenizer.id_to_token(id).unwrap_or_default();
                let words: Vec<[String; 2]> = rows
                    .iter()
                    .map(|row| [word(row.token), row.next.map(word).unwrap_or_default()])
                    .collect();
                Ok((rows, words))
            })
            .await?;
            let text = csv(&infos, &rows, &words);
            match &self.to {
                None => say!("{}", text.trim_end())?,
                Some(path) => {
                    table::write(path, text.as_bytes())?;
                    note!("{} tokens in '{}'", rows.len(), path.display());
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// The rows as CSV, under a header.
fn csv(infos: &[DictionaryInfo], rows: &[TokenRow], words: &[[String; 2]]) -> String {
    let mut out = String::new();
    let ids: Vec<DictionaryId> = infos.iter().map(|info| info.id).collect();
    let named = [
        "context",
        "position",
        "token",
        "next",
        "ce_model",
        "least_ce_increase",
        "least_kl",
    ];
    let of = |name: &'static str| ids.iter().map(move |id| format!("{name}_{id}"));
    let head = named
        .iter()
        .map(|name| (*name).to_string())
        .chain(of("ce_increase"))
        .chain(of("kl"));
    push_record(&mut out, head);
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    for (row, [token, next]) in rows.iter().zip(words) {
        let first = [
            row.context.to_string(),
            row.position.to_string(),
            token.clone(),
            next.clone(),
            number(row.ce_model),
            number(row.least(By::CeIncrease)),
            number(row.least(By::Kl)),
        ];
        let increases = (0..ids.len()).map(|k| number(row.ce_increase.get(k).copied()));
        let kls = row.kl.iter().map(|kl| number(Some(*kl)));
        push_record(&mut out, first.into_iter().chain(increases).chain(kls));
    }
    out
}
