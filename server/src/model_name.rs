//! Whether the language model that a file of a dictionary names is the one that the dictionary is brought in for. Tools call one model by
//! several names; where none of them is ours, another model is meant, or one that only its owner knows.

use api::{ConfigError, ModelInfo};

/// What TransformerLens calls models that the hub calls otherwise, both as [`bare`] has them.
const ALIASES: [(&str, &str); 2] = [("gpt2small", "gpt2"), ("mistral7b", "mistral7bv01")];

/// # Errors
/// Where the file names another model than `model`.
pub fn check(model: &ModelInfo, named: &str) -> Result<(), ConfigError> {
    let wanted = bare(named);
    if wanted.is_empty() || [&model.id.0, &model.source].into_iter().any(|own| bare(own) == wanted) {
        return Ok(());
    }
    let message = format!(
        "found '{}'; the file says that its dictionary is for '{named}': choose that model, or say that any will do (--any-model)",
        model.id
    );
    Err(ConfigError::new("model", message))
}

/// A name without its owner, its case and its punctuation.
fn bare(name: &str) -> String {
    let last = name.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or_default();
    let bare: String = last.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let bare = bare.to_ascii_lowercase();
    let bare = bare
        .strip_prefix("meta")
        .filter(|rest| rest.starts_with("llama"))
        .unwrap_or(&bare);
    let alias = ALIASES.iter().find(|(theirs, _)| *theirs == bare);
    alias.map_or(bare, |(_, ours)| ours).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_model_are_alike_and_those_of_others_are_not() {
        for (a, b) in [
            ("gpt2", "gpt2-small"),
            ("openai-community/gpt2", "gpt2-small"),
            ("EleutherAI/pythia-70m-deduped", "pythia-70m-deduped"),
            ("/models/Llama-3.1-8B/", "meta-llama/Meta-Llama-3.1-8B"),
            ("roneneldan/TinyStories-1M", "tiny-stories-1M"),
            ("mistralai/Mistral-7B-v0.1", "mistral-7b"),
        ] {
            assert_eq!(bare(a), bare(b), "{a}, {b}");
        }
        for (a, b) in [
            ("gpt2", "gpt2-medium"),
            ("pythia-70m", "pythia-70m-deduped"),
            ("gemma-2b", "gemma-2-2b"),
        ] {
            assert_ne!(bare(a), bare(b), "{a}, {b}");
        }
    }
}
