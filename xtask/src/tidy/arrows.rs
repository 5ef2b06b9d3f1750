//! Which crate may use which, read from the manifests.

use super::Source;
use anyhow::{Context, Result};
use toml::{Table, Value};

/// A crate of ours: its name, its folder, and the crates of ours it may use.
struct Crate {
    name: &'static str,
    folder: &'static str,
    may_use: &'static [&'static str],
}

const CRATES: &[Crate] = &[
    Crate {
        name: "api",
        folder: "app/api",
        may_use: &[],
    },
    Crate {
        name: "app",
        folder: "app",
        may_use: &["api"],
    },
    Crate {
        name: "engine",
        folder: "server/engine",
        may_use: &["api"],
    },
    Crate {
        name: "frontend",
        folder: "frontend",
        may_use: &["app"],
    },
    Crate {
        name: "gpu",
        folder: "server/gpu",
        may_use: &["engine", "api"],
    },
    Crate {
        name: "server",
        folder: "server",
        may_use: &["app", "engine", "gpu", "store", "api"],
    },
    Crate {
        name: "store",
        folder: "server/store",
        may_use: &["api"],
    },
    // black boxes: what they test, they reach through the binary
    Crate {
        name: "tests",
        folder: "tests",
        may_use: &["api"],
    },
    Crate {
        name: "xtask",
        folder: "xtask",
        may_use: &[],
    },
];

/// Arrows that only a feature of the using crate may draw: who builds without a GPU's feature does not compile what it needs.
const OPTIONAL: &[(&str, &str)] = &[("server", "gpu")];

/// The folder of the crate `name`.
pub fn folder(name: &str) -> Option<&'static str> {
    CRATES.iter().find(|one| one.name == name).map(|one| one.folder)
}

/// The folder of the crate that the file at `path` belongs to.
pub fn crate_of(path: &str) -> Option<&'static str> {
    let inside = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    CRATES
        .iter()
        .map(|one| one.folder)
        .filter(|folder| inside(folder))
        .max_by_key(|folder| folder.len())
}

/// Arrows in the manifests that are not among the allowed ones, and crates that this list does not know.
///
/// # Errors
/// When a manifest is not TOML.
pub fn between_crates(sources: &[Source]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with("/Cargo.toml")) {
        let manifest: Table = source.text.parse().with_context(|| format!("{} is not TOML", source.path))?;
        let Some(name) = manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str)
        else {
            continue;
        };
        let Some(own) = CRATES
            .iter()
            .find(|one| one.name == name && source.path == format!("{}/Cargo.toml", one.folder))
        else {
            found.push(format!(
                "{}: the crate `{name}` has no place in the tree; give it one in xtask/src/tidy/arrows.rs",
                source.path
            ));
            continue;
        };
        for (used, optional) in dependencies(&manifest) {
            if !optional && OPTIONAL.contains(&(name, used.as_str())) {
                found.push(format!(
                    "{}: `{name}` may use `{used}` under a feature only; make the dependency optional",
                    source.path
                ));
            }
            if CRATES.iter().any(|one| one.name == used) && !own.may_use.contains(&used.as_str()) {
                let allowed = if own.may_use.is_empty() {
                    "nothing of ours".to_owned()
                } else {
                    own.may_use.join(", ")
                };
                found.push(format!("{}: `{name}` may use {allowed}, not `{used}`", source.path));
            }
        }
    }
    Ok(found)
}

/// Every crate that a manifest names as a dependency of any kind, under its own name, and whether it is optional.
fn dependencies(manifest: &Table) -> Vec<(String, bool)> {
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
        tables.extend(targets.values().filter_map(Value::as_table));
    }
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let lists = tables
        .into_iter()
        .flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()));
    let named = |(name, value): (&String, &Value)| {
        let name = value.get("package").and_then(Value::as_str).unwrap_or(name);
        let optional = value.get("optional").and_then(Value::as_bool).unwrap_or(false);
        (name.to_owned(), optional)
    };
    lists.flat_map(|list| list.iter().map(named)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str, text: &str) -> Vec<String> {
        let text = text.to_owned();
        between_crates(&[Source {
            path: path.to_owned(),
            text,
        }])
        .unwrap()
    }

    #[test]
    fn allowed_arrows_pass() {
        let server =
            "[package]\nname = \"server\"\n[dependencies]\napi.workspace = true\nengine = { path = \"engine\" }\nserde = \"1\"";
        assert!(manifest("server/Cargo.toml", server).is_empty());
    }

    #[test]
    fn any_other_arrow_fails_however_it_is_written() {
        for dependency in [
            "[dependencies]\nengine.workspace = true",
            "[dev-dependencies]\nengine = { path = \"../engine\" }",
            "[build-dependencies.engine]\npath = \"../engine\"",
            "[target.'cfg(unix)'.dependencies]\nengine = { path = \"../engine\" }",
            "[dependencies]\nother = { path = \"../engine\", package = \"engine\" }",
        ] {
            let found = manifest(
                "server/store/Cargo.toml",
                &format!("[package]\nname = \"store\"\n{dependency}"),
            );
            assert_eq!(
                found,
                ["server/store/Cargo.toml: `store` may use api, not `engine`"],
                "{dependency}"
            );
        }
        assert_eq!(
            manifest(
                "app/api/Cargo.toml",
                "[package]\nname = \"api\"\n[dependencies]\nstore = \"1\""
            )
            .len(),
            1
        );
    }

    #[test]
    fn the_server_uses_the_gpu_under_a_feature_only() {
        let found = |dependency: &str| {
            let text = format!("[package]\nname = \"server\"\n[dependencies]\n{dependency}");
            manifest("server/Cargo.toml", &text).len()
        };
        assert_eq!(found("gpu = { workspace = true, optional = true }"), 0);
        assert_eq!(found("gpu.workspace = true"), 1);
        assert_eq!(found("gpu = { workspace = true, optional = false }"), 1);
    }

    #[test]
    fn a_crate_out_of_place_fails() {
        assert_eq!(manifest("utils/Cargo.toml", "[package]\nname = \"utils\"").len(), 1);
        assert_eq!(manifest("app/engine/Cargo.toml", "[package]\nname = \"engine\"").len(), 1);
    }

    #[test]
    fn a_file_belongs_to_the_innermost_crate() {
        assert_eq!(crate_of("app/api/src/id.rs"), Some("app/api"));
        assert_eq!(crate_of("app/src/lib.rs"), Some("app"));
        assert_eq!(crate_of("application/src/lib.rs"), None);
    }
}
