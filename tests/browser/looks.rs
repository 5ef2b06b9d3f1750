//! How a page looks, wide and narrow, light and dark: kept as pictures for people, checked where a machine can.

use anyhow::{Result, ensure};
use serde_json::Value;
use std::time::Duration;
use tests::{Browser, eventually};

/// The window that everything else happens in.
const WIDE: (u32, u32) = (1280, 900);
const NARROW: (u32, u32) = (400, 800);

/// What does not fit, as a list of words: the page itself, text that is cut off in a control, and boxes with an own scroll bar.
const MISFITS: &str = "
    const name = e => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + (e.className ? '.' + e.className : '');
    const found = [];
    if (document.documentElement.scrollWidth > innerWidth) {
        found.push('the page is ' + document.documentElement.scrollWidth + ' wide');
        for (const e of document.querySelectorAll('body *')) {
            const box = e.getBoundingClientRect();
            if (box.right > innerWidth + 1 && !e.closest('.table-box, pre, svg')) found.push(name(e) + ' ends at ' + box.right);
        }
    }
    if (innerWidth > 1000) {
        for (const e of document.querySelectorAll('.table-box')) {
            if (e.scrollWidth > e.clientWidth + 1 && !e.hasAttribute('tabindex')) {
                found.push(name(e) + ' shows ' + e.clientWidth + ' of ' + e.scrollWidth);
            }
        }
    }
    return found;";

/// Saves the page's four pictures under `name`, whole; no page may be wider than its window, and none may have said anything
/// to the console. Tables that scroll in themselves say so by taking the keyboard's focus; others have to fit a wide window.
pub async fn look(browser: &Browser, name: &str) -> Result<()> {
    for (width, size) in [("wide", WIDE), ("narrow", NARROW)] {
        browser.size(size.0, size.1).await?;
        // a chart is drawn anew for its new width
        let fits = eventually(name, Duration::from_secs(3), async || {
            let misfits = browser.script(MISFITS, Vec::new()).await?;
            Ok(misfits.as_array().is_some_and(Vec::is_empty).then_some(()))
        })
        .await;
        let height = browser
            .script("return document.documentElement.scrollHeight", Vec::new())
            .await?;
        browser
            .size(size.0, height.as_u64().unwrap_or(900).clamp(400, 4000) as u32)
            .await?;
        for dark in [false, true] {
            browser.dark(dark).await?;
            let colours = if dark { "dark" } else { "light" };
            browser.screenshot(&format!("{name}-{width}-{colours}")).await?;
        }
        browser.dark(false).await?;
        let misfits = browser.script(MISFITS, Vec::new()).await?;
        ensure!(fits.is_ok(), "{name}, {width}: {}", words(&misfits));
    }
    browser.size(WIDE.0, WIDE.1).await?;
    browser.expect_silence().await
}

fn words(list: &Value) -> String {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
}
