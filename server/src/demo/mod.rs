//! The set that is shipped with the program: a storyworld model, a text and dictionaries, all made by the program itself.
//!
//! `recipe.rs` says what it is made of, `collect.rs` makes the folder of a data folder where that was trained, `bundle.rs` reads
//! such a folder (the one in the repository is inside the binary), and `install.rs` puts it into a data folder.

mod bundle;
mod collect;
mod install;
mod recipe;

pub use bundle::{About, Bundle};
pub use collect::collect;
pub use install::{install, installed};
pub use recipe::{Recipe, Stories};
