//! The loss on text that was not trained on, document by document: every document is scored from its first token, which BOS
//! alone predicts, in a context of its own.

use rayon::prelude::*;

use crate::{
    corpus::{Split, TokenFile},
    kernel::{PerThread, Real},
    model::{Cut, Model, ModelError, NoHooks, Work},
    objective::cross_entropy::{CHUNK, cross_entropy},
};

/// A mean loss and what it was taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Mean cross-entropy per predicted token, in nats.
    pub loss: f64,
    /// Predicted tokens.
    pub n_tokens: usize,
    /// Documents.
    pub n_documents: usize,
}

/// The documents of a split's packed text, each from its BOS on and at most `n_ctx + 1` tokens of it, until they hold `n_tokens`
/// predictions or the text ends. What stands before the first document, and the last document, which may have been cut, are left
/// out; the last one is taken where it is the only one. Without a BOS, the contexts are the documents.
pub fn documents(tokens: &TokenFile, split: Split, n_ctx: usize, n_tokens: usize) -> Vec<Vec<u32>> {
    let contexts = (0..tokens.n_contexts(split)).map(|i| tokens.context(split, i));
    let manifest = tokens.manifest();
    if manifest.packing.bos != api::BosPolicy::Document {
        let wanted = n_tokens.div_ceil(n_ctx);
        return contexts.take(wanted).map(|c| c[..c.len().min(n_ctx + 1)].to_vec()).collect();
    }
    let (mut documents, mut n, mut current) = (Vec::new(), 0, Vec::new());
    let mut starts = tokens.starts(split).iter().copied().peekable();
    for (position, &id) in (0..).zip(contexts.flatten()) {
        if starts.next_if_eq(&position).is_some() {
            n += keep(&mut documents, std::mem::take(&mut current));
            if n >= n_tokens {
                return documents;
            }
            current.push(id);
        } else if !current.is_empty() && current.len() <= n_ctx {
            current.push(id);
        }
    }
    if documents.is_empty() {
        keep(&mut documents, current);
    }
    documents
}

/// Keeps a document of which something is predicted, and says how much.
fn keep(documents: &mut Vec<Vec<u32>>, document: Vec<u32>) -> usize {
    let n = document.len().saturating_sub(1);
    if n > 0 {
        documents.push(document);
    }
    n
}

struct Scratch<R> {
    cut: Cut<R>,
    work: Work<R>,
    out: Vec<R>,
    logits: Vec<R>,
}

impl<R: Real> Default for Scratch<R> {
    fn default() -> Self {
        Self {
            cut: Cut::default(),
            work: Work::default(),
            out: Vec::new(),
            logits: Vec::new(),
        }
    }
}

/// The mean loss over all predictions of `documents`, on the threads of the current pool. All tokens of a document but the first
/// are predicted.
///
/// # Errors
/// The model's: a document that is too long, a token that is not in its vocabulary.
pub fn measure<R: Real>(model: &Model<R>, documents: &[Vec<u32>]) -> Result<Measured, ModelError> {
    let threads = PerThread::<Scratch<R>>::new();
    let losses = documents
        .par_iter()
        .map(|document| threads.with(|scratch| one_document(model, document, scratch)))
        .collect::<Result<Vec<f64>, _>>()?;
    let n_tokens = documents.iter().map(|document| document.len() - 1).sum();
    Ok(Measured {
        // in order, whatever the number of threads
        loss: losses.iter().sum::<f64>() / n_tokens as f64,
        n_tokens,
        n_documents: documents.len(),
    })
}

fn one_document<R: Real>(model: &Model<R>, document: &[u32], scratch: &mut Scratch<R>) -> Result<f64, ModelError> {
    let Scratch { cut, work, out, logits } = scratch;
    let (d_model, d_vocab) = (model.facts().d_model, model.facts().d_vocab);
    let (tokens, next) = (&document[..document.len() - 1], &document[1..]);
    model.prefix(tokens, api::HookPoint::Embed, cut, &mut NoHooks, work)?;
    model.suffix(cut, &cut.value, out, &mut NoHooks, None, work)?;
    let rows = (CHUNK / d_vocab).max(1);
    let mut loss = 0.0;
    for (out, next) in out.chunks(rows * d_model).zip(next.chunks(rows)) {
        logits.resize(next.len() * d_vocab, R::ZERO);
        model.logits(out, logits);
        loss += cross_entropy(logits, next, R::ZERO);
    }
    Ok(loss)
}
