//! Models and data sets from a hub: a small one on the loopback, which answers the real client as the real one does.

use crate::line::{Line, Place, Running, Said};
use anyhow::{Context, Result, ensure};
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
use tests::given;

/// What opens the repository that is gated.
const TOKEN: &str = "hf_secret";
/// The revision that the hub's files are of.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The requests that came: each one's path and token.
type Heard = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A hub with the model `owner/tiny`, the same model gated as `gated/tiny`, and the data set `owner/stories` of two files.
struct Hub {
    address: SocketAddr,
    heard: Heard,
    stop: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Hub {
    fn open(stories: PathBuf) -> Result<Self> {
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
                let _ = answer(stream, &stories, &told);
            }
        });
        Ok(Self {
            address,
            heard,
            stop,
            serving: Some(serving),
        })
    }

    /// `saescope pull WORDS` with this hub, or where it was.
    fn pull(&self, place: &Place, words: &[&str], token: Option<&str>) -> Result<Said> {
        let mut command = Line::on(place, &[&["pull"], words].concat()).command()?;
        command
            .env("HF_ENDPOINT", format!("http://{}", self.address))
            .env("HF_HOME", place.path("hub"))
            .env_remove("HF_HUB_OFFLINE");
        if let Some(token) = token {
            command.env("HF_TOKEN", token);
        }
        Running::start(command)?.end()
    }

    fn heard(&self) -> Vec<(String, Option<String>)> {
        self.heard.lock().map(|heard| heard.clone()).unwrap_or_default()
    }

    /// Stops listening: from now on nobody answers at its address.
    fn close(&mut self) {
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
fn answer(mut stream: TcpStream, stories: &Path, heard: &Heard) -> Result<()> {
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
    let (status, more, body) = if path.contains("gated/tiny/") && !is_open {
        ("401 Unauthorized", String::new(), Vec::new())
    } else {
        match content(&path, stories) {
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
    // a file's name stands for its content here
    let etag: String = path.bytes().map(|byte| format!("{byte:02x}")).collect();
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

fn content(path: &str, stories: &Path) -> Option<Vec<u8>> {
    const MODEL: [&str; 4] = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
    let listing = |files: &[&str]| {
        let siblings: Vec<_> = files.iter().map(|file| json!({"rfilename": file})).collect();
        Some(json!({"siblings": siblings, "sha": COMMIT}).to_string().into_bytes())
    };
    match path {
        "/api/models/owner/tiny/revision/main" | "/api/models/gated/tiny/revision/main" => {
            listing(&[&MODEL[..], &["README.md", "pytorch_model.bin"]].concat())
        }
        "/api/datasets/owner/stories/revision/main" => listing(&["README.md", "data/train.json", "data/test.json"]),
        "/datasets/owner/stories/resolve/main/data/train.json" => fs::read(stories).ok(),
        _ => {
            let file = ["/owner/tiny/resolve/main/", "/gated/tiny/resolve/main/"]
                .iter()
                .find_map(|prefix| path.strip_prefix(prefix))?;
            MODEL.contains(&file).then(|| fs::read(given::tiny_model().join(file)).ok())?
        }
    }
}

#[test]
fn what_was_pulled_once_is_there_when_the_hub_is_not() -> Result<()> {
    let place = Place::new()?;
    let mut hub = Hub::open(place.stories.clone())?;
    let data_set = ["--dataset", "owner/stories", "--file", "data/train.json"];
    let model = hub.pull(&place, &["owner/tiny"], None)?;
    ensure!(model.code == Some(0) && model.out.contains("gpt2"), "{model}");
    let text = hub.pull(&place, &data_set, None)?;
    ensure!(text.code == Some(0) && text.out.contains("400 documents"), "{text}");
    let heard = hub.heard();
    ensure!(
        heard.iter().all(|(_, token)| token.is_none()),
        "a token from nowhere: {heard:?}"
    );
    let weights = "/owner/tiny/resolve/main/model.safetensors";
    ensure!(heard.iter().any(|(path, _)| path == weights), "{heard:?}");
    let unwanted = ["pytorch_model.bin", "README.md", "test.json"];
    ensure!(
        !heard.iter().any(|(path, _)| unwanted.iter().any(|file| path.ends_with(file))),
        "{heard:?}"
    );

    // the second time only the list of files is asked for
    let again = hub.pull(&place, &["owner/tiny"], None)?;
    ensure!(again.code == Some(0) && again.out == model.out, "{again}");
    let asked: Vec<_> = hub.heard().split_off(heard.len()).into_iter().map(|(path, _)| path).collect();
    ensure!(asked == ["/api/models/owner/tiny/revision/main"], "{asked:?}");

    hub.close();
    for (words, before) in [(&["owner/tiny"][..], &model), (&data_set[..], &text)] {
        // into an empty data folder, so that nothing but HF_HOME has it
        let other = Line::new(&["pull"]).with("--data", place.path("other").display());
        let mut command = other.command()?;
        command
            .args(words)
            .env("HF_ENDPOINT", format!("http://{}", hub.address))
            .env("HF_HOME", place.path("hub"));
        let said = Running::start(command)?.end()?;
        ensure!(said.code == Some(0) && said.out == before.out, "{said}");
        said.tells(&["cannot be reached", "HF_HOME"])?;
    }
    let missing = hub.pull(&place, &["owner/other"], None)?;
    ensure!(missing.code == Some(1), "{missing}");
    missing.complains(&["'owner/other'", "network", "HF_ENDPOINT"])?;
    // a file of the data set that was never fetched
    let missing = hub.pull(&place, &["--dataset", "owner/stories", "--file", "data/test.json"], None)?;
    ensure!(missing.code == Some(1), "{missing}");
    missing.complains(&["data/test.json", "data/train.json"])
}

#[test]
fn a_token_opens_what_is_gated_and_refusals_say_what_to_do() -> Result<()> {
    let place = Place::new()?;
    let hub = Hub::open(place.stories.clone())?;
    for token in [None, Some("hf_wrong")] {
        let said = hub.pull(&place, &["gated/tiny"], token)?;
        ensure!(said.code == Some(1), "{said}");
        said.complains(&["'gated/tiny'", "401", "HF_TOKEN"])?;
        ensure!(
            !said.err.contains("hf_wrong") && !said.err.contains("Bearer"),
            "the token is shown: {said}"
        );
    }
    let said = hub.pull(&place, &["gated/tiny"], Some(TOKEN))?;
    ensure!(said.code == Some(0), "{said}");
    let bearer = Some(format!("Bearer {TOKEN}"));
    let weights = "/gated/tiny/resolve/main/model.safetensors";
    ensure!(
        hub.heard().iter().any(|(path, token)| path == weights && *token == bearer),
        "{:?}",
        hub.heard()
    );

    let said = hub.pull(&place, &["owner/nothing"], None)?;
    ensure!(said.code == Some(1), "{said}");
    said.complains(&["'owner/nothing'", "404", "no such name"])?;
    let said = hub.pull(&place, &["--dataset", "owner/stories", "--file", "data/none.json"], None)?;
    ensure!(said.code == Some(1), "{said}");
    said.complains(&["'data/none.json'", "data/train.json"])
}
