//! Which field of a record holds the document: the one that was asked for, or the one that can be nothing else. Where that is not clear
//! the record is refused by its fields' names: an id or a title that is trained on looks like a text that was trained on.

use api::{FieldForm, FieldTaken};
use serde_json::{Map, Value};

use super::turns;

/// What a field is, as far as the choice depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Null,
    Text,
    TokenIds,
    Messages,
    /// An array of something else.
    Array,
    Object,
    /// A number, a boolean.
    Other,
}

impl Shape {
    pub fn of(value: &Value) -> Shape {
        match value {
            Value::Null => Shape::Null,
            Value::String(_) => Shape::Text,
            Value::Object(_) => Shape::Object,
            Value::Array(elements) => match elements.first() {
                // what its elements would be is not to be seen
                None => Shape::Null,
                Some(Value::Number(id)) if id.is_u64() || id.is_i64() => Shape::TokenIds,
                Some(Value::Object(fields)) if turns::is_message(|name| fields.contains_key(name)) => Shape::Messages,
                _ => Shape::Array,
            },
            Value::Bool(_) | Value::Number(_) => Shape::Other,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Shape::Null => "null or empty",
            Shape::Text => "a string",
            Shape::TokenIds => "an array of whole numbers",
            Shape::Messages => "an array of messages",
            Shape::Array => "an array",
            Shape::Object => "an object",
            Shape::Other => "a number or a boolean",
        }
    }

    /// What a document can be made of.
    pub fn form(self) -> Option<FieldForm> {
        match self {
            Shape::Text => Some(FieldForm::Text),
            Shape::TokenIds => Some(FieldForm::Tokens),
            Shape::Messages => Some(FieldForm::Turns),
            Shape::Null | Shape::Array | Shape::Object | Shape::Other => None,
        }
    }
}

/// A field's name and shape.
pub(super) type NamedShape<'a> = (&'a str, Shape);

pub(super) fn shapes(fields: &Map<String, Value>) -> Vec<NamedShape<'_>> {
    fields.iter().map(|(name, value)| (name.as_str(), Shape::of(value))).collect()
}

/// What was chosen, or why nothing was.
pub(super) enum Choice {
    Field(FieldTaken),
    /// The record has nothing but nulls to choose from.
    Nothing,
}

/// Fields that are about a text, and are taken for one only where that is asked for.
const ABOUT: [&str; 16] = [
    "id", "_id", "uid", "uuid", "guid", "key", "name", "title", "source", "meta", "metadata", "url", "version", "date", "lang",
    "label",
];

fn is_about(name: &str) -> bool {
    let name = name.to_lowercase();
    ABOUT.contains(&name.as_str()) || name.ends_with("_id") || name.ends_with("_url")
}

/// The field that holds the document, of a record with these `fields`.
///
/// # Errors
/// The fields' names and kinds, where none of them can be told to be it.
pub(super) fn choose(fields: &[NamedShape<'_>]) -> Result<Choice, String> {
    let shape = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, shape)| *shape);
    let taken = |name: &str, form| {
        Ok(Choice::Field(FieldTaken {
            name: name.to_owned(),
            form,
        }))
    };
    if let Some(Shape::Text | Shape::Null) = shape("text") {
        return taken("text", FieldForm::Text);
    }
    if let Some(Shape::TokenIds | Shape::Array | Shape::Null) = shape("input_ids") {
        return taken("input_ids", FieldForm::Tokens);
    }
    if shape("tokens") == Some(Shape::TokenIds) {
        return taken("tokens", FieldForm::Tokens);
    }
    for name in ["messages", "conversations"] {
        match shape(name) {
            Some(Shape::Messages) => return taken(name, FieldForm::Turns),
            Some(Shape::Null) => return Ok(Choice::Nothing),
            _ => {}
        }
    }
    let has = |wanted: Shape| fields.iter().filter(move |(_, shape)| *shape == wanted);
    let nested = [Shape::TokenIds, Shape::Messages, Shape::Array, Shape::Object];
    if !fields.iter().any(|(_, shape)| nested.contains(shape)) {
        let mut strings = has(Shape::Text);
        match (strings.next(), strings.next()) {
            (Some((only, _)), None) if !is_about(only) => return taken(only, FieldForm::Text),
            (None, _) if has(Shape::Null).next().is_some() => return Ok(Choice::Nothing),
            _ => {}
        }
    }
    Err(refusal(fields))
}

/// Says which fields there are and how one is chosen.
fn refusal(fields: &[NamedShape<'_>]) -> String {
    let found: Vec<_> = fields
        .iter()
        .map(|(name, shape)| format!("{name} ({})", shape.words()))
        .collect();
    format!(
        "found the fields {}; expected 'text' (a string), 'input_ids' or 'tokens' (token ids), 'messages' or 'conversations' (role and \
         content, or from and value), or one string that is no id or title, and no array or object beside it; name the field to read \
         with --text-field (in the form: text field)",
        found.join(", ")
    )
}

/// A field that was found, and the object that it stands in.
pub(super) struct Found<'a> {
    pub inside: &'a Map<String, Value>,
    pub value: &'a Value,
}

/// The field `name` of `fields`: of that very name, or, with dots, inside others.
pub(super) fn find<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<Found<'a>> {
    if let Some(value) = fields.get(name) {
        return Some(Found { inside: fields, value });
    }
    name.match_indices('.')
        .find_map(|(dot, _)| find(fields.get(&name[..dot])?.as_object()?, &name[dot + 1..]))
}
