//! torch's files (`torch.save`): a zip archive of a pickle and of the storages that its tensors are views of.

use safetensors::Dtype;
use std::{collections::BTreeMap, path::Path};

use super::{
    archive::{Archive, pack},
    errors::{io, refuse},
    pickle::{Id, Node, Pickle, View},
    tensors::{Array, Tensors},
};
use crate::dictionary::DictionaryError;

/// Bytes that may be taken from a file's storages, and made of them, in all its storages' bytes. Tensors may share one, as tied ones do.
const MOST_SHARED: u64 = 4;

/// A torch file, opened.
#[derive(Debug)]
pub struct Saved {
    archive: Archive,
    /// What stands before the names of its entries.
    prefix: String,
    pickle: Pickle,
}

impl Saved {
    /// Reads its pickle, as data.
    ///
    /// # Errors
    /// A file that is none, and a pickle that asks for what is no part of a state dict.
    pub fn open(path: &Path) -> Result<Self, DictionaryError> {
        let head = {
            use std::io::Read as _;
            let mut head = [0; 4];
            let mut file = crate::file::open(path).map_err(|e| io(path, e))?;
            file.read(&mut head).map(|n| head[..n].to_vec()).map_err(|e| io(path, e))?
        };
        if head.first() == Some(&0x80) {
            let message = "a bare pickle, as torch wrote before 1.6; save it again with a later torch (torch.save)";
            return Err(refuse(path, message));
        }
        let archive = Archive::open(path)?;
        let name = archive.names().find(|name| name.ends_with("/data.pkl")).map(str::to_owned);
        let name = name.ok_or_else(|| refuse(path, "a zip archive without data.pkl; expected a file of torch.save"))?;
        let prefix = name.trim_end_matches("data.pkl").to_owned();
        let order = format!("{prefix}byteorder");
        if archive.names().any(|name| name == order) && archive.read(&order)?.trim_ascii() != b"little" {
            return Err(refuse(path, "its numbers are not little-endian"));
        }
        let pickle = Pickle::read(&archive.read(&name)?).map_err(|message| refuse(path, format!("its pickle {message}")))?;
        Ok(Self { archive, prefix, pickle })
    }

    /// Its values.
    pub fn pickle(&self) -> &Pickle {
        &self.pickle
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.archive.path()
    }

    /// The tensors among a dictionary's entries.
    ///
    /// # Errors
    /// A storage that is missing or damaged, and views that reach beyond theirs.
    pub fn tensors(&self, entries: &[(Id, Id)]) -> Result<Tensors, DictionaryError> {
        let mut arrays = BTreeMap::new();
        let most = self.archive.size().saturating_mul(MOST_SHARED);
        let mut left = most;
        let mut storage: (&str, Vec<u8>) = ("", Vec::new());
        for (name, node) in self.pickle.entries(entries) {
            let Node::Tensor(view) = node else { continue };
            let size = (view.dtype.bitsize() / 8) as u64;
            let numbers = view.shape.iter().try_fold(1, |n: u64, d| n.checked_mul(*d as u64));
            // what it takes to read its storage, where another than that of the tensor before, and to make it
            let is_read = storage.0 == view.key;
            let to_read = if is_read {
                0
            } else {
                (view.stored as u64).saturating_mul(size)
            };
            // what is larger than its storage is refused for that
            let made = numbers.unwrap_or(u64::MAX).min(view.stored as u64);
            let needed = made.checked_mul(size).and_then(|made| made.checked_add(to_read));
            left = needed.and_then(|needed| left.checked_sub(needed)).ok_or_else(|| {
                let message = format!(
                    "its tensors come to more than {most} bytes with '{name}', {MOST_SHARED} times what the file holds; expected tensors \
                     with storages of their own"
                );
                refuse(self.path(), message)
            })?;
            if !is_read {
                storage = (&view.key, self.archive.read(&format!("{}data/{}", self.prefix, view.key))?);
            }
            arrays.insert(name.to_owned(), self.array(name, view, &storage.1)?);
        }
        Ok(Tensors::new(self.path(), arrays))
    }

    /// The entries of the state dict that the file is of.
    ///
    /// # Errors
    /// A file of something else.
    pub fn state_dict(&self) -> Result<&[(Id, Id)], DictionaryError> {
        match self.pickle.root() {
            Node::Dict(entries) => Ok(entries),
            _ => Err(refuse(self.path(), "holds no state dict; expected tensors by name")),
        }
    }

    fn array(&self, name: &str, view: &View, storage: &[u8]) -> Result<Array, DictionaryError> {
        let wrong = |what: &str| refuse(self.path(), format!("tensor '{name}' {what}"));
        let size = view.dtype.bitsize() / 8;
        if view.stored.checked_mul(size) != Some(storage.len()) {
            let found = format!(
                "has a storage of {} bytes; its {} numbers need others",
                storage.len(),
                view.stored
            );
            return Err(wrong(&found));
        }
        // no view is larger than its storage: a stride of 0 could make it so
        let n = view.shape.iter().try_fold(1, |n: usize, d| n.checked_mul(*d));
        let n = n
            .filter(|n| *n <= view.stored)
            .ok_or_else(|| wrong("is larger than its storage"))?;
        let reach = view.shape.iter().zip(&view.stride).try_fold(view.offset, |at, (d, stride)| {
            at.checked_add(d.saturating_sub(1).checked_mul(*stride)?)
        });
        if n > 0 && reach.is_none_or(|last| last >= view.stored) {
            return Err(wrong("reaches beyond its storage"));
        }
        if view.stride == row_major(&view.shape) {
            return Ok(Array {
                shape: view.shape.clone(),
                dtype: view.dtype,
                bytes: storage[view.offset * size..][..n * size].to_vec(),
            });
        }
        let mut bytes = Vec::with_capacity(n * size);
        let mut index = vec![0; view.shape.len()];
        for _ in 0..n {
            let at: usize = view.offset + index.iter().zip(&view.stride).map(|(i, s)| i * s).sum::<usize>();
            bytes.extend_from_slice(&storage[at * size..(at + 1) * size]);
            for (i, d) in index.iter_mut().zip(&view.shape).rev() {
                *i += 1;
                if *i < *d {
                    break;
                }
                *i = 0;
            }
        }
        Ok(Array {
            shape: view.shape.clone(),
            dtype: view.dtype,
            bytes,
        })
    }
}

/// What is written into a file as `torch.save` does it. Only names are written of classes: nothing here knows what they do.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// A tensor.
    Tensor(&'a Array),
    /// A string.
    Text(&'a str),
    /// `True` or `False`.
    Flag(bool),
    /// A whole number.
    Int(usize),
    /// A number.
    Float(f64),
    /// A list.
    List(Vec<Value<'a>>),
    /// A tuple.
    Tuple(Vec<Value<'a>>),
    /// A dictionary.
    Dict(Vec<(&'a str, Value<'a>)>),
    /// An `OrderedDict`, which a state dict is.
    Ordered(Vec<(&'a str, Value<'a>)>),
    /// An object of the class `module`, `name`, with its attributes.
    Object([&'a str; 2], Vec<(&'a str, Value<'a>)>),
}

/// The bytes of a file as `torch.save` writes a state dict of `tensors`; none where it would be of 4 GiB or more.
pub fn state_dict_file(tensors: &[(&str, Array)]) -> Option<Vec<u8>> {
    let entries = tensors.iter().map(|(name, array)| (*name, Value::Tensor(array)));
    file_of(&Value::Ordered(entries.collect()))
}

/// The bytes of a file as `torch.save` writes `value`; none where it would be of 4 GiB or more.
pub fn file_of(value: &Value<'_>) -> Option<Vec<u8>> {
    let mut writer = Writer {
        // protocol 2
        pickle: b"\x80\x02".to_vec(),
        files: Vec::new(),
    };
    writer.push(value);
    let Writer { mut pickle, mut files } = writer;
    pickle.push(b'.');
    files.insert(0, ("archive/data.pkl".into(), pickle));
    files.insert(1, ("archive/byteorder".into(), b"little".to_vec()));
    files.push(("archive/version".into(), b"3\n".to_vec()));
    pack(&files)
}

/// A pickle in the making, and the storages of its tensors.
struct Writer {
    pickle: Vec<u8>,
    files: Vec<(String, Vec<u8>)>,
}

impl Writer {
    fn push(&mut self, value: &Value<'_>) {
        match value {
            Value::Tensor(array) => self.tensor(array),
            Value::Text(text) => push_text(&mut self.pickle, text),
            Value::Flag(flag) => self.pickle.push(0x89 - u8::from(*flag)),
            Value::Int(n) => push_int(&mut self.pickle, *n),
            Value::Float(number) => {
                self.pickle.push(b'G');
                self.pickle.extend(number.to_be_bytes());
            }
            Value::List(items) => {
                self.pickle.extend(b"](");
                items.iter().for_each(|item| self.push(item));
                self.pickle.push(b'e');
            }
            Value::Tuple(items) => {
                self.pickle.push(b'(');
                items.iter().for_each(|item| self.push(item));
                self.pickle.push(b't');
            }
            Value::Dict(entries) => {
                self.pickle.push(b'}');
                self.entries(entries);
            }
            Value::Ordered(entries) => {
                self.pickle.extend(b"ccollections\nOrderedDict\n)R");
                self.entries(entries);
            }
            Value::Object([module, class], attributes) => {
                // made without its own constructor, and given its attributes
                self.pickle.extend(format!("c{module}\n{class}\n").bytes());
                self.pickle.extend(b")\x81}");
                self.entries(attributes);
                self.pickle.push(b'b');
            }
        }
    }

    /// Sets entries of the dictionary that has just been made.
    fn entries(&mut self, entries: &[(&str, Value<'_>)]) {
        self.pickle.push(b'(');
        for (name, value) in entries {
            push_text(&mut self.pickle, name);
            self.push(value);
        }
        self.pickle.push(b'u');
    }

    fn tensor(&mut self, array: &Array) {
        let key = self.files.len();
        let size = array.dtype.bitsize() / 8;
        let storage = match array.dtype {
            Dtype::I32 => "IntStorage",
            Dtype::I64 => "LongStorage",
            _ => "FloatStorage",
        };
        let pickle = &mut self.pickle;
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        push_text(pickle, "storage");
        pickle.extend(format!("ctorch\n{storage}\n").bytes());
        push_text(pickle, &key.to_string());
        push_text(pickle, "cpu");
        push_int(pickle, array.bytes.len() / size);
        pickle.extend(b"tQK\x00");
        push_tuple(pickle, &array.shape);
        push_tuple(pickle, &row_major(&array.shape));
        // requires no gradient, has no hooks
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        self.files.push((format!("archive/data/{key}"), array.bytes.clone()));
    }
}

/// How far the next element is, per dimension, when rows follow each other.
fn row_major(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|d| shape[d + 1..].iter().product()).collect()
}

fn push_text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.bytes());
}

/// A whole number of eight bytes and a sign.
fn push_int(pickle: &mut Vec<u8>, n: usize) {
    pickle.extend([0x8a, 8]);
    pickle.extend((n as i64).to_le_bytes());
}

fn push_tuple(pickle: &mut Vec<u8>, numbers: &[usize]) {
    pickle.push(b'(');
    numbers.iter().for_each(|n| push_int(pickle, *n));
    pickle.push(b't');
}
