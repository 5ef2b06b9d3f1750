//! Conversations as text, by the template `turns`: each message as `role: content`, with a blank line between two.

use serde_json::Value;

/// The two ways in which messages name who speaks and what is said.
const SHAPES: [[&str; 2]; 2] = [["role", "content"], ["from", "value"]];

/// Whether an object with the fields `has` is a message.
pub(super) fn is_message(has: impl Fn(&str) -> bool) -> bool {
    SHAPES.iter().any(|shape| shape.iter().all(|name| has(name)))
}

/// The conversation as text. Messages without content (null) are left out.
///
/// # Errors
/// A message of another shape.
pub(super) fn text(messages: &[Value]) -> Result<String, String> {
    let mut text = String::new();
    for message in messages {
        let shape = SHAPES
            .iter()
            .find(|shape| shape.iter().all(|name| message.get(name).is_some()));
        let [speaker, said] = *shape.ok_or_else(|| {
            let found = message
                .as_object()
                .map(|fields| fields.keys().cloned().collect::<Vec<_>>().join(", "));
            let found = found.map_or_else(|| message.to_string(), |names| format!("the fields {names}"));
            format!("has a message with {found}; expected role and content, or from and value")
        })?;
        let said = match &message[said] {
            Value::Null => continue,
            Value::String(said) => said,
            other => return Err(format!("has a message whose '{said}' is {other}; expected a string")),
        };
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        if let Some(speaker) = message[speaker].as_str() {
            text.push_str(speaker);
            text.push_str(": ");
        }
        text.push_str(said);
    }
    Ok(text)
}
