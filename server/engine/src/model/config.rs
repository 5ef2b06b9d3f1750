//! `config.json` of a checkpoint: typed access to its fields, with errors that name them.

use super::{ModelError, activation::Activation};
use crate::json::{self, NonFinite};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// A config larger than this is none.
const MOST_BYTES: u64 = 16 << 20;

/// What the weights hold, which a config cannot ask more of.
#[derive(Clone, Copy)]
pub(super) struct Held {
    /// Tensors.
    pub(super) tensors: usize,
    /// Numbers in them.
    pub(super) numbers: usize,
}

/// The fields of a `config.json`, or of an object inside it.
pub(super) struct Config {
    file: PathBuf,
    /// What stands before a field's name in messages.
    path: String,
    fields: Map<String, Value>,
    /// What bounds its sizes; none for a model that has no weights yet.
    held: Option<Held>,
}

impl Config {
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("config.json");
        let too_large = |file: std::fs::Metadata| file.len() > MOST_BYTES;
        if std::fs::metadata(&path).is_ok_and(too_large) {
            return Err(ModelError::Damaged {
                path,
                expected: "a model's config",
                reason: format!("it is larger than {} MiB", MOST_BYTES >> 20),
            });
        }
        let bytes = crate::file::read(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ModelError::Missing {
                folder: folder.to_owned(),
                file: "config.json".to_owned(),
                advice: "expected a Hugging Face model folder",
            },
            _ => ModelError::Read {
                path: path.clone(),
                source,
            },
        })?;
        let fields = json::from_slice(&bytes, NonFinite::Named).map_err(|error| ModelError::Damaged {
            path: path.clone(),
            expected: "a JSON object",
            reason: error.to_string(),
        })?;
        Ok(Self {
            file: path,
            ..Self::new(fields)
        })
    }

    /// The fields of a model that has no folder yet.
    pub(super) fn new(fields: Map<String, Value>) -> Self {
        Self {
            file: PathBuf::from("config.json"),
            path: String::new(),
            fields,
            held: None,
        }
    }

    /// From now on, sizes beyond what the weights hold are refused before anything is made of them.
    pub(super) fn bound_by(&mut self, held: Held) {
        self.held = Some(held);
    }

    /// An object inside this one; an absent or null one is `None`.
    pub(super) fn object(&self, name: &str) -> Result<Option<Config>, ModelError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Config {
                file: self.file.clone(),
                path: format!("{}{name}.", self.path),
                fields: fields.clone(),
                held: self.held,
            })),
            Some(_) => Err(self.refuse(name, "an object")),
        }
    }

    /// A field's value; an explicit null counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// The error that says that `name` has a value that is not `expected`.
    pub(super) fn refuse(&self, name: &str, expected: impl Into<String>) -> ModelError {
        ModelError::Config {
            path: self.file.clone(),
            field: format!("{}{name}", self.path),
            found: self.get(name).map_or_else(|| "absent".to_owned(), Value::to_string),
            expected: expected.into(),
        }
    }

    /// A positive whole number.
    pub(super) fn count(&self, name: &str) -> Result<usize, ModelError> {
        self.count_or(name, None)?
            .ok_or_else(|| self.refuse(name, "a positive whole number"))
    }

    /// A positive whole number, or `default` where the field is absent.
    pub(super) fn count_or(&self, name: &str, default: Option<usize>) -> Result<Option<usize>, ModelError> {
        let Some(value) = self.get(name) else {
            return Ok(default);
        };
        value
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n > 0 && *n < 1 << 40)
            .map(Some)
            .ok_or_else(|| self.refuse(name, "a positive whole number"))
    }

    /// How many blocks there are: no more than the weights have tensors.
    pub(super) fn layers(&self, name: &str) -> Result<usize, ModelError> {
        let n = self.count(name)?;
        match self.held {
            Some(Held { tensors, .. }) if n > tensors => {
                Err(self.refuse(name, format!("blocks of the weights, which have {tensors} tensors")))
            }
            _ => Ok(n),
        }
    }

    /// A size of a tensor: no more than there are numbers in the weights.
    pub(super) fn size(&self, name: &str) -> Result<usize, ModelError> {
        self.size_or(name, None)?
            .ok_or_else(|| self.refuse(name, "a positive whole number"))
    }

    /// As [`Config::size`], or `default` where the field is absent.
    pub(super) fn size_or(&self, name: &str, default: Option<usize>) -> Result<Option<usize>, ModelError> {
        let n = self.count_or(name, default)?;
        match (n, self.held) {
            (Some(n), Some(Held { numbers, .. })) if n > numbers => {
                Err(self.refuse(name, format!("a size of the weights, which hold {numbers} numbers")))
            }
            _ => Ok(n),
        }
    }

    /// A positive whole number; `default` where the field is absent, none where it is an explicit null.
    pub(super) fn count_unless_null(&self, name: &str, default: usize) -> Result<Option<usize>, ModelError> {
        self.count_or(name, (!self.fields.contains_key(name)).then_some(default))
    }

    /// A whole number, 0 among them, or `default` where the field is absent.
    pub(super) fn whole_or(&self, name: &str, default: usize) -> Result<usize, ModelError> {
        match self.get(name).map(Value::as_u64) {
            None => Ok(default),
            Some(Some(0)) => Ok(0),
            Some(_) => self.count(name),
        }
    }

    /// A positive number; `default` where the field is absent, none where it is an explicit null.
    pub(super) fn number_unless_null(&self, name: &str, default: f64) -> Result<Option<f64>, ModelError> {
        match self.fields.get(name) {
            None => Ok(Some(default)),
            Some(Value::Null) => Ok(None),
            Some(_) => self.number(name).map(Some),
        }
    }

    /// A positive number, or `default` where the field is absent.
    pub(super) fn number_or(&self, name: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(name) {
            None => Ok(default),
            Some(_) => self.number(name),
        }
    }

    /// A positive number.
    pub(super) fn number(&self, name: &str) -> Result<f64, ModelError> {
        self.get(name)
            .and_then(Value::as_f64)
            .filter(|x| x.is_finite() && *x > 0.0)
            .ok_or_else(|| self.refuse(name, "a positive number"))
    }

    /// True or false, or `default` where the field is absent.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| self.refuse(name, "true or false")),
        }
    }

    /// A string, or `default` where the field is absent.
    pub(super) fn text<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str, ModelError> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value.as_str().ok_or_else(|| self.refuse(name, "a string")),
        }
    }

    /// The MLP's nonlinearity.
    pub(super) fn activation(&self, name: &str, default: &str) -> Result<Activation, ModelError> {
        Activation::named(self.text(name, default)?).ok_or_else(|| self.refuse(name, Activation::KNOWN))
    }

    /// Refuses any value but `only`; absent is fine.
    pub(super) fn only(&self, name: &str, only: bool) -> Result<(), ModelError> {
        if self.flag(name, only)? == only {
            Ok(())
        } else {
            Err(self.refuse(name, format!("{only}; the other is not supported")))
        }
    }

    /// `d_model / n_heads`.
    pub(super) fn d_head(&self, d_model: usize, heads: &str) -> Result<usize, ModelError> {
        let n_heads = self.size(heads)?;
        if d_model.is_multiple_of(n_heads) {
            Ok(d_model / n_heads)
        } else {
            Err(self.refuse(heads, format!("a divisor of the model's width {d_model}")))
        }
    }
}
