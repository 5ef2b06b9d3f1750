//! The registry of models, corpora, jobs and dictionaries (SQLite), and the artifacts on disk.
//!
//! A data folder holds `registry.sqlite` and the folders that [`Store`] names. Any number of processes may have the same
//! data folder open: every change is one transaction, a job has one owner at a time, and a file is in its place either
//! whole or not at all.

mod answer;
mod artifact;
mod claim;
mod clean;
mod dictionary;
mod error;
mod finished;
mod folder;
mod history;
mod job;
mod known;
mod open;
mod process;
mod registry;
mod revision;
mod row;
mod schema;
mod set_aside;

pub use artifact::{UPLOAD_PREFIX, checksum, write_atomic};
pub use error::StoreError;
pub use finished::Finished;
pub use job::{End, Heartbeat};
pub use open::Store;
pub use revision::Revision;
