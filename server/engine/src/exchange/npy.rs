//! numpy's files: `.npy` is a tensor behind a line that describes it, `.npz` a zip archive of those.

use safetensors::Dtype;
use std::{collections::BTreeMap, path::Path};

use super::{
    archive::{Archive, pack},
    errors::refuse,
    tensors::{Array, Tensors},
};
use crate::dictionary::DictionaryError;

/// What a file begins with.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Where numbers begin is a multiple of this.
const ALIGNMENT: usize = 64;

/// The tensors of an `.npz`.
///
/// # Errors
/// A file that is none, and tensors of other types than floating-point and whole numbers: Python objects would be pickles.
pub fn read_npz(path: &Path) -> Result<Tensors, DictionaryError> {
    let archive = Archive::open(path)?;
    let mut arrays = BTreeMap::new();
    for name in archive.names() {
        let bytes = archive.read(name)?;
        let array = parse(&bytes).map_err(|message| refuse(path, format!("entry '{name}' {message}")))?;
        arrays.insert(name.strip_suffix(".npy").unwrap_or(name).to_owned(), array);
    }
    Ok(Tensors::new(path, arrays))
}

/// The bytes of an `.npz` of `tensors`, as `numpy.savez` writes them; none where it would be of 4 GiB or more.
pub fn npz_file(tensors: &[(&str, Array)]) -> Option<Vec<u8>> {
    let file = |(name, array): &(&str, Array)| (format!("{name}.npy"), write(array));
    pack(&tensors.iter().map(file).collect::<Vec<_>>())
}

/// A tensor of f32 as an `.npy` of version 1.
fn write(array: &Array) -> Vec<u8> {
    let shape = match &array.shape[..] {
        [n] => format!("({n},)"),
        all => format!("({})", all.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    };
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // behind the magic: the version, and the header's length, which counts its padding and the line's end
    let before = MAGIC.len() + 4;
    let length = (before + header.len() + 1).next_multiple_of(ALIGNMENT) - before;
    let mut bytes = [MAGIC, &[1, 0]].concat();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = length - 1).bytes());
    bytes.extend(&array.bytes);
    bytes
}

fn parse(bytes: &[u8]) -> Result<Array, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("is no .npy file")?;
    // version 1 has the header's length in two bytes, later ones in four
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err("is of an unknown version of .npy; expected 1, 2 or 3".into()),
    };
    let header = rest.get(..length).and_then(|h| std::str::from_utf8(h).ok());
    let header = header.ok_or("has a header that is cut off")?;
    let data = &rest[length..];
    let dtype = match value(header, "descr").unwrap_or_default() {
        "'<f4'" => Dtype::F32,
        "'<f8'" => Dtype::F64,
        "'<f2'" => Dtype::F16,
        "'<i4'" => Dtype::I32,
        "'<i8'" => Dtype::I64,
        other => return Err(format!("holds {other}; expected little-endian f2, f4, f8, i4 or i8")),
    };
    let shape: Option<Vec<usize>> = value(header, "shape").and_then(|shape| {
        let inner = shape.strip_prefix('(')?.strip_suffix(')')?;
        let numbers = inner.split(',').map(str::trim).filter(|n| !n.is_empty());
        numbers.map(|n| n.parse().ok()).collect()
    });
    let shape = shape.ok_or("has no shape in its header")?;
    let size = shape.iter().try_fold(dtype.bitsize() / 8, |n, d| n.checked_mul(*d));
    if size != Some(data.len()) {
        return Err(format!(
            "holds {} bytes; its shape {shape:?} of {dtype:?} needs others",
            data.len()
        ));
    }
    let bytes = match value(header, "fortran_order") {
        Some("False") => data.to_vec(),
        Some("True") => from_columns(data, &shape, dtype.bitsize() / 8)?,
        _ => return Err("does not say whether its order is Fortran's".into()),
    };
    Ok(Array { shape, dtype, bytes })
}

/// The value of a key of the header, which is a Python dictionary such as `{'descr': '<f4', 'shape': (3, 4), }`.
fn value<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let rest = header.split_once(&format!("'{key}':"))?.1.trim_start();
    let end = match rest.starts_with('(') {
        true => rest.find(')')? + 1,
        false => rest.find([',', '}'])?,
    };
    Some(rest[..end].trim_end())
}

/// Row-major bytes of a matrix that lies column by column.
fn from_columns(data: &[u8], shape: &[usize], size: usize) -> Result<Vec<u8>, String> {
    match *shape {
        [] | [_] => Ok(data.to_vec()),
        [rows, columns] => {
            let at = |r: usize, c: usize| (c * rows + r) * size;
            let places = (0..rows).flat_map(|r| (0..columns).map(move |c| at(r, c)));
            Ok(places.flat_map(|i| &data[i..i + size]).copied().collect())
        }
        _ => Err(format!(
            "has the shape {shape:?} in Fortran's order; expected a matrix at most"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_its_numbers_are_aligned() {
        for shape in [&[][..], &[3], &[2, 3], &[1, 1, 12]] {
            let n = shape.iter().product();
            let numbers: Vec<f32> = (0..n).map(|i| i as f32 - 0.5).collect();
            let array = Array::f32(shape, &numbers);
            let bytes = write(&array);
            assert_eq!(parse(&bytes).as_ref(), Ok(&array));
            assert_eq!((bytes.len() - array.bytes.len()) % ALIGNMENT, 0, "{shape:?}");
        }
    }
}
