//! Which documents train, which validate and which are held out.

use sha2::{Digest, Sha256};
use std::{collections::HashMap, fmt};

use serde::{Deserialize, Serialize};

/// The use of a document. The three are disjoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Dictionaries learn from it: 90 % of the documents.
    Train,
    /// Settings are chosen on it: 5 %.
    Validation,
    /// Results are measured on it: 5 %.
    HeldOut,
}

impl Split {
    /// Every split, in the order in which arrays here hold them.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::HeldOut];

    /// The name, as in file names: `train`, `validation`, `held_out`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::HeldOut => "held_out",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How the documents of a corpus were shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitBy {
    /// Each by the hash of its content, so that equal documents are always together.
    Hash,
    /// Few documents: dealt in the order of their hashes, validation and held-out text each until it has
    /// 5 % of the tokens and at least one context, training the rest. Equal documents are together.
    Dealt,
    /// Too few documents even for that: all are packed as one text, whose last contexts are held out and those
    /// before them validate. A document may lie on both sides.
    Context,
}

/// How [`SplitBy`] decides about one document.
#[derive(Clone, Debug)]
pub(super) enum Assignment {
    Hash,
    Dealt(HashMap<u64, Split>),
    /// Where the contexts of the one text end that train, and those that validate.
    Context {
        train_end: u64,
        validation_end: u64,
    },
}

impl Assignment {
    pub fn by(&self) -> SplitBy {
        match self {
            Assignment::Hash => SplitBy::Hash,
            Assignment::Dealt(_) => SplitBy::Dealt,
            Assignment::Context { .. } => SplitBy::Context,
        }
    }

    /// The split whose text the document joins.
    pub fn of_document(&self, hash: u64) -> Split {
        match self {
            Assignment::Hash => by_hash(hash),
            Assignment::Dealt(dealt) => dealt.get(&hash).copied().unwrap_or(Split::Train),
            Assignment::Context { .. } => Split::Train,
        }
    }

    /// The split that a context goes to, when it is the `index`th cut from the text of `joined`.
    pub fn of_context(&self, joined: Split, index: u64) -> Split {
        match self {
            Assignment::Context { train_end, .. } if index < *train_end => Split::Train,
            Assignment::Context { validation_end, .. } if index < *validation_end => Split::Validation,
            Assignment::Context { .. } => Split::HeldOut,
            _ => joined,
        }
    }
}

/// Changing it changes every corpus' splits: then raise the token file's version.
const SEED: &[u8] = b"saescope split 0\n";

/// The hash by which a document is assigned: of its content alone, so that equal documents never lie in two splits.
pub(super) fn content_hash(content: &[u8]) -> u64 {
    let digest = Sha256::new().chain_update(SEED).chain_update(content).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

/// The split that a document's hash puts it into.
pub(super) fn by_hash(hash: u64) -> Split {
    match (u128::from(hash) * 100) >> 64 {
        0..90 => Split::Train,
        90..95 => Split::Validation,
        _ => Split::HeldOut,
    }
}

/// Deals documents, given as (hash, tokens), in the order of their hashes; none where some split would get no context
/// of `context_text` tokens.
pub(super) fn deal(documents: &[(u64, u64)], context_text: u64) -> Option<Assignment> {
    let mut n_tokens: HashMap<u64, u64> = HashMap::new();
    for (hash, n) in documents {
        *n_tokens.entry(*hash).or_default() += n;
    }
    let total: u64 = n_tokens.values().sum();
    let wanted = (total / 20).max(context_text);
    let mut groups: Vec<(u64, u64)> = n_tokens.into_iter().collect();
    groups.sort_unstable();

    let mut dealt = HashMap::new();
    let mut has = [0_u64; 3];
    for (hash, n) in groups {
        let split = if has[Split::Validation as usize] < wanted {
            Split::Validation
        } else if has[Split::HeldOut as usize] < wanted {
            Split::HeldOut
        } else {
            Split::Train
        };
        has[split as usize] += n;
        dealt.insert(hash, split);
    }
    has.iter().all(|n| *n >= context_text).then_some(Assignment::Dealt(dealt))
}

/// The last twentieth of `n_contexts` held out, the twentieth before it validates, at least one context each.
pub(super) fn cut(n_contexts: u64) -> Assignment {
    let share = (n_contexts / 20).max(1);
    Assignment::Context {
        train_end: n_contexts - 2 * share,
        validation_end: n_contexts - share,
    }
}
