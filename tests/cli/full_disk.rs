//! A disk that becomes full during a run: a small file system of its own where this user may mount one, else a limit on the
//! size of files. Both refuse the second copy of a checkpoint that fitted once.

use crate::line::{Line, Place, Running, dictionaries};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tests::{
    Server, eventually, given,
    http::{get_json, post, post_json},
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

    /// Writes a file until nothing fits any more.
    fn fill(&self) -> Result<()> {
        let mut file = fs::File::create(self.filler())?;
        let piece = [0; 4096];
        while file.write_all(&piece).is_ok() {}
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
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

/// How long a job may take to become what is waited for.
const WITHIN: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_disk_was_full_in_the_middle_of_a_sweep_goes_on_once_there_is_room() -> Result<()> {
    let place = Place::new()?;
    let Some(disk) = Mounted::at(&place.data())? else {
        println!("skipped: no file system can be mounted here");
        return Ok(());
    };
    let server = Server::on(&place.data(), &["--threads", "1"]).await?;
    post_json(&server.url("/api/models"), &json!({"folder": given::tiny_model()})).await?;
    post_json(&server.url("/api/corpora"), &json!({"path": place.stories})).await?;
    let sweep = |tokens: u64| {
        json!({
            "model": "tiny", "corpus": "stories.json", "at": "blocks.1.hook_resid_pre", "objectives": ["local"],
            "coefficient": "0.1", "d_sae": 64, "n_ctx": 16, "batch": 4, "tokens": tokens, "seeds": [0, 1],
            "eval_every_steps": 1_000_000, "validation_tokens": 64, "eval_tokens": 256,
            "checkpoint_every_steps": 100, "log_every_steps": 100,
        })
    };
    let state = async |id: i64, expected: &str| {
        eventually(&format!("job {id} {expected}"), WITHIN, async || {
            let job = get_json(&server.url(&format!("/api/jobs/{id}"))).await?;
            Ok((job["state"] == expected).then_some(job))
        })
        .await
    };
    post_json(&server.url("/api/sweeps"), &sweep(32_000_000)).await?;
    let checkpoint = place.checkpoint(1);
    eventually("a checkpoint", WITHIN, async || Ok(checkpoint.exists().then_some(()))).await?;
    disk.fill()?;
    // what is asked for meanwhile says why it cannot be done, and changes nothing
    eventually("a request that meets the full disk", WITHIN, async || {
        let answer = post(&server.url("/api/sweeps"), &sweep(1280)).await?;
        Ok((!answer.status.is_success()).then_some(()))
    })
    .await?;
    eventually("the job's end is not written", WITHIN, async || {
        Ok(server.log().contains("could not be written yet").then_some(()))
    })
    .await?;
    let page = get_json(&server.url("/api/overview")).await?;
    ensure!(page["models"].as_array().is_some_and(|models| models.len() == 1), "{page}");
    disk.make_room()?;

    // no restart: the registry takes writes again, and what ran says what became of it
    let failed = state(1, "failed").await?;
    let error = failed["error"].as_str().unwrap_or_default();
    ensure!(error.contains("No space left") || error.contains("full"), "{error}");
    ensure!(!server.log().contains("transaction depth"), "{}", server.log());
    let small = post_json(&server.url("/api/sweeps"), &sweep(1280)).await?;
    state(2, "running").await?;
    post_json(&server.url("/api/jobs/2/cancel"), &Value::Null).await?;
    state(2, "cancelled").await?;
    let last = small["jobs"][1].as_i64().context("two jobs")?;
    state(last, "done").await?;
    Ok(())
}
