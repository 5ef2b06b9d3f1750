//! Dictionaries changed after their training, and trained further: commands, the registry, what is refused.

use crate::line::{Line, Place};
use anyhow::{Context, Result, ensure};
use std::fs;

/// A column of the table that a command wrote.
fn column(place: &Place, name: &str) -> Result<Vec<String>> {
    let table = fs::read_to_string(place.path("out.csv"))?;
    let mut rows = table.lines().map(|row| row.split(',').map(String::from).collect::<Vec<_>>());
    let at = rows.next().and_then(|head| head.iter().position(|column| column == name));
    let at = at.with_context(|| format!("no column {name}"))?;
    Ok(rows.map(|row| row[at].clone()).collect())
}

fn l0(place: &Place) -> Result<Vec<f64>> {
    column(place, "l0")?.iter().map(|l0| Ok(l0.parse()?)).collect()
}

#[test]
fn dictionaries_are_changed_after_training_and_trained_further() -> Result<()> {
    let place = Place::new()?;
    let csv = place.path("out.csv");
    let sweep = Line::sweep(&place).with("--coefficient", "0.1");
    sweep.expect(0)?;
    let own = l0(&place)?;
    let derive = |words: &[&str]| Line::on(&place, &[&["derive"], words].concat()).with("--csv", csv.display());

    // each objective's dictionary, pruned twice, and once with another encoder
    let said = derive(&["--dictionary", "1,2,3", "--prune", "0.8,0.4", "--pursuit", "4"]).expect(0)?;
    said.tells(&["done"])?;
    ensure!(
        said.out.contains("jumprelu, e2e+ds, pruned") && said.out.contains("keep 0.4"),
        "{said}"
    );
    let found = l0(&place)?;
    ensure!(found.len() == 9, "{found:?}");
    for (k, l0) in found.iter().enumerate() {
        match k / 3 {
            0 | 1 => ensure!(*l0 < own[k % 3], "{k}: {l0} of {}", own[k % 3]),
            _ => ensure!(*l0 <= 4.0, "{k}: {l0}"),
        }
    }
    // the same again is there already
    derive(&["--dictionary", "1,2,3", "--prune", "0.8,0.4", "--pursuit", "4"])
        .expect(0)?
        .tells(&["the same run is done already"])?;
    let rescaled = derive(&["--dictionary", "1,2", "--rescale-shift", "--tokens", "3840"]).expect(0)?;
    ensure!(rescaled.out.contains("gated, e2e, rescaled"), "{rescaled}");
    derive(&["--dictionary", "1", "--fold"]).expect(0)?;

    // trained further under the objective that is for it, and under another
    let further = Line::sweep(&place)
        .without("--kind")
        .without("--coefficient")
        .without("--d-sae")
        .with("--from", "1,3")
        .with("--objective", "kl+mse,e2e");
    let said = further.expect(0)?;
    ensure!(
        said.out.contains("kl+mse, finetuned") && said.out.contains("e2e, finetuned"),
        "{said}"
    );
    ensure!(column(&place, "coefficient")? == ["0.1"; 4], "λ is the parents'");

    // they are measured again like any others, and drawn
    let all = Line::on(&place, &["verify", "--dictionary", "all"]).expect(0)?;
    ensure!(all.out.matches("verified,").count() == 3 + 9 + 2 + 1 + 4, "{all}");
    let plot = place.path("pareto.csv");
    Line::on(&place, &["plot"]).with("--out", plot.display()).expect(0)?;
    ensure!(fs::read_to_string(&plot)?.lines().count() == 1 + 19);

    for (line, parts) in [
        (derive(&["--dictionary", "1"]), ["by", "nothing is given"]),
        (derive(&["--dictionary", "1", "--threshold"]), ["relu", "expected topk"]),
        (derive(&["--dictionary", "1", "--prune", "2"]), ["keep", "found 2"]),
        (derive(&["--dictionary", "77", "--fold"]), ["'77'", "registry"]),
        (
            derive(&["--dictionary", "1", "--fold", "--lr", "0.1"]),
            ["lr", "rescale_shift"],
        ),
        (further.clone().with("--from", "77"), ["from", "no dictionary 77"]),
        (
            further.clone().with("--at", "blocks.0.hook_resid_pre"),
            ["from", "blocks.1.hook_resid_pre"],
        ),
        (further.clone().with("--d-sae", 8), ["d_sae", "from"]),
        (further.with("--kind", "topk"), ["kind", "relu"]),
    ] {
        line.expect(2)?.complains(&parts)?;
    }
    Ok(())
}

#[test]
fn two_groups_are_compared_at_equal_l0() -> Result<()> {
    let place = Place::new()?;
    Line::sweep(&place)
        .with("--objective", "local")
        .with("--coefficient", "0.03,3")
        .with("--seed", "0,1")
        .expect(0)?;
    let contrast = |words: &[&str]| Line::on(&place, &[&["contrast"], words].concat());
    // a group against itself is 1, without any spread
    let same = contrast(&["--dictionary", "all", "--against", "all"]).expect(0)?;
    ensure!(
        same.out.contains("ce_increase at equal l0") && same.out.contains("2 seeds"),
        "{same}"
    );
    ensure!(
        same.out.contains(": 1.0000 [1.0000, 1.0000] times") || same.out.contains(": 0.0000 [0.0000, 0.0000] more"),
        "{same}"
    );
    let other = contrast(&["--dictionary", "1,2", "--against", "3,4", "--y", "kl_div_with_sae"]).expect(0)?;
    ensure!(
        other.out.contains("1 seeds") || other.out.contains("kl at equal l0"),
        "{other}"
    );
    contrast(&["--dictionary", "1", "--against", "2"])
        .expect(1)?
        .complains(&["share no l0"])?;
    contrast(&["--dictionary", "1", "--against", "2", "--x", "l00"])
        .expect(2)?
        .complains(&["x", "'l00'"])
}
