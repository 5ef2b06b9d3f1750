//! A server that others reach: its page reads without the token, and asks for it when something is to be changed.

use crate::{looks::look, open};
use anyhow::{Result, ensure};
use fantoccini::key::Key;
use tests::{Browser, Server, chromium::DEADLINE, given};

const TOKEN: &str = "open-sesame-1";

#[tokio::test(flavor = "multi_thread")]
async fn a_change_waits_for_the_token_and_goes_on_with_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = given::stories(folder.path())?;
    let server = Server::for_others(TOKEN).await?;
    let browser = Browser::open().await?;
    open(&browser, &server, "/").await?;
    ensure!(browser.text("[data-testid=access]").await?.starts_with("You can read here."));
    look(&browser, "token-wanted").await?;

    // a refused change opens the dialog; given up, the change is refused as the server said
    let model = given::tiny_model();
    browser
        .fill("[data-testid=add-model-folder]", &model.to_string_lossy())
        .await?;
    browser.press(Key::Enter).await?;
    browser.wait_for("[data-testid=token-dialog][open]").await?;
    browser.press(Key::Escape).await?;
    browser
        .wait_for_text("[aria-label='Add a model'] .problem", DEADLINE, |text| text.contains("token"))
        .await?;

    // a wrong token is told, a right one lets the change go on by itself
    browser.click("[data-testid=add-model-submit]").await?;
    browser.wait_for("[data-testid=token-dialog][open]").await?;
    ensure!(browser.focused().await? == "token", "the field has the focus");
    for (wrong, says) in [("open-sesame-2", "the token is wrong"), ("ö", "cannot be a token")] {
        browser.fill("[data-testid=token]", wrong).await?;
        browser.press(Key::Enter).await?;
        browser
            .wait_for_text("[data-testid=token-dialog] .problem", DEADLINE, |text| text.contains(says))
            .await?;
    }
    browser.console().await?; // refused requests are errors to the browser
    look(&browser, "token-wrong").await?;
    browser.fill("[data-testid=token]", TOKEN).await?;
    browser.click("[data-testid=token-submit]").await?;
    browser
        .wait_for_text("[aria-label='Add a model'] .done", DEADLINE, |text| text == "Added tiny.")
        .await?;
    ensure!(
        browser
            .text("[data-testid=access]")
            .await?
            .starts_with("You can change things here.")
    );
    look(&browser, "token-kept").await?;

    // it outlives a reload, goes with every change, and can be forgotten
    open(&browser, &server, "/").await?;
    browser.fill("[data-testid=add-corpus-path]", &text.to_string_lossy()).await?;
    browser.click("[data-testid=add-corpus-submit]").await?;
    browser
        .wait_for_text("[aria-label='Add a corpus'] .done", DEADLINE, |text| {
            text.starts_with("Added stories.json.")
        })
        .await?;
    browser.click("[data-testid=token-forget]").await?;
    browser
        .wait_for_text("[data-testid=access]", DEADLINE, |text| {
            text.starts_with("You can read here.")
        })
        .await?;
    browser.expect_silence().await?;

    // the form of a sweep answers without it, its start asks
    open(&browser, &server, "/train?tokens=1000").await?;
    browser
        .wait_for_text(".plan-size", DEADLINE, |text| text.starts_with("1 run of"))
        .await?;
    browser.expect_silence().await?;
    browser.click("[data-testid=train-submit]").await?;
    browser.wait_for("[data-testid=token-dialog][open]").await?;
    browser.click("[data-testid=token-cancel]").await?;
    browser
        .wait_for_text("[data-testid=train-problem]", DEADLINE, |text| text.contains("token"))
        .await?;
    browser.console().await?;

    // given before it is asked for
    browser.click("[data-testid=token-open]").await?;
    browser.fill("[data-testid=token]", TOKEN).await?;
    browser.press(Key::Enter).await?;
    browser.wait_for("[data-testid=token-forget]").await?;
    browser.click("[data-testid=train-submit]").await?;
    browser.wait_for("[data-testid=run-state]").await?;
    browser.expect_silence().await
}
