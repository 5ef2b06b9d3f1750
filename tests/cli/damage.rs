//! Damaged data folders: what is wrong is named with what to do, and nothing is written over.

use crate::line::{Line, Place, dictionaries};
use anyhow::{Context as _, Result, ensure};
use std::fs;
use tests::{
    Server,
    http::{get, get_json},
};

#[test]
fn a_damaged_registry_is_named_and_left_as_it_is() -> Result<()> {
    let place = Place::new()?;
    Line::sweep(&place).with("--coefficient", "0.1").expect(0)?;
    let registry = place.data().join("registry.sqlite");
    // a command closes what it opened: nothing of SQLite's stays beside the file
    for log in ["registry.sqlite-wal", "registry.sqlite-shm"] {
        ensure!(!place.data().join(log).exists(), "{log} stays behind");
    }
    let whole = fs::read(&registry)?;
    let mut holes = whole.clone();
    holes[4096..].fill(0);
    let text = b"this was a database once".repeat(400);
    for (bytes, says) in [(&holes, "damaged"), (&text, "not a saescope registry")] {
        fs::write(&registry, bytes)?;
        for words in [&["jobs"][..], &["serve", "--bind", "127.0.0.1:0"]] {
            Line::on(&place, words)
                .expect(1)?
                .complains(&["data/registry.sqlite", says])?;
        }
        ensure!(fs::read(&registry)? == *bytes, "the damaged registry was written to");
    }
    fs::write(&registry, &whole)?;
    let jobs = Line::on(&place, &["jobs"]).expect(0)?;
    ensure!(jobs.out.starts_with("1\tdone"), "{jobs}");
    Ok(())
}

#[test]
fn a_damaged_dictionary_is_found_by_its_checksum() -> Result<()> {
    let place = Place::new()?;
    Line::sweep(&place).with("--coefficient", "0.1").expect(0)?;
    let file = place.data().join("dictionaries/1.safetensors");
    let mut bytes = fs::read(&file)?;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, &bytes)?;
    Line::on(&place, &["evaluate", "--dictionary", "1"]).expect(1)?.complains(&[
        "dictionaries/1.safetensors",
        "sha256",
        "expected",
    ])?;
    ensure!(fs::read(&file)? == bytes, "the damaged dictionary was written to");
    Line::on(&place, &["evaluate", "--dictionary", "2"]).expect(0)?;
    Line::on(&place, &["evaluate", "--dictionary", "9"])
        .expect(1)?
        .complains(&["dictionary 9"])
}

#[test]
fn a_model_or_text_that_has_changed_is_not_taken_for_the_former() -> Result<()> {
    let place = Place::new()?;
    let line = Line::sweep(&place).with("--coefficient", "0.1");
    line.expect(0)?;
    fs::write(&place.stories, "[\"another text altogether, and a short one\"]")?;
    // what was measured on the former text cannot be measured on this one
    fs::remove_dir_all(place.data().join("corpora"))?;
    Line::on(&place, &["evaluate", "--dictionary", "1"])
        .expect(1)?
        .complains(&["stories.json"])
}

/// What a person may do whose registry is damaged: remove it.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_removed_takes_no_dictionary_with_it() -> Result<()> {
    let place = Place::new()?;
    let line = Line::sweep(&place).with("--coefficient", "0.1");
    let line = tokio::task::spawn_blocking(move || line.expect(0).map(|_| line)).await??;
    let made = dictionaries(&place.data())?;
    ensure!(made.len() == 3);
    fs::remove_file(place.data().join("registry.sqlite"))?;

    let jobs = Line::on(&place, &["jobs"]);
    let said = tokio::task::spawn_blocking(move || jobs.expect(0)).await??;
    said.tells(&["does not know 3 dictionaries", "moved to", "set-aside"])?;
    let mut folders = fs::read_dir(place.data().join("set-aside"))?;
    let folder = folders.next().context("nothing was set aside")??.path();
    ensure!(dictionaries(&folder)? == made, "what was set aside is not what was made");

    // the numbers are given anew, and nothing is lost by that
    tokio::task::spawn_blocking(move || line.expect(0)).await??;
    ensure!(dictionaries(&place.data())?.len() == 3 && dictionaries(&folder)? == made);
    let server = Server::on(&place.data(), &[]).await?;
    let overview = get_json(&server.url("/api/overview")).await?;
    ensure!(overview["set_aside"][0]["n_dictionaries"] == 3, "{overview}");
    let page = get(&server.url("/")).await?;
    ensure!(page.text().contains("does not know 3 dictionaries"), "{}", page.text());
    Ok(())
}
