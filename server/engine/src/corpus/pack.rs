//! From documents to contexts: documents are tokenised in parallel, joined in order within their split, cut every n_ctx
//! tokens, and written. Memory holds one chunk of documents, whatever the corpus' size; threads do not change a bit.

use std::{
    fs::{self, File},
    path::Path,
};

use api::Packing;
use rayon::prelude::*;
use tokenizers::Tokenizer;

use super::{
    CorpusError, CorpusFiles, Format, Manifest, Split, TokenFile,
    normaliser::Growth,
    source::{Document, Source, file_hash},
    spellings::{Spellings, encode_spelt},
    split::{self, Assignment},
    staging::Staging,
    token_file::{documents_file, split_file},
    tokenizer,
    writer::{Layout, Packed, Writer},
};

/// What stands for the hash of a tokenizer where a model has none.
const NO_TOKENIZER: &str = "none";
/// Documents that are tokenised together, at most.
const CHUNK: usize = 2_048;
/// Bytes of text after which a chunk is full, however few documents it has.
const CHUNK_BYTES: usize = 4 << 20;

/// As often as this in a row, a special token in given token ids is padding, unless it is said to be meant.
const LONG_RUN: usize = 8;

/// Tokenises `files` with the tokenizer.json at `tokenizer` and packs it into `folder`, or opens what is there when it
/// was made from the same source with the same tokenizer and packing (and is sound; a damaged one is made anew).
/// Special tokens are read from the files beside `tokenizer`. The folder appears whole or not at all.
/// Where `files` are themselves a token file of the same tokenizer and packing, it is copied. Where there is no tokenizer, documents must be
/// given as token ids.
///
/// BOS per document, or EOS, is not doubled where tokens given as `input_ids` have it already. With BOS per context, a
/// context holds n_ctx − 1 tokens of text. Documents are split 90 / 5 / 5 as [`super::SplitBy`] says.
///
/// `progress` is told the documents done and in all, and returns false to stop; it starts over when a small corpus has
/// to be split again.
///
/// # Errors
/// Whatever is wrong with the source or the tokenizer; an id that is not below `d_vocab`; a policy whose token the tokenizer
/// lacks; too few tokens for three contexts; a disk that does not take it; [`CorpusError::Stopped`].
pub fn pack(
    files: impl Into<CorpusFiles>,
    tokenizer: &Path,
    d_vocab: usize,
    packing: &Packing,
    folder: &Path,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<TokenFile, CorpusError> {
    let CorpusFiles { path: source, reading } = files.into();
    let source = source.as_path();
    let beside = tokenizer.parent().unwrap_or(Path::new("."));
    let (tokenizer_hash, mut tokenizer) = match tokenizer.is_file() {
        true => (file_hash(tokenizer)?, Some(tokenizer::load(tokenizer, d_vocab)?)),
        false => (NO_TOKENIZER.to_owned(), None),
    };
    let special = tokenizer::special_tokens_of(tokenizer.as_ref(), beside)?.within(d_vocab);
    if let Some(tokenizer) = &mut tokenizer {
        tokenizer::mark_special(tokenizer, &special).map_err(|error| CorpusError::tokenizer(beside, error.to_string()))?;
    }
    let growth = tokenizer.as_ref().map(Growth::by_rules).transpose();
    let growth = growth.map_err(|message| CorpusError::tokenizer(beside, message))?;
    let layout = Layout::new(packing, &special, beside)?;
    let found = Source::find(source, reading)?;

    let made_alike = |manifest: &Manifest| {
        manifest.tokenizer_hash == tokenizer_hash
            && manifest.packing == *packing
            && manifest.d_vocab == d_vocab
            && (manifest.bos, manifest.eos) == (special.bos, special.eos)
            && manifest.special == special.all
    };
    if found.format == Format::TokenFile {
        let given = TokenFile::open(source)?;
        if !made_alike(given.manifest()) {
            let message = "it was made with another tokenizer, vocabulary or packing; give the text it was made from";
            return Err(CorpusError::token_file(source, message));
        }
        return if is_same_folder(source, folder) {
            Ok(given)
        } else {
            copy(source, &given, folder)
        };
    }

    let source_hash = found.hash()?;
    if TokenFile::is_at(folder)
        && let Ok(there) = TokenFile::open(folder)
        && made_alike(there.manifest())
        && there.manifest().source_hash == source_hash
        && there.manifest().source_format == found.format
        && there.manifest().reading == found.reading
    {
        return Ok(there);
    }

    let mut n_documents = 0;
    found.each_document(&mut |_| {
        n_documents += 1;
        Ok(())
    })?;
    let spellings = Spellings::of_tokens(tokenizer.as_ref(), &special.all)?;
    let staging = Staging::beside(folder)?;
    let mut packer = Packer {
        path: source,
        source: &found,
        encoder: Encoder {
            tokenizer: tokenizer.as_ref().zip(growth),
            d_vocab,
            layout,
            special: &special.all,
            spellings: &spellings,
            keep_runs: found.reading.keep_runs,
        },
        counts: spellings.none(),
        n_documents,
        progress,
    };
    let (assignment, packed) = packer.pack_into(staging.path())?;
    let counts = packer.counts;
    let [train, validation, held_out] = packed.splits;
    let manifest = Manifest {
        version: Manifest::VERSION,
        source_hash,
        source_format: found.format,
        tokenizer_hash,
        packing: *packing,
        reading: found.reading.clone(),
        d_vocab,
        bos: special.bos,
        eos: special.eos,
        special: special.all,
        split_by: assignment.by(),
        train,
        validation,
        held_out,
        n_dropped_tokens: packed.n_dropped,
        spellings: spellings.found(&counts),
    };
    staging.finish(&manifest, folder)
}

struct Packer<'a> {
    path: &'a Path,
    source: &'a Source,
    encoder: Encoder<'a>,
    n_documents: u64,
    /// How often each special token is spelt in the text of a pass.
    counts: Vec<u64>,
    progress: &'a mut dyn FnMut(u64, u64) -> bool,
}

impl Packer<'_> {
    /// Packs by hash and, where that leaves a split without a context, anew by the next way to share out.
    fn pack_into(&mut self, folder: &Path) -> Result<(Assignment, Packed), CorpusError> {
        let packed = self.pass(folder, &Assignment::Hash)?;
        if packed.splits.iter().all(|split| split.n_contexts > 0) {
            return Ok((Assignment::Hash, packed));
        }
        let context_text = self.encoder.layout.context_text() as u64;
        let n_contexts = packed.n_tokens / context_text;
        if n_contexts < 3 {
            return Err(CorpusError::TooSmall {
                path: self.path.to_owned(),
                n_tokens: packed.n_tokens,
                n_needed: 3 * context_text,
                n_ctx: self.encoder.layout.n_ctx,
            });
        }
        let dealt = packed.documents.and_then(|documents| split::deal(&documents, context_text));
        let assignment = dealt.unwrap_or_else(|| split::cut(n_contexts));
        let packed = self.pass(folder, &assignment)?;
        Ok((assignment, packed))
    }

    fn pass(&mut self, folder: &Path, assignment: &Assignment) -> Result<Packed, CorpusError> {
        let source = self.source;
        self.counts.fill(0);
        let mut writer = Writer::new(folder, self.encoder.layout, assignment)?;
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        source.each_document(&mut |document| {
            bytes += document.content().len();
            chunk.push(document);
            if chunk.len() < CHUNK && bytes < CHUNK_BYTES {
                return Ok(());
            }
            bytes = 0;
            self.flush(&mut chunk, &mut writer)
        })?;
        self.flush(&mut chunk, &mut writer)?;
        writer.finish()
    }

    fn flush(&mut self, chunk: &mut Vec<Document>, writer: &mut Writer<'_>) -> Result<(), CorpusError> {
        // only this loop is parallel: `encode_fast` on one text starts no threads of its own
        let encoder = &self.encoder;
        let encoded: Vec<_> = chunk.par_iter().map(|document| encoder.encode(document)).collect();
        chunk.clear();
        for tokens in encoded {
            let Encoded { hash, ids, spelt } = tokens.map_err(|error| match error {
                Refused::Id(id) => CorpusError::TokenOutOfRange {
                    path: self.path.to_owned(),
                    document: writer.n_done,
                    token: self
                        .encoder
                        .tokenizer
                        .and_then(|(tokenizer, _)| tokenizer::named(tokenizer, id)),
                    id,
                    d_vocab: self.encoder.d_vocab,
                },
                Refused::Run { id, n } => CorpusError::Padding {
                    path: self.path.to_owned(),
                    document: writer.n_done,
                    id,
                    token: self.encoder.name(id),
                    n,
                },
                Refused::Text(message) => CorpusError::record(self.path, format!("document {}", writer.n_done), message),
            })?;
            for (count, n) in self.counts.iter_mut().zip(spelt.iter().flatten()) {
                *count += n;
            }
            writer.push(hash, &ids)?;
        }
        if (self.progress)(writer.n_done, self.n_documents) {
            Ok(())
        } else {
            Err(CorpusError::Stopped)
        }
    }
}

/// What tokenising needs, shared by the threads.
struct Encoder<'a> {
    /// None where the model has none.
    tokenizer: Option<(&'a Tokenizer, Growth)>,
    d_vocab: usize,
    layout: Layout,
    special: &'a [u32],
    spellings: &'a Spellings,
    keep_runs: bool,
}

/// A document's content hash and tokens, and how often each special token is spelt in its text, where one is.
struct Encoded {
    hash: u64,
    ids: Vec<u32>,
    spelt: Option<Vec<u64>>,
}

impl Encoder<'_> {
    /// What the tokenizer calls a token.
    fn name(&self, id: u32) -> String {
        self.tokenizer
            .and_then(|(tokenizer, _)| tokenizer.id_to_token(id))
            .unwrap_or_default()
    }

    fn encode(&self, document: &Document) -> Result<Encoded, Refused> {
        let mut spelt = None;
        let mut ids = match document {
            Document::Tokens(ids) => {
                self.check_runs(ids)?;
                ids.clone()
            }
            Document::Text(text) => {
                let no_tokenizer = || {
                    let message = "it is text, and the model has no tokenizer.json; expected token ids in a field 'input_ids'";
                    Refused::Text(message.to_owned())
                };
                let (tokenizer, growth) = self.tokenizer.ok_or_else(no_tokenizer)?;
                growth.check(tokenizer, text).map_err(Refused::Text)?;
                let refused = |error: tokenizers::Error| Refused::Text(error.to_string());
                let mut counts = self.spellings.none();
                // the tokenizer's own template must not add what the policy adds
                match self.spellings.count(text, &mut counts) {
                    0 => tokenizer
                        .encode_fast(text.as_str(), false)
                        .map_err(refused)?
                        .get_ids()
                        .to_vec(),
                    _ => {
                        spelt = Some(counts);
                        encode_spelt(tokenizer, text, self.special).map_err(refused)?
                    }
                }
            }
        };
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.d_vocab) {
            return Err(Refused::Id(*id));
        }
        let given = matches!(document, Document::Tokens(_));
        if let Some(bos) = self.layout.opens_document
            && !(given && ids.first() == Some(&bos))
        {
            ids.insert(0, bos);
        }
        if let Some(eos) = self.layout.closes_document
            && !(given && ids.last() == Some(&eos))
        {
            ids.push(eos);
        }
        Ok(Encoded {
            hash: split::content_hash(document.content()),
            ids,
            spelt,
        })
    }

    /// Refuses what padding looks like.
    fn check_runs(&self, ids: &[u32]) -> Result<(), Refused> {
        let mut runs = ids.chunk_by(|one, next| one == next);
        let is_padding = |run: &&[u32]| run.len() >= LONG_RUN && self.special.binary_search(&run[0]).is_ok();
        match runs.find(is_padding).filter(|_| !self.keep_runs) {
            None => Ok(()),
            Some(run) => Err(Refused::Run {
                id: run[0],
                n: run.len(),
            }),
        }
    }
}

enum Refused {
    Id(u32),
    Run { id: u32, n: usize },
    Text(String),
}

fn copy(from: &Path, given: &TokenFile, folder: &Path) -> Result<TokenFile, CorpusError> {
    if TokenFile::is_at(folder)
        && let Ok(there) = TokenFile::open(folder)
        && there.manifest() == given.manifest()
    {
        return Ok(there);
    }
    let staging = Staging::beside(folder)?;
    for file in Split::ALL
        .into_iter()
        .flat_map(|split| [split_file, documents_file].map(|name| move |folder: &Path| name(folder, split)))
    {
        let to = file(staging.path());
        fs::copy(file(from), &to).map_err(CorpusError::io("write", &to))?;
        File::open(&to)
            .and_then(|file| file.sync_all())
            .map_err(CorpusError::io("write", &to))?;
    }
    staging.finish(given.manifest(), folder)
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
