//! The rules of the tree that no compiler knows: who may use whom, and what a file must and must not hold.
//! Each rule is a plain function from texts to violations, so that its tests can break it.

mod arrows;
mod code;
mod files;
mod modules;

use anyhow::{Context, Result, ensure};
use std::{fs, path::Path, process::Command};

/// A text file of the repository.
pub struct Source {
    /// From the root, with forward slashes.
    pub path: String,
    /// The content.
    pub text: String,
}

/// Everything in the repository at `root` that breaks a rule, one line each, naming the file.
///
/// # Errors
/// When git cannot list the files or one cannot be read.
pub fn violations(root: &Path) -> Result<Vec<String>> {
    let sources = sources(root)?;
    let mut found = arrows::between_crates(&sources)?;
    found.extend(modules::inside_the_engine(&sources));
    found.extend(files::opening(&sources));
    found.extend(files::unfinished(&sources));
    found.extend(files::length(&sources));
    found.extend(files::machine_paths(&sources));
    found.extend(files::urls_of_the_api(&sources));
    Ok(found)
}

/// The crates among `names` whose documentation holds Rust to be run.
///
/// # Errors
/// When git cannot list the files or one cannot be read.
pub fn crates_with_doc_tests<'a>(root: &Path, names: &[&'a str]) -> Result<Vec<&'a str>> {
    let sources = sources(root)?;
    let documented = |name: &str| {
        let folder = arrows::folder(name).unwrap_or(name);
        let mut own = sources.iter().filter(|source| arrows::crate_of(&source.path) == Some(folder));
        own.any(|source| code::has_doc_test(&source.text))
    };
    Ok(names.iter().copied().filter(|name| documented(name)).collect())
}

/// Every text file that is tracked or would be.
fn sources(root: &Path) -> Result<Vec<Source>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot start `git`, which lists the files to check")?;
    ensure!(
        listed.status.success(),
        "git cannot list the files: {}",
        String::from_utf8_lossy(&listed.stderr).trim()
    );
    let mut sources = Vec::new();
    for path in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
        let file = root.join(path);
        if !file.is_file() {
            continue; // deleted, not yet committed
        }
        let bytes = fs::read(&file).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_keeps_its_rules() {
        let found = violations(&crate::build::root()).unwrap();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}
