//! Whether a dictionary's stored metrics are its own.

use api::Verified;
use leptos::prelude::*;

use crate::format::{counted, time};

/// In words, with a mark.
#[component]
pub fn Verification(
    /// What was found.
    verified: Verified,
) -> impl IntoView {
    let Verified { n_values, n_same, .. } = verified;
    let when = format!("{}, saescope {}", time(verified.when), verified.program);
    let words = match verified.differences.len() {
        0 if n_same == n_values => format!("verified: {n_values} values, to the same bits"),
        0 => format!("verified: {n_values} values, {n_same} to the same bits, the others to rounding"),
        n => format!("differs in {} of {n_values}", counted(n, "value")),
    };
    view! {
        <span class="verification" class:differs=!verified.holds() title=when>
            {words}
        </span>
    }
}
