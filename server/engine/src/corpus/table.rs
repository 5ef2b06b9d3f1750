//! Documents in a table (CSV, TSV): a row each, from the column that was asked for, or from `text`, or from the only one there is.
//! The first line names the columns.

use std::path::Path;

use api::{FieldForm, FieldTaken};
use csv::{ReaderBuilder, StringRecord};
use serde_json::Value;

use super::{
    CorpusError, Format,
    choice::{self, Choice, Shape},
    intake::{Intake, Place},
};

/// Takes in the text of each row.
pub(super) fn rows(path: &Path, text: &str, format: Format, intake: &mut Intake<'_>) -> Result<(), CorpusError> {
    let delimiter = if format == Format::Tsv { b'\t' } else { b',' };
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .quoting(format != Format::Tsv || is_quoted(text))
        .from_reader(text.as_bytes());
    let refuse = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        CorpusError::record(path, format!("line {line}"), format!("not a row of this table: {error}"))
    };
    let names = reader.headers().map_err(refuse)?.clone();
    let column = column(&names, intake).map_err(|message| CorpusError::record(path, "the first line", message))?;
    let mut row = StringRecord::new();
    while reader.read_record(&mut row).map_err(refuse)? {
        let place = Place {
            path,
            unit: "line",
            number: row.position().map_or(0, csv::Position::line),
        };
        let field = serde_json::Map::from_iter([(names[column].to_owned(), Value::from(&row[column]))]);
        intake.record(place, Value::Object(field))?;
    }
    Ok(())
}

/// Which column holds the text.
fn column(names: &StringRecord, intake: &mut Intake<'_>) -> Result<usize, String> {
    let all = || names.iter().collect::<Vec<_>>().join(", ");
    let name = match intake.asked() {
        Some(asked) => asked.to_owned(),
        None => {
            let shapes: Vec<_> = names.iter().map(|name| (name, Shape::Text)).collect();
            match choice::choose(&shapes) {
                Ok(Choice::Field(taken)) => taken.name,
                Ok(Choice::Nothing) | Err(_) => {
                    return Err(format!(
                        "found the columns {}; expected 'text', or just one column that is no id or title; name the column to read with \
                         --text-field (in the form: text field)",
                        all()
                    ));
                }
            }
        }
    };
    let at = names.iter().position(|other| other == name);
    let at = at.ok_or_else(|| format!("found the columns {}; expected '{name}'", all()))?;
    if names.iter().filter(|other| *other == name).count() > 1 {
        return Err(format!("found two columns '{name}'; give one of them another name"));
    }
    intake.taken = Some(FieldTaken {
        name,
        form: FieldForm::Text,
    });
    Ok(at)
}

/// Whether quotation marks around the fields of a TSV enclose them, or are part of the text. Both are common. They are text where some
/// field opens with one and does not close, and every line has as many fields as the first.
fn is_quoted(text: &str) -> bool {
    let n_fields = |line: &str| line.split('\t').count();
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return true };
    let is_even = lines.clone().all(|line| n_fields(line) == n_fields(first));
    let is_unclosed = |field: &str| field.starts_with('"') && (field.len() < 2 || !field.ends_with('"'));
    !(is_even && lines.any(|line| line.split('\t').any(is_unclosed)))
}
