//! x

use leptos::prelude::*;

/// x
#[component]
pub fn Run() -> impl IntoView {
    view! { <h1>"Run"</h1> }
}
