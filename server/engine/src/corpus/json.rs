//! Records in JSON: one per line, the elements of an array, or the elements of `data` or `rows` of the file's one object.

use std::{collections::BTreeMap, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{
    CorpusError,
    intake::{Intake, Place},
};
use crate::json::{self, NonFinite};

/// Fields of a file's one object that its records stand in.
const WRAPPERS: [&str; 2] = ["data", "rows"];

/// Takes in the record of each line that is not blank; or those of the file's one object, where it holds a list of them.
pub(super) fn lines(path: &Path, text: &str, intake: &mut Intake<'_>) -> Result<(), CorpusError> {
    let is_alone = text.lines().filter(|line| !line.trim().is_empty()).nth(1).is_none();
    let spans_lines = || {
        text.lines()
            .find(|line| !line.trim().is_empty())
            .is_some_and(|first| is_open(first.trim()))
    };
    if is_alone || spans_lines() {
        let mended = json::mend(text, NonFinite::Null);
        if let Some(wrapper) = wrapper(&mended.text) {
            intake.n_surrogates += mended.n_surrogates;
            return elements(path, &mended.text, intake, Some(wrapper));
        }
    }
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = Place {
            path,
            unit: "line",
            number: number as u64 + 1,
        };
        let (record, n_surrogates) =
            json::from_str(line, NonFinite::Null).map_err(|error| place.refuse(format!("not a JSON value: {error}")))?;
        intake.n_surrogates += n_surrogates;
        intake.record(place, record)?;
    }
    Ok(())
}

/// Whether a line breaks off within an object.
fn is_open(line: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(&json::mend(line, NonFinite::Null).text).is_err_and(|error| error.is_eof())
}

/// Takes in each element, reading one element at a time.
pub(super) fn array(path: &Path, text: &str, intake: &mut Intake<'_>) -> Result<(), CorpusError> {
    let mended = json::mend(text, NonFinite::Null);
    intake.n_surrogates += mended.n_surrogates;
    elements(path, &mended.text, intake, None)
}

/// The field of the one object in `text` that holds the file's records: one of [`WRAPPERS`] with an array of objects or strings, beside
/// which there is no text. None where there is no such field, or more than one object.
fn wrapper(text: &str) -> Option<&'static str> {
    let fields: BTreeMap<String, Glance> = serde_json::from_str(text).ok()?;
    let is_wrapper = |name: &&'static str| fields.get(*name) == Some(&Glance::Records);
    WRAPPERS
        .iter()
        .find(|name| is_wrapper(name))
        .copied()
        .filter(|_| !fields.contains_key("text"))
}

/// As much of a value as tells an array of records from others, without keeping the value.
#[derive(Debug, PartialEq)]
enum Glance {
    Records,
    Record,
    Other,
}

impl<'de> Deserialize<'de> for Glance {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Glancing;
        impl<'de> Visitor<'de> for Glancing {
            type Value = Glance;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Glance, A::Error> {
                let first = elements.next_element::<Glance>()?;
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(if first == Some(Glance::Record) {
                    Glance::Records
                } else {
                    Glance::Other
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Glance, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Glance::Record)
            }

            fn visit_str<E>(self, _: &str) -> Result<Glance, E> {
                Ok(Glance::Record)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Glance, E> {
                Ok(Glance::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Glance, E> {
                Ok(Glance::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Glance, E> {
                Ok(Glance::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Glance, E> {
                Ok(Glance::Other)
            }

            fn visit_unit<E>(self) -> Result<Glance, E> {
                Ok(Glance::Other)
            }
        }
        reader.deserialize_any(Glancing)
    }
}

/// Takes in the elements of the array in `text`, or of the field `wrapper` of the object in it.
fn elements(path: &Path, text: &str, intake: &mut Intake<'_>, wrapper: Option<&'static str>) -> Result<(), CorpusError> {
    let mut failed = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let elements = Elements {
        path,
        intake,
        failed: &mut failed,
    };
    let (read, expected) = match wrapper {
        None => (reader.deserialize_seq(elements), "array"),
        Some(field) => (reader.deserialize_map(Wrapped { field, elements }), "object"),
    };
    let read = read.and_then(|()| reader.end());
    match (failed, read) {
        (Some(error), _) => Err(error),
        (None, Err(error)) => Err(CorpusError::record(
            path,
            format!("line {}", error.line()),
            format!("not a JSON {expected}: {error}"),
        )),
        (None, Ok(())) => Ok(()),
    }
}

struct Elements<'a, 'i> {
    path: &'a Path,
    intake: &'a mut Intake<'i>,
    failed: &'a mut Option<CorpusError>,
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of strings or of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(record) = elements.next_element::<Value>()? {
            let place = Place {
                path: self.path,
                unit: "element",
                number,
            };
            if let Err(error) = self.intake.record(place, record) {
                *self.failed = Some(error);
                return Err(de::Error::custom("stopped"));
            }
            number += 1;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Elements<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

/// An object whose field `field` holds the records; the others are passed over.
struct Wrapped<'a, 'i> {
    field: &'static str,
    elements: Elements<'a, 'i>,
}

impl<'de> Visitor<'de> for Wrapped<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an object with the field '{}'", self.field)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut elements = Some(self.elements);
        while let Some(name) = fields.next_key::<String>()? {
            match elements.take_if(|_| name == self.field) {
                Some(elements) => fields.next_value_seed(elements)?,
                None => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}
