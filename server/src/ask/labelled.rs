//! Labelled texts: a line of JSON each, `{"text": …, "label": …}`.

use anyhow::{Context as _, Result};
use api::{ConfigError, LabelledTexts};
use engine::json::{self, NonFinite};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

/// A line of the file. (It may have fields that are of no use here.)
#[derive(Deserialize)]
struct Line {
    text: String,
    label: serde_json::Value,
}

/// The texts, each with the index of its label.
#[derive(Debug)]
pub struct Texts {
    /// The texts.
    pub texts: Vec<String>,
    /// The index of each one's label.
    pub labels: Vec<usize>,
    /// The labels, in order.
    pub names: Vec<String>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

impl Texts {
    /// The labels with the number of texts of each.
    pub fn counts(&self) -> Vec<(String, u64)> {
        let count = |index: usize| self.labels.iter().filter(|label| **label == index).count() as u64;
        self.names
            .iter()
            .cloned()
            .enumerate()
            .map(|(i, name)| (name, count(i)))
            .collect()
    }
}

/// What there is to say of a file of labelled texts.
///
/// # Errors
/// As [`read`].
pub fn summary(path: &Path) -> Result<LabelledTexts> {
    let texts = read(path, None)?;
    Ok(LabelledTexts {
        path: path.display().to_string(),
        n_texts: texts.texts.len() as u64,
        labels: texts.counts(),
        sha256: texts.sha256,
    })
}

/// Reads the labelled texts in the file `path`, whose SHA-256 is to be `expected`, where something is expected.
///
/// # Errors
/// Naming the file and the line of what is not a labelled text; fewer than two labels; another content than was expected.
pub fn read(path: &Path, expected: Option<&str>) -> Result<Texts> {
    let refused = |message: String| ConfigError::new("data", format!("'{}'{message}", path.display()));
    if !path.is_file() {
        return Err(refused(" is no file on this machine".into()).into());
    }
    let sha256 = store::checksum(path)?;
    if let Some(expected) = expected.filter(|expected| *expected != sha256) {
        let message = format!(" has changed since it was asked for: found the hash {sha256}, expected {expected}");
        return Err(refused(message).into());
    }
    let bytes = fs::read(path).with_context(|| format!("cannot read '{}'", path.display()))?;
    let all = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        refused(format!(", line {line}: found bytes that are no UTF-8; expected text"))
    })?;
    let mut of_label: BTreeMap<String, usize> = BTreeMap::new();
    let (mut texts, mut named) = (Vec::new(), Vec::new());
    for (number, line) in all.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |found: &dyn std::fmt::Display| {
            let expected = r#"expected an object such as {"text": "a fine film", "label": "positive"}"#;
            refused(format!(", line {}: {found}; {expected}", number + 1))
        };
        let read = json::from_str(line, NonFinite::Null).map_err(|error| wrong(&said(&error)))?;
        let line: Line = read.0;
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
        return Err(refused(format!(" has {} labels; expected at least two", of_label.len())).into());
    }
    Ok(Texts {
        labels: named.iter().map(|label| of_label[label]).collect(),
        names: of_label.into_keys().collect(),
        texts,
        sha256,
    })
}

/// The error without serde's own "line 1", which counts within the line.
fn said(error: &serde_json::Error) -> String {
    let said = error.to_string();
    match said.rsplit_once(" at line ") {
        Some((before, _)) => before.replace('`', "'"),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.jsonl");
        let write = |text: &[u8]| fs::write(&path, text).unwrap();
        write(
            b"{\"text\": \"a\", \"label\": 1}\n\n{\"text\": \"b\", \"label\": \"x\", \"more\": NaN}\n{\"text\": \"c\", \"label\": true}\n",
        );
        let found = read(&path, None).unwrap();
        assert_eq!(
            (&found.labels[..], found.names.len(), found.texts.len()),
            (&[0, 2, 1][..], 3, 3)
        );
        let counts = [("1", 1), ("true", 1), ("x", 1)].map(|(label, n)| (label.to_string(), n));
        assert_eq!(found.counts(), counts);
        assert!(read(&path, Some(&found.sha256)).is_ok());
        for (text, part) in [
            (
                &b"{\"text\": \"a\", \"label\": 1}\n{\"text\": 3, \"label\": 1}"[..],
                "line 2: invalid type: integer '3', expected a string; expected an object",
            ),
            (b"{\"text\": \"a\", \"label\": [1]}", "found the label [1]"),
            (b"{\"text\": \"a\", \"label\": 1}", "1 labels; expected at least two"),
            (b"{\"text\": \"a\", \"label\": 1}\n\xff", "line 2: found bytes"),
            (b"", "0 labels"),
        ] {
            write(text);
            let error = read(&path, None).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("texts.jsonl'"), "{error}");
        }
        let changed = read(&path, Some(&found.sha256)).unwrap_err().to_string();
        assert!(
            changed.contains("has changed") && changed.contains(&found.sha256),
            "{changed}"
        );
        assert!(
            read(&folder.path().join("none"), None)
                .unwrap_err()
                .to_string()
                .contains("no file")
        );
    }
}
