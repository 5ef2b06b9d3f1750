//! Models and corpora into the registry: looked at, described, and named. What a folder or file holds decides whether it
//! is there already; a name that stands for something else gets a number.

use anyhow::{Context as _, Result};
use api::{ConfigError, CorpusId, CorpusInfo, CorpusReading, ModelId, ModelInfo, ResidualFrame, TokenisedExcerpt};
use engine::corpus::{CorpusFacts, CorpusFiles};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

use super::train::check_unchanged;
use crate::workspace::Workspace;

/// Adds the language model in `folder`, which was given as `source`; `name` is what to call it, default the folder's name.
///
/// # Errors
/// What the engine cannot load, by file and field; nothing is then added.
pub async fn model(workspace: &Arc<Workspace>, folder: &Path, source: &str, name: Option<&str>) -> Result<ModelInfo> {
    let folder = absolute("folder", folder)?;
    let name = name.map_or_else(|| last_name(&folder), String::from);
    let facts = model_facts(workspace, &folder).await?;
    if let Some(known) = workspace
        .store
        .models()
        .await?
        .into_iter()
        .find(|known| known.hash == facts.hash && Path::new(&known.folder) == folder)
    {
        return Ok(known);
    }
    let ids = workspace
        .store
        .models()
        .await?
        .into_iter()
        .map(|m| (m.id, m.hash))
        .collect::<Vec<_>>();
    let id = free_id(&name, |id| taken(&ids, &ModelId::from_name(id), &facts.hash));
    let info = ModelInfo {
        id: ModelId::from_name(&id),
        source: source.into(),
        folder: utf8(&folder)?,
        ..facts
    };
    workspace.store.add_model(&info).await?;
    workspace.store.model(&info.id).await?.context("the model was just added")
}

/// Adds the language model whose files were put into `folder`, having come from `source`; they are moved into the data folder.
///
/// # Errors
/// As [`model`]; the files are then removed.
pub async fn uploaded_model(workspace: &Arc<Workspace>, folder: TempDir, source: &str, name: &str) -> Result<ModelInfo> {
    let facts = model_facts(workspace, folder.path()).await?;
    let added = moved_model(workspace, folder.path(), facts, source, name).await?;
    if !folder.path().exists() {
        drop(folder.keep()); // it is in its place now
    }
    Ok(added)
}

/// Adds the twin of `model` with weights drawn from `seed`, under the model's name and `-random-` and the seed.
///
/// # Errors
/// When the model's files have changed, and as [`model`].
pub async fn random_twin(workspace: &Arc<Workspace>, model: &ModelInfo, seed: u64) -> Result<ModelInfo> {
    check_unchanged(model)?;
    let folder = tempfile::Builder::new()
        .prefix(store::UPLOAD_PREFIX)
        .tempdir_in(workspace.store.data())
        .context("cannot make a folder for the model")?;
    let (from, to) = (PathBuf::from(&model.folder), folder.path().to_owned());
    let draw = move || Ok(engine::model::randomise(&from, &to, seed)?);
    workspace.short.run(draw).await?;
    let source = format!("random weights (seed {seed}) of {}", model.id);
    uploaded_model(workspace, folder, &source, &format!("{}-random-{seed}", model.id)).await
}

/// Adds the language model in `folder`, which came from `source`, with its `facts` as [`describe`] gives them, and moves the folder
/// into the data folder; where the same model is there already, it stays where it is.
///
/// # Errors
/// The registry's and the system's; the folder then stays where it is.
pub async fn moved_model(workspace: &Workspace, folder: &Path, facts: ModelInfo, source: &str, name: &str) -> Result<ModelInfo> {
    let models = workspace.store.models().await?;
    if let Some(known) = models.iter().find(|known| known.hash == facts.hash) {
        return Ok(known.clone());
    }
    let ids: Vec<_> = models.into_iter().map(|m| (m.id, m.hash)).collect();
    let id = free_id(name, |id| {
        let id = ModelId::from_name(id);
        workspace.store.model_folder(&id).exists() || taken(&ids, &id, &facts.hash)
    });
    let id = ModelId::from_name(&id);
    let place = workspace.store.model_folder(&id);
    move_to(folder, &place)?;
    let info = ModelInfo {
        id,
        source: source.into(),
        folder: utf8(&place)?,
        ..facts
    };
    workspace.store.add_model(&info).await?;
    Ok(info)
}

/// Adds the corpus at `path`, a file or a folder of files, which was given as `source`; `name` is what to call it, default the
/// file's name. `reading` says how it is read; the same files read otherwise are another corpus.
///
/// # Errors
/// What the engine cannot read, by file and place; nothing is then added.
pub async fn corpus(
    workspace: &Arc<Workspace>,
    path: &Path,
    source: &str,
    name: Option<&str>,
    reading: &CorpusReading,
) -> Result<CorpusInfo> {
    let files = CorpusFiles {
        path: absolute("path", path)?,
        reading: reading.clone(),
    };
    let name = name.map_or_else(|| last_name(&files.path), String::from);
    let facts = corpus_facts(workspace, &files).await?;
    let corpora = workspace.store.corpora().await?;
    if let Some(known) = corpora
        .iter()
        .find(|known| holds(known, &facts, reading) && Path::new(&known.path) == files.path)
    {
        return with_summary(workspace, known, &facts).await;
    }
    let id = free_id(&name, |id| is_other(&corpora, &CorpusId::from_name(id), &facts, reading));
    let info = corpus_info(CorpusId::from_name(&id), source, &files, &facts)?;
    workspace.store.add_corpus(&info).await?;
    workspace.store.corpus(&info.id).await?.context("the corpus was just added")
}

/// Adds the corpus whose files were uploaded to `folder`; they are moved into the data folder.
///
/// # Errors
/// As [`corpus`]; the files are then removed.
pub async fn uploaded_corpus(
    workspace: &Arc<Workspace>,
    folder: TempDir,
    source: &str,
    name: &str,
    reading: &CorpusReading,
) -> Result<CorpusInfo> {
    let files = |folder: &Path| {
        let path = one_file_or_folder(folder)?;
        let reading = reading.clone();
        anyhow::Ok(CorpusFiles { path, reading })
    };
    let facts = corpus_facts(workspace, &files(folder.path())?).await?;
    let corpora = workspace.store.corpora().await?;
    if let Some(known) = corpora.iter().find(|known| holds(known, &facts, reading)) {
        return with_summary(workspace, known, &facts).await;
    }
    let id = free_id(name, |id| {
        let id = CorpusId::from_name(id);
        workspace.store.corpus_source_folder(&id).exists() || is_other(&corpora, &id, &facts, reading)
    });
    let id = CorpusId::from_name(&id);
    let place = workspace.store.corpus_source_folder(&id);
    move_to(folder.path(), &place)?;
    drop(folder.keep()); // it is in its place now
    let info = corpus_info(id, source, &files(&place)?, &facts)?;
    workspace.store.add_corpus(&info).await?;
    Ok(info)
}

/// [`describe`] on the threads for short work.
async fn model_facts(workspace: &Arc<Workspace>, folder: &Path) -> Result<ModelInfo> {
    let (shared, folder) = (workspace.clone(), folder.to_owned());
    workspace.short.run(move || describe(&shared, &folder)).await
}

/// Everything about a model but its name and place. It is loaded for that, so that damaged weights are found now.
///
/// # Errors
/// What the engine cannot load, by file and field.
pub fn describe(workspace: &Workspace, folder: &Path) -> Result<ModelInfo> {
    let hash = engine::model::content_hash(folder)?;
    let model = workspace.models.get(folder, &hash, ResidualFrame::Raw)?;
    let facts = model.facts();
    // a model without a tokenizer reads token ids
    if folder.join("tokenizer.json").is_file() {
        engine::corpus::load_tokenizer(folder, facts.d_vocab)?;
    }
    let special = engine::corpus::special_tokens(folder)?.within(facts.d_vocab);
    Ok(ModelInfo {
        id: ModelId(String::new()),
        source: String::new(),
        folder: String::new(),
        family: facts.family.to_string(),
        n_layers: facts.n_layers,
        d_model: facts.d_model,
        n_heads: facts.n_heads,
        d_mlp: facts.d_mlp,
        d_vocab: facts.d_vocab,
        n_ctx: facts.n_ctx,
        n_params: facts.n_params,
        layer_norm: facts.layer_norm,
        has_bos: special.bos.is_some(),
        hash,
        hook_points: model.hook_points(),
        created: now(),
    })
}

/// How the first documents of `corpus` begin, in the tokens of `model`.
///
/// # Errors
/// A tokenizer that cannot be read; the files have changed where they were added before their beginnings were kept.
pub async fn tokenised_excerpts(
    workspace: &Arc<Workspace>,
    corpus: &CorpusInfo,
    model: &ModelInfo,
) -> Result<Vec<TokenisedExcerpt>> {
    let excerpts = corpus.summary.clone().unwrap_or_default().first;
    let (folder, d_vocab) = (PathBuf::from(&model.folder), model.d_vocab);
    let work = move || Ok(engine::corpus::tokenised(&folder, d_vocab, &excerpts)?);
    workspace.short.run(work).await
}

async fn corpus_facts(workspace: &Arc<Workspace>, files: &CorpusFiles) -> Result<CorpusFacts> {
    files.reading.check()?;
    let models = workspace.store.models().await?;
    let files = files.clone();
    let work = move || {
        // a model whose folder is gone says nothing of how its special tokens are spelt
        let of_model = |model: &ModelInfo| engine::corpus::special_spellings(model.folder.as_ref()).unwrap_or_default();
        let spellings: Vec<String> = models.iter().flat_map(of_model).collect();
        Ok(engine::corpus::inspect(files, &spellings)?)
    };
    workspace.short.run(work).await
}

/// Whether `known` is a file or folder of the same content, read in the same way.
fn holds(known: &CorpusInfo, facts: &CorpusFacts, reading: &CorpusReading) -> bool {
    known.hash == facts.hash && known.reading == *reading
}

/// Whether `id` stands for another content or reading.
fn is_other(corpora: &[CorpusInfo], id: &CorpusId, facts: &CorpusFacts, reading: &CorpusReading) -> bool {
    corpora.iter().any(|known| known.id == *id && !holds(known, facts, reading))
}

/// A corpus that is in the registry, with what was read of it now where it was added before that was kept.
async fn with_summary(workspace: &Workspace, known: &CorpusInfo, facts: &CorpusFacts) -> Result<CorpusInfo> {
    if known.summary.is_some() {
        return Ok(known.clone());
    }
    let info = CorpusInfo {
        summary: Some(facts.summary.clone()),
        ..known.clone()
    };
    workspace.store.add_corpus(&info).await?;
    Ok(info)
}

fn corpus_info(id: CorpusId, source: &str, files: &CorpusFiles, facts: &CorpusFacts) -> Result<CorpusInfo> {
    Ok(CorpusInfo {
        id,
        source: source.into(),
        path: utf8(&files.path)?,
        reading: files.reading.clone(),
        summary: Some(facts.summary.clone()),
        format: facts.format.to_string(),
        n_documents: facts.n_documents,
        n_bytes: facts.n_bytes,
        hash: facts.hash.clone(),
        created: now(),
    })
}

/// `path` as it can be found again from any working folder.
fn absolute(field: &str, path: &Path) -> Result<PathBuf> {
    // links are kept as they are: the hub's client names files by links to their content
    let found = std::path::absolute(path)
        .ok()
        .filter(|path| path.exists() && !path.as_os_str().is_empty());
    found.ok_or_else(|| ConfigError::new(field, format!("there is no '{}' on this machine", path.display())).into())
}

fn utf8(path: &Path) -> Result<String> {
    let text = path.to_str().map(String::from);
    text.ok_or_else(|| ConfigError::new("path", format!("'{}' is not UTF-8; rename it", path.display())).into())
}

/// The last part of the path that says something: a snapshot of the hub's is named by its content.
fn last_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| "unnamed".into(), |name| name.to_string_lossy().into_owned())
}

/// Whether `id` stands for other content than `hash`.
fn taken<I: PartialEq>(known: &[(I, String)], id: &I, hash: &str) -> bool {
    known.iter().any(|(other, of)| other == id && of != hash)
}

/// `name`, or the first of `name-2`, `name-3`, … that is not taken.
fn free_id(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    std::iter::once(name.to_string())
        .chain((2..).map(|n| format!("{name}-{n}")))
        .find(|id| !is_taken(id))
        .expect("the numbers do not run out")
}

/// Moves a folder to its place.
fn move_to(folder: &Path, place: &Path) -> Result<()> {
    let parent = place.parent().context("the data folder's folders have parents")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make '{}'", parent.display()))?;
    fs::rename(folder, place).with_context(|| format!("cannot move '{}' to '{}'", folder.display(), place.display()))
}

/// The one file in `folder`, or the folder where there are more.
fn one_file_or_folder(folder: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    match files.as_slice() {
        [one] => Ok(one.clone()),
        _ => Ok(folder.to_owned()),
    }
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_for_something_else_gets_a_number() {
        let known = [(1, "a".to_string()), (2, "b".to_string())];
        assert!(taken(&known, &1, "b") && !taken(&known, &1, "a") && !taken(&known, &3, "a"));
        assert_eq!(free_id("m", |_| false), "m");
        assert_eq!(free_id("m", |id| id != "m-3"), "m-3");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let message = absolute("folder", Path::new("no/such/folder")).unwrap_err().to_string();
        assert!(
            message.starts_with("folder:") && message.contains("'no/such/folder'"),
            "{message}"
        );
    }
}
