//! The documents say what the program does.

use anyhow::{Context, Result, ensure};
use std::fs;
use tests::binary::root;

/// It defines every metric that results may carry.
#[test]
fn every_metric_is_defined_in_the_methods() -> Result<()> {
    let file = root().join("docs/METHODS.md");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let missing = missing(&text, api::METRICS.iter().map(|metric| metric.name));
    ensure!(
        missing.is_empty(),
        "docs/METHODS.md does not name the metrics {}",
        missing.join(", ")
    );
    Ok(())
}

#[test]
fn every_kind_and_objective_is_described_in_the_methods() -> Result<()> {
    let text = fs::read_to_string(root().join("docs/METHODS.md")).context("docs/METHODS.md")?;
    let names: Vec<String> = api::KindName::ALL.iter().map(ToString::to_string).collect();
    let objectives: Vec<String> = api::ObjectiveKind::ALL.iter().map(ToString::to_string).collect();
    let missing = missing(&text, names.iter().chain(&objectives).map(String::as_str));
    ensure!(missing.is_empty(), "docs/METHODS.md does not name {}", missing.join(", "));
    Ok(())
}

#[test]
fn a_metric_is_named_only_by_its_whole_name_in_code() {
    assert_eq!(
        missing("`l0` and `alive_10`", ["l0", "alive", "alive_10"].into_iter()),
        ["alive"]
    );
}

/// The names that `text` does not hold as code: between backticks.
fn missing<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.filter(|name| !text.contains(&format!("`{name}`"))).collect()
}
