//! How a text is read: the options of every command that may be given a text's path.

use api::CorpusReading;
use clap::Args;

/// How the text's files are read, where they are not in the registry yet.
#[derive(Clone, Debug, Default, Args)]
pub struct ReadingOptions {
    /// The field or column of the text that is read, inside others with dots: data.text [default: the one that can be nothing else]
    #[arg(long, value_name = "FIELD")]
    pub text_field: Option<String>,
    /// Long runs of one special token in given token ids are meant; else they are refused as padding
    #[arg(long)]
    pub keep_runs: bool,
}

impl ReadingOptions {
    /// What they come to.
    pub fn reading(&self) -> CorpusReading {
        CorpusReading {
            text_field: self.text_field.clone(),
            keep_runs: self.keep_runs,
        }
    }
}
