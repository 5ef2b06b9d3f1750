//! Just enough of Rust's lexical form to tell code from comments and strings.

/// What to keep of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Code alone: comments and the contents of strings become nothing.
    Code,
    /// Code and strings: comments become nothing.
    CodeAndStrings,
}

/// `text` without what `keep` leaves out; lines stay where they are.
pub fn strip(text: &str, keep: Keep) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = string(rest, out.chars().next_back()) {
            if keep == Keep::CodeAndStrings {
                out.push_str(&rest[..length]);
                rest = &rest[length..];
                continue;
            }
            out.push_str("\"\"");
            length
        } else {
            let length = character(rest).unwrap_or(first.len_utf8());
            out.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        };
        out.extend(rest[..length].chars().filter(|c| *c == '\n'));
        rest = &rest[length..];
    }
    out
}

/// What comes before the tests of a file, which stand at its end.
pub fn before_tests(code: &str) -> &str {
    code.find("#[cfg(test)]").map_or(code, |tests| &code[..tests])
}

/// Whether a documentation comment holds Rust that `cargo test --doc` runs.
pub fn has_doc_test(text: &str) -> bool {
    let mut inside = false;
    for line in text.lines().map(str::trim_start) {
        let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            inside = false;
            continue;
        };
        if let Some(kind) = doc.trim().strip_prefix("```") {
            if !inside && matches!(kind.split(',').next(), Some("" | "rust" | "no_run" | "should_panic")) {
                return true;
            }
            inside = !inside;
        }
    }
    false
}

/// The length of the nested comment that `text` starts with.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the string literal that `text` starts with, plain or raw; `before` is the character before it.
fn string(text: &str, before: Option<char>) -> Option<usize> {
    if text.starts_with('"') {
        let mut escaped = false;
        for (at, c) in text.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return Some(at + 1),
                _ => {}
            }
        }
        return Some(text.len());
    }
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') && before != Some('b') {
        return None;
    }
    let fence = text.strip_prefix('r')?;
    let hashes = fence.len() - fence.trim_start_matches('#').len();
    let content = fence[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let open = text.len() - content.len();
    Some(content.find(&end).map_or(text.len(), |at| open + at + end.len()))
}

/// The length of the character literal that `text` starts with; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let mut inner = text.strip_prefix('\'')?.char_indices();
    match inner.next()?.1 {
        '\\' => {
            inner.next(); // the escaped one, which may be a quote
            inner.find(|(_, c)| *c == '\'').map(|(at, _)| at + 2)
        }
        _ => inner.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_told_from_code() {
        for (text, code) in [
            ("a // b\nc", "a \nc"),
            ("a /* b /* c */ \n d */ e", "a \n e"),
            ("x(\"// no \\\" comment\") y", "x(\"\") y"),
            ("r#\"a \" b\"# z", "\"\" z"),
            ("br\"a\\\" z", "b\"\" z"),
            ("'\"' 'a 'static '\\'' \"s\"", "'\"' 'a 'static '\\'' \"\""),
            ("for r in x {}", "for r in x {}"),
        ] {
            assert_eq!(strip(text, Keep::Code), code, "{text}");
        }
        assert_eq!(strip("x(\"// s\") // c", Keep::CodeAndStrings), "x(\"// s\") ");
    }

    #[test]
    fn only_rust_in_documentation_is_a_doc_test() {
        assert!(has_doc_test("/// Adds.\n/// ```\n/// assert!(true);\n/// ```\nfn a() {}"));
        assert!(has_doc_test("//! ```text\n//! x\n//! ```\n//! ```no_run\n//! y\n//! ```"));
        assert!(!has_doc_test("/// ```text\n/// x\n/// ```\nfn a() {}"));
        assert!(!has_doc_test("// ```\nfn a() {}"));
    }
}
