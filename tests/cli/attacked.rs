//! What used to end the server or to fill its memory, sent to one that may have 4 GB: each is refused or answered, and the server
//! answers afterwards.

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};
use std::{
    io::Write as _,
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tests::{
    Server, given,
    http::{get, get_json, post, post_json, send},
};

/// Mebibytes of address space.
const LIMIT: u64 = 4096;
/// How long an answer may take that is to come at once, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Pages that are asked for and not waited for.
const LEFT: usize = 400;
/// What the server may have grown by then: a page that is kept whole takes more than this.
const GROWTH: u64 = 60 << 20;

/// A request that is refused, and what the refusal says.
struct Refused {
    path: &'static str,
    body: Value,
    status: u16,
    says: &'static [&'static str],
}

fn sweep(change: &Value) -> Value {
    let mut request = json!({
        "model": "tiny", "corpus": "stories.json", "at": "blocks.1.hook_resid_pre", "objectives": ["local", "e2e"],
        "coefficient": "0.1", "d_sae": 64, "n_ctx": 16, "batch": 4, "tokens": 1280,
    });
    if let (Some(request), Some(change)) = (request.as_object_mut(), change.as_object()) {
        request.extend(change.clone());
    }
    request
}

fn numbers(n: usize) -> String {
    (1..=n).map(|i| i.to_string()).collect::<Vec<_>>().join(",")
}

/// Requests that ask for more than there is.
fn requests() -> Vec<Refused> {
    let seeds = |n: usize| (0..n).collect::<Vec<_>>();
    let mut all = Vec::new();
    for path in ["/api/sweeps/resolve", "/api/sweeps"] {
        for (change, status, says) in [
            // 134 kB
            (
                json!({"seeds": seeds(13_000), "coefficient": numbers(13_000)}),
                413,
                &["64 KiB"][..],
            ),
            (json!({"seeds": seeds(20_000)}), 413, &["64 KiB"]),
            (json!({"seeds": seeds(3000)}), 400, &["seeds: found 3000", "256 or fewer"]),
            (
                json!({"seeds": seeds(250), "coefficient": numbers(3000), "lr": numbers(3000)}),
                400,
                &["come to 4500000000 dictionaries", "4096 or fewer"],
            ),
            (
                json!({"batch": 1_000_000, "n_ctx": 64, "tokens": 10_000_000_000_u64}),
                400,
                &[
                    "batch: found 1000000",
                    "GiB of memory",
                    "free within the limit of this process",
                ],
            ),
            (
                json!({"d_sae": 20_000_000}),
                400,
                &["d_sae: found 20000000", "weights, gradients, moments", "GiB"],
            ),
            (
                json!({"objectives": ["local"], "buffer_tokens": 500_000_000}),
                400,
                &["buffer_tokens: found 500000000", "the buffer", "GiB"],
            ),
        ] {
            all.push(Refused {
                path,
                body: sweep(&change),
                status,
                says,
            });
        }
    }
    all.push(Refused {
        path: "/api/derive",
        body: json!({"from": seeds(5000), "by": vec!["fold"; 9]}),
        status: 400,
        says: &["from", "come to 45000 dictionaries"],
    });
    all
}

/// A config whose numbers are absurd: what is asked for, and how its folder is answered.
const CONFIGS: [(&str, u64, u16); 4] = [
    // as much memory as the contexts in use need
    ("max_position_embeddings", 10_000_000_000, 200),
    ("num_hidden_layers", 100_000_000_000, 400),
    ("vocab_size", 1_000_000_000_000, 400),
    ("intermediate_size", 1_000_000_000_000, 400),
];

/// A small model's folder whose config says that `field` is `value`.
fn model_with(folder: &Path, field: &str, value: u64) -> Result<PathBuf> {
    let (from, to) = (given::tiny_model().with_file_name("llama"), folder.join(field));
    std::fs::create_dir(&to)?;
    for entry in std::fs::read_dir(&from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        let is_weights = name.to_string_lossy().starts_with("model");
        if is_weights || name == "config.json" {
            std::fs::copy(entry.path(), to.join(name))?;
        }
    }
    let mut config: Value = serde_json::from_slice(&std::fs::read(from.join("config.json"))?)?;
    config[field] = value.into();
    std::fs::write(to.join("config.json"), config.to_string())?;
    Ok(to)
}

/// Asks for `path` and goes away before the answer comes.
fn ask_and_leave(server: &Server, method: &str, path: &str, after: Duration) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port()))?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
    std::thread::sleep(after);
    Ok(())
}

/// Until the server has as much memory for some time: what was asked for is over then.
async fn settled(server: &Server) -> Result<u64> {
    let mut last = server.memory().context("the system does not say")?;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        get(&server.url("/api/health")).await?;
        let now = server.memory().context("the system does not say")?;
        if now.abs_diff(last) < 1 << 20 {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}

async fn leave_pages(server: &Server, n: usize) -> Result<()> {
    let paths = [
        "/pareto",
        "/",
        "/runs",
        "/dictionaries/1",
        "/pkg/saescope_bg.wasm",
        "/api/pareto",
    ];
    for i in 0..n {
        let method = if i % 5 == 0 { "HEAD" } else { "GET" };
        let path = if i % 2 == 0 { "/pareto" } else { paths[i / 2 % paths.len()] };
        ask_and_leave(server, method, path, Duration::from_millis([0, 2, 10, 40][i % 4]))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_have_four_gigabytes_lives_through_what_used_to_end_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::under_a_limit(LIMIT).await?;
    post_json(&server.url("/api/models"), &json!({"folder": given::tiny_model()})).await?;
    let stories = given::stories(folder.path())?;
    post_json(&server.url("/api/corpora"), &json!({"path": stories})).await?;
    let resolved = post_json(&server.url("/api/sweeps/resolve"), &sweep(&json!({}))).await?;
    ensure!(resolved["runs"].as_array().is_some_and(|runs| runs.len() == 1), "{resolved}");
    for attack in requests() {
        let began = Instant::now();
        let answer = post(&server.url(attack.path), &attack.body).await?;
        ensure!(began.elapsed() < AT_ONCE, "{}: {:?}", attack.path, began.elapsed());
        ensure!(
            answer.status.as_u16() == attack.status,
            "{}: {}",
            answer.status,
            answer.text()
        );
        for says in attack.says {
            ensure!(answer.text().contains(says), "expected '{says}': {}", answer.text());
        }
    }
    for (field, value, status) in CONFIGS {
        let model = model_with(folder.path(), field, value)?;
        let answer = post(&server.url("/api/models"), &json!({"folder": model})).await?;
        ensure!(answer.status.as_u16() == status, "{field} {value}: {}", answer.text());
    }
    let jobs = get_json(&server.url("/api/jobs")).await?;
    let made = jobs
        .as_array()
        .is_some_and(|jobs| jobs.iter().any(|job| job["config"]["model"] == "tiny"));
    ensure!(!made, "a refused request made a job: {jobs}");

    if !Path::new("/proc/self/status").exists() {
        println!("skipped: the system does not say how much memory a process has");
        return Ok(());
    }
    // caches and threads have their memory
    leave_pages(&server, 40).await?;
    for _ in 0..10 {
        get(&server.url("/pareto")).await?;
    }
    let before = settled(&server).await?;
    leave_pages(&server, LEFT).await?;
    let after = settled(&server).await?;
    println!("{LEFT} pages left early: from {} MiB to {} MiB", before >> 20, after >> 20);
    ensure!(
        after < before + GROWTH,
        "{LEFT} pages that nobody waited for: from {before} to {after} bytes"
    );
    let page = get(&server.url("/pareto")).await?;
    ensure!(page.status.is_success() && page.text().contains("Pareto"), "{}", page.status);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_name_reads_nothing_and_a_token_that_was_given_is_asked_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::on(
        &folder.path().join("data"),
        &["--token", "open-sesame-1", "--host", "saes.example.org"],
    )
    .await?;
    for path in ["/", "/pareto", "/api/overview", "/api/events", "/style.css", "/nothing"] {
        let url = server.url(path);
        for host in ["evil.example", "localhost.evil.example:80", "10.1.2.3"] {
            let answer = send(Method::GET, &url, &[("host", host)], None).await?;
            ensure!(answer.status == 421, "{path} as {host}: {}", answer.status);
            ensure!(answer.text().contains("is not a name of this server"), "{}", answer.text());
        }
    }
    for host in ["localhost:1", "LOCALHOST.", "[::1]:3000", "saes.example.org:8443"] {
        let answer = send(Method::GET, &server.url("/api/overview"), &[("host", host)], None).await?;
        ensure!(answer.status.is_success(), "{host}: {}", answer.status);
    }
    let model = json!({"folder": given::tiny_model()});
    let url = server.url("/api/models");
    for headers in [&[][..], &[("authorization", "Bearer open-sesame-2")]] {
        let answer = send(Method::POST, &url, headers, Some(&model)).await?;
        ensure!(answer.status == 401, "{}: {}", answer.status, answer.text());
    }
    let right = [("authorization", "Bearer open-sesame-1")];
    let answer = send(Method::POST, &url, &right, Some(&model)).await?;
    ensure!(answer.status.is_success(), "{}: {}", answer.status, answer.text());
    Ok(())
}
