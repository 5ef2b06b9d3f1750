//! A server of the built binary, on its own port and data folder, gone when it is dropped.

use crate::{binary, free_port, http};
use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a server may take to answer its first request, on a busy machine.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A running `saescope serve`.
pub struct Server {
    process: Child,
    port: u16,
    data: PathBuf,
    log: PathBuf,
    _own: TempDir,
}

impl Server {
    /// Starts one on an empty data folder of its own.
    ///
    /// # Errors
    /// As [`Server::on`].
    pub async fn start() -> Result<Self> {
        let own = tempfile::tempdir().context("cannot create a temporary folder")?;
        let data = own.path().join("data");
        Self::launch(own, data, "127.0.0.1", &["--no-demo"]).await
    }

    /// Starts one with the demo and without workers on a data folder of its own, under a limit of `mib` mebibytes on its address
    /// space.
    ///
    /// # Errors
    /// As [`Server::on`].
    pub async fn under_a_limit(mib: u64) -> Result<Self> {
        let own = tempfile::tempdir().context("cannot create a temporary folder")?;
        let data = own.path().join("data");
        let serve = binary::command(&["serve"])?;
        let mut limited = Command::new("sh");
        limited
            .args(["-c", &format!("ulimit -v {}; exec \"$@\"", mib * 1024), "sh"])
            .arg(serve.get_program())
            .args(serve.get_args())
            .current_dir(binary::root());
        Self::launch_by(limited, own, data, "127.0.0.1", &["--jobs", "0"]).await
    }

    /// Starts one as a newcomer does: on a data folder that is not there yet, which gets the demo.
    ///
    /// # Errors
    /// As [`Server::on`].
    pub async fn for_a_newcomer() -> Result<Self> {
        let own = tempfile::tempdir().context("cannot create a temporary folder")?;
        let data = own.path().join("data");
        Self::launch(own, data, "127.0.0.1", &[]).await
    }

    /// Starts one on an empty data folder of its own that is bound to every address of the machine, and so needs `token`
    /// for changes.
    ///
    /// # Errors
    /// As [`Server::on`].
    pub async fn for_others(token: &str) -> Result<Self> {
        let own = tempfile::tempdir().context("cannot create a temporary folder")?;
        let data = own.path().join("data");
        Self::launch(own, data, "0.0.0.0", &["--no-demo", "--token", token]).await
    }

    /// Starts one on the data folder `data`, with more arguments, and waits until it answers.
    ///
    /// # Errors
    /// When the binary is missing, or the server ends or does not answer in a minute; the message holds its log.
    pub async fn on(data: &Path, more: &[&str]) -> Result<Self> {
        let own = tempfile::tempdir().context("cannot create a temporary folder")?;
        Self::launch(own, data.to_path_buf(), "127.0.0.1", &[&["--no-demo"], more].concat()).await
    }

    async fn launch(own: TempDir, data: PathBuf, host: &str, more: &[&str]) -> Result<Self> {
        Self::launch_by(binary::command(&["serve"])?, own, data, host, more).await
    }

    async fn launch_by(mut serve: Command, own: TempDir, data: PathBuf, host: &str, more: &[&str]) -> Result<Self> {
        let port = free_port();
        let log = own.path().join("server.log");
        let file = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let process = serve
            .arg("--data")
            .arg(&data)
            .arg("--bind")
            .arg(format!("{host}:{port}"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("cannot share the log")?)
            .stderr(file)
            .spawn()
            .context("cannot start saescope")?;
        let mut server = Self {
            process,
            port,
            data,
            log,
            _own: own,
        };
        let start = Instant::now();
        loop {
            if let Some(status) = server.process.try_wait().context("cannot ask for the server's state")? {
                bail!("the server ended at once ({status}); its log:\n{}", server.log());
            }
            if http::get(&server.url("/api/health"))
                .await
                .is_ok_and(|answer| answer.status.is_success())
            {
                return Ok(server);
            }
            if start.elapsed() > STARTS_WITHIN {
                bail!(
                    "the server did not answer /api/health in {STARTS_WITHIN:?}; its log:\n{}",
                    server.log()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The URL of `path`, which starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Bytes of memory that it has now; none where the system does not say.
    pub fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }

    /// Everything it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to stop, as Ctrl-C does, and waits for its end.
    ///
    /// # Errors
    /// When it cannot be asked, or has not ended after `within`.
    pub async fn interrupt(mut self, within: Duration) -> Result<(ExitStatus, String)> {
        let id = self.process.id().to_string();
        let sent = Command::new("kill")
            .args(["-INT", &id])
            .status()
            .context("cannot start `kill`")?;
        if !sent.success() {
            bail!("`kill -INT {id}` failed ({sent})");
        }
        let start = Instant::now();
        while start.elapsed() < within {
            if let Some(status) = self.process.try_wait().context("cannot ask for the server's state")? {
                return Ok((status, self.log()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!(
            "the server has not ended {within:?} after an interrupt; its log:\n{}",
            self.log()
        )
    }
}

impl Drop for Server {
    /// The hard way: what it loses by that is what a crash may lose.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprint_log(&self.log());
        }
    }
}

#[allow(clippy::print_stderr, reason = "a failing test shows what the server said")]
fn eprint_log(log: &str) {
    eprintln!("the server's log:\n{log}");
}
