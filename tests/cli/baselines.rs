//! Baselines as dictionaries like any other: fitted, listed, measured again; and a model's twin with random weights.

use crate::line::{Line, Place};
use anyhow::{Result, ensure};
use std::fs;

/// A fit that takes a moment.
fn fit(place: &Place, kind: &str) -> Line {
    let training = [
        "--objective",
        "--coefficient",
        "--kl-coefficient",
        "--ds-coefficient",
        "--lr",
        "--d-sae",
    ];
    training
        .iter()
        .fold(Line::sweep(place), |line, option| line.without(option))
        .with("--kind", kind)
}

#[test]
fn a_baseline_is_fitted_listed_and_measured_again() -> Result<()> {
    let place = Place::new()?;
    let said = fit(&place, "pca-topk").with("--k", "2,4").expect(0)?;
    ensure!(!said.err.contains("lr =") && !said.err.contains("warmup"), "{said}");
    said.tells(&["default: eval_tokens = "])?;
    for kind in ["pca-nonnegative", "ica", "nmf", "identity", "token-mean"] {
        fit(&place, kind).expect(0)?;
    }
    fit(&place, "random").with("--d-sae", 40).with("--k", 3).expect(0)?;
    let table = fs::read_to_string(place.path("out.csv"))?;
    ensure!(
        table.lines().nth(1).is_some_and(|row| row.starts_with("local,0,0,3,")),
        "{table}"
    );
    // every stored metric comes out again, to the bit
    let said = Line::on(&place, &["verify", "--dictionary", "all"]).expect(0)?;
    ensure!(!said.err.contains("differ"), "{said}");
    // the same command finds the run done
    let said = fit(&place, "ica").expect(0)?;
    said.tells(&["done already"])?;
    Ok(())
}

#[test]
fn what_means_nothing_for_a_baseline_is_refused_by_name() -> Result<()> {
    let place = Place::new()?;
    for (line, says) in [
        (
            fit(&place, "pca-static").with("--k", 2).with("--objective", "e2e"),
            "expected local",
        ),
        (
            fit(&place, "pca-static").with("--k", 2).with("--lr", "1e-3"),
            "fitted, not trained",
        ),
        (fit(&place, "pca-static").with("--k", 1000), "found 1000"),
        (fit(&place, "nmf").with("--k", 2), "no such setting"),
        (fit(&place, "identity").with("--d-sae", 12), "leave it out"),
        (fit(&place, "ica").with("--coefficient", "0.1"), "no sparsity term"),
    ] {
        line.expect(2)?.tells(&[says])?;
    }
    Ok(())
}

#[test]
fn a_twin_with_random_weights_is_a_model_like_any_other() -> Result<()> {
    let place = Place::new()?;
    let model = tests::given::tiny_model();
    let name = model
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let twin = |seed: i64| {
        Line::on(&place, &["randomise"])
            .with("--model", model.display())
            .with("--seed", seed)
    };
    let said = twin(3).expect(0)?;
    ensure!(said.out.contains(&format!("{name}-random-3")), "{said}");
    ensure!(said.out.contains(&format!("random weights (seed 3) of {name}")), "{said}");
    ensure!(twin(3).expect(0)?.out == said.out, "the same twin again is another");
    Line::sweep(&place)
        .with("--model", format!("{name}-random-3"))
        .with("--objective", "local")
        .with("--coefficient", "0.1")
        .without("--kl-coefficient")
        .without("--ds-coefficient")
        .expect(0)?;
    Ok(())
}
