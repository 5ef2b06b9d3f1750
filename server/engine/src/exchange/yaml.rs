//! The YAML that e2e_sae writes beside its checkpoints: nested mappings, lists of scalars, plain and quoted scalars, comments. What is
//! beyond that (anchors, blocks of text, several documents) is refused with its line. What is written has nothing beyond it either.

use serde_json::{Map, Value};
use std::path::Path;

use super::{
    errors::{io, refuse},
    fields::Fields,
};
use crate::dictionary::DictionaryError;

struct Line<'a> {
    number: usize,
    indent: usize,
    text: &'a str,
}

/// Reads a file whose outermost value is a mapping.
///
/// # Errors
/// A file that cannot be read, and lines that are beyond what is read here.
pub fn open(path: &Path) -> Result<Fields, DictionaryError> {
    let text = crate::file::read_to_string(path).map_err(|e| io(path, e))?;
    let fields = parse(&text).map_err(|message| refuse(path, message))?;
    Ok(Fields::new(path, fields))
}

fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let lines: Vec<Line<'_>> = text
        .lines()
        .enumerate()
        .filter_map(|(i, line)| {
            let text = without_comment(line).trim_end();
            let indent = text.len() - text.trim_start().len();
            (!text.trim().is_empty() && text != "---").then_some(Line {
                number: i + 1,
                indent,
                text: text.trim_start(),
            })
        })
        .collect();
    let mut at = 0;
    let value = match lines.first() {
        None => Value::Object(Map::new()),
        Some(first) => block(&lines, &mut at, first.indent)?,
    };
    match (value, lines.get(at)) {
        (_, Some(line)) => Err(format!(
            "line {}: '{}' is indented otherwise than what is before it",
            line.number, line.text
        )),
        (Value::Object(fields), None) => Ok(fields),
        _ => Err("line 1: expected 'name: value'".into()),
    }
}

/// What stands before a `#` that opens a comment: one at the beginning or after a space, outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (i, c) in line.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') if before == ' ' => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '#') if before == ' ' => return &line[..i],
            _ => {}
        }
        before = c;
    }
    line
}

/// The mapping or list of the lines at `indent`.
fn block(lines: &[Line<'_>], at: &mut usize, indent: usize) -> Result<Value, String> {
    if is_item(lines[*at].text) {
        let mut items = Vec::new();
        while let Some(line) = lines.get(*at).filter(|line| line.indent == indent && is_item(line.text)) {
            let item = line.text[1..].trim();
            if item.is_empty() || is_item(item) || split(item).is_some() {
                return Err(format!(
                    "line {}: '{}'; expected a list of plain values",
                    line.number, line.text
                ));
            }
            items.push(scalar(item, line.number)?);
            *at += 1;
        }
        return Ok(Value::Array(items));
    }
    let mut fields = Map::new();
    while let Some(line) = lines.get(*at).filter(|line| line.indent == indent && !is_item(line.text)) {
        let (name, rest) =
            split(line.text).ok_or_else(|| format!("line {}: '{}'; expected 'name: value'", line.number, line.text))?;
        *at += 1;
        let value = match rest {
            "" => match lines.get(*at) {
                Some(next) if next.indent > indent || (next.indent == indent && is_item(next.text)) => {
                    block(lines, at, next.indent)?
                }
                _ => Value::Null,
            },
            _ => scalar(rest, line.number)?,
        };
        fields.insert(name.trim_matches(['\'', '"']).to_owned(), value);
    }
    Ok(Value::Object(fields))
}

fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// Name and value of `name: value`; none for a value alone.
fn split(text: &str) -> Option<(&str, &str)> {
    if text.starts_with(['\'', '"', '[']) {
        return None;
    }
    let (name, rest) = text.split_once(':')?;
    (rest.is_empty() || rest.starts_with(' ')).then(|| (name.trim(), rest.trim()))
}

fn scalar(text: &str, number: usize) -> Result<Value, String> {
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
        return items
            .map(|item| scalar(item, number))
            .collect::<Result<_, _>>()
            .map(Value::Array);
    }
    for quote in ['\'', '"'] {
        if let Some(rest) = text.strip_prefix(quote) {
            let inner = rest.strip_suffix(quote).filter(|inner| !inner.contains(['\\', quote]));
            let inner = inner.ok_or_else(|| format!("line {number}: {text}; expected a string without escapes"))?;
            return Ok(Value::String(inner.to_owned()));
        }
    }
    if text.starts_with(['&', '*', '|', '>', '!', '{', '%', '@']) && text != "{}" {
        return Err(format!("line {number}: '{text}'; expected a plain value"));
    }
    Ok(match text {
        "{}" => Value::Object(Map::new()),
        "null" | "~" | "Null" | "NULL" => Value::Null,
        "true" | "True" => Value::Bool(true),
        "false" | "False" => Value::Bool(false),
        _ => {
            let digits = text.replace('_', "");
            let looks_like_one = digits.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            match digits.parse::<f64>() {
                Ok(value) if looks_like_one && value.is_finite() => serde_json::Number::from_f64(value).into(),
                _ => Value::String(text.to_owned()),
            }
        }
    })
}

/// A mapping, as PyYAML and [`open`] read it.
pub fn text(fields: &Map<String, Value>) -> String {
    let mut out = String::new();
    push(&mut out, fields, "");
    out
}

fn push(out: &mut String, fields: &Map<String, Value>, indent: &str) {
    for (name, value) in fields {
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                *out += &format!("{indent}{name}:\n");
                push(out, inner, &format!("{indent}  "));
            }
            Value::Array(items) if !items.is_empty() => {
                *out += &format!("{indent}{name}:\n");
                for item in items {
                    *out += &format!("{indent}- {}\n", plain(item));
                }
            }
            _ => *out += &format!("{indent}{name}: {}\n", plain(value)),
        }
    }
}

/// A scalar, or an empty list or mapping.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
            // what would be another value without quotes; PyYAML knows more of them than `scalar` does
            let is_taken = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"].contains(&&*text.to_lowercase());
            match is_word && !is_taken {
                true => text.clone(),
                false if text.contains('\'') => format!("\"{text}\""),
                false => format!("'{text}'"),
            }
        }
        // to PyYAML a number without a point, or an exponent without a sign, is a string
        Value::Number(number) => {
            let text = number.to_string();
            match text.split_once('e') {
                None => text,
                Some((mantissa, exponent)) => {
                    let point = if mantissa.contains('.') { "" } else { ".0" };
                    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
                    format!("{mantissa}{point}e{sign}{exponent}")
                }
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_e2e_sae_writes_is_read() {
        let text = "# a run\nlr: 5.0e-04\nn_samples: 400_000 # of them\nname: 'a: b'\nloss:\n  in_to_orig: null\n  sparsity:\n    \
                    coeff: 1.5\n    p_norm: 1.0\nsaes:\n  sae_positions:\n  - blocks.6.hook_resid_pre\n  - blocks.8.hook_resid_pre\n  \
                    retrain_saes: false\nempty:\nlist: [1, two]\n";
        let expected = json!({
            "lr": 5e-4, "n_samples": 400_000.0, "name": "a: b",
            "loss": {"in_to_orig": null, "sparsity": {"coeff": 1.5, "p_norm": 1.0}},
            "saes": {"sae_positions": ["blocks.6.hook_resid_pre", "blocks.8.hook_resid_pre"], "retrain_saes": false},
            "empty": null, "list": [1.0, "two"],
        });
        assert_eq!(Value::Object(parse(text).unwrap()), expected);
    }

    #[test]
    fn what_is_beyond_is_refused_with_its_line() {
        for (text, says) in [
            ("a: 1\nb: &anchor 2\n", "line 2: '&anchor 2'"),
            ("a: 1\n   b: 2\n", "line 2: 'b: 2' is indented"),
            ("a:\n- b: 1\n", "line 2: '- b: 1'"),
            ("just text\n", "line 1: 'just text'"),
            ("a: |\n  text\n", "line 1: '|'"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let fields = json!({
            "lr": 1e-7, "large": 1e21, "half": 0.5, "seed": 3, "name": "a: b", "quoted": "it's", "word": "tiny/gpt2", "switch": "Yes",
            "digits": "400", "none": null, "flag": true, "empty": {}, "nothing": [],
            "loss": {"in_to_orig": {"total_coeff": 2.5}, "out_to_orig": null}, "list": ["blocks.6.hook_resid_pre", "two"],
        });
        let text = text(fields.as_object().unwrap());
        for line in [
            "lr: 1.0e-7\n",
            "large: 1.0e+21\n",
            "word: tiny/gpt2\n",
            "switch: 'Yes'\n",
            "    total_coeff: 2.5\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let mut expected = fields;
        expected["seed"] = json!(3.0);
        assert_eq!(Value::Object(parse(&text).unwrap()), expected);
    }
}
