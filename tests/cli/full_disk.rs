//! A disk that becomes full during a run: a small file system of its own where this user may mount one, else a limit on the
//! size of files. Both refuse the second copy of a checkpoint that fitted once.

use crate::line::{Line, Place, Running, dictionaries};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A mounted tmpfs, unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// None where this user may not mount.
    fn at(folder: &Path) -> Result<Option<Self>> {
        fs::create_dir_all(folder)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "saescope-test"])
            .arg(folder)
            .output();
        Ok(mounted
            .is_ok_and(|done| done.status.success())
            .then(|| Self(folder.to_owned())))
    }

    /// Leaves `free` kilobytes.
    fn leave(&self, free: u64) -> Result<()> {
        let used = Command::new("df").args(["--output=used", "-k"]).arg(&self.0).output()?;
        let used = String::from_utf8(used.stdout)?;
        let used: u64 = used.lines().last().context("df says nothing")?.trim().parse()?;
        self.resize(used + free)
    }

    fn resize(&self, kilobytes: u64) -> Result<()> {
        let size = format!("remount,size={kilobytes}k");
        let done = Command::new("mount").args(["-o", &size]).arg(&self.0).status()?;
        ensure!(done.success(), "cannot resize the file system");
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_a_run_and_loses_nothing() -> Result<()> {
    let place = Place::new()?;
    let disk = Mounted::at(&place.data())?;
    // a checkpoint of four megabytes: larger than what else is written
    let line = Line::long_sweep(&place).with("--d-sae", 1536).with("--tokens", 19_200);
    let mut running = line.start()?;
    let checkpoint = place.checkpoint(1);
    running.wait_until("a checkpoint", || checkpoint.exists())?;
    running.signal("INT")?;
    ensure!(running.end()?.code == Some(130));
    let before = fs::read(&checkpoint)?;
    ensure!(before.len() > 3_000_000, "the checkpoint has {} bytes", before.len());

    let said = match &disk {
        Some(disk) => {
            disk.leave(1500)?;
            line.run()?
        }
        None => {
            println!("no file system can be mounted here: a limit on the size of files instead");
            let mut limited = Command::new("sh");
            // the system's way to refuse is a signal unless it is ignored; blocks of 512 bytes
            limited.args(["-c", "trap '' XFSZ; ulimit -f 5000; exec \"$@\"", "sh"]);
            let command = line.command()?;
            limited.arg(command.get_program()).args(command.get_args());
            Running::start(limited)?.end()?
        }
    };
    ensure!(said.code == Some(1), "{said}");
    said.complains(&["jobs/1/checkpoint.safetensors"])?;
    let why = if disk.is_some() {
        "No space left on device"
    } else {
        "File too large"
    };
    said.tells(&[why])?;
    ensure!(fs::read(&checkpoint)? == before, "the checkpoint from before is damaged");

    if let Some(disk) = &disk {
        disk.resize(64 * 1024)?;
    }
    line.expect(0)?.tells(&["job 1: goes on from its last checkpoint"])?;
    let elsewhere = Place::new()?;
    let whole = Line::long_sweep(&elsewhere).with("--d-sae", 1536).with("--tokens", 19_200);
    whole.expect(0)?;
    ensure!(
        dictionaries(&place.data())? == dictionaries(&elsewhere.data())?,
        "the dictionaries differ from those of an undisturbed run"
    );
    Ok(())
}
