//! `saescope known`: metrics beside the others, a table of labels, and a second run in the place of the first.

use crate::line::{Line, Place};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::fs;

#[test]
fn what_dictionaries_know_becomes_metrics_and_a_table() -> Result<()> {
    let place = Place::new()?;
    Line::sweep(&place).expect(0)?;
    let table = place.path("known.csv");
    let known = |stories: u64| {
        Line::on(&place, &["known"])
            .with("--stories", stories)
            .with("--csv", table.display())
    };
    let said = known(40).expect(0)?;
    ensure!(
        said.out
            .contains("dictionary 5 (e2e+ds, λ 1, seed 0) at blocks.1.hook_resid_pre: 56 labels"),
        "{said}"
    );
    let text = fs::read_to_string(&table)?;
    ensure!(text.lines().count() == 1 + 5 * 56, "{} rows", text.lines().count());
    ensure!(
        text.starts_with("dictionary,objective,coefficient,seed,at,label,kind,parent,n_yes,n_no,"),
        "{text}"
    );

    // an axis like any other, beside what was measured before
    let axis = || -> Result<Vec<String>> {
        let points = place.path("points.csv");
        Line::on(&place, &["plot"])
            .with("--x", "l0")
            .with("--y", "known_accuracy_1")
            .with("--out", points.display())
            .expect(0)?;
        let text = fs::read_to_string(points)?;
        let mut rows = text
            .lines()
            .map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let head = rows.next().context("no header")?;
        let of = |name: &str| {
            head.iter()
                .position(|column| column == name)
                .with_context(|| format!("no column {name}"))
        };
        let (l0, accuracy) = (of("l0")?, of("known_accuracy_1")?);
        rows.map(|row| {
            ensure!(row[l0].parse::<f64>().is_ok(), "{row:?}");
            Ok(row[accuracy].clone())
        })
        .collect()
    };
    let first = axis()?;
    ensure!(
        first.len() == 5 && first.iter().all(|value| value.parse::<f64>().is_ok()),
        "{first:?}"
    );
    known(40).expect(0)?;
    ensure!(axis()? == first, "the same stories give the same");
    known(60).expect(0)?;
    let second = axis()?;
    ensure!(second.len() == 5 && second != first, "{second:?}");
    let file = fs::read(place.data().join("dictionaries/3.known.json"))?;
    let file: Value = serde_json::from_slice(&file)?;
    ensure!(
        file["n_stories"] == 60 && file["labels"].as_array().is_some_and(|labels| labels.len() == 56),
        "{file}"
    );
    Ok(())
}

#[test]
fn what_cannot_be_measured_is_said() -> Result<()> {
    let place = Place::new()?;
    for (line, code, parts) in [
        (Line::on(&place, &["known", "--stories", "1"]), 2, ["stories", "found 1"]),
        (Line::on(&place, &["known", "--dictionary", "7;8"]), 2, ["'7;8'", "7,8"]),
        (
            Line::on(&place, &["known", "--dictionary", "7"]),
            2,
            ["there is no dictionary 7", ""],
        ),
        (
            Line::on(&place, &["known"]),
            1,
            ["there is no dictionary yet", "saescope sweep"],
        ),
    ] {
        line.expect(code)?.complains(&parts)?;
    }
    Ok(())
}
