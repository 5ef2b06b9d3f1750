//! A server and a command line on one data folder.

use crate::line::{Line, Place};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tests::{
    Server, eventually, given,
    http::{get_json, post_json},
};

/// How long a job may take to become what is waited for.
const WITHIN: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_lists_what_a_sweep_beside_it_made() -> Result<()> {
    let place = Place::new()?;
    let server = Server::on(&place.data(), &[]).await?;
    let line = Line::sweep(&place);
    tokio::task::spawn_blocking(move || line.expect(0)).await??;
    let listed = get_json(&server.url("/api/dictionaries")).await?;
    let table = fs::read_to_string(place.path("out.csv"))?;
    let head: Vec<&str> = table.lines().next().unwrap_or_default().split(',').collect();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|row| row.split(',').collect()).collect();
    ensure!(
        rows.len() == 5 && listed.as_array().is_some_and(|all| all.len() == 5),
        "{listed}"
    );
    for row in rows {
        let id: i64 = row[head.iter().position(|name| *name == "dictionary").unwrap_or(0)].parse()?;
        let dictionary = get_json(&server.url(&format!("/api/dictionaries/{id}"))).await?;
        ensure!(
            listed.as_array().is_some_and(|all| all.contains(&dictionary)),
            "{id} is listed otherwise: {listed}"
        );
        ensure!(dictionary["config"]["objective"]["name"] == row[0], "{dictionary}");
        for metric in ["l0", "alive", "ce_increase", "kl_div_with_sae", "explained_variance"] {
            let value = measured(&dictionary, metric);
            let written: f64 = row[head.iter().position(|name| *name == metric).unwrap_or(0)].parse()?;
            ensure!(value == Some(written), "{metric} of {id}: {value:?}, in the table {written}");
        }
    }
    Ok(())
}

/// The value of a metric of the whole dictionary over the ordinary tokens.
fn measured(dictionary: &Value, metric: &str) -> Option<f64> {
    let metrics = dictionary["metrics"].as_array()?;
    let is_it = |m: &&Value| m["name"] == metric && m["at"].is_null() && m["tokens"] == "ordinary";
    metrics.iter().find(is_it)?["value"].as_f64()
}

/// Waits until the job 1 is in `state`; while it runs, until it trains and has a checkpoint.
async fn until(server: &Server, place: &Place, state: &str) -> Result<Value> {
    let checkpoint = place.checkpoint(1);
    eventually(&format!("job 1 {state}"), WITHIN, async || {
        let job = get_json(&server.url("/api/jobs/1")).await?;
        let is_there =
            job["state"] == state && (state != "running" || (job["progress"]["stage"] == "training" && checkpoint.exists()));
        Ok(is_there.then_some(job))
    })
    .await
}

async fn command(place: &Place, words: &[&str]) -> Result<String> {
    let line = Line::on(place, words);
    Ok(tokio::task::spawn_blocking(move || line.expect(0)).await??.out)
}

fn done(job: &Value) -> u64 {
    job["progress"]["done"].as_u64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_job_is_cancelled_and_resumed_from_the_command_line_and_outlives_the_server() -> Result<()> {
    let place = Place::new()?;
    let server = Server::on(&place.data(), &["--threads", "1"]).await?;
    post_json(&server.url("/api/models"), &json!({"folder": given::tiny_model()})).await?;
    post_json(&server.url("/api/corpora"), &json!({"path": place.stories})).await?;
    let sweep = json!({
        "model": "tiny", "corpus": "stories.json", "at": "blocks.1.hook_resid_pre", "objectives": ["local"],
        "coefficient": "0.1", "d_sae": 64, "n_ctx": 16, "batch": 4, "tokens": 8_000_000, "eval_every_steps": 20_000,
        "validation_tokens": 64,
    });
    let started = post_json(&server.url("/api/sweeps"), &sweep).await?;
    ensure!(started == json!({"jobs": [1]}), "{started}");
    until(&server, &place, "running").await?;

    let said = command(&place, &["cancel", "1"]).await?;
    ensure!(said.contains("job 1"), "{said}");
    let cancelled = until(&server, &place, "cancelled").await?;
    ensure!(done(&cancelled) > 0, "{cancelled}");
    let listed = command(&place, &["jobs"]).await?;
    ensure!(listed.starts_with("1\tcancelled"), "{listed}");

    command(&place, &["resume", "1"]).await?;
    let resumed = until(&server, &place, "running").await?;
    ensure!(done(&resumed) >= done(&cancelled), "it began anew: {resumed}");

    // a server that is asked to stop keeps a checkpoint, and the next one goes on by itself
    let (status, log) = server.interrupt(Duration::from_secs(60)).await?;
    ensure!(status.success(), "{status}: {log}");
    let server = Server::on(&place.data(), &["--threads", "1"]).await?;
    let goes_on = until(&server, &place, "running").await?;
    ensure!(done(&goes_on) >= done(&resumed), "it began anew: {goes_on}");
    Ok(())
}
