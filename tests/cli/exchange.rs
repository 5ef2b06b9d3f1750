//! Dictionaries of other tools: `saescope import`, `export`, `reproduce`.

use crate::line::{Line, Place};
use anyhow::{Context, Result, ensure};
use std::{collections::HashMap, fs, path::PathBuf};
use tests::{binary::root, given};

/// The files of other tools that the engine's tests are about: 6 wide, which no model here is.
fn golden(name: &str) -> PathBuf {
    root().join("tests/golden/formats").join(name)
}

fn import(place: &Place, source: &str) -> Line {
    Line::on(place, &["import", source])
        .with("--model", given::tiny_model().display())
        .with("--corpus", place.stories.display())
        .with("--n-ctx", 32)
        .with("--eval-tokens", 2048)
}

/// The rows of a table by the names of its columns.
fn rows(place: &Place, file: &str) -> Result<Vec<HashMap<String, String>>> {
    let table = fs::read_to_string(place.path(file))?;
    let mut lines = table
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let head = lines.next().context("the table is empty")?;
    Ok(lines.map(|row| head.iter().cloned().zip(row).collect()).collect())
}

/// Whether two rows have the same metrics, to 1e-4 of them.
fn same_figures(before: &HashMap<String, String>, after: &HashMap<String, String>) -> Result<()> {
    for column in [
        "l0",
        "ce_loss_without_sae",
        "ce_loss_with_sae",
        "ce_increase",
        "kl_div_with_sae",
        "explained_variance",
    ] {
        let number = |row: &HashMap<String, String>| -> Result<f64> { Ok(row.get(column).context(column)?.parse()?) };
        let (before, after) = (number(before)?, number(after)?);
        ensure!(
            (before - after).abs() <= 1e-4 * before.abs().max(0.01),
            "{column}: {before} and {after}"
        );
    }
    Ok(())
}

#[test]
fn a_dictionary_goes_out_and_comes_back_with_its_figures() -> Result<()> {
    let place = Place::new()?;
    Line::sweep(&place)
        .with("--objective", "local")
        .with("--coefficient", 0.03)
        .without("--kl-coefficient")
        .without("--ds-coefficient")
        .with("--eval-tokens", 2048)
        .expect(0)?;
    let before = rows(&place, "out.csv")?.remove(0);
    let at = "blocks.1.hook_resid_pre";
    for (format, file, says_place) in [
        ("saelens", "cfg.json", true),
        ("dictionary_learning", "ae.pt", true),
        ("openai", "0.pt", false),
        ("gemma_scope", "params.npz", false),
    ] {
        let folder = place.path(format);
        let told = Line::on(&place, &["export", "--dictionary", "1", "--format", format])
            .with("--to", folder.display())
            .expect(0)?;
        ensure!(told.out.contains("dictionary 1, as"), "{told}");
        ensure!(folder.join(file).is_file(), "{format} has no {file}");
        // how often features fired is kept in the dictionary's file
        let says_frequencies = folder.join("sparsity.safetensors").is_file();
        ensure!(says_frequencies == (format == "saelens"), "{format}: {says_frequencies}");
        let csv = format!("{format}.csv");
        let line = import(&place, &folder.display().to_string()).with("--csv", place.path(&csv).display());
        // the file itself says where its dictionary reads, or the path that it was published under
        let line = if says_place { line } else { line.with("--at", at) };
        let said = line.expect(0)?;
        said.tells(&["blocks.1.hook_resid_pre, residual raw"])?;
        // no λ of ours is known of it: it is told by its width
        for part in ["imported", "d_sae 64"] {
            ensure!(said.out.contains(part), "{part} is not in {said}");
        }
        let after = rows(&place, &csv)?.remove(0);
        same_figures(&before, &after).context(format)?;
    }
    // it is one like any other: its stored figures are computed again from its weights
    Line::on(&place, &["verify", "--dictionary", "2,3"]).expect(0)?;
    let again = import(&place, &place.path("saelens").display().to_string()).expect(0)?;
    again.tells(&["is done already"])?;
    Ok(())
}

#[test]
fn a_transcoder_goes_out_and_comes_back_with_its_figures() -> Result<()> {
    let place = Place::new()?;
    let (read_at, at) = ("blocks.1.ln2.hook_normalized", "blocks.1.hook_mlp_out");
    Line::sweep(&place)
        .with("--at", at)
        .with("--kind", "skip-transcoder")
        .with("--read-at", read_at)
        .with("--objective", "local")
        .with("--coefficient", 0.03)
        .without("--kl-coefficient")
        .without("--ds-coefficient")
        .with("--eval-tokens", 2048)
        .expect(0)?;
    let before = rows(&place, "out.csv")?.remove(0);
    let folder = place.path("transcoder");
    Line::on(&place, &["export", "--dictionary", "1", "--format", "saelens"])
        .with("--to", folder.display())
        .expect(0)?;
    let refused = Line::on(&place, &["export", "--dictionary", "1", "--format", "dictionary_learning"])
        .with("--to", place.path("other").display())
        .expect(2)?;
    refused.complains(&["found a skip-transcoder", "as saelens and sparsify have them"])?;
    let source = folder.display().to_string();
    let said = import(&place, &source)
        .with("--csv", place.path("again.csv").display())
        .expect(0)?;
    said.tells(&["a skip-transcoder dictionary", &format!("it reads at {read_at}")])?;
    let after = rows(&place, "again.csv")?.remove(0);
    same_figures(&before, &after)?;
    import(&place, &source)
        .with("--read-at", "blocks.0.hook_resid_pre")
        .expect(2)?
        .complains(&["reads at blocks.1.ln2.hook_normalized", "blocks.0.hook_resid_pre"])?;
    import(&place, &golden("saelens_standard").display().to_string())
        .with("--read-at", "blocks.0.hook_resid_pre")
        .expect(2)?
        .complains(&["read_at", "holds no transcoder"])
}

/// sparsify's transcoders read behind a norm's gain, which is taken out of one of ours and taken in again.
#[test]
fn a_modules_transcoder_goes_out_and_comes_back_with_its_figures() -> Result<()> {
    let place = Place::new()?;
    let read_at = "blocks.1.ln2.hook_normalized";
    Line::sweep(&place)
        .with("--at", "blocks.1.hook_mlp_out")
        .with("--kind", "topk-skip-transcoder")
        .with("--read-at", read_at)
        .with("--k", 4)
        .with("--objective", "local")
        .without("--coefficient")
        .without("--kl-coefficient")
        .without("--ds-coefficient")
        .with("--eval-tokens", 2048)
        .expect(0)?;
    let before = rows(&place, "out.csv")?.remove(0);
    // the folder's name says which module it is
    let folder = place.path("layers.1.mlp");
    Line::on(&place, &["export", "--dictionary", "1", "--format", "sparsify"])
        .with("--to", folder.display())
        .expect(0)?;
    let said = import(&place, &folder.display().to_string())
        .with("--csv", place.path("again.csv").display())
        .expect(0)?;
    said.tells(&["a topk-skip-transcoder dictionary", &format!("it reads at {read_at}")])?;
    let after = rows(&place, "again.csv")?.remove(0);
    same_figures(&before, &after)?;
    Ok(())
}

#[test]
fn what_cannot_be_used_is_said_and_nothing_is_executed() -> Result<()> {
    let place = Place::new()?;
    let at = "blocks.1.hook_resid_pre";
    for (name, at, says) in [
        (
            "saelens_standard",
            None,
            &["6 wide", "32 wide at blocks.1.hook_resid_pre"][..],
        ),
        (
            "saelens_standard",
            Some("blocks.2.hook_resid_pre"),
            &["the file says that its dictionary is at blocks.1"],
        ),
        (
            "dictionary_learning_bare/ae.pt",
            None,
            &["does not say where its dictionary reads"],
        ),
        (
            "bad/os_system.pt",
            Some(at),
            &["os_system.pt: its pickle asks for 'posix.system'", "executed"],
        ),
        (
            "sparse_coding_0",
            Some(at),
            &["holds 4 dictionaries; choose one by its number"],
        ),
    ] {
        let mut line = import(&place, &golden(name).display().to_string());
        if let Some(at) = at {
            line = line.with("--at", at);
        }
        let said = line.expect(2)?;
        for part in says {
            ensure!(said.err.contains(part), "{name}: {part} is not in {said}");
        }
    }
    let missing = import(&place, "nowhere").expect(2)?;
    ensure!(missing.err.contains("there is no file or folder 'nowhere'"), "{missing}");
    Ok(())
}

#[test]
fn the_published_checkpoints_stand_beside_their_figures() -> Result<()> {
    let place = Place::new()?;
    let said = Line::on(&place, &["reproduce", "e2e-gpt2"])
        .with("--from", golden("e2e_gpt2").display())
        .with("--model", given::tiny_model().display())
        .with("--corpus", place.stories.display())
        .with("--eval-tokens", 1024)
        .expect(0)?;
    for (name, published) in [
        ("local", ["73.5", "41k", "0.016"]),
        ("e2e", ["33.4", "22k", "0.020"]),
        ("downstream", ["36.2", "18k", "0.015"]),
    ] {
        let name = format!("{name}_similar_ce_layer_2");
        let line = said
            .out
            .lines()
            .find(|line| line.starts_with(&name))
            .with_context(|| format!("{name} is missing: {said}"))?;
        let fields: Vec<&str> = line.split(", ").collect();
        ensure!([fields[2], fields[4], fields[6]] == published, "{line}");
        for ours in [fields[1], fields[3], fields[5], fields[7], fields[9]] {
            ensure!(ours.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        }
    }
    ensure!(said.err.contains("local_similar_l0_layer_6: not in"), "{said}");
    Ok(())
}
