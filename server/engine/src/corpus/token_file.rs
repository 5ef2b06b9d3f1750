//! A packed corpus on disk: a folder with `manifest.json` and, for each split, the contexts one after another in
//! `train.bin`, `validation.bin` and `held_out.bin`: token ids as little-endian u32, [n_contexts, n_ctx], memory-mapped. Beside each,
//! in `train.documents.bin` and so on, where its documents begin: positions in it, ascending, as little-endian u64.

use std::path::{Path, PathBuf};

use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CorpusError, Format, Split, SplitBy};
use crate::file;

#[cfg(target_endian = "big")]
compile_error!("token files are little-endian and read in place");

/// What a token file holds and was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of this layout and of the rules of documents, splits and packing: [`Manifest::VERSION`].
    pub version: u32,
    /// The source's hash, as [`super::CorpusFacts::hash`].
    pub source_hash: String,
    /// The source's format.
    pub source_format: Format,
    /// SHA-256 of tokenizer.json, in hexadecimal.
    pub tokenizer_hash: String,
    /// How documents became contexts.
    pub packing: api::Packing,
    /// How the source was read.
    #[serde(default)]
    pub reading: api::CorpusReading,
    /// Entries of the model's vocabulary; every id is below.
    pub d_vocab: usize,
    /// The token that opens a document or a context, where the tokenizer has one.
    pub bos: Option<u32>,
    /// The token that closes a document, where the tokenizer has one.
    pub eos: Option<u32>,
    /// Ids that metrics leave out, ascending.
    pub special: Vec<u32>,
    /// How documents were shared out.
    pub split_by: SplitBy,
    /// What dictionaries learn from.
    pub train: SplitManifest,
    /// What settings are chosen on.
    pub validation: SplitManifest,
    /// What results are measured on.
    pub held_out: SplitManifest,
    /// Tokens at the ends of the splits' texts that did not fill a context.
    pub n_dropped_tokens: u64,
    /// Spellings of the tokenizer's special tokens in the text, which were tokenised as text.
    #[serde(default)]
    pub spellings: Vec<api::Spelling>,
}

/// One split of a token file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitManifest {
    /// Documents in it; where the splits are cut by context, all are counted under training.
    pub n_documents: u64,
    /// Contexts.
    pub n_contexts: u64,
    /// Tokens: n_contexts × n_ctx.
    pub n_tokens: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// SHA-256 of the file of its documents' beginnings, in hexadecimal.
    pub documents_sha256: String,
}

impl Manifest {
    /// The version written.
    pub const VERSION: u32 = 2;

    /// The splits, in the order of [`Split::ALL`].
    pub fn splits(&self) -> [&SplitManifest; 3] {
        [&self.train, &self.validation, &self.held_out]
    }

    /// One split.
    pub fn split(&self, split: Split) -> &SplitManifest {
        self.splits()[split as usize]
    }

    fn read(folder: &Path) -> Result<Manifest, CorpusError> {
        let path = folder.join(MANIFEST);
        let bytes = file::read(&path).map_err(CorpusError::io("read", &path))?;
        let wrong = |error| CorpusError::token_file(&path, format!("not a manifest: {error}; pack the corpus again"));
        let fields: serde_json::Value = serde_json::from_slice(&bytes).map_err(wrong)?;
        // the version first: another one has other fields
        if let Some(version) = fields.get("version").filter(|version| **version != Manifest::VERSION) {
            let message = format!(
                "version is {version}; this program reads {}; pack the corpus again",
                Manifest::VERSION
            );
            return Err(CorpusError::token_file(&path, message));
        }
        serde_json::from_value(fields).map_err(wrong)
    }
}

pub(super) const MANIFEST: &str = "manifest.json";

pub(super) fn split_file(folder: &Path, split: Split) -> PathBuf {
    folder.join(format!("{}.bin", split.name()))
}

pub(super) fn documents_file(folder: &Path, split: Split) -> PathBuf {
    folder.join(format!("{}.documents.bin", split.name()))
}

/// A token file, open and checked.
#[derive(Debug)]
pub struct TokenFile {
    manifest: Manifest,
    splits: [Mmap; 3],
    starts: [Vec<u64>; 3],
}

impl TokenFile {
    /// Opens the token file in `folder` and checks it whole: lengths and checksums.
    ///
    /// # Errors
    /// No token file there; a file that is shorter or longer than the manifest says, or was changed.
    pub fn open(folder: &Path) -> Result<Self, CorpusError> {
        let manifest = Manifest::read(folder)?;
        let [train, validation, held_out] = Split::ALL.map(|split| map_split(folder, split, &manifest));
        let splits = [train?, validation?, held_out?];
        let [train, validation, held_out] = Split::ALL.map(|split| read_starts(folder, split, &manifest));
        Ok(Self {
            splits,
            starts: [train?, validation?, held_out?],
            manifest,
        })
    }

    /// What it holds and was made from.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The contexts of a split; at least one.
    pub fn n_contexts(&self, split: Split) -> usize {
        self.manifest.split(split).n_contexts as usize
    }

    /// The `n_ctx` token ids of context `index` (below [`TokenFile::n_contexts`]) of a split.
    ///
    /// # Panics
    /// When there is no such context.
    pub fn context(&self, split: Split, index: usize) -> &[u32] {
        let n_ctx = self.manifest.packing.n_ctx;
        // a map begins on a page and its length was checked: it is whole u32s
        let ids: &[u32] = bytemuck::cast_slice(&self.splits[split as usize]);
        &ids[index * n_ctx..(index + 1) * n_ctx]
    }

    /// Where the documents of a split begin, among the tokens of its contexts, ascending. The split's first tokens may be the end of a
    /// document that begins in no context of it.
    pub fn starts(&self, split: Split) -> &[u64] {
        &self.starts[split as usize]
    }

    /// Whether `folder` seems to be a token file.
    pub(super) fn is_at(folder: &Path) -> bool {
        folder.join(MANIFEST).is_file() && Split::ALL.iter().any(|split| split_file(folder, *split).is_file())
    }
}

fn map_split(folder: &Path, split: Split, manifest: &Manifest) -> Result<Mmap, CorpusError> {
    let path = split_file(folder, split);
    let counts = manifest.split(split);
    let wrong = |message: String| Err(CorpusError::token_file(&path, format!("{message}; pack the corpus again")));
    let n_tokens = counts.n_contexts.checked_mul(manifest.packing.n_ctx as u64);
    if counts.n_contexts == 0 || n_tokens != Some(counts.n_tokens) {
        return wrong(format!(
            "the manifest says {} contexts and {} tokens at n_ctx {}",
            counts.n_contexts, counts.n_tokens, manifest.packing.n_ctx
        ));
    }
    let file = file::open(&path).map_err(CorpusError::io("open", &path))?;
    let length = file.metadata().map_err(CorpusError::io("open", &path))?.len();
    if Some(length) != counts.n_tokens.checked_mul(4) {
        return wrong(format!(
            "it has {length} bytes; expected {} (4 for each of {} tokens)",
            counts.n_tokens * 4,
            counts.n_tokens
        ));
    }
    // SAFETY: token files are written under another name and renamed, and never written to again.
    #[allow(unsafe_code)]
    let bytes = unsafe { Mmap::map(&file) }.map_err(CorpusError::io("map", &path))?;
    let sha256 = hex::encode(Sha256::digest(&bytes));
    if sha256 != counts.sha256 {
        return wrong(format!(
            "it was changed: its SHA-256 is {sha256}, and the manifest says {}",
            counts.sha256
        ));
    }
    Ok(bytes)
}

fn read_starts(folder: &Path, split: Split, manifest: &Manifest) -> Result<Vec<u64>, CorpusError> {
    let path = documents_file(folder, split);
    let counts = manifest.split(split);
    let bytes = file::read(&path).map_err(CorpusError::io("read", &path))?;
    if hex::encode(Sha256::digest(&bytes)) != counts.documents_sha256 {
        return Err(CorpusError::token_file(&path, "it was changed; pack the corpus again"));
    }
    let (starts, rest) = bytes.as_chunks();
    let starts: Vec<u64> = starts.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let is_ascending = starts.is_sorted_by(|one, next| one < next);
    if !rest.is_empty() || !is_ascending || starts.last().is_some_and(|last| *last >= counts.n_tokens) {
        let message = "it holds no ascending positions within the split; pack the corpus again";
        return Err(CorpusError::token_file(&path, message));
    }
    Ok(starts)
}
