//! Text for training and evaluating: found and read ([`inspect`]), tokenised and cut into contexts ([`pack`]),
//! kept as a memory-mapped token file ([`TokenFile`]) and visited in a seeded order ([`Order`]).
//!
//! What a document is: a row of a table or a Parquet file, a line of JSON lines, an element of a JSON array; in plain text see
//! `text.rs`. Which field of a record is read: `choice.rs`. A document of white space only is none.

mod bpe;
mod choice;
mod documents;
mod error;
mod excerpt;
mod intake;
mod json;
mod normaliser;
mod order;
mod pack;
mod pieces;
mod rows;
mod source;
mod spellings;
mod split;
mod staging;
pub mod storyworld;
mod table;
mod text;
mod token_file;
mod tokenizer;
mod turns;
mod writer;

pub use bpe::{END_OF_TEXT, train_tokenizer};
pub use error::CorpusError;
pub use excerpt::{special_spellings, tokenised};
pub use order::Order;
pub use pack::pack;
pub use pieces::pieces;
pub use source::{CorpusFacts, CorpusFiles, Format, file_hash, inspect};
pub use split::{Split, SplitBy};
pub use token_file::{Manifest, SplitManifest, TokenFile};
pub use tokenizer::{SpecialTokens, load_tokenizer, special_tokens, text_ids};
