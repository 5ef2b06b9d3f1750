//! A job whose process is killed: taken up again once; after the second time at the same place it has failed, and its server lives.

use crate::line::Place;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{
    Server, eventually, given,
    http::{get_json, post_json},
};

/// How long a job may take to become what is waited for.
const WITHIN: Duration = Duration::from_secs(90);

/// Waits until job `id` is in `state`.
async fn until(server: &Server, id: i64, state: &str) -> Result<Value> {
    eventually(&format!("job {id} {state}"), WITHIN, async || {
        let job = get_json(&server.url(&format!("/api/jobs/{id}"))).await?;
        Ok((job["state"] == state).then_some(job))
    })
    .await
}

/// Waits until job 1 is run by another process than `before`, and trains; answers who runs it.
async fn until_it_trains(server: &Server, before: &Value) -> Result<Value> {
    eventually("job 1 trains", WITHIN, async || {
        let job = get_json(&server.url("/api/jobs/1")).await?;
        let is_taken = job["state"] == "running" && job["owner"] != *before;
        Ok((is_taken && job["progress"]["stage"] == "training").then(|| job["owner"].clone()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_its_server_down_twice_has_failed_and_the_next_one_runs() -> Result<()> {
    let place = Place::new()?;
    let server = Server::on(&place.data(), &["--threads", "1"]).await?;
    post_json(&server.url("/api/models"), &json!({"folder": given::tiny_model()})).await?;
    post_json(&server.url("/api/corpora"), &json!({"path": place.stories})).await?;
    let sweep = |tokens: u64| {
        json!({
            "model": "tiny", "corpus": "stories.json", "at": "blocks.1.hook_resid_pre", "objectives": ["local"],
            "coefficient": "0.1", "d_sae": 64, "n_ctx": 16, "batch": 4, "tokens": tokens, "eval_every_steps": 1_000_000,
            "checkpoint_every_steps": 1_000_000, "validation_tokens": 64, "eval_tokens": 256,
        })
    };
    post_json(&server.url("/api/sweeps"), &sweep(32_000_000)).await?;
    post_json(&server.url("/api/sweeps"), &sweep(1280)).await?;
    let first = until_it_trains(&server, &Value::Null).await?;
    drop(server); // by SIGKILL

    let server = Server::on(&place.data(), &["--threads", "1"]).await?;
    let second = until_it_trains(&server, &first).await?;
    drop(server);

    let server = Server::on(&place.data(), &["--threads", "1"]).await?;
    let failed = until(&server, 1, "failed").await?;
    let error = failed["error"].as_str().unwrap_or_default();
    ensure!(
        error.contains("ended without a word 2 times") && error.contains("resume it"),
        "{error}"
    );
    until(&server, 2, "done").await?;

    // a person may try again
    post_json(&server.url("/api/jobs/1/resume"), &Value::Null).await?;
    until_it_trains(&server, &second).await?;
    Ok(())
}
