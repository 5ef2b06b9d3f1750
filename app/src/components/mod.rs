//! Reusable pieces of pages: data in, events out.

mod add_corpus;
mod add_model;
mod corpus_table;
mod error_view;
mod fetched;
mod frame;
mod heading;
mod job_list;
mod model_table;
mod source_form;

pub use add_corpus::AddCorpus;
pub use add_model::AddModel;
pub use corpus_table::CorpusTable;
pub use error_view::{ErrorView, Problem};
pub use fetched::Fetched;
pub use frame::Frame;
pub use heading::Heading;
pub use job_list::{JobList, JobState, Progress};
pub use model_table::ModelTable;
