//! `saescope corpus`: a text added, and what was read of it.

use anyhow::Result;
use api::{CorpusInfo, Excerpt};
use clap::Args;
use std::{process::ExitCode, sync::Arc};

use super::{Global, reading_options::ReadingOptions, say::say, workspace};
use crate::{jobs::import, workspace::Workspace};

/// Add a text, and say what was read of it: the field, the documents read and skipped, and how the first of them begin
///
/// Text, JSON lines, a JSON array, CSV, TSV, Parquet, or a folder of one of them. Of records with several fields the one with the text is
/// read: text, input_ids or tokens (token ids), messages or conversations, or the only string; where none can be told to be it, they are
/// named, and --text-field chooses.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  saescope corpus stories.jsonl
  saescope corpus papers.parquet --text-field sections.abstract --model EleutherAI/pythia-70m")]
pub struct Corpus {
    /// A file or a folder of files, a registered name, or a data set on the hub
    #[arg(value_name = "FILE|NAME")]
    corpus: String,
    #[command(flatten)]
    reading: ReadingOptions,
    /// Show the first documents in this model's tokens as well: a Hugging Face folder, a registered name, or a name on the hub
    #[arg(long, value_name = "FOLDER|NAME")]
    model: Option<String>,
}

impl Corpus {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::on(global, async |workspace| {
            let corpus = workspace::find_corpus(&workspace, &self.corpus, &self.reading.reading())
                .await?
                .corpus;
            say_read(&corpus)?;
            match &self.model {
                None => say_first(&corpus)?,
                Some(model) => say_tokens(&workspace, &corpus, model).await?,
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Says what a corpus is and what was read of it.
pub fn say_read(corpus: &CorpusInfo) -> Result<()> {
    say!(
        "corpus {}: {} documents, {} bytes, in {}",
        corpus.id,
        corpus.n_documents,
        corpus.n_bytes,
        corpus.path
    )?;
    for line in corpus.summary.iter().flat_map(api::CorpusSummary::lines) {
        say!("{line}")?;
    }
    Ok(())
}

/// Says how the first documents begin.
pub fn say_first(corpus: &CorpusInfo) -> Result<()> {
    for (number, excerpt) in (1..).zip(corpus.summary.iter().flat_map(|summary| &summary.first)) {
        match excerpt {
            Excerpt::Text(text) => say!("\ndocument {number} begins:\n  {}", indented(text))?,
            Excerpt::Tokens(ids) => say!(
                "\ndocument {number} begins, as token ids (--model shows their text):\n  {}",
                listed(ids)
            )?,
        }
    }
    Ok(())
}

async fn say_tokens(workspace: &Arc<Workspace>, corpus: &CorpusInfo, model: &str) -> Result<()> {
    let model = workspace::model(workspace, model).await?;
    for (number, excerpt) in (1..).zip(import::tokenised_excerpts(workspace, corpus, &model).await?) {
        say!("\ndocument {number} begins:\n  {}", indented(&excerpt.text))?;
        let tokens: Vec<_> = excerpt
            .tokens
            .iter()
            .map(|piece| format!("{:?} {}", piece.text, piece.id))
            .collect();
        say!("in tokens of {}, each with its id:\n  {}", model.id, tokens.join(" | "))?;
    }
    Ok(())
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n  ")
}

fn listed(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}
