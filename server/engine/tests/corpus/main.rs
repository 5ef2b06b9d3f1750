//! Corpora: every format gives the same documents, packing loses nothing but the dropped ends, splits are disjoint,
//! threads change nothing, and what is wrong with a file is said by name.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod borders;
mod formats;
mod odd_tokenizers;
mod order;
mod packing;
mod real;
mod records;
mod refused;
mod reports;
mod spellings;
mod token_file;
mod tokenizer;
mod workplace;
