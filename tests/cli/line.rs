//! A command line on a data folder of its own, run or started, and what came of it.

use anyhow::{Context, Result, bail, ensure};
use std::{
    fmt::Display,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{binary, given};

/// How long a command may take on a busy machine. Most take a second or two.
const WITHIN: Duration = Duration::from_secs(150);

/// A folder with a text in it and a place for data.
pub struct Place {
    folder: TempDir,
    /// The text.
    pub stories: PathBuf,
}

impl Place {
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
        let stories = given::stories(folder.path())?;
        Ok(Self { folder, stories })
    }

    /// The data folder; commands make it.
    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The checkpoint of the job `id`.
    pub fn checkpoint(&self, id: i64) -> PathBuf {
        self.data().join(format!("jobs/{id}/checkpoint.safetensors"))
    }
}

/// The files of the dictionaries in a data folder, by name.
pub fn dictionaries(data: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = data.join("dictionaries");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        files.push((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?));
    }
    files.sort();
    Ok(files)
}

/// `saescope` with its arguments.
#[derive(Clone)]
pub struct Line(Vec<String>);

impl Line {
    pub fn new(words: &[&str]) -> Self {
        Self(words.iter().map(ToString::to_string).collect())
    }

    /// A command on the data folder of `place`.
    pub fn on(place: &Place, words: &[&str]) -> Self {
        Self::new(words).with("--data", place.data().display())
    }

    /// The sweep in the form that scripts rely on, every option of it, with numbers that train in a moment.
    pub fn sweep(place: &Place) -> Self {
        Self::on(place, &["sweep"])
            .with("--model", given::tiny_model().display())
            .with("--corpus", place.stories.display())
            .with("--at", "blocks.1.hook_resid_pre")
            .with("--kind", "relu")
            .with("--objective", "local,e2e,e2e+ds")
            .with("--coefficient", "local=0.03,0.3;e2e=0.1;e2e+ds=0.1,1")
            .with("--kl-coefficient", "e2e=1;e2e+ds=0.5")
            .with("--ds-coefficient", 2.5)
            .with("--lr", "1e-3")
            .with("--d-sae", 64)
            .with("--n-ctx", 32)
            .with("--batch", 4)
            .with("--tokens", 3840)
            .with("--seed", 0)
            .with("--csv", place.path("out.csv").display())
    }

    /// A sweep of one dictionary of each objective that goes on for a second or two, with ten checkpoints on its way.
    pub fn long_sweep(place: &Place) -> Self {
        Self::sweep(place)
            .with("--coefficient", "0.1")
            .with("--tokens", 38_400)
            .with("--validation-tokens", 128)
            .with("--eval-tokens", 512)
    }

    /// Sets an option, given before or not.
    pub fn with(mut self, option: &str, value: impl Display) -> Self {
        let value = value.to_string();
        match self.0.iter().position(|word| word == option) {
            Some(at) => self.0[at + 1] = value,
            None => self.0.extend([option.to_string(), value]),
        }
        self
    }

    /// Takes an option away.
    pub fn without(mut self, option: &str) -> Self {
        if let Some(at) = self.0.iter().position(|word| word == option) {
            self.0.drain(at..at + 2);
        }
        self
    }

    /// The command, ready to start.
    pub fn command(&self) -> Result<Command> {
        let mut command = binary::command(&[])?;
        command.args(&self.0);
        Ok(command)
    }

    /// Runs it to its end.
    pub fn run(&self) -> Result<Said> {
        Running::start(self.command()?)?.end()
    }

    /// Runs it, and expects the exit status `code`.
    pub fn expect(&self, code: i32) -> Result<Said> {
        let said = self.run()?;
        ensure!(said.code == Some(code), "expected exit status {code} of {:?}; {said}", self.0);
        Ok(said)
    }

    /// Starts it.
    pub fn start(&self) -> Result<Running> {
        Running::start(self.command()?)
    }
}

/// A started command; killed when dropped.
pub struct Running {
    process: Child,
    said: TempDir,
}

impl Running {
    /// Starts `command`.
    pub fn start(mut command: Command) -> Result<Self> {
        let said = tempfile::tempdir().context("cannot create a temporary folder")?;
        let process = command
            .stdin(Stdio::null())
            .stdout(File::create(said.path().join("out"))?)
            .stderr(File::create(said.path().join("err"))?)
            .spawn()
            .context("cannot start the command")?;
        Ok(Self { process, said })
    }

    /// Sends the signal `name`: `INT`, `KILL`.
    pub fn signal(&self, name: &str) -> Result<()> {
        let id = self.process.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &id])
            .status()
            .context("cannot start `kill`")?;
        ensure!(sent.success(), "`kill -s {name} {id}` failed ({sent})");
        Ok(())
    }

    /// Waits until `holds`, while the command runs.
    pub fn wait_until(&mut self, what: &str, holds: impl Fn() -> bool) -> Result<()> {
        let start = Instant::now();
        while !holds() {
            if let Some(status) = self.process.try_wait()? {
                bail!("{what}: the command ended before ({status}); {}", self.said(None));
            }
            ensure!(start.elapsed() < WITHIN, "{what}: not within {WITHIN:?}; {}", self.said(None));
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Waits for its end.
    pub fn end(mut self) -> Result<Said> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(self.said(status.code()));
            }
            ensure!(
                start.elapsed() < WITHIN,
                "the command does not end in {WITHIN:?}; {}",
                self.said(None)
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn said(&self, code: Option<i32>) -> Said {
        let read = |name: &str| fs::read_to_string(self.said.path().join(name)).unwrap_or_default();
        Said {
            code,
            out: read("out"),
            err: read("err"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a command said, and its exit status: none where a signal ended it, or while it runs.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Expects each of `parts` on stderr.
    pub fn tells(&self, parts: &[&str]) -> Result<()> {
        for part in parts {
            ensure!(self.err.contains(part), "expected `{part}` on stderr; {self}");
        }
        Ok(())
    }

    /// Expects `parts` on stdout.
    pub fn answers(&self, parts: &[&str]) -> Result<()> {
        for part in parts {
            ensure!(self.out.contains(part), "expected `{part}` on stdout; {self}");
        }
        Ok(())
    }

    /// Expects one clear message with all of `parts` in it, and no panic.
    pub fn complains(&self, parts: &[&str]) -> Result<()> {
        self.tells(parts)?;
        let messages = self.err.lines().filter(|line| line.starts_with("error:")).count();
        ensure!(
            messages == 1 && !self.err.contains("panicked"),
            "expected one message, found {messages}; {self}"
        );
        Ok(())
    }
}

impl Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit status {:?}; on stdout:\n{}\non stderr:\n{}",
            self.code, self.out, self.err
        )
    }
}
