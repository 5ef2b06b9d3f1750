//! How a page opens: where one is, the question, and the answer first.

use leptos::prelude::*;
use leptos_meta::Title;

/// The page's title in the browser, its where-line, its question as the heading; the answer is given as children.
#[component]
pub fn Heading(
    /// The browser's title.
    #[prop(into)]
    title: Signal<String>,
    /// Where one is.
    #[prop(into, optional)]
    place: Signal<String>,
    /// The question.
    #[prop(into)]
    question: Signal<String>,
    /// The answer.
    children: Children,
) -> impl IntoView {
    view! {
        <Title text=move || format!("{} · saescope", title.try_get().unwrap_or_default()) />
        <header class="heading">
            <p class="where">{place}</p>
            <h1>{question}</h1>
            <p class="answer">{children()}</p>
        </header>
    }
    .into_any()
}
