//! Documents in Parquet: a row each, from the column that was asked for or that can be nothing else.

use std::{path::Path, sync::Arc};

use parquet::{
    basic::{ConvertedType, LogicalType, Repetition, Type as Physical},
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, Row},
    schema::types::{Type, TypePtr},
};
use serde_json::{Map, Value};

use super::{
    CorpusError,
    choice::{self, Choice, Shape},
    intake::{Intake, Place},
    turns,
};
use crate::file;

/// Takes in each row, reading one row group's pages of the columns needed at a time.
pub(super) fn rows(path: &Path, intake: &mut Intake<'_>) -> Result<(), CorpusError> {
    let file = file::open(path).map_err(CorpusError::io("open", path))?;
    let unreadable = |place: &str, error: parquet::errors::ParquetError| {
        CorpusError::record(path, place, format!("not readable as Parquet: {error}"))
    };
    let reader = SerializedFileReader::new(file).map_err(|error| unreadable("the footer", error))?;
    let schema = reader.metadata().file_metadata().schema();
    let columns = columns(schema, intake).map_err(|message| CorpusError::record(path, "the schema", message))?;
    let projection = Type::group_type_builder(schema.name())
        .with_fields(columns)
        .build()
        .map_err(|error| unreadable("the schema", error))?;
    let rows = reader
        .get_row_iter(Some(projection))
        .map_err(|error| unreadable("the schema", error))?;
    for (number, row) in (0..).zip(rows) {
        let place = Place {
            path,
            unit: "row",
            number,
        };
        let row = row.map_err(|error| unreadable(&format!("row {number}"), error))?;
        let record = object(&row).map_err(|message| place.refuse(message))?;
        intake.record(place, record)?;
    }
    Ok(())
}

/// The columns that are read: the one that holds the document, and the mask of token ids beside it.
fn columns(schema: &Type, intake: &mut Intake<'_>) -> Result<Vec<TypePtr>, String> {
    let fields = schema.get_fields();
    let names = || fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
    let name = match (intake.asked(), &intake.taken) {
        (Some(name), _) => name.to_owned(),
        (None, Some(taken)) => taken.name.clone(),
        (None, None) => match choice::choose(&shapes(fields))? {
            Choice::Field(taken) => intake.taken.insert(taken).name.clone(),
            Choice::Nothing => return Err(format!("found the columns {}; expected one with text", names())),
        },
    };
    let outermost = |field: &&TypePtr| {
        let inside = name.strip_prefix(field.name());
        inside.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let column = fields.iter().find(outermost);
    let column = column.ok_or_else(|| format!("found the columns {}; expected '{name}'", names()))?;
    let mask = fields.iter().find(|field| field.name() == "attention_mask");
    Ok([Some(column), mask].into_iter().flatten().map(Arc::clone).collect())
}

fn shapes(fields: &[TypePtr]) -> Vec<(&str, Shape)> {
    fields.iter().map(|field| (field.name(), shape(field))).collect()
}

fn shape(field: &Type) -> Shape {
    if field.is_primitive() {
        // a column called text is one, also where the writer did not say that its bytes are UTF-8
        let is_text = is_string(field) || (is_bytes(field) && field.name() == "text");
        return if is_text { Shape::Text } else { Shape::Other };
    }
    let Some(element) = element(field) else {
        return Shape::Object;
    };
    if element.is_primitive() {
        return match element.get_physical_type() {
            Physical::INT32 | Physical::INT64 => Shape::TokenIds,
            _ => Shape::Array,
        };
    }
    let has = |name: &str| element.get_fields().iter().any(|field| field.name() == name);
    if turns::is_message(has) {
        Shape::Messages
    } else {
        Shape::Array
    }
}

/// What a list holds, in the three levels that are written today or the two of old writers; none where the field is no list.
fn element(field: &Type) -> Option<&Type> {
    let [repeated] = field.get_fields() else { return None };
    let info = repeated.get_basic_info();
    if !info.has_repetition() || info.repetition() != Repetition::REPEATED {
        return None;
    }
    match repeated.is_group() {
        true => match repeated.get_fields() {
            [only] => Some(only),
            _ => Some(repeated),
        },
        false => Some(repeated),
    }
}

fn is_bytes(field: &Type) -> bool {
    field.is_primitive() && field.get_physical_type() == Physical::BYTE_ARRAY
}

fn is_string(field: &Type) -> bool {
    let info = field.get_basic_info();
    is_bytes(field)
        && (info.converted_type() == ConvertedType::UTF8 || matches!(info.logical_type_ref(), Some(LogicalType::String)))
}

fn object(row: &Row) -> Result<Value, String> {
    let fields = row.get_column_iter().map(|(name, field)| {
        let value = value(field).map_err(|message| format!("column '{name}' {message}"))?;
        Ok((name.clone(), value))
    });
    fields.collect::<Result<Map<_, _>, String>>().map(Value::Object)
}

fn value(field: &Field) -> Result<Value, String> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Str(text) => Value::from(text.as_str()),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Value::from(text),
            Err(error) => return Err(format!("is not UTF-8 at byte {}", error.valid_up_to())),
        },
        Field::Bool(is) => Value::from(*is),
        Field::Byte(n) => Value::from(*n),
        Field::Short(n) => Value::from(*n),
        Field::Int(n) => Value::from(*n),
        Field::Long(n) => Value::from(*n),
        Field::UByte(n) => Value::from(*n),
        Field::UShort(n) => Value::from(*n),
        Field::UInt(n) => Value::from(*n),
        Field::ULong(n) => Value::from(*n),
        Field::Group(row) => object(row)?,
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(value).collect::<Result<_, _>>()?),
        // a number that is not whole, a date, a map: no document is made of it, and it may stand beside one
        _ => Value::from(0),
    })
}
