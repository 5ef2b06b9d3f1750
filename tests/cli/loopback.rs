//! A small hub on the loopback, which answers the real client as the real one does.

use crate::line::{Line, Place, Running, Said};
use anyhow::{Context, Result};
use serde_json::json;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// What opens the repositories that are gated: those of the owner `gated`.
pub const TOKEN: &str = "hf_secret";
/// The revision that the hub's files are of.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The requests that came: each one's path and token.
type Heard = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A repository.
pub struct Repository {
    /// `models` or `datasets`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its files by their paths in it, and where they lie; one that is listed alone lies nowhere.
    pub files: Vec<(String, PathBuf)>,
}

impl Repository {
    /// A model of some files, all of which lie in `folder`.
    pub fn model(name: &str, folder: &Path, files: &[&str]) -> Self {
        Self {
            kind: "models",
            name: name.into(),
            files: files.iter().map(|file| ((*file).to_string(), folder.join(file))).collect(),
        }
    }

    /// What it answers at `path`.
    fn content(&self, path: &str) -> Option<Vec<u8>> {
        if path == format!("/api/{}/{}/revision/main", self.kind, self.name) {
            let siblings: Vec<_> = self.files.iter().map(|(file, _)| json!({"rfilename": file})).collect();
            return Some(json!({"siblings": siblings, "sha": COMMIT}).to_string().into_bytes());
        }
        let before = match self.kind {
            "models" => String::new(),
            kind => format!("/{kind}"),
        };
        let wanted = path.strip_prefix(&format!("{before}/{}/resolve/main/", self.name))?;
        let (_, place) = self.files.iter().find(|(file, _)| file == wanted)?;
        fs::read(place).ok()
    }
}

/// See the module.
pub struct Hub {
    address: SocketAddr,
    heard: Heard,
    stop: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Hub {
    /// With these repositories.
    pub fn open(repositories: Vec<Repository>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let (heard, stop) = (Heard::default(), Arc::new(AtomicBool::new(false)));
        let (told, stopped) = (heard.clone(), stop.clone());
        let serving = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // a client that goes away is its own affair; what it lacks shows in the test
                let _ = answer(stream, &repositories, &told);
            }
        });
        Ok(Self {
            address,
            heard,
            stop,
            serving: Some(serving),
        })
    }

    /// Runs `line` with this hub, or where it was.
    pub fn run(&self, place: &Place, line: &Line, token: Option<&str>) -> Result<Said> {
        let mut command = line.command()?;
        command
            .env("HF_ENDPOINT", format!("http://{}", self.address))
            .env("HF_HOME", place.path("hub"))
            .env_remove("HF_HUB_OFFLINE")
            .env_remove("HF_TOKEN");
        if let Some(token) = token {
            command.env("HF_TOKEN", token);
        }
        Running::start(command)?.end()
    }

    pub fn heard(&self) -> Vec<(String, Option<String>)> {
        self.heard.lock().map(|heard| heard.clone()).unwrap_or_default()
    }

    /// Stops listening: from now on nobody answers at its address.
    pub fn close(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.close();
    }
}

/// Answers one request, and closes the connection.
fn answer(mut stream: TcpStream, repositories: &[Repository], heard: &Heard) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().context("no request")??;
    let path = first.split(' ').nth(1).context("no path")?.to_string();
    let mut headers = Vec::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
    }
    let header = |name: &str| headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
    let token = header("authorization");
    if let Ok(mut heard) = heard.lock() {
        heard.push((path.clone(), token.clone()));
    }
    let is_open = token == Some(format!("Bearer {TOKEN}"));
    let (status, more, body) = if path.contains("/gated/") && !is_open {
        ("401 Unauthorized", String::new(), Vec::new())
    } else {
        match repositories.iter().find_map(|repository| repository.content(&path)) {
            Some(body) => part(header("range").as_deref(), &path, body),
            None => ("404 Not Found", String::new(), Vec::new()),
        }
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{more}\r\n",
        body.len()
    )?;
    Ok(stream.write_all(&body)?)
}

/// The part of `body` that the client wants, with the headers that the hub gives a file.
fn part(range: Option<&str>, path: &str, body: Vec<u8>) -> (&'static str, String, Vec<u8>) {
    // a file's name stands for its content here, and is to be no longer than a file's name may be
    let etag: String = path.bytes().rev().take(100).map(|byte| format!("{byte:02x}")).collect();
    let headers = format!("x-repo-commit: {COMMIT}\r\netag: \"{etag}\"\r\n");
    let Some((from, to)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return ("200 OK", headers, body);
    };
    let size = body.len();
    let from = from.parse().unwrap_or(0).min(size);
    let to = to.parse().map_or(size, |to: usize| (to + 1).min(size));
    let headers = format!("{headers}content-range: bytes {from}-{}/{size}\r\n", to.saturating_sub(1));
    ("206 Partial Content", headers, body[from..to].to_vec())
}
