//! A dictionary's page, and what can be asked there: the shipped set's first dictionary, by everything on its page.

use crate::{looks::look, open};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tests::{
    Browser, Server,
    chromium::DEADLINE,
    eventually,
    http::{self, get_json, post_json},
};

/// From the server's start to the first dictionary, on a machine that does other things.
const FILLED_WITHIN: Duration = Duration::from_secs(120);

/// How long a question may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn a_dictionary_is_asked_about_and_changed_on_its_page() -> Result<()> {
    let server = Server::for_a_newcomer().await?;
    let browser = Browser::open().await?;
    browser.size(1280, 900).await?;
    let pair = two_dictionaries(&server).await?;
    the_page_says_what_it_is(&browser, &server, &pair[0]).await?;
    where_it_fails(&browser, &server, &pair[0]).await?;
    how_alike_it_is(&browser, &server, &pair).await?;
    labelled_texts(&browser, &server, &pair[0]).await?;
    what_comes_of_it(&browser, &server, &pair[0]).await?;
    out_and_in(&browser, &server, &pair[0]).await?;
    all_of_a_hook_point(&browser, &server, &pair[0]).await
}

/// Two dictionaries of one hook point, once they are there; the queue is emptied of what the first start put there.
async fn two_dictionaries(server: &Server) -> Result<[Value; 2]> {
    let found = eventually("the shipped set", FILLED_WITHIN, async || {
        let all = get_json(&server.url("/api/dictionaries")).await?;
        Ok(all.as_array().filter(|all| !all.is_empty()).cloned())
    })
    .await?;
    let jobs = get_json(&server.url("/api/jobs")).await?;
    for job in jobs.as_array().into_iter().flatten() {
        if matches!(job["state"].as_str(), Some("queued" | "running")) {
            post_json(&server.url(&format!("/api/jobs/{}/cancel", job["id"])), &Value::Null).await?;
        }
    }
    let is_relu = |d: &&Value| d["config"]["kind"] == "relu" && d["config"]["origin"].is_null();
    let first = found.iter().find(is_relu).context("no relu dictionary is shipped")?;
    let same = |d: &&Value| d["id"] != first["id"] && d["at"] == first["at"] && d["model"] == first["model"];
    let second = found.iter().find(same).context("no other at its hook point")?;
    Ok([first.clone(), second.clone()])
}

fn path(dictionary: &Value) -> String {
    format!("/dictionaries/{}", dictionary["id"])
}

/// Everything that was measured is there, each group with the command that computes it again.
async fn the_page_says_what_it_is(browser: &Browser, server: &Server, info: &Value) -> Result<()> {
    open(browser, server, &path(info)).await?;
    let answer = browser.text(".answer").await?;
    for part in ["nats per token", "features fire per token", "It was trained as relu"] {
        ensure!(answer.contains(part), "{part} is not in {answer}");
    }
    let script = "return Object.fromEntries([...document.querySelectorAll('[data-testid=metric-group] tr[data-metric]')]
        .filter(row => !row.closest('details')).map(row => [row.dataset.metric, row.dataset.value]))";
    let shown = browser.script(script, Vec::new()).await?;
    let measured = info["metrics"].as_array().context("it was measured")?;
    for m in measured.iter().filter(|m| m["at"].is_null() && m["tokens"] == "ordinary") {
        let name = m["name"].as_str().unwrap_or_default();
        let value = shown[name].as_str().and_then(|text| text.parse::<f64>().ok());
        ensure!(
            value == m["value"].as_f64(),
            "{name} is {}, the page has {value:?}",
            m["value"]
        );
    }
    let groups = browser.count("[data-testid=metric-group]").await?;
    let commands = browser.count("[data-testid=metric-group] .command").await?;
    ensure!(groups >= 5 && commands == groups, "{commands} commands for {groups} groups");
    let command = browser
        .text("[data-testid=metric-group] .command code")
        .await?
        .replace(" \\\n  ", " ");
    ensure!(
        command == format!("saescope evaluate --dictionary {}", info["id"]),
        "{command}"
    );
    browser.wait_for("[data-testid=density-chart] .bar").await?;
    // a name opens its definition, by keyboard
    browser
        .script(
            "document.querySelector('[data-testid=metric-group] .metric-name').focus()",
            Vec::new(),
        )
        .await?;
    browser.press(fantoccini::key::Key::Enter).await?;
    browser.wait_for(".definition:popover-open").await?;
    browser.press(fantoccini::key::Key::Escape).await?;
    look(browser, "dictionary").await?;

    open(browser, server, "/dictionaries/7777").await?;
    browser
        .wait_for_text("[data-testid=error-view]", DEADLINE, |text| {
            text.contains("no dictionary 7777")
        })
        .await?;
    browser.console().await?; // a missing page is an error to the browser
    Ok(())
}

async fn answered(browser: &Browser) -> Result<String> {
    browser
        .wait_for_text("[data-testid=run-state]", ANSWERED_WITHIN, |text| text == "done")
        .await?;
    browser.url().await
}

async fn where_it_fails(browser: &Browser, server: &Server, info: &Value) -> Result<()> {
    open(browser, server, &path(info)).await?;
    browser.fill("[data-testid=ask-tokens-top]", "many").await?;
    browser.click("[data-testid=ask-tokens-submit]").await?;
    browser
        .wait_for_text("[data-testid=ask-tokens] .problem:last-child", DEADLINE, |text| {
            text.contains("'many'")
        })
        .await?;
    browser.fill("[data-testid=ask-tokens-top]", "500").await?;
    browser.fill("[data-testid=ask-tokens-by]", "kl").await?;
    browser.click("[data-testid=ask-tokens-submit]").await?;
    let url = answered(browser).await?;
    browser.wait_for("[data-testid=token-row]").await?;
    ensure!(
        browser.count("[data-testid=token-row]").await? == 200,
        "not all rows are there"
    );
    let column = async |name: &str| -> Result<Vec<f64>> {
        let script =
            format!("return [...document.querySelectorAll('[data-testid=token-row]')].map(row => row.dataset.{name} || '-1e9')");
        let values = browser.script(&script, Vec::new()).await?;
        let values = values.as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(values.map(str::parse).collect::<Result<_, _>>()?)
    };
    ensure!(column("kl").await?.is_sorted_by(|a, b| a >= b), "not ordered by KL");
    browser.click("[data-testid=sort-ce_increase]").await?;
    eventually("the order by CE increase", DEADLINE, async || {
        Ok(column("ce").await?.is_sorted_by(|a, b| a >= b).then_some(()))
    })
    .await?;
    ensure!(
        browser.count("[data-testid=token-row] .at").await? == 200,
        "the tokens are not marked"
    );
    look(browser, "answer-tokens").await?;

    // the file behind the link: a row for each that was asked for
    let href = browser
        .attribute("[data-testid=answer-csv]", "href")
        .await?
        .context("no CSV")?;
    let csv = http::get(&server.url(&href)).await?;
    ensure!(csv.header("content-type").starts_with("text/csv"), "{:?}", csv.headers);
    let id = url.rsplit('/').next().unwrap_or_default();
    let answer = get_json(&server.url(&format!("/api/jobs/{id}/answer"))).await?;
    ensure!(
        answer["tokens"]["n_rows"] == 500 && csv.text().lines().count() == 501,
        "{}",
        csv.text()
    );
    Ok(())
}

async fn how_alike_it_is(browser: &Browser, server: &Server, [a, b]: &[Value; 2]) -> Result<()> {
    open(browser, server, &path(a)).await?;
    browser.fill("[data-testid=ask-compare-with]", &b["id"].to_string()).await?;
    browser.click("[data-testid=ask-compare-submit]").await?;
    answered(browser).await?;
    browser
        .wait_for_text("[data-testid=compare-answer]", DEADLINE, |text| {
            text.contains("random directions have")
        })
        .await?;
    ensure!(browser.count("[data-testid=compare-row]").await? == 5);
    look(browser, "answer-compare").await
}

async fn labelled_texts(browser: &Browser, server: &Server, info: &Value) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pets.jsonl");
    let line = |i: usize| {
        let pet = ["cat", "dog"][i % 2];
        json!({"text": format!("There was a {pet}."), "label": pet})
    };
    let lines: Vec<String> = (0..80).map(|i| line(i).to_string()).collect();
    fs::write(&file, format!("{}\n{{\"text\": 7}}", lines[0]))?;
    open(browser, server, &path(info)).await?;
    let choose = async || -> Result<()> {
        let input = browser.wait_for("[data-testid=ask-probe-file]").await?;
        input.send_keys(&file.to_string_lossy()).await?;
        browser.click("[data-testid=ask-probe-submit]").await
    };
    choose().await?;
    browser
        .wait_for_text("[data-testid=ask-probe] .problem:last-child", DEADLINE, |text| {
            text.contains("line 2")
        })
        .await?;
    browser.console().await?; // a refused request is an error to the browser
    fs::write(&file, lines.join("\n"))?;
    choose().await?;
    answered(browser).await?;
    browser
        .wait_for_text("[data-testid=probe-answer]", DEADLINE, |text| text.contains("half is chance"))
        .await?;
    ensure!(browser.count("[data-testid=probe-row]").await? == 3);
    look(browser, "answer-probe").await
}

async fn what_comes_of_it(browser: &Browser, server: &Server, info: &Value) -> Result<()> {
    open(browser, server, &path(info)).await?;
    // what means nothing for this kind says so, and cannot be chosen
    ensure!(
        browser
            .attribute("[data-testid=derive-threshold]", "disabled")
            .await?
            .is_some()
    );
    let refused = browser.text(".way.refused").await?;
    ensure!(refused.contains("expected topk"), "{refused}");
    browser.fill("[data-testid=derive-keep]", "1.5").await?;
    browser
        .wait_for_text("[data-testid=derive] .problem", DEADLINE, |text| text.contains("found 1.5"))
        .await?;
    ensure!(browser.attribute("[data-testid=derive-submit]", "disabled").await?.is_some());
    look(browser, "dictionary-refused").await?;
    browser.fill("[data-testid=derive-keep]", "0.9").await?;
    browser.click("[data-testid=derive-submit]").await?;
    answered(browser).await?;
    browser.click("[data-testid=made] a").await?;
    browser
        .wait_for_text("[data-testid=dictionary-origin]", DEADLINE, |text| {
            text.contains("pruned to 0.9")
        })
        .await?;
    // and back to where it came from, which knows it
    browser.click("[data-testid=dictionary-origin] a").await?;
    browser
        .wait_for_text("h1 ~ .answer", DEADLINE, |text| text.contains("It was trained as relu"))
        .await?;
    browser
        .wait_for_text("[data-testid=dictionary-facts]", DEADLINE, |text| {
            text.contains("made from it")
        })
        .await?;
    browser.expect_silence().await
}

async fn out_and_in(browser: &Browser, server: &Server, info: &Value) -> Result<()> {
    open(browser, server, &path(info)).await?;
    let href = browser
        .attribute("[data-testid=export-saelens]", "href")
        .await?
        .context("no export")?;
    let zip = http::get(&server.url(&href)).await?;
    ensure!(zip.status.is_success() && zip.body.starts_with(b"PK"), "{}", zip.status);
    open(browser, server, "/").await?;
    browser.fill("[data-testid=import-source]", "/there/is/nothing").await?;
    browser.click("[data-testid=import-submit]").await?;
    browser
        .wait_for_text("[data-testid=import] .problem:last-child", ANSWERED_WITHIN, |text| {
            !text.is_empty()
        })
        .await?;
    browser.console().await?; // a refused request is an error to the browser
    Ok(())
}

/// The Pareto page's table leads to each dictionary, and asks what all of them fail on.
async fn all_of_a_hook_point(browser: &Browser, server: &Server, info: &Value) -> Result<()> {
    let (model, at) = (info["model"].as_str(), info["at"].as_str());
    let page = format!("/pareto?model={}&at={}", model.unwrap_or_default(), at.unwrap_or_default());
    open(browser, server, &page).await?;
    browser
        .wait_for(&format!("[data-testid=pareto-row] a[href='{}']", path(info)))
        .await?;
    let n = browser.count("[data-testid=pareto-row]").await?;
    browser.click("[data-testid=ask-all]").await?;
    browser
        .wait_for_text("h1", DEADLINE, |text| text == "Where do all of these dictionaries fail?")
        .await?;
    answered(browser).await?;
    browser.wait_for("[data-testid=token-row]").await?;
    look(browser, "answer-tokens-of-all").await?;
    let jobs = get_json(&server.url("/api/jobs")).await?;
    ensure!(
        jobs[0]["config"]["dictionaries"].as_array().map(Vec::len) == Some(n),
        "{}",
        jobs[0]
    );
    open(browser, server, "/runs").await?;
    browser
        .wait_for_text("[data-testid=job-row]", DEADLINE, |text| text.contains("what all of"))
        .await?;
    browser.expect_silence().await
}
