//! Runs that are stopped on their way, by force or politely, go on from their last checkpoint to the same bits.

use crate::line::{Line, Place, Running, Said, dictionaries};
use anyhow::{Result, ensure};
use std::fs;

/// Starts the long sweep and waits for its first checkpoint.
fn until_a_checkpoint(place: &Place, line: &Line) -> Result<Running> {
    let mut running = line.start()?;
    let checkpoint = place.checkpoint(1);
    running.wait_until("a checkpoint", || checkpoint.exists())?;
    Ok(running)
}

fn undisturbed() -> Result<Vec<(String, Vec<u8>)>> {
    let place = Place::new()?;
    Line::long_sweep(&place).with("--threads", 2).expect(0)?;
    dictionaries(&place.data())
}

/// The three runs are killed and resumed side by side. None waits until the lease of its dead owner is over: who waits says so.
#[test]
fn a_run_that_was_killed_gives_the_same_bytes_with_one_two_and_three_threads() -> Result<()> {
    let mut resumed = Vec::new();
    for threads in 1..=3 {
        let place = Place::new()?;
        let line = Line::long_sweep(&place).with("--threads", threads);
        let running = until_a_checkpoint(&place, &line)?;
        running.signal("KILL")?;
        let said = running.end()?;
        ensure!(said.code.is_none(), "it ended before it was killed; {said}");
        ensure!(dictionaries(&place.data())?.is_empty(), "killed, it has dictionaries");
        resumed.push((threads, line.start()?, place));
    }
    let expected = undisturbed()?;
    ensure!(expected.len() == 3);
    for (threads, running, place) in resumed {
        let said: Said = running.end()?;
        ensure!(said.code == Some(0), "{threads} threads; {said}");
        said.tells(&[
            "job 1: the same run is in the queue already",
            "job 1 (seed 0, 3 dictionaries)",
        ])?;
        ensure!(
            !said.err.contains("run by"),
            "it waited for the lease of a dead process; {said}"
        );
        let found = dictionaries(&place.data())?;
        ensure!(
            found == expected,
            "with {threads} threads the dictionaries differ from those of an undisturbed run"
        );
    }
    Ok(())
}

#[test]
fn an_interrupted_run_says_how_to_go_on_and_does() -> Result<()> {
    let place = Place::new()?;
    let line = Line::long_sweep(&place).with("--threads", 1);
    let running = until_a_checkpoint(&place, &line)?;
    running.signal("INT")?;
    let said = running.end()?;
    ensure!(said.code == Some(130), "{said}");
    said.tells(&["the same command goes on from the checkpoint"])?;
    let jobs = Line::on(&place, &["jobs"]).expect(0)?;
    ensure!(jobs.out.starts_with("1\tcancelled"), "{jobs}");

    // a damaged checkpoint is named and left as it is; that it matters shows that it is read
    let checkpoint = fs::read(place.checkpoint(1))?;
    let half = &checkpoint[..checkpoint.len() / 2];
    fs::write(place.checkpoint(1), half)?;
    line.expect(1)?.complains(&["jobs/1/checkpoint.safetensors", "damaged"])?;
    ensure!(fs::read(place.checkpoint(1))? == half, "the damaged checkpoint was touched");
    fs::write(place.checkpoint(1), &checkpoint)?;

    let said = line.expect(0)?;
    said.tells(&["job 1: goes on from its last checkpoint"])?;
    ensure!(
        dictionaries(&place.data())? == undisturbed()?,
        "the dictionaries differ from those of an undisturbed run"
    );
    Ok(())
}
