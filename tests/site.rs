//! The binary alone serves the page: copied to an empty folder, far from what it was built from.

use anyhow::{Context, Result, ensure};
use http::{Method, StatusCode};
use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tests::{
    binary::{binary, root},
    free_port,
    http::{get, send},
};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_binary_alone_serves_page_style_and_module() -> Result<()> {
    let empty = tempfile::tempdir()?;
    let alone = empty.path().join("saescope");
    fs::copy(binary()?, &alone)?;
    let port = free_port();
    let process = Command::new(&alone)
        .args(["serve", "--no-demo", "--data", "data", "--bind", &format!("127.0.0.1:{port}")])
        .current_dir(empty.path())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the copied binary")?;
    let _running = Running(process);
    let base = format!("http://127.0.0.1:{port}");
    let start = Instant::now();
    while get(&format!("{base}/api/health")).await.is_err() {
        ensure!(start.elapsed() < Duration::from_secs(60), "the copied binary does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let page = get(&format!("{base}/")).await?;
    ensure!(
        page.status == StatusCode::OK,
        "the front page: {} `{}`",
        page.status,
        page.text()
    );
    ensure!(
        page.text().contains("/pkg/saescope"),
        "the front page does not start its script: {}",
        page.text()
    );

    let module = get(&format!("{base}/pkg/saescope_bg.wasm")).await?;
    ensure!(
        module.header("content-type") == "application/wasm" && module.body.starts_with(b"\0asm"),
        "the module is no wasm"
    );
    let compressed = send(
        Method::GET,
        &format!("{base}/pkg/saescope_bg.wasm"),
        &[("accept-encoding", "br")],
        None,
    )
    .await?;
    ensure!(
        compressed.header("content-encoding") == "br",
        "the module is not compressed: {:?}",
        compressed.headers
    );
    ensure!(compressed.body.len() * 2 < module.body.len(), "brotli gains too little");
    let tag = module.header("etag").to_owned();
    let again = send(
        Method::GET,
        &format!("{base}/pkg/saescope_bg.wasm"),
        &[("if-none-match", &tag)],
        None,
    )
    .await?;
    ensure!(
        again.status == StatusCode::NOT_MODIFIED && again.body.is_empty(),
        "the module is sent twice: {}",
        again.status
    );

    let style = get(&format!("{base}/style.css")).await?;
    ensure!(
        style.status == StatusCode::OK && style.header("content-type").starts_with("text/css"),
        "no style sheet"
    );
    for entry in fs::read_dir(root().join("public"))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let sent = get(&format!("{base}/{name}")).await?;
            ensure!(sent.body == fs::read(entry.path())?, "public/{name} is not in the binary");
        }
    }
    Ok(())
}
