//! What a dictionary does to a model, measured on text that it was not trained on. Definitions: [`api::METRICS`].

mod bootstrap;
mod clean;
mod evaluate;
mod firings;
pub mod known;
mod logistic;
mod logits;
mod mask;
mod pass;
pub mod probing;
mod sums;
mod tokens;
mod totals;
mod weights;

pub use clean::{check_clean, check_contexts};
pub use evaluate::{Processor, Subject, evaluate};
pub use firings::Firings;
pub use logits::Compared;
pub use mask::Mask;
pub(crate) use mask::{close_up, spread};
pub use pass::{Answer, Batch, Depth, Evaluated, Passes, Text, measure, points};
pub use tokens::{By, Hardest, TokenRow, compare_tokens, hardest};
pub use weights::of_weights;
