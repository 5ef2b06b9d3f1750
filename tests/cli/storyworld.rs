//! `saescope storyworld`: stories and labels in files, and the story that the documents show.

use crate::line::{Line, Place};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use tests::binary::root;

#[test]
fn the_story_in_the_documents_is_the_one_that_is_told() -> Result<()> {
    let told = Line::new(&["storyworld", "--print", "1"]).expect(0)?.out;
    let methods = fs::read_to_string(root().join("docs/METHODS.md"))?;
    let section = methods
        .split_once("\n## Storyworld\n")
        .context("METHODS.md has no section on storyworld")?
        .1;
    let shown = section.split_once("```text\n").context("the section shows no story")?.1;
    let shown = shown.split_once("```").context("the story has no end")?.0;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    ensure!(words(shown) == words(&told), "METHODS.md shows\n{shown}\nand told is\n{told}");
    Ok(())
}

#[test]
fn stories_and_labels_are_written_once_and_are_a_corpus() -> Result<()> {
    let place = Place::new()?;
    let folder = place.path("world");
    let line = Line::on(&place, &["storyworld", "--report"])
        .with("--stories", 40)
        .with("--seed", 3)
        .with("--first", 10)
        .with("--out", folder.display());
    let said = line.expect(0)?;
    said.tells(&["40 stories, "])?;
    ensure!(
        said.out.contains("nats per token") && said.out.contains("distinct 4-grams"),
        "{said}"
    );

    let lines = |name: &str| -> Result<Vec<Value>> {
        let text = fs::read_to_string(folder.join(name))?;
        text.lines()
            .map(|line| serde_json::from_str(line).context("a line is no JSON"))
            .collect()
    };
    let (stories, labels) = (lines("stories.jsonl")?, lines("labels.jsonl")?);
    ensure!(stories.len() == 40 && labels.len() == 40);
    let printed = Line::new(&["storyworld", "--print", "1"])
        .with("--seed", 3)
        .with("--first", 12)
        .expect(0)?
        .out;
    ensure!(stories[2]["text"].as_str() == Some(printed.trim_end()), "{printed}");
    for (story, labels) in stories.iter().zip(&labels) {
        let text = story["text"].as_str().context("a story without text")?;
        let words = labels["words"].as_array().context("labels without words")?;
        let names = labels["yes"]["class=name"].as_array().context("a story without names")?;
        for name in names {
            let word = &words[name.as_u64().context("no index")? as usize];
            let at = |i: usize| word[i].as_u64().unwrap_or_default() as usize;
            let name = &text[at(0)..at(1)];
            ensure!(name.starts_with(|c: char| c.is_ascii_uppercase()), "'{name}' is no name");
        }
        let sum: f64 = words.iter().filter_map(|word| word[2].as_f64()).sum();
        let nats = labels["nats"].as_f64().context("labels without nats")?;
        ensure!((sum - nats).abs() < 1e-3 * nats, "{sum} and {nats}");
    }
    let summary: Value = serde_json::from_str(&fs::read_to_string(folder.join("storyworld.json"))?)?;
    ensure!(
        summary["n_stories"] == 40 && summary["seed"] == 3 && summary["first"] == 10,
        "{summary}"
    );

    line.expect(1)?.complains(&["stories.jsonl", "is there already"])?;
    Line::sweep(&place)
        .with("--corpus", folder.join("stories.jsonl").display())
        .with("--tokens", 640)
        .expect(0)?;
    Ok(())
}

#[test]
fn what_cannot_be_told_is_said() -> Result<()> {
    Line::new(&["storyworld"]).expect(2)?.complains(&["--out", "--print"])?;
    Line::new(&["storyworld", "--stories", "0", "--report"])
        .expect(2)?
        .complains(&["stories", "found 0"])?;
    Line::new(&["storyworld", "--first", "18446744073709551615", "--report"])
        .expect(2)?
        .complains(&["first", "18446744073709551615"])
}
