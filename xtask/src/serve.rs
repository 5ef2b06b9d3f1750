//! `cargo serve`: from a fresh clone to the program running.

use crate::{build, page};
use anyhow::Result;
use std::process::Command;

/// Builds what changed, then becomes `saescope serve ARGS…`.
pub fn serve(args: &[String]) -> Result<()> {
    page::build()?;
    build::server()?;
    become_program(Command::new(build::binary()?).arg("serve").args(args))
}

/// On Unix this process turns into the server, so that Ctrl-C and exit status are the server's own.
#[cfg(unix)]
fn become_program(command: &mut Command) -> Result<()> {
    use anyhow::Context;
    use std::os::unix::process::CommandExt;
    Err(command.exec()).with_context(|| format!("cannot start `{}`", command.get_program().to_string_lossy()))
}

#[cfg(not(unix))]
fn become_program(command: &mut Command) -> Result<()> {
    build::run(command)
}
