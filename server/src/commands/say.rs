//! What commands say: results on stdout, everything else on stderr. Whoever listened may have gone (`saescope jobs | head -1`):
//! then a command ends quietly, and a run goes on unheard.

use anyhow::{Context as _, Result};
use std::{
    fmt,
    io::{self, Write as _},
};

/// Nobody reads stdout any more: the command has nothing left to do, and that is no failure.
#[derive(Debug)]
pub struct Unheard;

impl fmt::Display for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody reads stdout any more")
    }
}

impl std::error::Error for Unheard {}

/// Writes a line to stdout.
///
/// # Errors
/// [`Unheard`]; otherwise what the system said, such as a full disk.
pub fn line(words: fmt::Arguments<'_>) -> Result<()> {
    match writeln!(io::stdout(), "{words}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Unheard.into()),
        written => written.context("cannot write to stdout"),
    }
}

/// Writes a line to stderr. Where it cannot be written there is nobody to tell.
pub fn aside(words: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{words}");
}

/// As `println!`, but answers with a result.
macro_rules! say {
    ($($words:tt)*) => { $crate::commands::say::line(format_args!($($words)*)) };
}

/// As `eprintln!`, but does not mind that nobody listens.
macro_rules! note {
    ($($words:tt)*) => { $crate::commands::say::aside(format_args!($($words)*)) };
}

pub(crate) use {note, say};
