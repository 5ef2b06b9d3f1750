//! Text with code between backticks, as the metrics' definitions have it, shown as code.

use leptos::{either::Either, prelude::*};

/// The text; what stands between two backticks is code.
#[component]
pub fn Marked(
    /// The text.
    text: &'static str,
) -> impl IntoView {
    let piece = |(is_code, piece): (bool, &'static str)| match is_code {
        true => Either::Left(view! { <code>{piece}</code> }),
        false => Either::Right(piece),
    };
    pieces(text).map(piece).collect_view()
}

/// The text cut at its backticks, and whether a piece is code. One without a partner stays as it is.
fn pieces(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let paired = match text.matches('`').count() {
        n if n % 2 == 1 => text.rfind('`').unwrap_or(text.len()),
        _ => text.len(),
    };
    let (paired, rest) = text.split_at(paired);
    let cut = paired.split('`').enumerate().map(|(i, piece)| (i % 2 == 1, piece));
    cut.chain([(false, rest)]).filter(|(_, piece)| !piece.is_empty())
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn code_stands_between_backticks() {
        let cut = |text| pieces(text).collect::<Vec<_>>();
        assert_eq!(cut("core `l0`; ours"), [(false, "core "), (true, "l0"), (false, "; ours")]);
        assert_eq!(cut("`a` and `b`"), [(true, "a"), (false, " and "), (true, "b")]);
        assert_eq!(cut("plain"), [(false, "plain")]);
        assert_eq!(cut("one ` alone"), [(false, "one "), (false, "` alone")]);
        assert!(cut("").is_empty());
    }
}
