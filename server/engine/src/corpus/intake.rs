//! What every format's records go through: the field is chosen at the first that has one, and each record becomes a document or is
//! counted under the reason why not.

use api::{CorpusReading, FieldForm, FieldTaken, SkipReason, Skipped};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::Path};

use super::{
    CorpusError,
    choice::{self, Choice, Shape},
    source::{Document, Sink},
    turns,
};

/// Where a record stands, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub path: &'a Path,
    /// `line`, `element` or `row`.
    pub unit: &'static str,
    pub number: u64,
}

impl Place<'_> {
    pub fn refuse(&self, message: impl Into<String>) -> CorpusError {
        CorpusError::record(self.path, format!("{} {}", self.unit, self.number), message)
    }
}

/// Takes records and hands documents on.
pub(super) struct Intake<'a> {
    reading: &'a CorpusReading,
    sink: Sink<'a>,
    pub taken: Option<FieldTaken>,
    skipped: BTreeMap<SkipReason, u64>,
    pub n_read: u64,
    pub n_surrogates: u64,
    pub n_masked: u64,
    /// The fields of the first record that lacked the one asked for.
    lacking: Option<Vec<String>>,
}

impl<'a> Intake<'a> {
    pub fn new(reading: &'a CorpusReading, sink: Sink<'a>) -> Self {
        Self {
            reading,
            sink,
            taken: None,
            skipped: BTreeMap::new(),
            n_read: 0,
            n_surrogates: 0,
            n_masked: 0,
            lacking: None,
        }
    }

    /// The field that was asked for.
    pub fn asked(&self) -> Option<&'a str> {
        self.reading.text_field.as_deref()
    }

    pub fn skipped(&self) -> Vec<Skipped> {
        self.skipped.iter().map(|(&reason, &n)| Skipped { reason, n }).collect()
    }

    /// The error of a corpus without a document: that the field is nowhere, or that there is no text.
    pub fn nothing(&self, path: &Path) -> CorpusError {
        let path = path.to_owned();
        match (self.asked(), &self.lacking) {
            (Some(field), Some(found)) => CorpusError::NoField {
                path,
                field: field.to_owned(),
                found: found.join(", "),
            },
            _ => CorpusError::Empty { path },
        }
    }

    /// A document that is not a record's: one of plain text.
    pub fn text(&mut self, text: String) -> Result<(), CorpusError> {
        self.document(Document::Text(text))
    }

    /// A record: a string, or an object of fields.
    pub fn record(&mut self, place: Place<'_>, record: Value) -> Result<(), CorpusError> {
        match record {
            Value::Object(fields) => self.fields(place, fields),
            Value::Null => self.skip(SkipReason::Null),
            _ if self.asked().is_some() => Err(place.refuse(format!(
                "found {}; expected an object with the field '{}'",
                kind(&record),
                self.asked().unwrap_or_default()
            ))),
            Value::String(text) => self.document(Document::Text(text)),
            other => Err(place.refuse(format!("found {}; expected a string or an object", kind(&other)))),
        }
    }

    fn fields(&mut self, place: Place<'_>, mut fields: Map<String, Value>) -> Result<(), CorpusError> {
        // a row as the hub's viewer hands it out: its number and the record
        if let (true, Some(Value::Object(row))) = (fields.contains_key("row_idx"), fields.get_mut("row")) {
            fields = std::mem::take(row);
        }
        if self.taken.is_none() && self.asked().is_none() {
            match choice::choose(&choice::shapes(&fields)).map_err(|message| place.refuse(message))? {
                Choice::Nothing => return self.skip(SkipReason::Null),
                Choice::Field(taken) => self.taken = Some(taken),
            }
        }
        let name = self.taken.as_ref().map(|taken| taken.name.clone());
        let name = name.or_else(|| self.asked().map(String::from)).unwrap_or_default();
        let Some(found) = choice::find(&fields, &name) else {
            return self.without(place, &name, &fields);
        };
        let shape = Shape::of(found.value);
        if shape == Shape::Null {
            let is_empty = found.value.is_array();
            return self.skip(if is_empty { SkipReason::Empty } else { SkipReason::Null });
        }
        let form = match &self.taken {
            Some(taken) => taken.form,
            None => {
                let form = shape.form().ok_or_else(|| {
                    let message = format!(
                        "field '{name}' is {}; expected a string, token ids or messages",
                        kind(found.value)
                    );
                    place.refuse(message)
                })?;
                self.taken = Some(FieldTaken {
                    name: name.clone(),
                    form,
                });
                form
            }
        };
        let mask = found.inside.get("attention_mask");
        let document = document(&name, form, found.value, mask).map_err(|message| place.refuse(message))?;
        self.n_masked += document.n_masked;
        self.document(document.document)
    }

    /// A record that lacks the field `name`: one that another field would have been chosen of is refused, for its text would be lost.
    fn without(&mut self, place: Place<'_>, name: &str, fields: &Map<String, Value>) -> Result<(), CorpusError> {
        if self.asked().is_none()
            && let Ok(Choice::Field(other)) = choice::choose(&choice::shapes(fields))
        {
            return Err(place.refuse(format!(
                "has no field '{name}', which the records before it were read from, but '{}'; name the field to read with --text-field \
                 (in the form: text field)",
                other.name
            )));
        }
        self.lacking.get_or_insert_with(|| fields.keys().cloned().collect());
        self.skip(SkipReason::Absent)
    }

    fn document(&mut self, document: Document) -> Result<(), CorpusError> {
        if document.is_blank() {
            return self.skip(SkipReason::Empty);
        }
        self.n_read += 1;
        (self.sink)(document)
    }

    fn skip(&mut self, reason: SkipReason) -> Result<(), CorpusError> {
        *self.skipped.entry(reason).or_default() += 1;
        Ok(())
    }
}

/// A field's document, and the token ids that its mask left out.
struct Made {
    document: Document,
    n_masked: u64,
}

fn document(name: &str, form: FieldForm, value: &Value, mask: Option<&Value>) -> Result<Made, String> {
    let document = match (form, value) {
        (FieldForm::Text, Value::String(text)) => Document::Text(text.clone()),
        (FieldForm::Turns, Value::Array(messages)) => {
            Document::Text(turns::text(messages).map_err(|message| format!("field '{name}' {message}"))?)
        }
        (FieldForm::Tokens, Value::Array(ids)) => return tokens(name, ids, mask),
        (form, other) => {
            let expected = match form {
                FieldForm::Text => "a string",
                FieldForm::Tokens => "an array of token ids",
                FieldForm::Turns => "an array of messages",
            };
            return Err(format!("field '{name}' is {}; expected {expected}", kind(other)));
        }
    };
    Ok(Made { document, n_masked: 0 })
}

/// The token ids whose mask is not 0. Masks leave out the beginning or the end, as padding stands there: what lies behind a gap does not
/// follow on what lies before it.
fn tokens(name: &str, ids: &[Value], mask: Option<&Value>) -> Result<Made, String> {
    let id = |id: &Value| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or(())
    };
    let all = ids
        .iter()
        .map(|value| id(value).map_err(|()| format!("'{name}' holds {value}; expected token ids")))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(mask) = mask.filter(|mask| !mask.is_null()) else {
        return Ok(Made {
            document: Document::Tokens(all),
            n_masked: 0,
        });
    };
    let mask = mask
        .as_array()
        .ok_or_else(|| format!("'attention_mask' is {}; expected an array of 0 and 1", kind(mask)))?;
    if mask.len() != all.len() {
        return Err(format!(
            "'attention_mask' has {} entries and '{name}' has {}; expected one per token id",
            mask.len(),
            all.len()
        ));
    }
    let used = mask
        .iter()
        .map(|entry| match entry.as_u64().or(entry.as_bool().map(u64::from)) {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            _ => Err(format!("'attention_mask' holds {entry}; expected 0 and 1")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let start = used.iter().position(|used| *used).unwrap_or(used.len());
    let end = used.iter().rposition(|used| *used).map_or(start, |last| last + 1);
    if let Some(gap) = used[start..end].iter().position(|used| !used) {
        return Err(format!(
            "'attention_mask' is 0 at position {} between positions that are 1; expected zeros at the beginning or the end",
            start + gap
        ));
    }
    Ok(Made {
        n_masked: (all.len() - (end - start)) as u64,
        document: Document::Tokens(all[start..end].to_vec()),
    })
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
