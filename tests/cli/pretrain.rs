//! `saescope pretrain`: a model from a text, killed and resumed, and what cannot be used.

use crate::line::{Line, Place};
use anyhow::{Context, Result, ensure};
use std::{fs, path::PathBuf};

/// A small model on the stories of the other tests, in many steps, so that it can be stopped on its way.
fn line(place: &Place, tokens: u64) -> Line {
    Line::on(
        place,
        &[
            "pretrain",
            "--name",
            "tiny",
            "--vocab-size",
            "300",
            "--n-layers",
            "2",
            "--d-model",
            "32",
        ],
    )
    .with("--corpus", place.stories.display())
    .with("--n-heads", 4)
    .with("--n-ctx", 32)
    .with("--batch", 4)
    .with("--tokens", tokens)
    .with("--lr", "5e-3")
    .with("--eval-every-steps", 1000)
    .with("--dtype", "f16")
}

fn model(place: &Place) -> PathBuf {
    place.data().join("models/tiny")
}

#[test]
fn a_model_is_made_and_can_be_used_like_any_other() -> Result<()> {
    let place = Place::new()?;
    let said = line(&place, 12_800).expect(0)?;
    said.tells(&["default: seed = 0"])?;
    for part in ["model      tiny (", "nats per token on held-out text", "tokens per second"] {
        ensure!(said.out.contains(part), "{said}");
    }
    for file in [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "README.md",
    ] {
        ensure!(model(&place).join(file).is_file(), "there is no {file}");
    }
    let readme = fs::read_to_string(model(&place).join("README.md"))?;
    for part in ["saescope pretrain", "--seed 0", "nats per token", "tokens per second"] {
        ensure!(readme.contains(part), "{readme}");
    }
    let jobs = Line::on(&place, &["jobs"]).expect(0)?;
    ensure!(jobs.out.starts_with("1\tdone\tthe model tiny, seed 0"), "{jobs}");
    // the same again is done already
    line(&place, 12_800)
        .expect(0)?
        .tells(&["job 1: the same run is done already"])?;
    // and a dictionary can be trained on it
    Line::on(
        &place,
        &[
            "train",
            "--model",
            "tiny",
            "--at",
            "blocks.1.hook_resid_pre",
            "--objective",
            "e2e",
        ],
    )
    .with("--corpus", place.stories.display())
    .with("--coefficient", 1)
    .with("--d-sae", 64)
    .with("--n-ctx", 32)
    .with("--tokens", 2_000)
    .expect(0)?;
    Ok(())
}

/// Each waits for half a minute, until the lease of its dead owner is over: so they do side by side.
#[test]
fn a_run_that_was_killed_gives_the_same_bytes_with_one_two_and_three_threads() -> Result<()> {
    let tokens = 400 * 128;
    let mut resumed = Vec::new();
    for threads in 1..=3 {
        let place = Place::new()?;
        let line = line(&place, tokens).with("--threads", threads);
        let mut running = line.start()?;
        let checkpoint = place.checkpoint(1);
        running.wait_until("a checkpoint", || checkpoint.exists())?;
        running.signal("KILL")?;
        let said = running.end()?;
        ensure!(said.code.is_none(), "it ended before it was killed; {said}");
        ensure!(!model(&place).exists(), "killed, it has a model");
        resumed.push((threads, line.start()?, place));
    }
    let undisturbed = Place::new()?;
    line(&undisturbed, tokens).with("--threads", 2).expect(0)?;
    let weights = |place: &Place| fs::read(model(place).join("model.safetensors")).context("there are no weights");
    let expected = weights(&undisturbed)?;
    for (threads, running, place) in resumed {
        let said = running.end()?;
        ensure!(said.code == Some(0), "{threads} threads; {said}");
        ensure!(
            weights(&place)? == expected,
            "with {threads} threads the weights differ from those of an undisturbed run"
        );
    }
    Ok(())
}

#[test]
fn what_cannot_be_used_is_named() -> Result<()> {
    let place = Place::new()?;
    line(&place, 1_000)
        .with("--d-model", 30)
        .expect(2)?
        .complains(&["n_heads: found 4", "30"])?;
    line(&place, 1_000).with("--lr", 0).expect(2)?.complains(&["lr: found 0"])?;
    let none = Line::on(&place, &["pretrain", "--corpus", "no/such/text.jsonl"]);
    none.expect(2)?.complains(&["no/such/text.jsonl"])?;
    let tokenizer =
        Line::on(&place, &["pretrain", "--tokenizer", "no/such/tokenizer.json"]).with("--corpus", place.stories.display());
    tokenizer.expect(2)?.complains(&["tokenizer", "no/such/tokenizer.json"])
}
