//! Questions about dictionaries, answered: one function for each, which the jobs and the command line share.

mod compare;
mod labelled;
mod probe;
mod tokens;

use anyhow::{Context as _, Result, bail};
use api::{Answer, AskConfig, AskRequest, ConfigError, DictionaryId, DictionaryInfo, ProbeQuestion, Question, TokensQuestion};
use std::path::Path;
use store::Store;
use tokio::runtime::Handle;

use crate::{
    on_text::{Observe, common_config},
    workspace::Workspace,
};

pub use labelled::{Texts, read, summary};

/// An answer.
#[derive(Debug)]
pub struct Answered {
    /// What pages show.
    pub answer: Answer,
    /// All that was asked for, as CSV.
    pub csv: String,
}

/// Checks a request against the registry, and fills in what it leaves out.
///
/// # Errors
/// [`ConfigError`] for the first field that cannot be used, a labelled text by its line.
pub async fn resolve(store: &Store, request: AskRequest) -> Result<AskConfig> {
    let AskRequest {
        dictionaries,
        mut question,
    } = request;
    question.validate(&dictionaries)?;
    let mut infos = Vec::with_capacity(dictionaries.len());
    for id in &dictionaries {
        infos.push(dictionary(store, *id).await?);
    }
    match &mut question {
        Question::Tokens(TokensQuestion { tokens, .. }) => {
            let mut config = common_config(store, &infos).await?;
            config.evaluation.n_tokens = tokens.unwrap_or(config.evaluation.n_tokens);
            config.validate()?;
            *tokens = Some(config.evaluation.n_tokens);
        }
        Question::Compare => {}
        Question::Probe(ProbeQuestion { data, sha256, .. }) => {
            let (path, expected) = (data.clone(), sha256.take());
            let texts = tokio::task::spawn_blocking(move || read(Path::new(&path), expected.as_deref())).await??;
            *sha256 = Some(texts.sha256);
        }
    }
    let first = infos.first().context("no dictionary was named")?;
    Ok(AskConfig {
        model: first.model.clone(),
        corpus: first.corpus.clone(),
        dictionaries,
        question,
    })
}

/// Answers a resolved question on this thread, which must not be one of the runtime's own. None where `observe` ended it.
///
/// # Errors
/// Dictionaries, models and texts that are missing, damaged or not what they were, and what cannot be asked of them.
pub fn answer(workspace: &Workspace, runtime: &Handle, config: &AskConfig, observe: &Observe<'_>) -> Result<Option<Answered>> {
    let store = &workspace.store;
    let infos = config.dictionaries.iter().map(|id| runtime.block_on(dictionary(store, *id)));
    let asked = Asked {
        workspace,
        runtime,
        infos: infos.collect::<Result<Vec<_>>>()?,
        observe,
    };
    match &config.question {
        Question::Tokens(question) => tokens::answer(&asked, question),
        Question::Compare => compare::answer(&asked),
        Question::Probe(question) => probe::answer(&asked, question),
    }
}

/// What every question is answered with.
struct Asked<'a> {
    workspace: &'a Workspace,
    runtime: &'a Handle,
    infos: Vec<DictionaryInfo>,
    observe: &'a Observe<'a>,
}

async fn dictionary(store: &Store, id: DictionaryId) -> Result<DictionaryInfo> {
    let missing = || {
        ConfigError::new(
            "dictionaries",
            format!("found {id}; there is no dictionary {id} in the registry"),
        )
    };
    Ok(store.dictionary(id).await?.ok_or_else(missing)?)
}

/// The only one of a list that should have one.
fn only<T>(list: Vec<T>) -> Result<T> {
    let n = list.len();
    match list.into_iter().next() {
        Some(one) if n == 1 => Ok(one),
        _ => bail!("found {n} results; expected one"),
    }
}
