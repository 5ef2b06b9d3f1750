//! x

use leptos::prelude::*;

/// x
#[component]
pub fn Runs() -> impl IntoView {
    view! { <h1>"Runs"</h1> }
}
