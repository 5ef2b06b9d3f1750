//! Any other address.

use leptos::prelude::*;

use crate::components::Heading;

/// There is no such page; the answer's status says so too.
#[component]
pub fn NotFound() -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(axum::http::StatusCode::NOT_FOUND);
    }
    view! {
        <Heading title="Not found" question="Where is that page?">
            "Nothing is at this address. "
            <a href="/">"Go to the overview"</a>
            "."
        </Heading>
    }
}
