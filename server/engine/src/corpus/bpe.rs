//! A tokenizer from a corpus: byte-level BPE as GPT-2's (Radford et al. 2019, section 2.2), trained by the tokenizers library.
//! Before GPT-2's own splitting every digit and every mark but the apostrophe is cut off with the space before it, so that each is a
//! token of its own wherever it stands: numbers are digits, and what closes a bracket or a quote is one choice.
//! Every text can be encoded, because the 256 bytes are its first tokens but one: `<|endoftext|>`, which opens documents and
//! closes them, has id 0.

use tokenizers::{
    AddedToken, Tokenizer,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainer},
    },
    normalizer::SplitDelimiterBehavior,
    pre_tokenizers::{
        PreTokenizerWrapper,
        byte_level::ByteLevel,
        sequence::Sequence,
        split::{Split as Cut, SplitPattern},
    },
};

use super::{
    CorpusError, CorpusFiles, Split,
    source::{Document, Source},
    split,
};

/// The one special token.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// What is a token of its own: neither letter nor space nor apostrophe, with the space before it.
const SINGLE: &str = r" ?[^\s\p{L}\p{M}']";

/// Bytes of text that it learns from, at most: the first documents of the training text.
const MOST_BYTES: usize = 64 << 20;

/// `tokenizer.json` of a tokenizer of at most `vocab_size` tokens (fewer where the text has too few repeated pairs), trained on
/// the documents of `files` that [`super::pack`] puts into the training text; on all where that is none. The same text gives
/// the same tokenizer.
///
/// # Errors
/// Whatever is wrong with the source; a source that holds tokens.
pub fn train_tokenizer(files: impl Into<CorpusFiles>, vocab_size: usize) -> Result<String, CorpusError> {
    let CorpusFiles { path, reading } = files.into();
    let source = path.as_path();
    let found = Source::find(source, reading)?;
    let (mut texts, mut others, mut n_bytes) = (Vec::new(), Vec::new(), 0);
    found.each_document(&mut |document| {
        if n_bytes >= MOST_BYTES {
            return Ok(());
        }
        let trains = split::by_hash(split::content_hash(document.content())) == Split::Train;
        let Document::Text(text) = document else {
            let message = "it holds tokens, not text: no tokenizer can be trained on it; give the tokenizer that made them";
            return Err(CorpusError::record(source, "document 0", message));
        };
        if trains {
            n_bytes += text.len();
            texts.push(text);
        } else if texts.is_empty() {
            others.push(text);
        }
        Ok(())
    })?;
    if texts.is_empty() {
        texts = others;
    }
    let failed = |error: tokenizers::Error| CorpusError::tokenizer(source, format!("no tokenizer can be trained on it: {error}"));
    let mut tokenizer = Tokenizer::new(BPE::default());
    let bytes = ByteLevel::new(false, true, true);
    let single = Cut::new(
        SplitPattern::Regex(SINGLE.to_owned()),
        SplitDelimiterBehavior::Isolated,
        false,
    )
    .map_err(failed)?;
    tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
        PreTokenizerWrapper::Split(single),
        PreTokenizerWrapper::ByteLevel(bytes),
    ])));
    tokenizer.with_decoder(Some(bytes));
    let mut trainer = TrainerWrapper::from(
        BpeTrainer::builder()
            .vocab_size(vocab_size)
            .show_progress(false)
            .special_tokens(vec![AddedToken::from(END_OF_TEXT, true)])
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .build(),
    );
    tokenizer.train(&mut trainer, texts.into_iter()).map_err(failed)?;
    tokenizer.to_string(true).map_err(failed)
}
