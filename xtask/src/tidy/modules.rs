//! Which module of the engine may use which, read from every path that starts at the crate's root.

use super::{
    Source,
    code::{Keep, strip},
};
use std::collections::BTreeSet;

const ENGINE: &str = "server/engine/src/";

/// A module and the modules it may use; every module may use `kernel`. A module that is not listed is common ground:
/// all may use it, and it may use only what is common.
const MODULES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("corpus", &[]),
    ("dictionary", &[]),
    ("objective", &["model", "dictionary"]),
    ("metrics", &["model", "dictionary", "corpus"]),
    (
        "train",
        &["model", "dictionary", "objective", "metrics", "corpus", "baseline"],
    ),
    ("pretrain", &["model", "objective", "corpus", "train"]),
    ("baseline", &["dictionary"]),
    ("index", &["model", "dictionary", "corpus", "metrics"]),
    ("exchange", &["dictionary"]),
    (
        "experiment",
        &[
            "model",
            "dictionary",
            "corpus",
            "objective",
            "metrics",
            "train",
            "pretrain",
            "baseline",
            "index",
            "exchange",
        ],
    ),
];

/// Arrows between modules that are not among the allowed ones, and paths written so that the arrows cannot be read.
pub fn inside_the_engine(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let Some(inner) = source.path.strip_prefix(ENGINE).and_then(|path| path.strip_suffix(".rs")) else {
            continue;
        };
        let module = inner.split('/').next().unwrap_or(inner);
        if inner == "lib" {
            continue;
        }
        let code = strip(&source.text, Keep::Code);
        if code.contains("super::super::") {
            found.push(format!(
                "{}: `super::super::` hides which module is used; start the path at `crate::`",
                source.path
            ));
        }
        let mut used = heads(&code, "crate::");
        if inner == module || inner.ends_with("/mod") && inner.matches('/').count() == 1 {
            used.extend(heads(&code, "super::"));
        }
        let allowed = MODULES
            .iter()
            .find(|(name, _)| *name == module)
            .map_or(&[][..], |(_, allowed)| allowed);
        for other in used {
            let listed = MODULES.iter().any(|(name, _)| *name == other);
            let from_kernel = module == "kernel" && other != "kernel" && is_module(sources, &other);
            if other != module && (listed && !allowed.contains(&other.as_str()) || from_kernel) {
                found.push(format!("{}: `{module}` may not use `{other}`", source.path));
            }
        }
    }
    found
}

fn is_module(sources: &[Source], name: &str) -> bool {
    let files = [format!("{ENGINE}{name}.rs"), format!("{ENGINE}{name}/mod.rs")];
    sources.iter().any(|source| files.contains(&source.path))
}

/// The first names after each `root` in `code`, those in braces too: `crate::{a::b, c}` gives a and c.
fn heads(code: &str, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices(root) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$') {
            continue;
        }
        let rest = &code[at + root.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(top_level(group)),
            None => found.extend(name(rest)),
        }
    }
    found
}

/// The first name of each entry of a group of `use`, whose opening brace is gone.
fn top_level(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut names) = (1, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || depth == 1 && c == ',' {
            names.extend(name(group[start..at].trim_start()));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names
}

fn name(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(file: &str, text: &str) -> Vec<String> {
        let source = |path: &str, text: &str| Source {
            path: format!("{ENGINE}{path}"),
            text: text.to_owned(),
        };
        inside_the_engine(&[source("error.rs", ""), source("kernel/mod.rs", ""), source(file, text)])
    }

    #[test]
    fn allowed_arrows_pass() {
        for (file, text) in [
            (
                "train/step.rs",
                "use crate::{corpus::Batches, objective::{self, local}, error::Error, kernel};",
            ),
            (
                "objective/local.rs",
                "use crate::dictionary::Relu;\n// crate::train is the caller\nlet s = \"crate::train\";",
            ),
            (
                "model/gpt2.rs",
                "use crate::kernel::matmul; use super::Model; let x = crate::model::load();",
            ),
            ("lib.rs", "use crate::{train, experiment};"),
        ] {
            assert!(engine(file, text).is_empty(), "{file}: {:?}", engine(file, text));
        }
    }

    #[test]
    fn any_other_arrow_fails_however_it_is_written() {
        for (file, text) in [
            ("model/gpt2.rs", "use crate::train::Step;"),
            ("corpus/text.rs", "use crate::{kernel, metrics::l0};"),
            ("dictionary/relu.rs", "fn f() { crate::objective::local() }"),
            (
                "dictionary/relu.rs",
                "use crate::{\n    error::Error,\n    kernel::{Matrix, matmul},\n    train::{Step, Adam},\n};",
            ),
            ("metrics/l0.rs", "use crate::experiment::pareto;"),
            ("model/mod.rs", "use super::objective;"),
            ("model.rs", "use super::{kernel, objective};"),
            ("kernel/matmul.rs", "use crate::error::Error;"),
            ("error.rs", "use crate::train::Diverged;"),
            ("model/gpt2.rs", "use super::super::train;"),
        ] {
            assert_eq!(engine(file, text).len(), 1, "{file}: {text}");
        }
    }
}
