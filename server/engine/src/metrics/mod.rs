//! What a dictionary does to a model, measured on text that it was not trained on. Definitions: [`api::METRICS`].

mod evaluate;
pub mod known;
mod logits;
mod sums;
mod totals;

pub use evaluate::{Subject, evaluate};
pub use logits::Compared;
pub use totals::{Answer, Batch, Text, measure, points};
