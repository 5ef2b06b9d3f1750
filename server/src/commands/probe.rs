//! `saescope probe`: whether a few of a dictionary's features tell the labels of texts.

use anyhow::{Context as _, Result};
use api::ConfigError;
use clap::Args;
use engine::{
    corpus::{load_tokenizer, special_tokens},
    dictionary,
    metrics::{
        Subject,
        probing::{Probed, pool, probe},
    },
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    Global,
    say::{note, say},
    which::Which,
    workspace,
};

/// Features of a probe.
const KS: [usize; 3] = [1, 2, 5];
/// Tokens of a text that are read: SAEBench's.
const N_CTX: usize = 128;

/// Probe labelled texts with a dictionary's features: k-sparse probing
#[derive(Debug, Args)]
#[command(after_help = "Example:
  saescope probe --dictionary 7 --data reviews.jsonl

FILE has a line of JSON for each text, such as {\"text\": \"a fine film\", \"label\": \"positive\"}. Each label is told from as many texts of the
others, by the 1, 2 and 5 features whose means differ most; beside it, by as many of the model's own activations. Half is chance.")]
pub struct Probe {
    /// The dictionaries' numbers
    #[arg(long, value_name = "N,N,...|all")]
    dictionary: Which,
    /// The labelled texts
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Seed of the split into training and test
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// A line of the file. (It may have fields that are of no use here.)
#[derive(Deserialize)]
struct Line {
    text: String,
    label: serde_json::Value,
}

/// The texts, each with the index of its label.
struct Texts {
    texts: Vec<String>,
    labels: Vec<usize>,
    n_labels: usize,
}

impl Probe {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        let Texts { texts, labels, n_labels } = read(&self.data)?;
        note!("{} texts of {n_labels} labels in '{}'", texts.len(), self.data.display());
        workspace::on(global, async |workspace| {
            for info in self.dictionary.of(&workspace.store).await? {
                let file = workspace.store.verify_dictionary(info.id).await?;
                let model = workspace.store.model(&info.model).await?;
                let model = model.with_context(|| format!("there is no model '{}'", info.model))?;
                let (pool_of_threads, shared) = (workspace.job_pool()?, workspace.clone());
                let (texts, labels, seed) = (texts.clone(), labels.clone(), self.seed);
                let work = move || -> Result<Vec<(usize, [Option<Probed>; 2])>> {
                    let weights = shared.models.get(model.folder.as_ref(), &model.hash, info.residual)?;
                    let (dictionary, facts) = dictionary::load(&file)?;
                    let folder: &Path = model.folder.as_ref();
                    let tokenizer = load_tokenizer(folder, model.d_vocab)?;
                    let special = special_tokens(folder)?;
                    let n_ctx = weights.facts().n_ctx.min(N_CTX);
                    let tokens = |text: &String| -> Result<Vec<u32>> {
                        let encoded = tokenizer.encode_fast(text.as_str(), false);
                        let encoded = encoded.map_err(|error| anyhow::anyhow!("a text cannot be tokenised: {error}"))?;
                        let ids = special.bos.iter().chain(encoded.get_ids());
                        Ok(ids.copied().take(n_ctx).collect())
                    };
                    let tokens = texts.iter().map(tokens).collect::<Result<Vec<_>>>()?;
                    let subject = Subject {
                        dictionary: &dictionary,
                        normaliser: facts.normaliser,
                    };
                    let pooled = pool(&weights, info.at, subject, &tokens, &special.all)?;
                    let of = |k: usize, values: &[f32]| probe(values, &labels, n_labels, k, seed);
                    Ok(KS.map(|k| (k, [of(k, &pooled.features), of(k, &pooled.activations)])).into())
                };
                let found = tokio::task::spawn_blocking(move || pool_of_threads.install(work)).await??;
                say!("dictionary {}", info.id)?;
                for (k, [features, activations]) in found {
                    let (Some(features), Some(activations)) = (features, activations) else {
                        let message = format!(
                            "'{}' has no label with two texts of it and two of others",
                            self.data.display()
                        );
                        return Err(ConfigError::new("data", message).into());
                    };
                    let [n_train, n_test] = features.n_texts;
                    say!(
                        "sae_top_{k}_test_accuracy: {:.4} (llm_top_{k}_test_accuracy: {:.4}; {n_train} texts of training, {n_test} of the test)",
                        features.accuracy,
                        activations.accuracy
                    )?;
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Reads the labelled texts.
///
/// # Errors
/// Naming the file and the line of what is not a labelled text; fewer than two labels.
fn read(path: &Path) -> Result<Texts> {
    let all = fs::read_to_string(path).with_context(|| format!("cannot read '{}'", path.display()))?;
    let mut of_label: BTreeMap<String, usize> = BTreeMap::new();
    let (mut texts, mut named) = (Vec::new(), Vec::new());
    for (number, line) in all.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |found: &dyn std::fmt::Display| {
            let message = format!(
                "'{}', line {}: {found}; expected an object such as {{\"text\": \"a fine film\", \"label\": \"positive\"}}",
                path.display(),
                number + 1
            );
            ConfigError::new("data", message)
        };
        let line: Line = serde_json::from_str(line).map_err(|error| wrong(&error))?;
        let label = match line.label {
            serde_json::Value::String(label) => label,
            label @ (serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => label.to_string(),
            other => return Err(wrong(&format!("found the label {other}")).into()),
        };
        of_label.entry(label.clone()).or_default();
        texts.push(line.text);
        named.push(label);
    }
    of_label.values_mut().enumerate().for_each(|(index, of)| *of = index);
    if of_label.len() < 2 {
        let message = format!("'{}' has {} labels; expected at least two", path.display(), of_label.len());
        return Err(ConfigError::new("data", message).into());
    }
    Ok(Texts {
        labels: named.iter().map(|label| of_label[label]).collect(),
        n_labels: of_label.len(),
        texts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.jsonl");
        let write = |text: &str| fs::write(&path, text).unwrap();
        write(
            "{\"text\": \"a\", \"label\": 1}\n\n{\"text\": \"b\", \"label\": \"x\", \"more\": null}\n{\"text\": \"c\", \"label\": true}\n",
        );
        let found = read(&path).unwrap();
        assert_eq!((found.labels, found.n_labels, found.texts.len()), (vec![0, 2, 1], 3, 3));
        for (text, part) in [
            ("{\"text\": \"a\", \"label\": 1}\n{\"text\": 3, \"label\": 1}", "line 2"),
            ("{\"text\": \"a\", \"label\": [1]}", "found the label [1]"),
            ("{\"text\": \"a\", \"label\": 1}", "1 labels; expected at least two"),
        ] {
            write(text);
            let Err(error) = read(&path) else { panic!("{text} was read") };
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
