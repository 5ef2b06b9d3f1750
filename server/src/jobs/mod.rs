//! What runs for long: jobs taken from the registry under a lease, and what prepares them.

mod ask;
mod execute;
pub mod import;
pub mod lease;
mod pretrain;
mod recorder;
pub mod request;
mod tokens;
mod train;
mod verify;
pub mod worker;

pub use execute::{Ended, execute};
pub use tokens::pack_corpus;
pub use train::check_unchanged;
