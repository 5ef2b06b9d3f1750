//! Which document each token of packed contexts belongs to.

use api::BosPolicy;

use super::{Split, TokenFile};

impl TokenFile {
    /// Of each token of the split's first `n_contexts` contexts, the document that it belongs to, counted from 0 through all of
    /// them: a document that a context's end cuts goes on in the next. A BOS that only opens its context belongs to
    /// what stands before it.
    pub fn documents(&self, split: Split, n_contexts: usize) -> Vec<u32> {
        let n_tokens = (n_contexts * self.manifest().packing.n_ctx) as u64;
        let opens = u64::from(self.manifest().packing.bos == BosPolicy::Context);
        number(self.starts(split), opens, n_tokens)
    }
}

/// `opens`: tokens of a context before its text.
fn number(starts: &[u64], opens: u64, n_tokens: u64) -> Vec<u32> {
    // the first token belongs to document 0, whether it begins it or the split began inside it
    let mut starts = starts.iter().copied().skip_while(|start| *start <= opens).peekable();
    let mut document = 0;
    let of_token = |token| {
        document += u32::from(starts.next_if_eq(&token).is_some());
        document
    };
    (0..n_tokens).map(of_token).collect()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_document_goes_on_in_the_next_context() {
        assert_eq!(number(&[0, 3, 9, 10], 0, 12), [0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 3, 3]);
        // the split begins inside a document
        assert_eq!(number(&[2], 0, 4), [0, 0, 1, 1]);
        assert_eq!(number(&[], 0, 3), [0, 0, 0]);
        // the BOS of the first context belongs to the document behind it, that of the second to the one before it
        assert_eq!(number(&[1, 5], 1, 8), [0, 0, 0, 0, 0, 1, 1, 1]);
    }
}
