//! Zip archives, as torch and numpy write them: a list of named files, stored or deflated. Sizes are claims until the bytes are there,
//! and no entry is believed to be larger than its packed bytes could become. Entries that lie on one another are refused, and so are those
//! that come to more, all together, than numbers do that were packed: a small file can fill no memory.

use flate2::{Crc, bufread::DeflateDecoder};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::errors::{io, refuse};
use crate::dictionary::DictionaryError;

/// What the records of the format begin with.
const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Length of the last record, without its comment of at most 65,535 bytes.
const END_LENGTH: usize = 22;
/// Length of what stands before an entry, without its name.
const LOCAL_LENGTH: u64 = 30;
/// A byte of deflate becomes at most these.
const MOST_INFLATED: u64 = 1032;
/// What the entries come to all together, at most: the file's length times this, and some room for small files. Weights hardly shrink
/// when they are packed.
const MOST_GROWTH: u64 = 16;
const ROOM: u64 = 64 << 20;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Where an entry lies.
#[derive(Clone, Copy, Debug)]
struct Entry {
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    /// Where its local header begins.
    header: u64,
}

impl Entry {
    /// What its packed bytes could become at most.
    fn most(&self) -> u64 {
        match self.method {
            STORED => self.packed,
            _ => self.packed.saturating_mul(MOST_INFLATED),
        }
    }
}

/// An archive, opened.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// Reads the list of entries.
    ///
    /// # Errors
    /// A file that cannot be read, or that is no archive.
    pub fn open(path: &Path) -> Result<Self, DictionaryError> {
        let mut file = crate::file::open(path).map_err(|e| io(path, e))?;
        let length = file.metadata().map_err(|e| io(path, e))?.len();
        let tail = length.min((END_LENGTH + 0xffff) as u64);
        let tail = read_at(&mut file, length - tail, tail).map_err(|e| io(path, e))?;
        let end = (0..=tail.len().saturating_sub(END_LENGTH))
            .rev()
            .find(|&at| u32_at(&tail, at) == Some(END))
            .ok_or_else(|| refuse(path, "not a zip archive, or cut off: its list of entries is missing"))?;
        let field = |at: usize| u32_at(&tail, end + at).map_or(0, u64::from);
        let (n_entries, size, start) = (field(10) & 0xffff, field(12), field(16));
        if n_entries == 0xffff || start == 0xffff_ffff || size == 0xffff_ffff {
            return Err(refuse(path, "a zip64 archive, of 4 GiB or more; expected a smaller one"));
        }
        if start.checked_add(size).is_none_or(|end| end > length) {
            return Err(refuse(path, "damaged: its list of entries lies behind its end"));
        }
        let list = read_at(&mut file, start, size).map_err(|e| io(path, e))?;
        let entries =
            entries(&list, n_entries as usize).ok_or_else(|| refuse(path, "damaged: its list of entries cannot be read"))?;
        let archive = Self {
            path: path.to_owned(),
            entries,
        };
        archive.check(length).map_err(|message| refuse(path, message))?;
        Ok(archive)
    }

    /// Whether the entries can be those of a file of `length` bytes.
    fn check(&self, length: u64) -> Result<(), String> {
        let mut places: Vec<(u64, u64, &str)> = self
            .entries
            .iter()
            .map(|(name, entry)| {
                (
                    entry.header,
                    entry.header + LOCAL_LENGTH + name.len() as u64 + entry.packed,
                    &**name,
                )
            })
            .collect();
        places.sort_unstable();
        if let Some(pair) = places.windows(2).find(|pair| pair[0].1 > pair[1].0) {
            return Err(format!(
                "damaged: its entries '{}' and '{}' lie on one another",
                pair[0].2, pair[1].2
            ));
        }
        // what no entry can hold is refused when it is read
        let possible = self.entries.values().map(|entry| entry.size.min(entry.most()));
        let total = possible.fold(0, u64::saturating_add);
        let most = length.saturating_mul(MOST_GROWTH).saturating_add(ROOM);
        if total > most {
            return Err(format!(
                "its entries come to {total} bytes, and the file has {length}; expected {most} at most, which no weights exceed"
            ));
        }
        Ok(())
    }

    /// Bytes of all entries together.
    pub fn size(&self) -> u64 {
        self.entries.values().map(|entry| entry.size).fold(0, u64::saturating_add)
    }

    /// The entries' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content of an entry.
    ///
    /// # Errors
    /// An entry that is missing, damaged, or larger than it can be.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, DictionaryError> {
        let path = &self.path;
        let damaged = |what: &str| refuse(path, format!("entry '{name}' {what}"));
        let entry = self.entries.get(name).ok_or_else(|| damaged("is missing"))?;
        let mut file = crate::file::open(path).map_err(|e| io(path, e))?;
        let length = file.metadata().map_err(|e| io(path, e))?.len();
        let header = read_at(&mut file, entry.header, LOCAL_LENGTH).map_err(|_| damaged("is cut off"))?;
        if u32_at(&header, 0) != Some(LOCAL) {
            return Err(damaged("is not where the list of entries says"));
        }
        let skipped = LOCAL_LENGTH + u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
        let start = entry.header + skipped;
        if start.checked_add(entry.packed).is_none_or(|end| end > length) {
            return Err(damaged("is cut off"));
        }
        let most = match entry.method {
            STORED => entry.packed,
            DEFLATED => entry.packed.saturating_mul(MOST_INFLATED),
            other => {
                return Err(damaged(&format!(
                    "is packed by method {other}; expected 0 (stored) or 8 (deflated)"
                )));
            }
        };
        if entry.size > most {
            let (size, packed) = (entry.size, entry.packed);
            return Err(damaged(&format!(
                "claims to hold {size} bytes, which its {packed} packed bytes cannot become"
            )));
        }
        file.seek(SeekFrom::Start(start)).map_err(|e| io(path, e))?;
        let packed = BufReader::new(file).take(entry.packed);
        let mut bytes = Vec::new();
        // one byte more than was claimed is enough to see that it holds more
        let read = match entry.method {
            STORED => packed.take(entry.size + 1).read_to_end(&mut bytes),
            _ => DeflateDecoder::new(packed).take(entry.size + 1).read_to_end(&mut bytes),
        };
        read.map_err(|_| damaged("cannot be unpacked"))?;
        let mut crc = Crc::new();
        crc.update(&bytes);
        if (bytes.len() as u64, crc.sum()) != (entry.size, entry.crc) {
            return Err(damaged(
                "is damaged: its length or checksum is not that of the list of entries",
            ));
        }
        Ok(bytes)
    }
}

/// The list of entries; none where it is cut off or not one.
fn entries(list: &[u8], n: usize) -> Option<BTreeMap<String, Entry>> {
    let mut entries = BTreeMap::new();
    let mut rest = list;
    for _ in 0..n {
        if rest.len() < 46 || u32_at(rest, 0)? != CENTRAL {
            return None;
        }
        let name_length = usize::from(u16_at(rest, 28));
        let length = 46 + name_length + usize::from(u16_at(rest, 30)) + usize::from(u16_at(rest, 32));
        let name = String::from_utf8(rest.get(46..46 + name_length)?.to_vec()).ok()?;
        let entry = Entry {
            method: u16_at(rest, 10),
            crc: u32_at(rest, 16)?,
            packed: u32_at(rest, 20)?.into(),
            size: u32_at(rest, 24)?.into(),
            header: u32_at(rest, 42)?.into(),
        };
        entries.insert(name, entry);
        rest = rest.get(length..)?;
    }
    Some(entries)
}

/// An archive of stored entries; none where it would be of 4 GiB or more.
pub fn pack(files: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
    let (mut out, mut list) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut crc = Crc::new();
        crc.update(bytes);
        let size = u32::try_from(bytes.len()).ok()?;
        let header = u32::try_from(out.len()).ok()?;
        // version 2.0, no flags, stored, the first time that the format knows: the same bytes each time
        let mut common = [20u16, 0, STORED, 0, 0x21].map(u16::to_le_bytes).concat();
        common.extend([crc.sum(), size, size].map(u32::to_le_bytes).concat());
        common.extend((name.len() as u16).to_le_bytes());
        out.extend(LOCAL.to_le_bytes());
        out.extend(&common);
        out.extend([0, 0]);
        out.extend(name.as_bytes());
        out.extend(bytes);
        list.extend(CENTRAL.to_le_bytes());
        list.extend(20u16.to_le_bytes());
        list.extend(&common);
        list.extend([0; 12]);
        list.extend(header.to_le_bytes());
        list.extend(name.as_bytes());
    }
    let (start, n) = (u32::try_from(out.len()).ok()?, (files.len() as u16).to_le_bytes());
    out.extend(&list);
    out.extend(END.to_le_bytes());
    out.extend([0; 4]);
    out.extend([n, n].concat());
    out.extend((list.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    (out.len() < 1 << 32).then_some(out)
}

fn read_at(file: &mut File, at: u64, length: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    let read = file.take(length).read_to_end(&mut bytes)?;
    if read as u64 == length {
        Ok(bytes)
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
