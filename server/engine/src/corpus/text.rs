//! What a document is in plain text.
//!
//! 1. Where a file has lines that are exactly `<|endoftext|>`, documents lie between them.
//! 2. Else, a file that is one of several in a folder is one document.
//! 3. Else, where the first line that is not blank is a heading ` = Title = ` (WikiText), each such heading opens one.
//! 4. Else, paragraphs (ended by blank lines) are gathered until they have [`PASSAGE`] bytes; text without blank
//!    lines is cut at the first line's end after eight times that.
//!
//! Line ends become `\n`; those around a document do not belong to it.

/// Bytes after which the next blank line ends a document, where nothing else does.
const PASSAGE: usize = 2_000;
const SEPARATOR: &str = "<|endoftext|>";

/// The documents of one file, in order. `alone`: it is not one of several files in a folder.
pub(super) fn documents(text: &str, alone: bool) -> impl Iterator<Item = String> {
    let rule = if text.lines().any(|line| line == SEPARATOR) {
        Rule::Separators
    } else if !alone {
        Rule::Whole
    } else if text.lines().find(|line| !line.trim().is_empty()).is_some_and(is_heading) {
        Rule::Headings
    } else {
        Rule::Passages
    };
    Documents { rest: text, rule }.filter_map(|piece| {
        let piece = piece.trim_matches(['\n', '\r']);
        (!piece.trim().is_empty()).then(|| piece.replace("\r\n", "\n"))
    })
}

enum Rule {
    Separators,
    Whole,
    Headings,
    Passages,
}

struct Documents<'a> {
    rest: &'a str,
    rule: Rule,
}

impl<'a> Iterator for Documents<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (end, next) = self.end();
        let piece = &self.rest[..end];
        self.rest = &self.rest[next..];
        Some(piece)
    }
}

impl Documents<'_> {
    /// Where the first document of the rest ends, and where the next begins.
    fn end(&self) -> (usize, usize) {
        let mut start = 0;
        for line in self.rest.split_inclusive('\n') {
            let bare = line.trim_end_matches(['\n', '\r']);
            let after = start + line.len();
            match self.rule {
                Rule::Separators if bare == SEPARATOR => return (start, after),
                Rule::Headings if start > 0 && is_heading(bare) => return (start, start),
                Rule::Passages if start >= PASSAGE && bare.trim().is_empty() => return (start, after),
                Rule::Passages if after >= 8 * PASSAGE => return (after, after),
                _ => start = after,
            }
        }
        (self.rest.len(), self.rest.len())
    }
}

/// ` = Title = `, and not ` = = Section = = `.
fn is_heading(line: &str) -> bool {
    let line = line.trim();
    let inner = line.strip_prefix("= ").and_then(|line| line.strip_suffix(" ="));
    inner.is_some_and(|title| !title.trim().is_empty() && !title.starts_with('=') && !title.ends_with('='))
}
