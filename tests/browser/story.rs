//! The whole way of a new user: a model, a text, a sweep, its curves, and the picture that compares what came out.

use crate::{looks::look, open};
use anyhow::{Context, Result, ensure};
use fantoccini::key::Key;
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tests::{Browser, Server, chromium::DEADLINE, eventually, given, http::get_json};

/// How long the sweep may take on a busy machine.
const TRAINED_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_folder_to_a_pareto_curve() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = given::stories(folder.path())?;
    let server = Server::start().await?;
    let browser = Browser::open().await?;
    browser.size(1280, 900).await?;
    nothing_yet(&browser, &server).await?;
    add_model_and_text(&browser, &text).await?;
    fill_in_the_form(&browser).await?;
    watch_the_curves(&browser).await?;
    compare(&browser, &server).await?;
    read_and_open_a_mark(&browser, &server).await?;
    let shared = choose_another_axis(&browser).await?;
    the_link_shows_the_same(&browser, &shared).await?;
    every_kind_can_be_chosen_and_stands_beside_the_others(&browser, &server).await?;
    for (page, path) in [("runs", "/runs"), ("methods", "/methods"), ("not-found", "/nowhere")] {
        open(&browser, &server, path).await?;
        if page == "not-found" {
            browser.console().await?; // it says that the page was answered by 404
        }
        look(&browser, page).await?;
    }
    Ok(())
}

/// Every page of an empty data folder says what to do next.
async fn nothing_yet(browser: &Browser, server: &Server) -> Result<()> {
    for (page, path, next) in [
        ("empty-train", "/train", ".next a[href='/']"),
        ("empty-runs", "/runs", ".next a[href='/train']"),
        ("empty-pareto", "/pareto", ".next a[href='/train']"),
    ] {
        open(browser, server, path).await?;
        browser.wait_for(next).await?;
        look(browser, page).await?;
    }
    open(browser, server, "/").await?;
    ensure!(browser.text("[data-testid=next-step]").await? == "First, add a language model");
    look(browser, "empty-overview").await
}

async fn add_model_and_text(browser: &Browser, text: &Path) -> Result<()> {
    // by keyboard alone: the first thing that Tab reaches can be used, and Enter sends a form
    browser.press(Key::Tab).await?;
    let focused = browser.script("return document.activeElement.tagName", Vec::new()).await?;
    ensure!(
        ["A", "BUTTON", "INPUT"].iter().any(|tag| focused == *tag),
        "Tab reaches {focused}"
    );

    browser.fill("[data-testid=add-model-folder]", "/there/is/nothing").await?;
    browser.press(Key::Enter).await?;
    browser
        .wait_for_text("[aria-label='Add a model'] .problem", DEADLINE, |text| {
            text.contains("'/there/is/nothing'")
        })
        .await?;
    browser.console().await?; // a refused request is an error to the browser

    // what is typed elsewhere survives that the lists are fetched again
    browser.fill("[data-testid=add-corpus-path]", "half a path").await?;
    let model = given::tiny_model();
    browser
        .fill("[data-testid=add-model-folder]", &model.to_string_lossy())
        .await?;
    browser.press(Key::Enter).await?;
    browser
        .wait_for_text("[data-testid=model-row]", DEADLINE, |text| text.contains("tiny"))
        .await?;
    browser
        .wait_for_text("[aria-label='Add a model'] .done", DEADLINE, |text| text == "Added tiny.")
        .await?;
    ensure!(browser.text("[data-testid=next-step]").await? == "Next, add a text corpus");
    let typed = browser
        .script(
            "return document.querySelector('[data-testid=add-corpus-path]').value",
            Vec::new(),
        )
        .await?;
    ensure!(typed == "half a path", "what was typed is now {typed}");

    browser.fill("[data-testid=add-corpus-path]", &text.to_string_lossy()).await?;
    browser.click("[data-testid=add-corpus-submit]").await?;
    browser
        .wait_for_text("[data-testid=corpus-row]", DEADLINE, |text| text.contains("stories.json"))
        .await?;
    browser
        .wait_for_text("[aria-label='Add a corpus'] .done", DEADLINE, |text| {
            text.starts_with("Added stories.json. Read: field: none, the text itself; documents: ")
        })
        .await?;
    look(browser, "overview-ready").await
}

async fn fill_in_the_form(browser: &Browser) -> Result<()> {
    browser.click("[data-testid=next-step]").await?;
    browser.wait_for("[data-testid=train-submit]").await?;
    browser.fill("[data-testid=field-model]", "tiny").await?;
    browser.fill("[data-testid=field-corpus]", "stories.json").await?;
    browser.fill("[data-testid=field-at]", "blocks.1.hook_resid_pre").await?;
    browser
        .script(
            "document.querySelectorAll('details.more').forEach(each => each.open = true)",
            Vec::new(),
        )
        .await?;
    let problem = |field: &str| format!(".field:has(#field-{field}) .problem");

    // a value that cannot be read, and one that the model refuses, are reported at their fields
    for (field, bad, says) in [
        ("target_l0", "1000000", "or less, the number of features"),
        ("coefficient", "much", "much"),
        ("n_ctx", "65", "at most 64"),
    ] {
        let css = format!("[data-testid=field-{field}]");
        browser.fill(&css, bad).await?;
        browser
            .wait_for_text(&problem(field), DEADLINE, |text| text.contains(says))
            .await?;
        ensure!(browser.attribute(&css, "aria-invalid").await?.as_deref() == Some("true"));
        ensure!(
            browser.attribute("[data-testid=train-submit]", "disabled").await?.is_some(),
            "a bad form can be sent"
        );
        if field == "coefficient" {
            look(browser, "train-problem").await?;
            browser.fill(&css, "0.1,1").await?;
        } else if field == "target_l0" {
            browser.console().await?;
            browser.fill(&css, "").await?;
        } else {
            browser.console().await?; // a refused request is an error to the browser
            browser.fill(&css, "32").await?;
        }
        browser.wait_for_text(&problem(field), DEADLINE, str::is_empty).await?;
    }
    for (field, value) in [("d_sae", "64"), ("batch", "4"), ("tokens", "102,400")] {
        browser.fill(&format!("[data-testid=field-{field}]"), value).await?;
    }
    browser
        .wait_for_text(".plan-size", DEADLINE, |text| {
            text == "1 run of 6 dictionaries in all, 800 steps and 102,400 tokens."
        })
        .await?;
    look(browser, "train").await?;
    let url = browser.url().await?;
    ensure!(
        url.contains("tokens=") && url.contains("d_sae=64"),
        "the form is not in the address: {url}"
    );
    browser.click("[data-testid=train-submit]").await?;
    Ok(())
}

/// The lines of the run's chart, as they are drawn now, while the run is still running.
async fn curves(browser: &Browser) -> Result<Option<String>> {
    let script = "
        const state = document.querySelector('[data-testid=run-state]');
        const lines = [...document.querySelectorAll('[data-testid=run-chart] .line')].map(line => line.outerHTML);
        return state && state.innerText == 'running' && lines.length ? lines.join('') : null;";
    Ok(browser.script(script, Vec::new()).await?.as_str().map(str::to_owned))
}

async fn watch_the_curves(browser: &Browser) -> Result<()> {
    browser.wait_for("[data-testid=run-state]").await?;
    ensure!(browser.url().await?.ends_with("/runs/1"), "{}", browser.url().await?);
    let first = eventually("curves of a running run", DEADLINE, async || curves(browser).await).await?;
    eventually("curves that have moved", DEADLINE, async || {
        Ok(curves(browser).await?.filter(|now| *now != first))
    })
    .await?;
    browser
        .wait_for_text("[data-testid=run-state]", TRAINED_WITHIN, |text| text == "done")
        .await?;
    let lines = browser.count("[data-testid=run-chart] .line").await?;
    ensure!(lines == 6, "{lines} lines for six dictionaries");
    let rows = browser.count("[data-testid=run-value-row]").await?;
    ensure!(rows == 12, "{rows} rows for six dictionaries' training and validation values");
    let command = browser.text(".command").await?.replace(" \\\n  ", " ");
    ensure!(
        command.contains("saescope sweep --model tiny --corpus stories.json"),
        "{command}"
    );
    look(browser, "run").await
}

/// The numbers of the page's table by dictionary: exactly those that the API gives.
async fn compare(browser: &Browser, server: &Server) -> Result<()> {
    browser.click(".run-head a.button").await?;
    browser.wait_for("[data-testid=pareto-row]").await?;
    let url = browser.url().await?;
    ensure!(url.contains("/pareto?") && url.contains("sweep=1"), "{url}");
    let listed = get_json(&server.url("/api/dictionaries")).await?;
    let listed = listed.as_array().context("the dictionaries are no list")?;
    let rows = table(browser).await?;
    ensure!(
        rows.len() == 6 && listed.len() == 6,
        "{} rows, {} dictionaries",
        rows.len(),
        listed.len()
    );
    for row in &rows {
        let id = row["id"].as_str().unwrap_or_default();
        let number: i64 = id.parse()?;
        let dictionary = listed.iter().find(|d| d["id"] == number);
        let dictionary = dictionary.with_context(|| format!("no dictionary {id}"))?;
        let cells = row["cells"].as_object().context("a row has cells")?;
        ensure!(
            ["l0", "ce_increase", "alive", "kl_div_with_sae"]
                .iter()
                .all(|name| cells.contains_key(*name)),
            "{row}"
        );
        for (metric, cell) in cells {
            let shown: Option<f64> = cell.as_str().and_then(|text| text.parse().ok());
            ensure!(
                shown.is_some() && shown == measured(dictionary, metric),
                "{metric} of {id}: {cell}, {dictionary}"
            );
        }
    }
    look(browser, "pareto").await
}

async fn table(browser: &Browser) -> Result<Vec<Value>> {
    let script = "
        return [...document.querySelectorAll('[data-testid=pareto-row]')].map(row => ({
            id: row.dataset.id,
            cells: Object.fromEntries([...row.querySelectorAll('td[data-metric]')].map(td => [td.dataset.metric, td.dataset.value]))
        }))";
    let rows = browser.script(script, Vec::new()).await?;
    Ok(rows.as_array().cloned().unwrap_or_default())
}

/// The value of a metric of the whole dictionary over the ordinary tokens.
fn measured(dictionary: &Value, metric: &str) -> Option<f64> {
    let metrics = dictionary["metrics"].as_array()?;
    let is_it = |m: &&Value| m["name"] == metric && m["at"].is_null() && m["tokens"] == "ordinary";
    metrics.iter().find(is_it)?["value"].as_f64()
}

/// Whether `text` ("30.4 features per token", "3.1e-6") is `value` to the digits that it shows.
fn shows(text: &str, value: f64) -> bool {
    let number = text.split(' ').next().unwrap_or_default().replace(',', "").replace('−', "-");
    let (mantissa, exponent) = number.split_once('e').unwrap_or((&number, "0"));
    let decimals = mantissa.split_once('.').map_or(0, |(_, digits)| digits.len()) as i32;
    let last_digit = 10f64.powi(exponent.parse().unwrap_or(0) - decimals);
    number
        .parse::<f64>()
        .is_ok_and(|shown| (shown - value).abs() <= 0.500_001 * last_digit)
}

#[test]
fn digits_are_compared_as_far_as_they_are_shown() {
    assert!(shows("30.4 features per token", 30.403) && !shows("30.4", 30.46));
    assert!(shows("12,346", 12_345.6) && shows("−0.426 nats", -0.42607) && !shows("0.426", -0.42607));
    assert!(shows("3.1e-6", 3.14e-6) && !shows("3.1e-6", 3.2e-6) && !shows("not measured", 0.0));
}

async fn read_and_open_a_mark(browser: &Browser, server: &Server) -> Result<()> {
    // the mark that is farthest from its neighbours: no other can be meant
    let script = "
        const marks = [...document.querySelectorAll('[data-testid=pareto-plot] .mark[data-id]')].map(mark => {
            const box = mark.getBoundingClientRect();
            return {id: mark.dataset.id, x: box.x + box.width / 2, y: box.y + box.height / 2};
        });
        const room = a => Math.min(...marks.filter(b => b !== a).map(b => Math.hypot(a.x - b.x, a.y - b.y)));
        return marks.sort((a, b) => room(b) - room(a)).map(mark => mark.id);";
    let marks = browser.script(script, Vec::new()).await?;
    ensure!(
        marks.as_array().is_some_and(|marks| marks.len() == 6),
        "the marks are {marks}"
    );
    let id = marks[0].as_str().context("a mark has an id")?;
    let mark = format!("[data-testid=pareto-plot] .mark[data-id='{id}']");
    browser.hover(&mark).await?;
    let tip = browser
        .wait_for_text("[data-testid=pareto-tip]", DEADLINE, |text| {
            text.starts_with(&format!("#{id} "))
        })
        .await?;
    let rows = browser
        .script(
            "return [...document.querySelectorAll('[data-testid=pareto-tip] .tip-rows > *')].map(each => each.innerText)",
            Vec::new(),
        )
        .await?;
    let rows: Vec<&str> = rows.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let dictionary = get_json(&server.url(&format!("/api/dictionaries/{id}"))).await?;
    for name in ["l0", "ce_increase"] {
        let label = api::metric(name).context("the metric is defined")?.label;
        let shown = rows
            .chunks(2)
            .find(|row| row[0] == label)
            .with_context(|| format!("no {label} in {rows:?}"))?[1];
        let value = measured(&dictionary, name).context("it was measured")?;
        ensure!(shows(shown, value), "{label} is {value}, the tip says {shown}: {tip}");
    }
    browser.screenshot("pareto-tip").await?;

    browser.click(&mark).await?;
    browser.wait_for("[data-testid=dictionary-facts]").await?;
    ensure!(
        browser.url().await?.ends_with(&format!("/dictionaries/{id}")),
        "a click leads to {}",
        browser.url().await?
    );
    browser.script("history.back()", Vec::new()).await?;
    browser.wait_for("[data-testid=pareto-row]").await?;
    Ok(())
}

/// Another axis, and the table sorted: both are in the address.
async fn choose_another_axis(browser: &Browser) -> Result<String> {
    browser.fill("[data-testid=pareto-x]", "alive").await?;
    let has = |part: &'static str| async move || Ok(browser.url().await?.contains(part).then_some(()));
    eventually("the axis in the address", DEADLINE, has("x=alive")).await?;
    browser.click("[aria-label^='sort by CE increase']").await?;
    eventually("the order in the address", DEADLINE, has("sort=ce_increase")).await?;
    let ordered = eventually("a sorted table", DEADLINE, async || {
        let rows = table(browser).await?;
        let value = |row: &Value| row["cells"]["ce_increase"].as_str().and_then(|v| v.parse::<f64>().ok());
        Ok(rows.is_sorted_by(|a, b| value(a) <= value(b)).then_some(rows))
    })
    .await?;
    ensure!(ordered.len() == 6);
    browser.url().await
}

/// The form has every kind and every objective, and what each kind is told; one that is trained and one that is fitted are started from it
/// and found on the Pareto page.
async fn every_kind_can_be_chosen_and_stands_beside_the_others(browser: &Browser, server: &Server) -> Result<()> {
    let form =
        "/train?model=tiny&corpus=stories.json&at=blocks.1.hook_resid_pre&d_sae=32&tokens=2048&n_ctx=32&batch=4&eval_tokens=1024";
    open(browser, server, form).await?;
    browser.wait_for("[data-testid=field-kind]").await?;
    for objective in api::ObjectiveKind::ALL {
        browser
            .wait_for(&format!("[data-testid='field-objective-{objective}']"))
            .await?;
    }
    for kind in api::KindName::ALL {
        let option = if kind == api::KindName::default() {
            String::new()
        } else {
            kind.to_string()
        };
        browser.fill("[data-testid=field-kind]", &option).await?;
        eventually(&format!("the settings of {kind}"), DEADLINE, async || {
            for setting in ["coefficient", "k", "read_at", "bandwidth", "groups", "final_p"] {
                let shown = browser.count(&format!("[data-testid=field-{setting}]")).await? == 1;
                if shown != kind.settings().contains(&setting) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await?;
    }
    look(browser, "train-kinds").await?;
    browser.console().await?; // requests on the way that were refused for want of a value
    for (kind, value) in [("gated", ("target_l0", "8")), ("pca-topk", ("k", "4"))] {
        let form = match kind {
            "gated" => form.to_owned(),
            _ => form.replace("&d_sae=32", ""),
        };
        open(browser, server, &form).await?;
        browser.fill("[data-testid=field-kind]", kind).await?;
        browser.wait_for(&format!("[data-testid=field-{}]", value.0)).await?;
        browser.fill(&format!("[data-testid=field-{}]", value.0), value.1).await?;
        eventually("a form that can be sent", DEADLINE, async || {
            let disabled = browser.attribute("[data-testid=train-submit]", "disabled").await?;
            Ok(disabled.is_none().then_some(()))
        })
        .await?;
        browser.click("[data-testid=train-submit]").await?;
        browser
            .wait_for_text("[data-testid=run-state]", TRAINED_WITHIN, |text| text == "done")
            .await?;
        browser.console().await?;
    }
    open(browser, server, "/pareto?model=tiny&at=blocks.1.hook_resid_pre").await?;
    for kind in ["gated", "pca-topk"] {
        browser
            .wait_for(&format!("[data-testid=ranking-row][data-series*='{kind}']"))
            .await?;
    }
    look(browser, "pareto-kinds").await
}

async fn the_link_shows_the_same(browser: &Browser, link: &str) -> Result<()> {
    let other = Browser::open().await?;
    other.size(1280, 900).await?;
    other.goto(link).await?;
    other.wait_for("html[data-hydrated] [data-testid=pareto-row]").await?;
    let plot = "return document.querySelector('[data-testid=pareto-plot] svg').outerHTML";
    eventually("the same picture and table", DEADLINE, async || {
        let same = other.script(plot, Vec::new()).await? == browser.script(plot, Vec::new()).await?
            && json!(table(&other).await?) == json!(table(browser).await?);
        Ok(same.then_some(()))
    })
    .await?;
    other.expect_silence().await
}
