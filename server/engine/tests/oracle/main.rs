//! The synthetic oracle of sparse coding (Sharkey et al. 2022; Cunningham et al. 2023, `sparse_coding`): random unit directions,
//! a sparse code that is known, and a dictionary trained on their sums. A trainer that works finds the directions again, which the
//! mean max cosine similarity (MMCS) from the truth to the learned directions says: MMCS = mean_i max_j cos(true_i, learned_j).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are tests too, and docs/KINDS.md shows what they print"
)]

mod course;
mod kinds;
mod transcoders;
mod world;
