//! What a newcomer sees: a data folder that was not there, filled with the shipped set.

use crate::{looks::look, open};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use tests::{Browser, Server, chromium::DEADLINE, eventually, http::get_json};

/// From the server's start to the filled page, on a machine that does other things; ten seconds on one that does not.
const FILLED_WITHIN: Duration = Duration::from_secs(60);

/// How long all metrics may take to be computed again.
const VERIFIED_WITHIN: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_shows_dictionaries_and_their_curves() -> Result<()> {
    let browser = Browser::open().await?;
    let began = Instant::now();
    let server = Server::for_a_newcomer().await?;
    open(&browser, &server, "/").await?;
    browser.wait_for("[data-testid=group-row]").await?;
    browser.wait_for("[data-testid=pareto-plot] svg").await?;
    let took = began.elapsed();
    ensure!(took < FILLED_WITHIN, "the filled page took {took:?}");

    // a row per hook point, a drawing for each, and what the page says is what the API says
    let overview = get_json(&server.url("/api/overview")).await?;
    let groups = overview["dictionaries"].as_array().map_or(0, Vec::len);
    ensure!(groups >= 2, "{groups} hook points have dictionaries");
    ensure!(browser.count("[data-testid=group-row]").await? == groups);
    ensure!(browser.count("[data-testid=pareto-plot]").await? == 2);
    look(&browser, "demo-overview").await?;

    open(&browser, &server, "/pareto").await?;
    let dictionaries = get_json(&server.url("/api/pareto")).await?["dictionaries"]
        .as_array()
        .map_or(0, Vec::len);
    ensure!(dictionaries >= 18, "{dictionaries} dictionaries at the newest hook point");
    ensure!(browser.count("[data-testid=pareto-row]").await? == dictionaries);
    look(&browser, "demo-pareto").await?;

    // the queue computes every metric again, and the pages say what came of it
    let verified = eventually("every dictionary is verified", VERIFIED_WITHIN, async || {
        let overview = get_json(&server.url("/api/overview")).await?;
        let groups = overview["dictionaries"].as_array().cloned().unwrap_or_default();
        let sum = |field: &str| groups.iter().filter_map(|group| group[field].as_u64()).sum::<u64>();
        ensure!(sum("n_differing") == 0, "a stored metric is not its dictionary's: {overview}");
        let all: u64 = groups
            .iter()
            .flat_map(|group| group["series"].as_array().cloned().unwrap_or_default())
            .filter_map(|of| of[1].as_u64())
            .sum();
        Ok((sum("n_verified") == all).then_some(all))
    })
    .await?;
    ensure!(verified as usize >= dictionaries, "{verified} verified");
    open(&browser, &server, "/").await?;
    browser
        .wait_for_text("[data-testid=group-verified]", DEADLINE, |text| {
            text.contains("verified, all")
        })
        .await?;
    let jobs = get_json(&server.url("/api/jobs")).await?;
    let job = &jobs[0]["id"];
    open(&browser, &server, &format!("/runs/{job}")).await?;
    browser
        .wait_for_text("[data-testid=verify-row]", DEADLINE, |text| text.contains("verified"))
        .await?;
    look(&browser, "demo-verification").await?;
    browser.expect_silence().await
}
