//! What `--help` says.

use crate::line::Line;
use anyhow::{Context, Result, ensure};

#[test]
fn every_subcommand_has_help_with_an_example_of_itself() -> Result<()> {
    let help = Line::new(&["--help"]).expect(0)?.out;
    let listed: Vec<&str> = help
        .split_once("Commands:\n")
        .context("the help lists no commands")?
        .1
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    for name in [
        "serve",
        "train",
        "sweep",
        "evaluate",
        "verify",
        "behaviours",
        "plot",
        "pretrain",
        "pull",
        "demo",
    ] {
        ensure!(listed.contains(&name), "there is no {name}: {listed:?}");
    }
    for name in listed {
        let help = Line::new(&[name, "--help"]).expect(0)?.out;
        let (_, example) = help
            .split_once("Example")
            .with_context(|| format!("{name} shows no example: {help}"))?;
        ensure!(example.contains(&format!("saescope {name}")), "{name}: {help}");
    }
    Ok(())
}

#[test]
fn every_kind_of_dictionary_is_named_by_the_help() -> Result<()> {
    let help = Line::new(&["sweep", "--help"]).expect(0)?.out;
    for kind in api::KindName::ALL {
        ensure!(
            help.contains(&format!(" {kind},")) || help.contains(&format!(" {kind} [")),
            "{kind}: {help}"
        );
    }
    Ok(())
}

#[test]
fn what_does_not_exist_is_named() -> Result<()> {
    Line::new(&["sweeep"]).expect(2)?.complains(&["sweeep", "sweep"])?;
    Line::new(&["sweep", "--tokns", "1"])
        .expect(2)?
        .complains(&["--tokns", "--tokens"])
}
