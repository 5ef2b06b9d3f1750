//! What many stories are like: how long, how surprising, how varied.

use std::collections::HashSet;

use super::Story;

/// The longest n-gram that is counted.
const LONGEST: usize = 4;

/// Sums over stories. Tokens are words and marks of punctuation.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    /// Stories.
    pub n_stories: u64,
    /// Words and marks.
    pub n_tokens: u64,
    /// Bytes of text.
    pub n_bytes: u64,
    /// −ln of the probability of the choices, in nats.
    pub nats: f64,
    /// The fewest and the most tokens of a story.
    pub shortest: u64,
    /// The most tokens of a story.
    pub longest: u64,
    seen: [HashSet<u64>; LONGEST],
    total: [u64; LONGEST],
}

impl Statistics {
    /// Counts a story.
    pub fn add(&mut self, story: &Story) {
        let n_tokens = story.words.len() as u64;
        self.shortest = if self.n_stories == 0 {
            n_tokens
        } else {
            self.shortest.min(n_tokens)
        };
        self.longest = self.longest.max(n_tokens);
        self.n_stories += 1;
        self.n_tokens += n_tokens;
        self.n_bytes += story.text.len() as u64;
        self.nats += story.nats;
        let hashes: Vec<u64> = story.words.iter().map(|word| fnv(story.letters(word))).collect();
        for n in 1..=LONGEST {
            for gram in hashes.windows(n) {
                self.seen[n - 1].insert(
                    gram.iter()
                        .fold(n as u64, |sum, hash| (sum.rotate_left(23) ^ hash).wrapping_mul(PRIME)),
                );
                self.total[n - 1] += 1;
            }
        }
    }

    /// The generator's nats per token: no model can have a lower expected loss per token than the text's entropy, which is at most
    /// this.
    pub fn nats_per_token(&self) -> f64 {
        self.nats / self.n_tokens as f64
    }

    /// The share of n-grams, for `n` from 1 to 4, that are distinct, and how many those are. N-grams do not cross stories.
    pub fn distinct(&self, n: usize) -> (f64, u64) {
        let distinct = self.seen[n - 1].len() as u64;
        (distinct as f64 / self.total[n - 1].max(1) as f64, distinct)
    }
}

const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a, of the letters in lower case: 64 bits, so that among a million n-grams a collision is unlikely.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(PRIME)
    })
}
