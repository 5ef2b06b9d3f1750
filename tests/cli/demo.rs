//! The shipped set from the command line, and servers that meet on one folder.

use crate::line::{Line, Place};
use anyhow::{Result, ensure};
use std::fs;
use tests::Server;

#[test]
fn it_is_added_beside_what_is_there_once_and_what_it_says_of_itself_is_true() -> Result<()> {
    let place = Place::new()?;
    Line::on(&place, &["demo"])
        .expect(0)?
        .answers(&["this program ships version", "has none"])?;
    Line::sweep(&place).with("--coefficient", "0.1").expect(0)?;
    let own = fs::read(place.data().join("dictionaries/1.safetensors"))?;
    Line::on(&place, &["demo", "--add"])
        .expect(0)?
        .answers(&["the demo is in", "job "])?;
    Line::on(&place, &["demo", "--add"]).expect(0)?.answers(&["already, whole"])?;
    Line::on(&place, &["demo"]).expect(0)?.answers(&["has version"])?;
    ensure!(
        fs::read(place.data().join("dictionaries/1.safetensors"))? == own,
        "the demo wrote over a dictionary"
    );

    // three of its own are the first dictionaries; two of the demo's are computed again
    let verified = Line::on(&place, &["verify", "--dictionary", "1,4,5"]).expect(0)?;
    ensure!(verified.out.matches("verified,").count() == 3, "{verified}");
    Line::on(&place, &["verify", "--dictionary", "4,x"])
        .expect(2)?
        .complains(&["'x'", "7,8, or all"])?;
    Line::on(&place, &["verify", "--dictionary", "9999"])
        .expect(2)?
        .complains(&["'9999'"])
}

#[test]
fn an_older_set_and_a_damaged_mark_are_told() -> Result<()> {
    let place = Place::new()?;
    fs::create_dir_all(place.data())?;
    fs::write(place.data().join("demo.json"), r#"{"version": 0, "whole": true}"#)?;
    Line::on(&place, &["demo"]).expect(0)?.answers(&["has version 0"])?;
    fs::write(place.data().join("demo.json"), "what")?;
    for words in [&["demo"][..], &["serve", "--bind", "127.0.0.1:0"]] {
        Line::on(&place, words)
            .expect(1)?
            .complains(&["demo.json", "damaged", "--add"])?;
    }
    ensure!(!place.data().join("dictionaries/1.safetensors").exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_folder_is_told_where_the_first_is() -> Result<()> {
    let server = Server::start().await?;
    let second = Line::new(&["serve", "--no-demo", "--bind", "127.0.0.1:0"]).with("--data", server.data().display());
    let said = tokio::task::spawn_blocking(move || second.expect(1)).await??;
    let (first, pages) = (format!("http://127.0.0.1:{}", server.port()), "open that page");
    said.complains(&["is served already", &first, pages, "--data"])
}
