//! What the tests work on: the tiny model that the repository holds, and a small text that they write themselves.

use crate::binary::root;
use anyhow::{Context, Result};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder of the tiny seeded model: a GPT-2 of three blocks, 32 wide, for contexts of up to 64 tokens.
pub fn tiny_model() -> PathBuf {
    root().join("tests/golden/models/tiny")
}

/// Writes a few hundred stories of the kind that the tiny model has read to `folder/stories.json`.
///
/// # Errors
/// When the file cannot be written.
pub fn stories(folder: &Path) -> Result<PathBuf> {
    let names = ["Lily", "Tom", "Max", "Anna", "Ben"];
    let things = ["cat", "dog", "fox", "bird", "ball", "tree", "boat"];
    let story = |i: usize| {
        let (name, first, second) = (names[i % 5], things[i % 7], things[(i * i + 3) % 7]);
        format!(
            "One day, {name} went to the park. {name} saw a little {first} and {} big {second}s.",
            i % 23
        )
    };
    let file = folder.join("stories.json");
    let text = json!((0..400).map(story).collect::<Vec<_>>()).to_string();
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
