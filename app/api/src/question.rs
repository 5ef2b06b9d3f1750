//! What can be asked of trained dictionaries: a job of its own, whose answer ([`crate::Answer`]) is kept.

use serde::{Deserialize, Serialize};

use crate::{ConfigError, CorpusId, DictionaryId, ModelId, count::DICTIONARIES_PER_QUESTION, word::words};

/// What a table of tokens is ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TokenOrder {
    /// −log q(next) + log p(next), in nats.
    #[default]
    CeIncrease,
    /// KL(p ‖ q), in nats.
    Kl,
}

words!(TokenOrder, "by", "ce_increase" => TokenOrder::CeIncrease, "kl" => TokenOrder::Kl);

/// A question. What is left out of a request takes its default; a job's question leaves nothing out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    /// Which tokens' predictions does every one of the dictionaries lose most of?
    Tokens(TokensQuestion),
    /// How alike are the decoders of two dictionaries?
    Compare,
    /// Do a few features tell the labels of texts?
    Probe(ProbeQuestion),
}

/// See [`Question::Tokens`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TokensQuestion {
    /// What the rows are ordered by, the largest first; default `ce_increase`.
    pub by: TokenOrder,
    /// How many rows the answer's CSV has; default all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
    /// Tokens of the text to look at; default as many as the first dictionary's run measured on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<usize>,
}

/// See [`Question::Probe`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProbeQuestion {
    /// A file on the server's disk with a line of JSON per text: `{"text": …, "label": …}`.
    pub data: String,
    /// SHA-256 of the file, in hexadecimal; default that which it has when it is asked. The job refuses another content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Seed of the split into training and test.
    #[serde(default)]
    pub seed: u64,
}

/// A question, as it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AskRequest {
    /// The dictionaries.
    pub dictionaries: Vec<DictionaryId>,
    /// What is asked of them.
    pub question: Question,
}

/// A question as a job: every value that its answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AskConfig {
    /// The model of the first dictionary.
    pub model: ModelId,
    /// The text that it was measured on.
    pub corpus: CorpusId,
    /// The dictionaries.
    pub dictionaries: Vec<DictionaryId>,
    /// What is asked of them.
    pub question: Question,
}

impl Question {
    /// Checks what can be checked without the dictionaries.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn validate(&self, dictionaries: &[DictionaryId]) -> Result<(), ConfigError> {
        match (self, dictionaries.len()) {
            (Question::Compare, 2) => {}
            (Question::Compare, n) => {
                let message = format!("found {n}; expected two dictionaries, such as 7,8");
                return Err(ConfigError::new("dictionaries", message));
            }
            (_, 0) => return Err(ConfigError::new("dictionaries", "found none; expected at least one")),
            (_, n) if n > DICTIONARIES_PER_QUESTION => {
                let message = format!("found {n}; expected {DICTIONARIES_PER_QUESTION} or fewer in one question");
                return Err(ConfigError::new("dictionaries", message));
            }
            _ => {}
        }
        let Question::Tokens(TokensQuestion { top, tokens, .. }) = self else {
            return Ok(());
        };
        match [("top", top), ("tokens", tokens)].into_iter().find(|(_, n)| **n == Some(0)) {
            Some((field, _)) => Err(ConfigError::new(field, "found 0; expected 1 or more")),
            None => Ok(()),
        }
    }
}

impl AskConfig {
    /// The command that answers the same.
    pub fn command(&self) -> String {
        let ids: Vec<String> = self.dictionaries.iter().map(ToString::to_string).collect();
        let of = ids.join(",");
        match &self.question {
            Question::Tokens(TokensQuestion { by, top, tokens }) => {
                let mut words = vec![format!("saescope tokens --dictionary {of} --by {by}")];
                words.extend(top.map(|n| format!("--top {n}")));
                words.extend(tokens.map(|n| format!("--tokens {n}")));
                words.push("--to tokens.csv".into());
                words.join(" ")
            }
            Question::Compare => format!("saescope compare --dictionary {of}"),
            Question::Probe(ProbeQuestion { data, seed, .. }) => {
                format!("saescope probe --dictionary {of} --texts {} --seed {seed}", quoted(data))
            }
        }
    }

    /// What is asked, in words: for lists of jobs.
    pub fn what(&self) -> String {
        let n = self.dictionaries.len();
        let of = match self.dictionaries.as_slice() {
            [one] => format!("dictionary {one}"),
            [a, b] => format!("dictionaries {a} and {b}"),
            _ => format!("{n} dictionaries"),
        };
        match (&self.question, n) {
            (Question::Tokens(_), 1) => format!("what {of} fails on"),
            (Question::Tokens(_), _) => format!("what all of {of} fail on"),
            (Question::Compare, _) => format!("how alike {of} are"),
            (Question::Probe(_), _) => format!("labelled texts probed with {of}"),
        }
    }
}

/// A word as a shell reads it.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ':' | '\\');
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JobConfig, VerifyConfig};

    fn ask(dictionaries: &[i64], question: serde_json::Value) -> AskConfig {
        let config = serde_json::json!({"model": "m", "corpus": "c", "dictionaries": dictionaries, "question": question});
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn a_question_has_its_command_and_its_words() {
        for (dictionaries, question, command, what) in [
            (
                &[7, 8, 9][..],
                serde_json::json!({"tokens": {"by": "kl", "top": 50}}),
                "saescope tokens --dictionary 7,8,9 --by kl --top 50 --to tokens.csv",
                "what all of 3 dictionaries fail on",
            ),
            (
                &[7],
                serde_json::json!({"tokens": {"tokens": 100}}),
                "saescope tokens --dictionary 7 --by ce_increase --tokens 100 --to tokens.csv",
                "what dictionary 7 fails on",
            ),
            (
                &[7, 8],
                serde_json::json!("compare"),
                "saescope compare --dictionary 7,8",
                "how alike dictionaries 7 and 8 are",
            ),
            (
                &[7],
                serde_json::json!({"probe": {"data": "my texts/it's.jsonl"}}),
                r"saescope probe --dictionary 7 --texts 'my texts/it'\''s.jsonl' --seed 0",
                "labelled texts probed with dictionary 7",
            ),
        ] {
            let config = ask(dictionaries, question);
            assert_eq!((config.command().as_str(), config.what().as_str()), (command, what));
            config.question.validate(&config.dictionaries).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_asked_is_named() {
        for (dictionaries, question, field) in [
            (&[7][..], serde_json::json!("compare"), "dictionaries"),
            (&[], serde_json::json!({"tokens": {}}), "dictionaries"),
            (&[7], serde_json::json!({"tokens": {"top": 0}}), "top"),
            (&[7], serde_json::json!({"tokens": {"tokens": 0}}), "tokens"),
        ] {
            let config = ask(dictionaries, question);
            assert_eq!(JobConfig::from(config).validate().unwrap_err().field, field);
        }
    }

    /// Jobs are not tagged: each must come back as what it was.
    #[test]
    fn a_question_is_told_from_a_verification() {
        let asked = JobConfig::Ask(ask(&[7, 8], serde_json::json!("compare")));
        let verified = JobConfig::Verify(VerifyConfig {
            model: ModelId("m".into()),
            corpus: CorpusId("c".into()),
            dictionaries: vec![DictionaryId(7)],
        });
        for config in [asked, verified] {
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<JobConfig>(&text).unwrap(), config);
        }
    }
}
