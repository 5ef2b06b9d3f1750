//! The machine learning of saescope: language models, dictionaries, objectives, training and metrics.
//! Pure: it reads the files it is given and returns values; it speaks no HTTP and no SQL and prints nothing.

pub mod kernel;

pub mod baseline;
pub mod corpus;
pub mod dictionary;
pub mod exchange;
pub mod file;
pub mod json;
pub mod memory;
pub mod model;

pub mod metrics;
pub mod objective;
pub mod train;

pub mod pretrain;

pub mod experiment;
