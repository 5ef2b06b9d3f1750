//! Documents in Parquet: each row of the column `text`, or of `input_ids` (lists of integers: tokens already),
//! or of the only column of strings.

use std::{fs::File, path::Path, sync::Arc};

use parquet::{
    basic::{ConvertedType, LogicalType, Type as Physical},
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
    schema::types::{Type, TypePtr},
};

use super::{
    CorpusError,
    source::{Document, Sink},
};

/// Hands on the document of each row, reading one row group's pages at a time.
pub(super) fn rows(path: &Path, sink: Sink<'_>) -> Result<(), CorpusError> {
    let file = File::open(path).map_err(CorpusError::io("open", path))?;
    let unreadable = |place: &str, error: parquet::errors::ParquetError| {
        CorpusError::record(path, place, format!("not readable as Parquet: {error}"))
    };
    let reader = SerializedFileReader::new(file).map_err(|error| unreadable("the footer", error))?;
    let schema = reader.metadata().file_metadata().schema();
    let column = column(schema).map_err(|message| CorpusError::record(path, "the schema", message))?;
    let only_column = Type::group_type_builder(schema.name())
        .with_fields(vec![Arc::clone(&column)])
        .build()
        .map_err(|error| unreadable("the schema", error))?;
    let rows = reader
        .get_row_iter(Some(only_column))
        .map_err(|error| unreadable("the schema", error))?;
    for (index, row) in rows.enumerate() {
        let place = || format!("row {index}");
        let row = row.map_err(|error| unreadable(&place(), error))?;
        let field = row.get_column_iter().next().map_or(&Field::Null, |(_, field)| field);
        let read = document(field)
            .map_err(|message| CorpusError::record(path, place(), format!("column '{}' {message}", column.name())))?;
        sink(read)?;
    }
    Ok(())
}

fn column(schema: &Type) -> Result<TypePtr, String> {
    let fields = schema.get_fields();
    let named = |name: &str| fields.iter().find(|field| field.name() == name);
    if let Some(text) = named("text").filter(|field| is_bytes(field)) {
        return Ok(Arc::clone(text));
    }
    if let Some(ids) = named("input_ids").filter(|field| field.is_group()) {
        return Ok(Arc::clone(ids));
    }
    let mut strings = fields.iter().filter(|field| is_string(field));
    if let (Some(only), None) = (strings.next(), strings.next()) {
        return Ok(Arc::clone(only));
    }
    let found: Vec<&str> = fields.iter().map(|field| field.name()).collect();
    Err(format!(
        "found the columns {}; expected 'text' (strings), or 'input_ids' (lists of integers), or just one column of strings",
        found.join(", ")
    ))
}

fn is_bytes(field: &Type) -> bool {
    field.is_primitive() && field.get_physical_type() == Physical::BYTE_ARRAY
}

fn is_string(field: &Type) -> bool {
    let info = field.get_basic_info();
    is_bytes(field)
        && (info.converted_type() == ConvertedType::UTF8 || matches!(info.logical_type_ref(), Some(LogicalType::String)))
}

fn document(field: &Field) -> Result<Document, String> {
    match field {
        Field::Str(text) => Ok(Document::Text(text.clone())),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Ok(Document::Text(text.to_owned())),
            Err(error) => Err(format!("is not UTF-8 at byte {}", error.valid_up_to())),
        },
        Field::ListInternal(list) => list
            .elements()
            .iter()
            .map(token)
            .collect::<Result<_, _>>()
            .map(Document::Tokens),
        other => Err(format!("holds {other}; expected a string or a list of token ids")),
    }
}

fn token(field: &Field) -> Result<u32, String> {
    let id = match field {
        Field::Byte(id) => u32::try_from(*id).ok(),
        Field::Short(id) => u32::try_from(*id).ok(),
        Field::Int(id) => u32::try_from(*id).ok(),
        Field::Long(id) => u32::try_from(*id).ok(),
        Field::UByte(id) => Some(u32::from(*id)),
        Field::UShort(id) => Some(u32::from(*id)),
        Field::UInt(id) => Some(*id),
        Field::ULong(id) => u32::try_from(*id).ok(),
        _ => None,
    };
    id.ok_or_else(|| format!("holds {field} in a list; expected token ids"))
}
