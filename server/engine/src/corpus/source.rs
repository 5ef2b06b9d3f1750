//! A corpus as it lies on disk: which files it has, of which format, their hash, and the documents in them.

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use api::{CorpusReading, CorpusSummary, Excerpt};
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::file;

use super::{CorpusError, Split, TokenFile, intake::Intake, json, rows, spellings::Spellings, table, text};

/// What the files of a corpus are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Plain text.
    Text,
    /// A JSON value per line.
    JsonLines,
    /// One JSON array.
    JsonArray,
    /// A table with commas between its columns.
    Csv,
    /// A table with tabs between its columns.
    Tsv,
    /// Apache Parquet.
    Parquet,
    /// A folder that [`super::pack`] wrote.
    TokenFile,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Text => "text",
            Format::JsonLines => "json_lines",
            Format::JsonArray => "json_array",
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Parquet => "parquet",
            Format::TokenFile => "token_file",
        })
    }
}

/// What a corpus holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusFacts {
    /// The format of its files.
    pub format: Format,
    /// Documents.
    pub n_documents: u64,
    /// Bytes of the documents' text; of tokens, four each.
    pub n_bytes: u64,
    /// SHA-256 in hexadecimal: of the file's bytes, as `sha256sum FILE` prints it, or of the lines
    /// `HASH  NAME` that it prints for a folder's files, in the order of their names.
    pub hash: String,
    /// What was read.
    pub summary: CorpusSummary,
}

/// A corpus' files, and how they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusFiles {
    /// The file or folder.
    pub path: PathBuf,
    /// How it is read.
    pub reading: CorpusReading,
}

impl<P: AsRef<Path>> From<P> for CorpusFiles {
    /// Read as the files themselves say.
    fn from(path: P) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            reading: CorpusReading::default(),
        }
    }
}

/// What a file or a folder of files is, told by extension and content. Every document is read, so that whatever is
/// wrong with one is said here rather than when training starts. `spellings` are words that are counted in the text beside those that
/// are known to be special tokens.
///
/// # Errors
/// A file that cannot be read, is of no known format, or holds a record that is no document; no document at all.
pub fn inspect(files: impl Into<CorpusFiles>, spellings: &[String]) -> Result<CorpusFacts, CorpusError> {
    let CorpusFiles { path, reading } = files.into();
    let path = path.as_path();
    let source = Source::find(path, reading)?;
    let hash = source.hash()?;
    if source.format == Format::TokenFile {
        let file = TokenFile::open(path)?;
        let splits = file.manifest().splits();
        let n_documents = splits.iter().map(|split| split.n_documents).sum();
        let n_bytes = splits.iter().map(|split| split.n_tokens * 4).sum();
        return Ok(CorpusFacts {
            format: source.format,
            n_documents,
            n_bytes,
            hash,
            summary: CorpusSummary {
                n_read: n_documents,
                first: vec![Excerpt::Tokens(excerpt(file.context(Split::Train, 0)))],
                ..CorpusSummary::default()
            },
        });
    }
    let spellings = Spellings::known(spellings)?;
    let mut counts = spellings.none();
    let (mut n_documents, mut n_bytes, mut first) = (0, 0, Vec::new());
    let read = source.each_document(&mut |document| {
        n_documents += 1;
        n_bytes += document.content().len() as u64;
        if let Document::Text(text) = &document {
            spellings.count(text, &mut counts);
        }
        if first.len() < EXCERPTS {
            first.push(document.excerpt());
        }
        Ok(())
    })?;
    Ok(CorpusFacts {
        format: source.format,
        n_documents,
        n_bytes,
        hash,
        summary: CorpusSummary {
            spellings: spellings.found(&counts),
            first,
            ..read
        },
    })
}

/// Documents whose beginnings are kept.
const EXCERPTS: usize = 3;
/// Characters of a beginning, and lines.
const EXCERPT_CHARS: usize = 300;
const EXCERPT_LINES: usize = 4;
/// Token ids of a beginning.
const EXCERPT_TOKENS: usize = 64;

fn excerpt(ids: &[u32]) -> Vec<u32> {
    ids[..ids.len().min(EXCERPT_TOKENS)].to_vec()
}

/// A document before it is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Document {
    Text(String),
    /// Tokenised already.
    Tokens(Vec<u32>),
}

impl Document {
    /// What makes it itself: the text's bytes, or those of the ids.
    pub fn content(&self) -> &[u8] {
        match self {
            Document::Text(text) => text.as_bytes(),
            Document::Tokens(ids) => bytemuck::cast_slice(ids),
        }
    }

    fn excerpt(&self) -> Excerpt {
        match self {
            Document::Text(text) => {
                let lines: String = text.trim_start().split_inclusive('\n').take(EXCERPT_LINES).collect();
                Excerpt::Text(lines.trim_end().chars().take(EXCERPT_CHARS).collect())
            }
            Document::Tokens(ids) => Excerpt::Tokens(excerpt(ids)),
        }
    }

    pub fn is_blank(&self) -> bool {
        match self {
            Document::Text(text) => text.trim().is_empty(),
            Document::Tokens(ids) => ids.is_empty(),
        }
    }
}

/// Takes documents one by one; an error ends the reading and is what the reading returns.
pub(super) type Sink<'a> = &'a mut dyn FnMut(Document) -> Result<(), CorpusError>;

/// The files of a corpus, in the order of their names.
#[derive(Clone, Debug)]
pub(super) struct Source {
    path: PathBuf,
    files: Vec<PathBuf>,
    pub format: Format,
    pub reading: CorpusReading,
}

impl Source {
    pub fn find(path: &Path, reading: CorpusReading) -> Result<Source, CorpusError> {
        let about = fs::metadata(path).map_err(CorpusError::io("open", path))?;
        if !about.is_dir() {
            let format = format_of(path)?;
            return Ok(Source {
                path: path.to_owned(),
                files: vec![path.to_owned()],
                format,
                reading,
            });
        }
        let mut files = Vec::new();
        if TokenFile::is_at(path) {
            walk(path, 0, &mut |_| true, &mut files)?;
            return Ok(Source {
                path: path.to_owned(),
                files,
                format: Format::TokenFile,
                reading,
            });
        }
        walk(path, 0, &mut is_corpus_file, &mut files)?;
        let Some(first) = files.first() else {
            return Err(CorpusError::Empty { path: path.to_owned() });
        };
        let format = format_of(first)?;
        for file in &files[1..] {
            let other = format_of(file)?;
            if other != format {
                return Err(CorpusError::MixedFormats {
                    path: path.to_owned(),
                    first: name_within(path, first),
                    first_format: format,
                    second: name_within(path, file),
                    second_format: other,
                });
            }
        }
        Ok(Source {
            path: path.to_owned(),
            files,
            format,
            reading,
        })
    }

    /// As [`CorpusFacts::hash`] says.
    pub fn hash(&self) -> Result<String, CorpusError> {
        if self.files.len() == 1 && self.files[0] == self.path {
            return file_hash(&self.path);
        }
        let mut all = Sha256::new();
        for file in &self.files {
            all.update(format!("{}  {}\n", file_hash(file)?, name_within(&self.path, file)));
        }
        Ok(hex::encode(all.finalize()))
    }

    /// Hands on every document that is not blank, in order, and says what was read. A corpus without any is an error.
    pub fn each_document(&self, sink: Sink<'_>) -> Result<CorpusSummary, CorpusError> {
        let mut intake = Intake::new(&self.reading, sink);
        if let (Some(field), Format::Text) = (intake.asked(), self.format) {
            return Err(CorpusError::PlainText {
                path: self.path.clone(),
                field: field.to_owned(),
            });
        }
        for path in &self.files {
            match self.format {
                Format::Parquet => rows::rows(path, &mut intake)?,
                Format::Text => {
                    let file = Mapped::open(path)?;
                    for document in text::documents(file.text()?, self.files.len() == 1) {
                        intake.text(document)?;
                    }
                }
                Format::JsonLines => json::lines(path, Mapped::open(path)?.text()?, &mut intake)?,
                Format::JsonArray => json::array(path, Mapped::open(path)?.text()?, &mut intake)?,
                Format::Csv | Format::Tsv => table::rows(path, Mapped::open(path)?.text()?, self.format, &mut intake)?,
                Format::TokenFile => {
                    return Err(CorpusError::token_file(
                        &self.path,
                        "its documents are packed already; give the text",
                    ));
                }
            }
        }
        if intake.n_read == 0 {
            return Err(intake.nothing(&self.path));
        }
        Ok(CorpusSummary {
            n_read: intake.n_read,
            skipped: intake.skipped(),
            n_surrogates: intake.n_surrogates,
            n_masked: intake.n_masked,
            field: intake.taken,
            ..CorpusSummary::default()
        })
    }
}

/// A text file in memory, by the page.
struct Mapped<'a> {
    path: &'a Path,
    bytes: Mmap,
}

impl<'a> Mapped<'a> {
    fn open(path: &'a Path) -> Result<Self, CorpusError> {
        let file = file::open(path).map_err(CorpusError::io("open", path))?;
        // SAFETY: nothing here writes to a source; that nobody else shortens or edits it while it is read is asked of
        // whoever gives it, as by every program that maps files.
        #[allow(unsafe_code)]
        let bytes = unsafe { Mmap::map(&file) }.map_err(CorpusError::io("map", path))?;
        Ok(Self { path, bytes })
    }

    /// All of it, without a byte order mark.
    fn text(&self) -> Result<&str, CorpusError> {
        let text = std::str::from_utf8(&self.bytes).map_err(|error| CorpusError::NotUtf8 {
            path: self.path.to_owned(),
            offset: error.valid_up_to(),
        })?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }
}

/// SHA-256 of a file's bytes, in hexadecimal.
pub fn file_hash(path: &Path) -> Result<String, CorpusError> {
    let mut file = file::open(path).map_err(CorpusError::io("open", path))?;
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut hasher).map_err(CorpusError::io("read", path))?;
    Ok(hex::encode(hasher.finalize()))
}

fn name_within(folder: &Path, file: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).to_string_lossy().into_owned()
}

/// Collects files in the order of their names. Links to files are followed (the hub's snapshots are made of them), links
/// to folders are not.
fn walk(folder: &Path, depth: usize, wanted: &mut dyn FnMut(&Path) -> bool, files: &mut Vec<PathBuf>) -> Result<(), CorpusError> {
    const DEEPEST: usize = 8;
    let entries = fs::read_dir(folder).map_err(CorpusError::io("read", folder))?;
    let mut entries = entries
        .collect::<Result<Vec<_>, _>>()
        .map_err(CorpusError::io("read", folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(CorpusError::io("open", &path))?;
        if kind.is_dir() {
            if depth < DEEPEST {
                walk(&path, depth + 1, wanted, files)?;
            }
        } else if wanted(&path) && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a file in a folder is of the corpus, and not about it.
fn is_corpus_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let about = ["dataset_info.json", "dataset_infos.json", "state.json", "dataset_dict.json"];
    let aside = ["readme", "license", "licence"];
    matches!(
        extension(path).as_str(),
        "txt" | "text" | "json" | "jsonl" | "ndjson" | "csv" | "tsv" | "parquet"
    ) && !about.contains(&name.as_str())
        && !aside.iter().any(|start| name.starts_with(start))
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn format_of(path: &Path) -> Result<Format, CorpusError> {
    let mut start = Vec::new();
    let file = file::open(path).map_err(CorpusError::io("open", path))?;
    file.take(4096)
        .read_to_end(&mut start)
        .map_err(CorpusError::io("read", path))?;
    let unknown = |found: &str| {
        Err(CorpusError::UnknownFormat {
            path: path.to_owned(),
            found: found.to_owned(),
        })
    };
    let extension = extension(path);
    if start.starts_with(b"PAR1") {
        return Ok(Format::Parquet);
    }
    if extension == "parquet" {
        return unknown("named .parquet but does not begin with PAR1");
    }
    for (magic, name) in [
        (&b"\x1f\x8b"[..], "compressed with gzip (unpack it first)"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd (unpack it first)"),
        (b"PK\x03\x04", "a zip archive (unpack it first)"),
        (b"ARROW1", "an Arrow file (write it as Parquet first)"),
    ] {
        if start.starts_with(magic) {
            return unknown(name);
        }
    }
    let visible: Vec<u8> = start
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(&start)
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .take(2)
        .collect();
    match (extension.as_str(), visible.as_slice()) {
        ("txt" | "text", _) => Ok(Format::Text),
        ("csv" | "tsv", []) => Err(CorpusError::Empty { path: path.to_owned() }),
        ("csv", _) => Ok(Format::Csv),
        ("tsv", _) => Ok(Format::Tsv),
        (_, []) => Err(CorpusError::Empty { path: path.to_owned() }),
        ("json" | "jsonl" | "ndjson", [b'[', ..]) => Ok(Format::JsonArray),
        ("json" | "jsonl" | "ndjson", [b'{' | b'"', ..]) => Ok(Format::JsonLines),
        ("json" | "jsonl" | "ndjson", _) => unknown("named as JSON but does not begin with '[', '{' or '\"'"),
        // no telling name: only what hardly any prose begins with is taken for JSON
        (_, [b'[', b'"' | b'{']) => Ok(Format::JsonArray),
        (_, [b'{', b'"']) => Ok(Format::JsonLines),
        _ => Ok(Format::Text),
    }
}
