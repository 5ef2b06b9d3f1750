//! What every file must hold, and what none may.

use super::{
    Source,
    code::{Keep, before_tests, strip},
};

/// The longest a file of ours may be, in lines.
const CEILING: usize = 500;

/// Kinds of files that people write here; tables, locks and documents may be long.
const WRITTEN: &[&str] = &["rs", "css", "py", "sql", "wgsl", "js", "sh"];

/// Rust files that do not open with `//!`.
pub fn opening(sources: &[Source]) -> Vec<String> {
    let opens = |text: &str| {
        text.lines()
            .find(|line| !line.trim().is_empty())
            .is_some_and(|line| line.starts_with("//! "))
    };
    let silent = rust(sources).filter(|source| !opens(&source.text));
    silent
        .map(|source| format!("{}: opens without `//!` saying what the file is and why", source.path))
        .collect()
}

/// Work left open, and tests that do not run.
pub fn unfinished(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in rust(sources) {
        for (number, line) in strip(&source.text, Keep::Code).lines().enumerate() {
            let squeezed: String = line.split_whitespace().collect();
            for mark in ["todo!", "unimplemented!", "#[ignore"] {
                if squeezed.contains(mark) {
                    found.push(format!(
                        "{}:{}: `{mark}` has no place in a finished tree",
                        source.path,
                        number + 1
                    ));
                }
            }
        }
    }
    found
}

/// Files that are too long for one idea.
pub fn length(sources: &[Source]) -> Vec<String> {
    let written = |path: &str| {
        path.rsplit_once('.')
            .is_some_and(|(_, extension)| WRITTEN.contains(&extension))
    };
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| written(&source.path)) {
        let lines = source.text.lines().count();
        if lines > CEILING {
            found.push(format!(
                "{}: {lines} lines, expected at most {CEILING}; split it by its ideas",
                source.path
            ));
        }
    }
    found
}

/// Absolute paths of somebody's machine.
pub fn machine_paths(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            for folder in ["/work", "/home", "/root"] {
                let path = format!("{folder}/");
                let starts = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "./-_}~$*".contains(c));
                if line.match_indices(&path).any(|(at, _)| starts(at)) {
                    found.push(format!("{}:{}: `{path}…` is a path of one machine", source.path, number + 1));
                }
            }
        }
    }
    found
}

/// URLs of the API in the page outside its one client.
pub fn urls_of_the_api(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in rust(sources).filter(|source| source.path.starts_with("app/src/") && source.path != "app/src/client.rs") {
        let code = strip(&source.text, Keep::CodeAndStrings);
        for (number, line) in before_tests(&code).lines().enumerate() {
            if line.contains("\"/api") {
                found.push(format!(
                    "{}:{}: a URL of the API; app/src/client.rs is the file that knows them",
                    source.path,
                    number + 1
                ));
            }
        }
    }
    found
}

fn rust(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| source.path.ends_with(".rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> [Source; 1] {
        [Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }]
    }

    #[test]
    fn a_rust_file_opens_with_what_it_is() {
        assert!(opening(&file("a.rs", "//! Adds.\nfn a() {}")).is_empty());
        assert_eq!(opening(&file("a.rs", "// Adds.\nfn a() {}")).len(), 1);
        assert_eq!(opening(&file("a.rs", "")).len(), 1);
        assert!(opening(&file("a.py", "x = 1")).is_empty());
    }

    #[test]
    fn open_work_and_ignored_tests_are_found_in_code_only() {
        assert_eq!(
            unfinished(&file("a.rs", "fn a() {\n    todo!()\n}")),
            ["a.rs:2: `todo!` has no place in a finished tree"]
        );
        assert_eq!(
            unfinished(&file("a.rs", "#[test]\n#[ ignore = \"slow\"]\nfn a() { unimplemented!() }")).len(),
            2
        );
        assert!(unfinished(&file("a.rs", "// todo!()\nlet a = \"todo!\";")).is_empty());
    }

    #[test]
    fn a_file_is_at_most_five_hundred_lines() {
        assert!(length(&file("a.rs", &"x\n".repeat(500))).is_empty());
        assert_eq!(length(&file("a.css", &"x\n".repeat(501))).len(), 1);
        assert!(length(&file("Cargo.lock", &"x\n".repeat(501))).is_empty());
    }

    #[test]
    fn paths_of_a_machine_are_found_and_urls_are_not() {
        for (text, count) in [
            (format!("cd {}/me/repo", "/home"), 1),
            (format!("a = \"{}/x\"", "/root"), 1),
            (format!("x={}/y", "/work"), 1),
            (format!("https://example.org{}/page", "/home"), 0),
            (format!("../shared{}/data", "/work"), 0),
            ("src/workspace".to_owned(), 0),
        ] {
            assert_eq!(machine_paths(&file("a.md", &text)).len(), count, "{text}");
        }
    }

    #[test]
    fn only_the_client_knows_urls() {
        let text = "//! x\nfn f() { get(\"/api/models\") }";
        assert_eq!(urls_of_the_api(&file("app/src/pages/runs.rs", text)).len(), 1);
        assert!(urls_of_the_api(&file("app/src/client.rs", text)).is_empty());
        assert!(urls_of_the_api(&file("server/src/http/mod.rs", text)).is_empty());
        assert!(
            urls_of_the_api(&file(
                "app/src/a.rs",
                "fn a() {} // \"/api\"\n#[cfg(test)]\nmod tests { const A: &str = \"/api/x\"; }"
            ))
            .is_empty()
        );
    }
}
