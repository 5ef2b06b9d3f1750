//! x

use leptos::prelude::*;

/// x
#[component]
pub fn Train() -> impl IntoView {
    view! { <h1>"Train"</h1> }
}
