//! x

use leptos::prelude::*;

/// x
#[component]
pub fn Methods() -> impl IntoView {
    view! { <h1>"Methods"</h1> }
}
