//! Which document each token of packed contexts belongs to, from the tokens that open or close documents.

use api::{BosPolicy, EosPolicy};

use super::{Manifest, Split, TokenFile};

impl TokenFile {
    /// Of each token of the split's first `n_contexts` contexts, the document that it belongs to, counted from 0 through all of
    /// them: a document that a context's end cuts goes on in the next. None where the packing marks no documents.
    pub fn documents(&self, split: Split, n_contexts: usize) -> Option<Vec<u32>> {
        let mark = Mark::of(self.manifest())?;
        let contexts = (0..n_contexts).map(|index| self.context(split, index));
        Some(mark.documents(contexts))
    }
}

/// The token by which documents are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mark {
    /// It opens each document.
    Opens(u32),
    /// It closes each document; at a context's first place it may be a BOS of the same id, which closes nothing.
    Closes { eos: u32, bos_per_context: bool },
}

impl Mark {
    fn of(manifest: &Manifest) -> Option<Self> {
        let packing = &manifest.packing;
        match (packing.bos, packing.eos) {
            (BosPolicy::Document, _) => manifest.bos.map(Self::Opens),
            (bos, EosPolicy::Document) => manifest.eos.map(|eos| Self::Closes {
                eos,
                bos_per_context: bos == BosPolicy::Context,
            }),
            _ => None,
        }
    }

    fn documents<'a>(self, contexts: impl Iterator<Item = &'a [u32]>) -> Vec<u32> {
        let mut out = Vec::new();
        // the first token belongs to document 0, whether it opens it or the split began inside it
        let (mut document, mut closed) = (0, false);
        for context in contexts {
            for (position, token) in context.iter().enumerate() {
                let own_bos = self.has_bos_at(position);
                document += u32::from(match self {
                    Self::Opens(bos) => *token == bos && !out.is_empty(),
                    Self::Closes { .. } => closed && !own_bos,
                });
                out.push(document);
                // a BOS of the context's own stands for itself: a document that was closed before it stays closed
                closed = match self {
                    Self::Closes { eos, .. } if !own_bos => *token == eos,
                    _ => closed,
                };
            }
        }
        out
    }

    /// Whether a context has a BOS of its own at `position`.
    fn has_bos_at(self, position: usize) -> bool {
        matches!(
            self,
            Self::Closes {
                bos_per_context: true,
                ..
            }
        ) && position == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(mark: Mark, contexts: &[[u32; 4]]) -> Vec<u32> {
        mark.documents(contexts.iter().map(|context| &context[..]))
    }

    #[test]
    fn a_document_goes_on_in_the_next_context() {
        let contexts = [[1, 5, 6, 1], [7, 8, 9, 9], [9, 1, 1, 5]];
        assert_eq!(documents(Mark::Opens(1), &contexts), [0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 3, 3]);
        // the split begins inside a document
        assert_eq!(documents(Mark::Opens(1), &[[5, 5, 1, 5]]), [0, 0, 1, 1]);
    }

    #[test]
    fn an_eos_belongs_to_the_document_that_it_closes() {
        let mark = |bos_per_context| Mark::Closes { eos: 2, bos_per_context };
        assert_eq!(
            documents(mark(false), &[[5, 2, 6, 2], [7, 2, 2, 8]]),
            [0, 0, 1, 1, 2, 2, 3, 4]
        );
        // GPT-2's BOS is its EOS
        assert_eq!(
            documents(mark(true), &[[2, 5, 2, 6], [2, 7, 6, 2], [2, 8, 8, 8]]),
            [0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2]
        );
    }
}
