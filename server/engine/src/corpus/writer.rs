//! The second half of packing: each split's text joined, cut into contexts and written, with its checksum.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use api::{BosPolicy, EosPolicy, Packing};
use sha2::{Digest, Sha256};

use super::{
    CorpusError, SpecialTokens, Split, SplitManifest,
    split::Assignment,
    token_file::{documents_file, split_file},
};

/// Corpora with more documents than this are never dealt out again: their splits hold thousands each.
const FEW: usize = 100_000;

/// The packing with its tokens looked up.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub n_ctx: usize,
    pub opens_document: Option<u32>,
    pub closes_document: Option<u32>,
    opens_context: Option<u32>,
}

impl Layout {
    pub fn new(packing: &Packing, special: &SpecialTokens, folder: &Path) -> Result<Layout, CorpusError> {
        if packing.n_ctx < 2 {
            return Err(CorpusError::ContextTooShort { n_ctx: packing.n_ctx });
        }
        let missing = |field, policy: String| CorpusError::NoSpecialToken {
            field,
            policy,
            folder: folder.to_owned(),
        };
        let bos = || special.bos.map(Some).ok_or_else(|| missing("bos", packing.bos.to_string()));
        let eos = || special.eos.map(Some).ok_or_else(|| missing("eos", packing.eos.to_string()));
        Ok(Layout {
            n_ctx: packing.n_ctx,
            opens_document: if packing.bos == BosPolicy::Document { bos()? } else { None },
            closes_document: if packing.eos == EosPolicy::Document { eos()? } else { None },
            opens_context: if packing.bos == BosPolicy::Context { bos()? } else { None },
        })
    }

    /// Tokens of text in a context.
    pub fn context_text(&self) -> usize {
        self.n_ctx - usize::from(self.opens_context.is_some())
    }
}

/// What a pass over the corpus wrote.
pub(super) struct Packed {
    pub splits: [SplitManifest; 3],
    /// Tokens of documents, BOS and EOS per document included.
    pub n_tokens: u64,
    pub n_dropped: u64,
    /// Content hash and tokens of each document; none where there are too many to keep.
    pub documents: Option<Vec<(u64, u64)>>,
}

/// Joins the documents of each split, cuts and writes.
pub(super) struct Writer<'a> {
    layout: Layout,
    assignment: &'a Assignment,
    files: [SplitWriter; 3],
    /// Of each split's text, what does not fill a context yet, and where documents begin in it.
    pending: [Vec<u32>; 3],
    starts: [Vec<usize>; 3],
    /// Contexts cut from each split's text.
    n_cut: [u64; 3],
    n_documents: [u64; 3],
    n_tokens: u64,
    pub n_done: u64,
    documents: Option<Vec<(u64, u64)>>,
}

impl<'a> Writer<'a> {
    pub fn new(folder: &Path, layout: Layout, assignment: &'a Assignment) -> Result<Self, CorpusError> {
        let [train, validation, held_out] = Split::ALL.map(|split| SplitWriter::create(folder, split, layout.n_ctx));
        Ok(Writer {
            layout,
            assignment,
            files: [train?, validation?, held_out?],
            pending: Default::default(),
            starts: Default::default(),
            n_cut: [0; 3],
            n_documents: [0; 3],
            n_tokens: 0,
            n_done: 0,
            documents: Some(Vec::new()),
        })
    }

    pub fn push(&mut self, hash: u64, ids: &[u32]) -> Result<(), CorpusError> {
        let split = self.assignment.of_document(hash);
        self.n_done += 1;
        self.n_tokens += ids.len() as u64;
        self.n_documents[split as usize] += 1;
        match &mut self.documents {
            Some(documents) if documents.len() < FEW => documents.push((hash, ids.len() as u64)),
            documents => *documents = None,
        }

        let pending = &mut self.pending[split as usize];
        let starts = &mut self.starts[split as usize];
        starts.push(pending.len());
        pending.extend_from_slice(ids);
        let context_text = self.layout.context_text();
        let mut n_written = 0;
        for context in pending.chunks_exact(context_text) {
            let n_cut = &mut self.n_cut[split as usize];
            let to = self.assignment.of_context(split, *n_cut);
            *n_cut += 1;
            let n_inside = starts.partition_point(|start| *start < n_written + context_text);
            let inside = starts.drain(..n_inside).map(|start| start - n_written);
            self.files[to as usize].write(self.layout.opens_context, context, inside)?;
            n_written += context_text;
        }
        pending.drain(..n_written);
        starts.iter_mut().for_each(|start| *start -= n_written);
        Ok(())
    }

    pub fn finish(self) -> Result<Packed, CorpusError> {
        let n_dropped = self.pending.iter().map(|pending| pending.len() as u64).sum();
        let [train, validation, held_out] = self.files;
        Ok(Packed {
            splits: [
                train.finish(self.n_documents[0])?,
                validation.finish(self.n_documents[1])?,
                held_out.finish(self.n_documents[2])?,
            ],
            n_tokens: self.n_tokens,
            n_dropped,
            documents: self.documents,
        })
    }
}

/// The files of a split: its contexts, and where its documents begin.
struct SplitWriter {
    tokens: Hashed,
    starts: Hashed,
    n_ctx: usize,
    n_contexts: u64,
}

impl SplitWriter {
    fn create(folder: &Path, split: Split, n_ctx: usize) -> Result<Self, CorpusError> {
        Ok(Self {
            tokens: Hashed::create(split_file(folder, split))?,
            starts: Hashed::create(documents_file(folder, split))?,
            n_ctx,
            n_contexts: 0,
        })
    }

    /// A context: the token that opens it, its text, and where in the text documents begin.
    fn write(&mut self, opens: Option<u32>, text: &[u32], starts: impl Iterator<Item = usize>) -> Result<(), CorpusError> {
        for ids in [opens.as_slice(), text] {
            self.tokens.write(bytemuck::cast_slice(ids))?;
        }
        let first = self.n_contexts * self.n_ctx as u64 + opens.iter().len() as u64;
        for start in starts {
            self.starts.write(&(first + start as u64).to_le_bytes())?;
        }
        self.n_contexts += 1;
        Ok(())
    }

    fn finish(self, n_documents: u64) -> Result<SplitManifest, CorpusError> {
        Ok(SplitManifest {
            n_documents,
            n_contexts: self.n_contexts,
            n_tokens: self.n_contexts * self.n_ctx as u64,
            sha256: self.tokens.finish()?,
            documents_sha256: self.starts.finish()?,
        })
    }
}

/// A file, and its checksum as it grows.
struct Hashed {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: Sha256,
}

impl Hashed {
    fn create(path: PathBuf) -> Result<Self, CorpusError> {
        let file = File::create(&path).map_err(CorpusError::io("create", &path))?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 20, file),
            hasher: Sha256::new(),
            path,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CorpusError> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(CorpusError::io("write", &self.path))
    }

    fn finish(self) -> Result<String, CorpusError> {
        let file = self
            .file
            .into_inner()
            .map_err(|error| CorpusError::io("write", &self.path)(error.into_error()))?;
        file.sync_all().map_err(CorpusError::io("write", &self.path))?;
        Ok(hex::encode(self.hasher.finalize()))
    }
}
