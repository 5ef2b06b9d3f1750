//! x

use leptos::prelude::*;

/// x
#[component]
pub fn Pareto() -> impl IntoView {
    view! { <h1>"Pareto"</h1> }
}
