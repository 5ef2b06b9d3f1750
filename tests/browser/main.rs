//! The page in a real browser.

use anyhow::{Result, ensure};
use std::time::Instant;
use tests::{Browser, Server, chromium::DEADLINE};

/// Hydrated is a page whose links change it without loading it anew: what a script left in its window is still there.
#[tokio::test(flavor = "multi_thread")]
async fn the_front_page_hydrates_in_silence() -> Result<()> {
    let server = Server::start().await?;
    let browser = Browser::open().await?;
    let start = Instant::now();
    loop {
        browser.goto(&server.url("/")).await?;
        browser.script("window.mark = 1", Vec::new()).await?;
        browser.click("[data-testid=nav-train]").await?;
        browser.wait_for("[data-testid=train-submit]").await?;
        if browser.script("return window.mark === 1", Vec::new()).await? == true {
            break;
        }
        ensure!(start.elapsed() < DEADLINE, "the page does not hydrate");
    }
    ensure!(
        browser.url().await?.ends_with("/train"),
        "the address is {}",
        browser.url().await?
    );
    browser.expect_silence().await
}

/// The instruments themselves: what they set is what the page sees, and the console is heard.
#[tokio::test(flavor = "multi_thread")]
async fn the_browser_obeys_and_is_heard() -> Result<()> {
    let browser = Browser::open().await?;
    browser
        .goto("data:text/html,<link rel=icon href=data:,><button onmouseover='this.textContent=1'>0</button>")
        .await?;
    for dark in [true, false] {
        browser.dark(dark).await?;
        let seen = browser
            .script("return matchMedia('(prefers-color-scheme: dark)').matches", Vec::new())
            .await?;
        ensure!(seen == dark, "asked for dark {dark}, the page sees {seen}");
    }
    browser.size(390, 800).await?;
    ensure!(browser.script("return [innerWidth, innerHeight]", Vec::new()).await? == serde_json::json!([390, 800]));
    browser.hover("button").await?;
    ensure!(browser.text("button").await? == "1", "the mouse does not hover");
    browser.expect_silence().await?;
    browser.script("console.error('heard')", Vec::new()).await?;
    ensure!(browser.expect_silence().await.is_err(), "the console is not heard");
    Ok(())
}
