//! Named tensors of a file, whichever format they came in: safetensors, torch, numpy. Names, shapes, types and numbers are checked as
//! they are taken.

use safetensors::{Dtype, SafeTensors};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::errors::{io, refuse};
use crate::dictionary::DictionaryError;

/// A tensor's numbers, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The shape; empty for a single number.
    pub shape: Vec<usize>,
    /// Their type in the file.
    pub dtype: Dtype,
    /// Their bytes, little-endian.
    pub bytes: Vec<u8>,
}

impl Array {
    /// Of f32.
    pub fn f32(shape: &[usize], values: &[f32]) -> Self {
        Self {
            shape: shape.to_vec(),
            dtype: Dtype::F32,
            bytes: bytemuck::cast_slice(values).to_vec(),
        }
    }

    /// A single whole number.
    pub fn i32(value: i32) -> Self {
        Self {
            shape: Vec::new(),
            dtype: Dtype::I32,
            bytes: value.to_le_bytes().to_vec(),
        }
    }

    /// Whole numbers.
    pub fn i64(values: &[usize]) -> Self {
        Self {
            shape: vec![values.len()],
            dtype: Dtype::I64,
            bytes: values.iter().flat_map(|n| (*n as i64).to_le_bytes()).collect(),
        }
    }

    /// Its numbers, if they are floating-point.
    fn floats(&self) -> Option<Vec<f32>> {
        let halves = |convert: fn(u16) -> f32| {
            let pairs = self.bytes.chunks_exact(2);
            pairs.map(|b| convert(u16::from_le_bytes([b[0], b[1]]))).collect()
        };
        Some(match self.dtype {
            Dtype::F32 => bytemuck::pod_collect_to_vec(&self.bytes),
            Dtype::F64 => {
                let wide: Vec<f64> = bytemuck::pod_collect_to_vec(&self.bytes);
                wide.into_iter().map(|x| x as f32).collect()
            }
            Dtype::F16 => halves(|bits| half::f16::from_bits(bits).to_f32()),
            Dtype::BF16 => halves(|bits| half::bf16::from_bits(bits).to_f32()),
            _ => return None,
        })
    }

    /// Its numbers, if they are whole.
    fn integers(&self) -> Option<Vec<i64>> {
        Some(match self.dtype {
            Dtype::I64 => bytemuck::pod_collect_to_vec(&self.bytes),
            Dtype::I32 => {
                let narrow: Vec<i32> = bytemuck::pod_collect_to_vec(&self.bytes);
                narrow.into_iter().map(i64::from).collect()
            }
            _ => return None,
        })
    }
}

/// The tensors of a file by name.
#[derive(Clone, Debug)]
pub struct Tensors {
    path: PathBuf,
    arrays: BTreeMap<String, Array>,
}

impl Tensors {
    /// Those that were read from `path`.
    pub fn new(path: &Path, arrays: BTreeMap<String, Array>) -> Self {
        Self {
            path: path.to_owned(),
            arrays,
        }
    }

    /// Those of a safetensors file.
    ///
    /// # Errors
    /// A file that cannot be read, or is none.
    pub fn open(path: &Path) -> Result<Self, DictionaryError> {
        let bytes = crate::file::read(path).map_err(|e| io(path, e))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| refuse(path, format!("not a safetensors file: {e}")))?;
        let array = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let array = Array {
                shape: view.shape().to_vec(),
                dtype: view.dtype(),
                bytes: view.data().to_vec(),
            };
            (name, array)
        };
        Ok(Self::new(path, tensors.tensors().into_iter().map(array).collect()))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// The names, in order.
    pub fn all_names(&self) -> impl Iterator<Item = &str> {
        self.arrays.keys().map(String::as_str)
    }

    /// The names, as messages list them.
    pub fn names(&self) -> String {
        match self.arrays.len() {
            0 => "none".into(),
            1..=20 => self.arrays.keys().cloned().collect::<Vec<_>>().join(", "),
            n => {
                let first: Vec<_> = self.arrays.keys().take(10).cloned().collect();
                format!("{} and {} others", first.join(", "), n - 10)
            }
        }
    }

    /// Takes one away: what it does is known, and not wanted here.
    pub fn drop(&mut self, name: &str) {
        self.arrays.remove(name);
    }

    /// Refuses tensors beside `known`: what they would change in the dictionary's output is not known.
    ///
    /// # Errors
    /// The first that is not known.
    pub fn only(&self, known: &[&str]) -> Result<(), DictionaryError> {
        match self.arrays.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(refuse(
                &self.path,
                format!("tensor '{name}' is not known here; expected {}", known.join(", ")),
            )),
        }
    }

    fn array(&self, name: &str) -> Result<&Array, DictionaryError> {
        let missing = || format!("tensor '{name}' is missing; found {}", self.names());
        self.arrays.get(name).ok_or_else(|| refuse(&self.path, missing()))
    }

    /// The shape of a matrix that others' shapes follow from.
    ///
    /// # Errors
    /// A tensor that is missing, is no matrix, or is empty.
    pub fn dims(&self, name: &str) -> Result<[usize; 2], DictionaryError> {
        match self.array(name)?.shape[..] {
            [rows, columns] if rows > 0 && columns > 0 => Ok([rows, columns]),
            ref shape => Err(refuse(
                &self.path,
                format!("tensor '{name}' has the shape {shape:?}; expected a matrix"),
            )),
        }
    }

    /// The numbers of `name`.
    ///
    /// # Errors
    /// A tensor that is missing, has another shape or no floating-point type, or holds what is no finite number.
    pub fn take(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, DictionaryError> {
        let array = self.array(name)?;
        let expected = || format!("expected F32, F64, F16 or BF16 {shape:?}");
        let refused = || {
            let found = format!("tensor '{name}' is {:?} {:?}", array.dtype, array.shape);
            refuse(&self.path, format!("{found}; {}", expected()))
        };
        if array.shape != shape {
            return Err(refused());
        }
        let values = array.floats().ok_or_else(refused)?;
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(refuse(
                &self.path,
                format!("tensor '{name}' holds {} at {i}; expected finite numbers", values[i]),
            )),
            None => Ok(values),
        }
    }

    /// The transpose of `name`, [columns, rows] of what the file holds as [rows, columns].
    ///
    /// # Errors
    /// As [`Tensors::take`].
    pub fn take_transposed(&self, name: &str, [rows, columns]: [usize; 2]) -> Result<Vec<f32>, DictionaryError> {
        Ok(transposed(&self.take(name, &[rows, columns])?, columns))
    }

    /// A single floating-point number, in whichever shape of one element.
    ///
    /// # Errors
    /// As [`Tensors::take`].
    pub fn number(&self, name: &str) -> Result<f64, DictionaryError> {
        let array = self.array(name)?;
        match (&array.dtype, &array.bytes[..].try_into()) {
            (Dtype::F64, Ok(bytes)) if f64::from_le_bytes(*bytes).is_finite() => Ok(f64::from_le_bytes(*bytes)),
            _ => {
                let shape = if array.shape == [1] { &[1][..] } else { &[] };
                Ok(self.take(name, shape)?[0].into())
            }
        }
    }

    /// Whole numbers, in whichever shape.
    ///
    /// # Errors
    /// A tensor that is missing or holds no whole numbers.
    pub fn counts(&self, name: &str) -> Result<Vec<usize>, DictionaryError> {
        let array = self.array(name)?;
        let counts = array
            .integers()
            .and_then(|all| all.into_iter().map(|n| usize::try_from(n).ok()).collect());
        counts.ok_or_else(|| {
            let found = format!("tensor '{name}' is {:?} {:?}", array.dtype, array.shape);
            refuse(&self.path, format!("{found}; expected I32 or I64, 0 or more"))
        })
    }
}

/// [columns, rows] of a matrix [rows, columns].
pub fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let rows = matrix.len() / columns;
    let mut out = vec![0.0; matrix.len()];
    for (r, row) in matrix.chunks_exact(columns).enumerate() {
        for (c, value) in row.iter().enumerate() {
            out[c * rows + r] = *value;
        }
    }
    out
}
