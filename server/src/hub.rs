//! Language models and data sets by name, through the Hugging Face hub's client: the only part that talks to the network.
//! HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE mean what they mean to Hugging Face's own tools.

use anyhow::{Context as _, Result, anyhow, bail};
use api::{ApiError, ConfigError, ErrorKind};
use hf_hub::{
    Cache, Repo,
    api::sync::{ApiBuilder, ApiError as HubError, ApiRepo},
};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// Files of a dictionary's folder that are fetched where they exist.
const DICTIONARY_FILES: &[&str] = &[
    "cfg.json",
    "sae_weights.safetensors",
    "activation_scaler.json",
    "sparsity.safetensors",
    "sae.safetensors",
    "ae.pt",
    "config.json",
    "params.npz",
    "params.safetensors",
    "learned_dicts.pt",
    "hyperparams.json",
    "checkpoints/final.safetensors",
];

/// Whether downloads are shown on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// A bar per file.
    Bars,
    /// Nothing.
    Nothing,
}

/// Files of a model that are fetched where they exist, beside the weights.
const SMALL_FILES: &[&str] = &[
    "generation_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
];

/// Endings of a data set's files that can be read.
const DATA_ENDINGS: &[&str] = &[".parquet", ".jsonl", ".json"];

/// Fetches the language model `name`; answers the folder that holds it.
///
/// # Errors
/// A name that is none, a hub that cannot be reached, a model without safetensors.
pub async fn pull_model(name: String, show: Show) -> Result<PathBuf> {
    tokio::task::spawn_blocking(move || model(&name, show))
        .await
        .context("the download ended early")?
}

/// Fetches the files of the data set `name`, or those of them that are named in `files`; answers the file or folder that holds
/// them.
///
/// # Errors
/// As [`pull_model`]; a data set without files that can be read.
pub async fn pull_dataset(name: String, files: Vec<String>, show: Show) -> Result<PathBuf> {
    tokio::task::spawn_blocking(move || dataset(&name, &files, show))
        .await
        .context("the download ended early")?
}

/// Fetches the dictionary `owner/name/path`, a folder or a file of the repository `owner/name`, with the configs beside it; answers the
/// folder or file.
///
/// # Errors
/// As [`pull_model`]; a repository without such a folder or file.
pub async fn pull_dictionary(name: String, show: Show) -> Result<PathBuf> {
    tokio::task::spawn_blocking(move || dictionary(&name, show))
        .await
        .context("the download ended early")?
}

fn dictionary(source: &str, show: Show) -> Result<PathBuf> {
    let mut parts = source.splitn(3, '/');
    let (Some(owner), Some(name)) = (parts.next(), parts.next()) else {
        let message = format!("there is no file or folder '{source}', and it is no owner/name/path on the hub");
        return Err(ConfigError::new("source", message).into());
    };
    let (name, inner) = (format!("{owner}/{name}"), parts.next().unwrap_or("").trim_end_matches('/'));
    let repo = Source::open(Repo::model(checked(&name)?.into()), &name, show)?;
    let names = repo.names();
    if names.iter().any(|file| file == inner) {
        let folder = inner
            .rsplit_once('/')
            .map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let stem = inner.rsplit_once('.').map_or(inner, |(stem, _)| stem);
        let beside = ["cfg.json", "config.json", "final_config.yaml"].map(|config| format!("{folder}{config}"));
        for config in beside
            .iter()
            .chain([&format!("{stem}.yaml"), &format!("{stem}_cfg.json")])
            .filter(|config| names.contains(config))
        {
            repo.fetch(&name, config)?;
        }
        return repo.fetch(&name, inner);
    }
    let folder = if inner.is_empty() {
        String::new()
    } else {
        format!("{inner}/")
    };
    let wanted: Vec<&String> = names
        .iter()
        .filter(|file| {
            file.strip_prefix(&folder)
                .is_some_and(|file| DICTIONARY_FILES.contains(&file))
        })
        .collect();
    if wanted.is_empty() {
        repo.check_whole(&name, &format!("a dictionary in '{inner}'"))?;
        let some: Vec<&str> = names
            .iter()
            .filter_map(|file| {
                let known = DICTIONARY_FILES.iter().find_map(|known| file.strip_suffix(known));
                known?.strip_suffix('/')
            })
            .collect::<BTreeSet<&str>>()
            .into_iter()
            .take(5)
            .collect();
        let some = if some.is_empty() {
            "none elsewhere".into()
        } else {
            format!("some in {}", some.join(", "))
        };
        bail!(refusal(format!(
            "'{name}' on the hub has no dictionary in '{inner}'; it has {some}"
        )));
    }
    let mut found = None;
    for file in wanted {
        let path = repo.fetch(&name, file)?;
        // some lie in a folder of it
        let depth = file[folder.len()..].split('/').count();
        found = path.ancestors().nth(depth).map(Path::to_owned);
    }
    found.context("the files are in a folder")
}

fn model(name: &str, show: Show) -> Result<PathBuf> {
    let repo = Source::open(Repo::model(checked(name)?.into()), name, show)?;
    let names = repo.names();
    if !names.iter().any(|file| file == "config.json") {
        repo.check_whole(name, "config.json")?;
        bail!(refusal(format!(
            "'{name}' on the hub has no config.json; expected a transformers model"
        )));
    }
    let weights: Vec<_> = weights_of(names).collect();
    if weights.is_empty() {
        repo.check_whole(name, "safetensors")?;
        bail!(refusal(format!(
            "'{name}' on the hub has no safetensors; convert it, or choose another copy of the model"
        )));
    }
    let config = repo.fetch(name, "config.json")?;
    let others = names
        .iter()
        .filter(|file| SMALL_FILES.contains(&file.as_str()) || (file.starts_with("tokenizer") && file.ends_with(".json")));
    for file in others.chain(weights) {
        repo.fetch(name, file)?;
    }
    Ok(config.parent().map(Path::to_owned).unwrap_or_default())
}

/// The safetensors in the model's own folder: the shards and their index, or the one file.
fn weights_of(names: &[String]) -> impl Iterator<Item = &String> {
    const INDEX: &str = "model.safetensors.index.json";
    let is_sharded = names.iter().any(|file| file == INDEX);
    names.iter().filter(move |file| {
        !file.contains('/')
            && if is_sharded {
                *file == INDEX || (file.starts_with("model-") && file.ends_with(".safetensors"))
            } else {
                *file == "model.safetensors"
            }
    })
}

fn dataset(name: &str, files: &[String], show: Show) -> Result<PathBuf> {
    let repo = Source::open(Repo::dataset(checked(name)?.into()), name, show)?;
    let names = repo.names();
    let wanted: Vec<&String> = if files.is_empty() {
        DATA_ENDINGS
            .iter()
            .map(|ending| names.iter().filter(|file| is_data(file, ending)).collect::<Vec<_>>())
            .find(|found| !found.is_empty())
            .ok_or_else(|| {
                refusal(format!(
                    "the data set '{name}' has no file that can be read; expected one of {}",
                    DATA_ENDINGS.join(", ")
                ))
            })?
    } else {
        files.iter().collect()
    };
    let mut paths = Vec::with_capacity(wanted.len());
    for file in wanted {
        if !names.contains(file) {
            repo.check_whole(name, &format!("'{file}'"))?;
            bail!(refusal(format!(
                "the data set '{name}' has no file '{file}'; it has {}",
                names.join(", ")
            )));
        }
        paths.push(repo.fetch(name, file)?);
    }
    match paths.as_slice() {
        [one] => Ok(one.clone()),
        _ => common_folder(&paths).with_context(|| format!("the files of '{name}' are in no common folder")),
    }
}

/// A data file, and not one that describes the data set.
fn is_data(file: &str, ending: &str) -> bool {
    let last = file.rsplit('/').next().unwrap_or(file);
    file.ends_with(ending) && !matches!(last, "dataset_infos.json" | "dataset_info.json" | "metadata.json")
}

fn common_folder(paths: &[PathBuf]) -> Option<PathBuf> {
    let mut folder = paths.first()?.parent()?.to_owned();
    while !paths.iter().all(|path| path.starts_with(&folder)) {
        folder = folder.parent()?.to_owned();
    }
    Some(folder)
}

/// Where the files of a name come from.
enum Source {
    /// The hub, through HF_HOME: what is there is not fetched again.
    Hub { repo: Box<ApiRepo>, names: Vec<String> },
    /// HF_HOME alone, because the hub cannot be reached or must not be asked.
    Kept { folder: PathBuf, names: Vec<String> },
}

impl Source {
    fn open(repo: Repo, name: &str, show: Show) -> Result<Self> {
        let kept = kept(&Cache::from_env(), &repo);
        if is_offline(std::env::var("HF_HUB_OFFLINE").ok().as_deref()) {
            return kept.ok_or_else(|| {
                anyhow!(refusal(format!(
                    "'{name}' cannot be fetched: HF_HUB_OFFLINE is set and HF_HOME does not have it; unset it, or give the folder or file \
                     where it lies on this machine"
                )))
            });
        }
        let mut builder = ApiBuilder::from_env().with_progress(show == Show::Bars).with_retries(2);
        if let Some(token) = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty()) {
            builder = builder.with_token(Some(token));
        }
        let repo = builder.build().context("cannot set up the hub's client")?.repo(repo);
        match (repo.info(), kept) {
            (Ok(info), _) => Ok(Self::Hub {
                names: info.siblings.into_iter().map(|file| file.rfilename).collect(),
                repo: Box::new(repo),
            }),
            (Err(error), Some(kept)) if is_out_of_reach(&error) => {
                tracing::warn!("the hub cannot be reached ({error}): '{name}' is taken as HF_HOME has it");
                Ok(kept)
            }
            (Err(error), _) => Err(failed(name, "the list of files", error)),
        }
    }

    /// The files that there are.
    fn names(&self) -> &[String] {
        match self {
            Self::Hub { names, .. } | Self::Kept { names, .. } => names,
        }
    }

    /// The place of a file on this machine.
    fn fetch(&self, name: &str, file: &str) -> Result<PathBuf> {
        match self {
            Self::Hub { repo, .. } => repo.get(file).map_err(|error| failed(name, file, error)),
            Self::Kept { folder, .. } => Ok(folder.join(file)),
        }
    }

    /// What HF_HOME has may be a part: then nothing can be said of what the hub has.
    fn check_whole(&self, name: &str, wanted: &str) -> Result<()> {
        match self {
            Self::Hub { .. } => Ok(()),
            Self::Kept { names, .. } => bail!(refusal(format!(
                "HF_HOME has only a part of '{name}' ({}), without {wanted}; pull it again when the hub can be reached",
                names.join(", ")
            ))),
        }
    }
}

/// The files of `repo` that the cache has, of the revision that it fetched last.
fn kept(cache: &Cache, repo: &Repo) -> Option<Source> {
    let folder = cache.path().join(repo.folder_name());
    let commit = fs::read_to_string(folder.join("refs").join(repo.revision())).ok()?;
    let folder = folder.join("snapshots").join(commit.trim());
    let mut names = Vec::new();
    list(&folder, "", &mut names).ok()?;
    names.sort();
    (!names.is_empty()).then_some(Source::Kept { folder, names })
}

/// The files below `folder`, by their paths from there. They are links to their contents, which may be gone.
fn list(folder: &Path, before: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        match fs::metadata(entry.path()) {
            Ok(found) if found.is_dir() => list(&entry.path(), &format!("{name}/"), names)?,
            Ok(_) => names.push(name),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Whether nobody answered, rather than refused.
fn is_out_of_reach(error: &HubError) -> bool {
    matches!(error, HubError::RequestError(_)) && !error.to_string().contains("status code")
}

fn is_offline(value: Option<&str>) -> bool {
    value.is_some_and(|value| matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE"))
}

/// `name` as the hub writes it: `owner/name`, or `name` alone.
fn checked(name: &str) -> Result<&str, ConfigError> {
    let is_part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let n_parts = name.split('/').count();
    if n_parts <= 2 && name.split('/').all(is_part) {
        return Ok(name);
    }
    Err(ConfigError::new(
        "hub",
        format!("'{name}' is no name on the hub; expected one such as EleutherAI/pythia-70m"),
    ))
}

fn failed(name: &str, what: &str, error: HubError) -> anyhow::Error {
    let text = error.to_string();
    let advice = if ["status code 401", "status code 403"].iter().any(|code| text.contains(code)) {
        "the name is wrong, or it is gated and needs a token: set HF_TOKEN"
    } else if text.contains("status code 404") {
        "the hub has no such name or file"
    } else {
        "check the network and HF_ENDPOINT, or give the folder or file where it lies on this machine"
    };
    anyhow!(refusal(format!(
        "cannot fetch {what} of '{name}' from the hub: {text}; {advice}"
    )))
}

/// The network's and the hub's refusals are told to whoever asked: only they can mend the name or bring the folder.
fn refusal(message: String) -> ApiError {
    ApiError::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_hubs() {
        for name in ["gpt2", "EleutherAI/pythia-70m", "roneneldan/TinyStories-1M"] {
            assert_eq!(checked(name).unwrap(), name);
        }
        for name in ["", "../secrets", "a/b/c", "a b", "https://huggingface.co/gpt2", "/tmp"] {
            assert!(checked(name).unwrap_err().to_string().contains(&format!("'{name}'")));
        }
    }

    #[test]
    fn the_weights_are_the_shards_or_the_one_file() {
        let files = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let one = files(&[
            "config.json",
            "model.safetensors",
            "pytorch_model.bin",
            "onnx/model.safetensors",
        ]);
        assert_eq!(weights_of(&one).collect::<Vec<_>>(), ["model.safetensors"]);
        let shards = files(&[
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        ]);
        assert_eq!(weights_of(&shards).count(), 3);
    }

    #[test]
    fn offline_is_said_with_what_to_do() {
        assert!(is_offline(Some("1")) && is_offline(Some("true")) && !is_offline(Some("0")) && !is_offline(None));
    }

    #[test]
    fn the_files_of_a_data_set_share_a_folder() {
        let paths = ["s/data/a.parquet", "s/data/train/b.parquet"].map(PathBuf::from);
        assert_eq!(common_folder(&paths).unwrap(), PathBuf::from("s/data"));
        assert!(is_data("data/a.json", ".json") && !is_data("dataset_infos.json", ".json"));
    }
}
