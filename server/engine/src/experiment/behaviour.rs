//! What a language model has learnt of storyworld: how near its loss comes to the generator's own, and how often it goes on as the
//! stories would where they were written to ask.

use rayon::prelude::*;
use tokenizers::Tokenizer;

use crate::{
    corpus::storyworld::{Prompt, Story},
    kernel::{PerThread, log_normaliser, simd},
    model::{Cut, Model, ModelError, NoHooks, Work},
    pretrain,
};

/// Why a model could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum BehaviourError {
    /// The model's.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tokenizer refused a text.
    #[error("the tokenizer cannot read '{text}': {message}")]
    Tokenizer {
        /// The text.
        text: String,
        /// What it said.
        message: String,
    },
}

/// How a model answered the prompts of one behaviour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answers {
    /// Prompts.
    pub n: usize,
    /// Those of which the right continuations together have more probability than the wrong ones together.
    pub n_right: usize,
    /// Accuracy of guessing, between 0 and 1: the mean of [`Prompt::chance`].
    pub chance: f64,
}

impl Answers {
    /// Share of right answers, between 0 and 1.
    pub fn accuracy(&self) -> f64 {
        self.n_right as f64 / self.n as f64
    }
}

/// A model's loss on stories beside what the generator knows of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Mean cross-entropy, in nats per token, each story from its first token.
    pub loss: f64,
    /// The generator's own: −ln of the probability of its choices, in nats per token of the same tokens.
    pub generator: f64,
    /// Tokens.
    pub n_tokens: usize,
    /// Stories.
    pub n_stories: usize,
}

/// A language model that can be asked: with its tokenizer and the token that opens a document.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The model.
    pub model: &'a Model<f32>,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// What opens a document, where there is such a token.
    pub bos: Option<u32>,
}

impl Reader<'_> {
    /// The loss on `stories`, each in a context of its own. Without a BOS, a story's first token is not scored.
    ///
    /// # Errors
    /// A story that is longer than the model's contexts, and the tokenizer's.
    pub fn fit(&self, stories: &[Story]) -> Result<Fit, BehaviourError> {
        let documents = stories.iter().map(|story| self.encode(&story.text));
        let measured = pretrain::measure(self.model, &documents.collect::<Result<Vec<_>, _>>()?)?;
        let nats: f64 = stories.iter().map(|story| story.nats).sum();
        Ok(Fit {
            loss: measured.loss,
            generator: nats / measured.n_tokens as f64,
            n_tokens: measured.n_tokens,
            n_stories: stories.len(),
        })
    }

    /// Answers to `prompts`, on the threads of the current pool.
    ///
    /// # Errors
    /// A prompt that is longer than the model's contexts, and the tokenizer's.
    pub fn answers(&self, prompts: &[Prompt]) -> Result<Answers, BehaviourError> {
        let threads = PerThread::<Scratch>::new();
        let right = prompts
            .par_iter()
            .map(|prompt| threads.with(|scratch| self.is_right(prompt, scratch)))
            .collect::<Result<Vec<bool>, _>>()?;
        Ok(Answers {
            n: prompts.len(),
            n_right: right.into_iter().filter(|right| *right).count(),
            chance: prompts.iter().map(Prompt::chance).sum::<f64>() / prompts.len() as f64,
        })
    }

    fn is_right(&self, prompt: &Prompt, scratch: &mut Scratch) -> Result<bool, BehaviourError> {
        let log_p = self.log_probabilities(prompt, scratch)?;
        let (correct, wrong) = log_p.split_at(prompt.correct.len());
        Ok(log_normaliser(correct) > log_normaliser(wrong))
    }

    /// ln of the probability of each continuation, the correct ones first, but for a constant that they have in common: that of the
    /// tokens that all of them begin with.
    fn log_probabilities(&self, prompt: &Prompt, scratch: &mut Scratch) -> Result<Vec<f64>, BehaviourError> {
        let continuations = prompt.correct.iter().chain(&prompt.wrong);
        let texts = continuations
            .map(|continuation| self.encode(&format!("{}{continuation}", prompt.text)))
            .collect::<Result<Vec<_>, _>>()?;
        let common = common_prefix(&texts).max(1);
        let mut log_p = vec![0.0; texts.len()];
        // continuations that differ in their last token alone share a pass: neighbours, because years come in order
        let mut first = 0;
        for group in texts.chunk_by(|a, b| a[..a.len() - 1] == b[..b.len() - 1]) {
            let context = &group[0][..group[0].len() - 1];
            let rows = self.log_softmax(context, common - 1, scratch)?;
            let d_vocab = self.model.facts().d_vocab;
            for (text, log_p) in group.iter().zip(&mut log_p[first..]) {
                let next = text[common..].iter().zip(rows.chunks_exact(d_vocab));
                *log_p = next.map(|(id, row)| f64::from(row[*id as usize])).sum();
            }
            first += group.len();
        }
        Ok(log_p)
    }

    /// ln p of every token of the vocabulary after each token of `context` from position `from` on.
    fn log_softmax<'s>(&self, context: &[u32], from: usize, scratch: &'s mut Scratch) -> Result<&'s [f32], ModelError> {
        let Scratch { cut, work, out, logits } = scratch;
        let (d_model, d_vocab) = (self.model.facts().d_model, self.model.facts().d_vocab);
        self.model.prefix(context, api::HookPoint::Embed, cut, &mut NoHooks, work)?;
        self.model.suffix(cut, &cut.value, out, &mut NoHooks, None, work)?;
        logits.resize((context.len() - from) * d_vocab, 0.0);
        self.model.logits(&out[from * d_model..], logits);
        for row in logits.chunks_exact_mut(d_vocab) {
            simd(|| {
                let total = log_normaliser(row);
                row.iter_mut().for_each(|logit| *logit -= total);
            });
        }
        Ok(logits)
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, BehaviourError> {
        let encoded = self.tokenizer.encode_fast(text, false);
        let encoded = encoded.map_err(|error| BehaviourError::Tokenizer {
            text: text.to_owned(),
            message: error.to_string(),
        })?;
        Ok(self.bos.into_iter().chain(encoded.get_ids().iter().copied()).collect())
    }
}

#[derive(Default)]
struct Scratch {
    cut: Cut<f32>,
    work: Work<f32>,
    out: Vec<f32>,
    logits: Vec<f32>,
}

/// Tokens with which all of `texts` begin; the last token of a text does not count, because something must be left to ask for.
fn common_prefix(texts: &[Vec<u32>]) -> usize {
    let Some((first, rest)) = texts.split_first() else { return 0 };
    let longest = texts.iter().map(|text| text.len() - 1).min().unwrap_or(0);
    let alike = |i: &usize| rest.iter().all(|text| text[*i] == first[*i]);
    (0..longest).take_while(alike).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_texts_have_in_common_leaves_their_last_token() {
        assert_eq!(common_prefix(&[vec![1, 2, 3], vec![1, 2, 4]]), 2);
        assert_eq!(common_prefix(&[vec![1, 2, 3], vec![1, 2, 3, 4]]), 2);
        assert_eq!(common_prefix(&[vec![1, 2], vec![3, 2]]), 0);
    }
}
