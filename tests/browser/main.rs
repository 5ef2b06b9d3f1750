//! The page in a real browser.

mod demo;
mod dictionary;
mod filter;
mod looks;
mod story;
mod token;

use anyhow::{Result, ensure};
use tests::{Browser, Server};

/// Goes to `path` and waits until the page is hydrated.
async fn open(browser: &Browser, server: &Server, path: &str) -> Result<()> {
    browser.goto(&server.url(path)).await?;
    browser.wait_for("html[data-hydrated]").await?;
    Ok(())
}

/// Hydrated is a page whose links change it without loading it anew: what a script left in its window is still there.
#[tokio::test(flavor = "multi_thread")]
async fn the_front_page_hydrates_in_silence() -> Result<()> {
    let server = Server::start().await?;
    let browser = Browser::open().await?;
    open(&browser, &server, "/").await?;
    browser.script("window.mark = 1", Vec::new()).await?;
    browser.click("[data-testid=nav-train]").await?;
    browser.wait_for("main a[href='/']").await?;
    ensure!(
        browser.script("return window.mark", Vec::new()).await? == 1,
        "a link loads the page anew"
    );
    let url = browser.url().await?;
    ensure!(url == server.url("/train"), "the address is {url}");
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
