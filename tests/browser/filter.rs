//! Several kinds at one hook point: in which order they stand, and the key that hides and shows them.

use crate::{looks::look, open};
use anyhow::{Context, Result, ensure};
use fantoccini::key::Key;
use serde_json::Value;
use tests::{
    Browser, Server,
    chromium::DEADLINE,
    eventually,
    http::{get, get_json},
};

const PLACE: &str = "at=blocks.2.hook_resid_pre";

/// The ranking's rows: series and value.
async fn rows(browser: &Browser) -> Result<Vec<(String, Option<f64>)>> {
    let script =
        "return [...document.querySelectorAll('[data-testid=ranking-row]')].map(row => [row.dataset.series, row.dataset.value])";
    let rows = browser.script(script, Vec::new()).await?;
    let row = |row: &Value| {
        let value = row[1].as_str().and_then(|value| value.parse().ok());
        (row[0].as_str().unwrap_or_default().to_owned(), value)
    };
    Ok(rows.as_array().into_iter().flatten().map(row).collect())
}

/// What the API says of a series' place in the ranking.
fn told(view: &Value) -> Vec<(String, Option<f64>)> {
    let ranks = view["ranking"]["ranks"].as_array().into_iter().flatten();
    let key = |rank: &Value| {
        format!(
            "{}.{}",
            rank["kind"].as_str().unwrap_or_default(),
            rank["objective"].as_str().unwrap_or_default()
        )
    };
    ranks.map(|rank| (key(rank), rank["found"]["value"].as_f64())).collect()
}

async fn marks(browser: &Browser) -> Result<usize> {
    browser.count("[data-testid=pareto-plot] .mark[data-id]").await
}

async fn until(browser: &Browser, what: &str, n_marks: usize, in_address: &str) -> Result<()> {
    eventually(what, DEADLINE, async || {
        let is_there = marks(browser).await? == n_marks && browser.url().await?.contains(in_address);
        Ok(is_there.then_some(()))
    })
    .await
    .with_context(|| format!("{n_marks} marks and '{in_address}' in the address"))
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_ranked_and_the_key_filters_them() -> Result<()> {
    let browser = Browser::open().await?;
    let server = Server::for_a_newcomer().await?;
    let api = |more: &str| server.url(&format!("/api/pareto?{PLACE}{more}"));
    open(&browser, &server, &format!("/pareto?{PLACE}")).await?;
    browser.wait_for("[data-testid=ranking-row]").await?;
    let view = get_json(&api("")).await?;
    let all = told(&view);
    ensure!(
        all.len() == 8 && rows(&browser).await? == all,
        "{all:?}, {:?}",
        rows(&browser).await?
    );
    ensure!(
        all.iter().filter(|(_, value)| value.is_none()).count() == 1,
        "the reference alone has no value: {all:?}"
    );
    let said = browser.text("[data-testid=pareto-summary]").await?;
    let best = all[0].0.replace('.', " ");
    ensure!(
        said.starts_with(&format!("At equal L0, {best} has the lowest CE increase")),
        "{said}"
    );
    let n = marks(&browser).await?;
    ensure!(browser.count("[data-testid=series-chip]").await? == 8);
    look(&browser, "pareto-kinds").await?;

    // pressed, a series is hidden; the keyboard is still where it was, and brings it back
    browser.click("[data-series='topk.local'][data-testid=series-chip]").await?;
    until(&browser, "a series is hidden", n - 1, "hide=topk.local").await?;
    ensure!(rows(&browser).await?.iter().all(|(series, _)| series != "topk.local"));
    ensure!(
        browser
            .text("[data-testid=series-note]")
            .await?
            .starts_with("1 series hidden")
    );
    let chip = "[data-series='topk.local'][data-testid=series-chip]";
    ensure!(browser.attribute(chip, "aria-pressed").await?.as_deref() == Some("false"));
    // a value does not depend on what else is shown
    let rest: Vec<_> = all.iter().filter(|(series, _)| series != "topk.local").cloned().collect();
    ensure!(rows(&browser).await? == rest);
    look(&browser, "pareto-hidden").await?;
    let focus = browser
        .script("return document.activeElement.dataset.series", Vec::new())
        .await?;
    ensure!(focus == "topk.local", "the focus is at {focus}");
    browser.press(Key::Enter).await?;
    until(&browser, "it is back", n, PLACE).await?;
    ensure!(!browser.url().await?.contains("hide="));

    // alone, it is alone in the files too
    browser
        .click("[data-series='relu.local'] ~ [data-testid=series-only]")
        .await?;
    until(&browser, "one series alone", 6, "only=relu.local").await?;
    let file = browser
        .attribute("a[download='pareto.csv']", "href")
        .await?
        .context("no file")?;
    let csv = String::from_utf8(get(&server.url(&file)).await?.body)?;
    ensure!(
        csv.lines().count() == 1 + 6 && csv.lines().skip(1).all(|line| line.starts_with("local,")),
        "{csv}"
    );
    ensure!(
        csv.lines()
            .skip(1)
            .all(|line| line.contains("saescope sweep ") && line.contains("saescope evaluate --dictionary "))
    );
    browser.click("[data-testid=series-all]").await?;
    until(&browser, "all are back", n, PLACE).await?;

    // another reference, and the link shows the same
    browser.fill("[data-testid=pareto-against]", "gated.local").await?;
    until(&browser, "the reference in the address", n, "against=gated.local").await?;
    let against = told(&get_json(&api("&against=gated.local")).await?);
    eventually("the ranking against it", DEADLINE, async || {
        Ok((rows(&browser).await? == against).then_some(()))
    })
    .await?;
    ensure!(against != all);
    let link = browser.url().await?;
    browser.goto(&link).await?;
    browser.wait_for("html[data-hydrated] [data-testid=ranking-row]").await?;
    ensure!(rows(&browser).await? == against);

    // behind a row stand its commands and every metric with its interval
    browser.click("[data-testid=pareto-row-more]").await?;
    let details = browser
        .wait_for_text("[data-testid=dictionary-details]", DEADLINE, |text| {
            text.contains("saescope sweep")
        })
        .await?;
    ensure!(
        details.contains("saescope evaluate") && details.contains("95 % interval"),
        "{details}"
    );
    look(&browser, "pareto-details").await?;
    browser.expect_silence().await
}
