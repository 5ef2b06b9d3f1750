//! Commands whose listeners go away, as with `saescope jobs | head -1`.

use crate::line::{Line, Place, dictionaries};
use anyhow::{Result, ensure};
use std::process::{Command, Output, Stdio};

/// Runs `command` with the given ends of stdout and stderr closed at once.
fn unheard(mut command: Command, no_out: bool, no_err: bool) -> Result<Output> {
    let mut process = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if no_out {
        process.stdout.take();
    }
    if no_err {
        process.stderr.take();
    }
    Ok(process.wait_with_output()?)
}

#[test]
fn a_closed_pipe_ends_a_command_quietly() -> Result<()> {
    let place = Place::new()?;
    Line::sweep(&place).with("--coefficient", "0.1").expect(0)?;
    let commands = [
        Line::on(&place, &["jobs"]),
        Line::new(&["storyworld", "--print", "100"]),
        Line::on(&place, &["evaluate", "--dictionary", "1"]),
        Line::on(&place, &["plot"]).with("--out", place.path("pareto.svg").display()),
        Line::sweep(&place).with("--coefficient", "0.1"),
    ];
    for line in commands {
        let said = unheard(line.command()?, true, false)?;
        let err = String::from_utf8_lossy(&said.stderr);
        ensure!(said.status.code() == Some(0), "{}: {err}", said.status);
        ensure!(!err.contains("panicked") && !err.contains("error"), "{err}");
    }
    Ok(())
}

#[test]
fn a_run_whose_progress_nobody_reads_goes_on() -> Result<()> {
    let place = Place::new()?;
    let said = unheard(Line::sweep(&place).command()?, true, true)?;
    ensure!(said.status.code() == Some(0), "{}", said.status);
    ensure!(dictionaries(&place.data())?.len() == 5);
    Ok(())
}
