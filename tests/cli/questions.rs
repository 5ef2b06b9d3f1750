//! What is asked of dictionaries on the command line: tokens, compare, probe; and that a job answers the same.

use crate::line::{Line, Place};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::fs;

fn trained() -> Result<Place> {
    let place = Place::new()?;
    Line::sweep(&place).with("--coefficient", "0.1").expect(0)?;
    Ok(place)
}

#[test]
fn the_tokens_that_dictionaries_lose_are_listed() -> Result<()> {
    let place = trained()?;
    let ask = |words: &[&str]| Line::on(&place, &[&["tokens"], words].concat());
    let said = ask(&["--dictionary", "1,3"]).expect(0)?;
    ensure!(said.out.lines().count() == 1 + 20, "{said}");
    let head = "context,position,token,next,ce_loss_without_sae,least_ce_increase,least_kl,ce_increase_1,ce_increase_3,kl_1,kl_3";
    ensure!(said.out.lines().next() == Some(head), "{said}");

    // all of them, ordered by what both lose at least
    let file = place.path("lost.csv");
    let all = ask(&["--dictionary", "1,3", "--by", "kl", "--tokens", "512"]).with("--to", file.display());
    all.expect(0)?.tells(&["tokens in"])?;
    let table = fs::read_to_string(&file)?;
    ensure!(table.lines().count() > 400, "{} rows", table.lines().count());
    let least = |line: &str| -> Result<f64> {
        // the token and the next one may hold commas; what is behind them does not
        let fields: Vec<&str> = line.rsplitn(7, ',').collect();
        let number = |at: usize| -> Result<f64> { Ok(fields[at].parse()?) };
        let (least, both) = (number(4)?, number(0)?.min(number(1)?));
        ensure!((least - both).abs() <= 1e-12, "{line}");
        Ok(least)
    };
    let values = table.lines().skip(1).map(least).collect::<Result<Vec<f64>>>()?;
    ensure!(values.is_sorted_by(|a, b| a >= b), "{values:?}");

    ask(&["--dictionary", "1,77"]).expect(2)?.complains(&["'77'", "registry"])?;
    ask(&["--dictionary", "1", "--by", "mse"]).expect(2)?.complains(&["'mse'"])?;
    ask(&["--dictionary", "1", "--top", "0"])
        .expect(2)?
        .complains(&["top", "found 0"])
}

#[test]
fn two_dictionaries_are_compared() -> Result<()> {
    let place = trained()?;
    let ask = |of: &str| Line::on(&place, &["compare", "--dictionary", of]);
    let said = ask("1,1").expect(0)?;
    ensure!(said.out.contains("MMCS, 1 to 1: 1.0000 (random directions 0."), "{said}");
    ensure!(
        said.out
            .contains("share of pairs above 0.9: 1.0000 (random directions 0.0000)"),
        "{said}"
    );
    let said = ask("1,2").expect(0)?;
    ensure!(
        said.out.contains("dictionary 2: ") && !said.out.contains("MMCS, 1 to 2: 1.0000"),
        "{said}"
    );
    ask("1").expect(2)?.complains(&["dictionaries", "found 1", "expected two"])
}

#[test]
fn labelled_texts_are_probed_or_refused_by_line() -> Result<()> {
    let place = trained()?;
    let file = place.path("texts.jsonl");
    let line = |i: usize| json!({"text": format!("{} saw a {}", i % 7, ["cat", "dog"][i % 2]), "label": i % 2}).to_string();
    let lines: Vec<String> = (0..60).map(line).collect();
    fs::write(&file, lines.join("\n"))?;
    let ask = Line::on(&place, &["probe", "--dictionary", "1,2"]).with("--texts", file.display());
    let said = ask.expect(0)?;
    said.tells(&["60 texts of 2 labels"])?;
    for k in [1, 2, 5] {
        let n = said.out.matches(&format!("sae_top_{k}_test_accuracy: ")).count();
        ensure!(
            n == 2 && said.out.contains(&format!("llm_top_{k}_test_accuracy: ")),
            "{k}: {said}"
        );
    }
    ensure!(said.out.contains("48 texts of training, 12 of the test"), "{said}");
    fs::write(&file, format!("{}\n\n{{\"label\": 1}}", lines[0]))?;
    ask.expect(2)?.complains(&["texts.jsonl', line 3", "missing field 'text'"])?;
    fs::write(&file, &lines[0]).context("cannot write the texts")?;
    ask.expect(2)?.complains(&["1 labels; expected at least two"])
}
