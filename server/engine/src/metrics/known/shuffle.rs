//! Labels that belong to other tokens, as the floor: each story gets the answers of another story, turned by some tokens. So
//! they come in the same runs as the true ones (a story that is quoted for ten tokens, a night that is wet to the story's end),
//! and say nothing of the tokens that they stand at.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::told::Told;

/// The answers, [label][token], shuffled; all labels alike.
pub fn shuffled(told: &Told, seed: u64) -> Vec<Vec<Option<bool>>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let ranges = told.ranges();
    let n = ranges.len();
    let apart = if n > 1 { rng.random_range(1..n) } else { 0 };
    let mut from = Vec::with_capacity(told.n_tokens());
    for (story, range) in ranges.iter().enumerate() {
        let other = &ranges[(story + apart) % n];
        let turn = rng.random_range(0..other.len().max(1));
        // a story without labelled tokens has none to give: then the own ones stay
        let other = if other.is_empty() { range } else { other };
        from.extend((0..range.len()).map(|i| other.start + (i + turn) % other.len().max(1)));
    }
    let of = |answers: &Vec<Option<bool>>| from.iter().map(|token| answers[*token]).collect();
    told.answers.iter().map(of).collect()
}
