//! Documents in JSON lines and JSON arrays. A record is a string, or an object: with a string `text`, or with
//! `input_ids` (tokens already), or with just one field that is a string.

use std::path::Path;

use serde::{
    Deserializer,
    de::{self, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{
    CorpusError,
    source::{Document, Sink},
};

/// Hands on the document of each line that is not blank.
pub(super) fn lines(path: &Path, text: &str, sink: Sink<'_>) -> Result<(), CorpusError> {
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = || format!("line {}", number + 1);
        let value = serde_json::from_str(line)
            .map_err(|error| CorpusError::record(path, place(), format!("not a JSON value: {error}")))?;
        sink(document(value).map_err(|message| CorpusError::record(path, place(), message))?)?;
    }
    Ok(())
}

/// Hands on the document of each element, reading one element at a time.
pub(super) fn array(path: &Path, text: &str, sink: Sink<'_>) -> Result<(), CorpusError> {
    let mut failed = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let elements = Elements {
        path,
        sink,
        failed: &mut failed,
    };
    let read = reader.deserialize_seq(elements).and_then(|()| reader.end());
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(CorpusError::record(
            path,
            format!("line {}", error.line()),
            format!("not a JSON array: {error}"),
        )),
        (None, Ok(())) => Ok(()),
    }
}

struct Elements<'a> {
    path: &'a Path,
    sink: Sink<'a>,
    failed: &'a mut Option<CorpusError>,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of strings or of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(value) = elements.next_element::<Value>()? {
            let read = document(value).map_err(|message| CorpusError::record(self.path, format!("element {index}"), message));
            if let Err(error) = read.and_then(&mut *self.sink) {
                *self.failed = Some(error);
                return Err(de::Error::custom("stopped"));
            }
            index += 1;
        }
        Ok(())
    }
}

fn document(record: Value) -> Result<Document, String> {
    let mut fields = match record {
        Value::String(text) => return Ok(Document::Text(text)),
        Value::Object(fields) => fields,
        other => return Err(format!("found {}; expected a string or an object", kind(&other))),
    };
    if let Some(text) = fields.get_mut("text") {
        return match text.take() {
            Value::String(text) => Ok(Document::Text(text)),
            other => Err(format!("field 'text' is {}; expected a string", kind(&other))),
        };
    }
    if let Some(ids) = fields.get("input_ids") {
        return Ok(Document::Tokens(tokens(ids)?));
    }
    let mut strings = fields.iter_mut().filter(|(_, value)| value.is_string());
    if let (Some((_, Value::String(text))), None) = (strings.next(), strings.next()) {
        return Ok(Document::Text(std::mem::take(text)));
    }
    let found: Vec<&str> = fields.keys().map(String::as_str).collect();
    Err(format!(
        "found the fields {}; expected 'text', or 'input_ids', or just one field that is a string",
        found.join(", ")
    ))
}

fn tokens(ids: &Value) -> Result<Vec<u32>, String> {
    let ids = ids
        .as_array()
        .ok_or_else(|| format!("field 'input_ids' is {}; expected an array of token ids", kind(ids)))?;
    ids.iter()
        .map(|id| {
            id.as_u64()
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| format!("'input_ids' holds {id}; expected token ids"))
        })
        .collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
