//! What a dictionary does to a model, measured on text that it was not trained on. Definitions: [`api::METRICS`].

mod evaluate;
mod logits;
mod sums;

pub use evaluate::{Subject, Text, evaluate};
