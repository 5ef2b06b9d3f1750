//! The fields of a config beside a dictionary, JSON or YAML: typed access, with errors that name the field.

use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

use super::errors::{io, refuse};
use crate::dictionary::DictionaryError;

/// The fields of a file, or of an object inside it.
#[derive(Clone, Debug)]
pub struct Fields {
    path: PathBuf,
    /// What stands before a field's name in messages.
    prefix: String,
    fields: Map<String, Value>,
}

impl Fields {
    /// Those that were read from `path`.
    pub fn new(path: &Path, fields: Map<String, Value>) -> Self {
        Self {
            path: path.to_owned(),
            prefix: String::new(),
            fields,
        }
    }

    /// Those of a JSON file.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no JSON object.
    pub fn open(path: &Path) -> Result<Self, DictionaryError> {
        let bytes = crate::file::read(path).map_err(|e| io(path, e))?;
        let fields = crate::json::from_slice(&bytes, crate::json::NonFinite::Named)
            .map_err(|e| refuse(path, format!("not a JSON object: {e}")))?;
        Ok(Self::new(path, fields))
    }

    /// A field's value; an explicit null counts as absent.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// The error that says that `name` has a value that is not `expected`.
    pub fn refuse(&self, name: &str, expected: &str) -> DictionaryError {
        let found = self.get(name).map_or_else(|| "absent".to_owned(), Value::to_string);
        refuse(
            &self.path,
            format!("field '{}{name}' is {found}; expected {expected}", self.prefix),
        )
    }

    /// An object inside this one; empty where it is absent.
    ///
    /// # Errors
    /// A value that is none.
    pub fn object(&self, name: &str) -> Result<Self, DictionaryError> {
        let fields = match self.get(name) {
            None => Map::new(),
            Some(Value::Object(fields)) => fields.clone(),
            Some(_) => return Err(self.refuse(name, "an object")),
        };
        Ok(Self {
            path: self.path.clone(),
            prefix: format!("{}{name}.", self.prefix),
            fields,
        })
    }

    /// A string.
    ///
    /// # Errors
    /// A value that is none.
    pub fn text(&self, name: &str) -> Result<Option<&str>, DictionaryError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_str().map(Some).ok_or_else(|| self.refuse(name, "a string"))
    }

    /// True or false; `default` where it is absent.
    ///
    /// # Errors
    /// A value that is neither.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, DictionaryError> {
        let Some(value) = self.get(name) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.refuse(name, "true or false"))
    }

    /// A number.
    ///
    /// # Errors
    /// A value that is none.
    pub fn number(&self, name: &str) -> Result<Option<f64>, DictionaryError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.refuse(name, "a number"))
    }

    /// A whole number, 0 or more.
    ///
    /// # Errors
    /// A value that is none.
    pub fn count(&self, name: &str) -> Result<Option<usize>, DictionaryError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let whole = value.as_f64().filter(|x| x.fract() == 0.0 && (0.0..9e15).contains(x));
        whole
            .map(|x| Some(x as usize))
            .ok_or_else(|| self.refuse(name, "a whole number, 0 or more"))
    }

    /// Refuses a flag that would change what the dictionary computes in a way that is not done here.
    ///
    /// # Errors
    /// Where it is set.
    pub fn off(&self, name: &str, why: &str) -> Result<(), DictionaryError> {
        match self.flag(name, false)? {
            false => Ok(()),
            true => Err(self.refuse(name, &format!("false: {why}"))),
        }
    }
}
