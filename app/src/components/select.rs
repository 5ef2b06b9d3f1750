//! A labelled choice among a few.

use leptos::prelude::*;

/// A select with its label; the value that is shown follows `value`.
#[component]
pub fn Select(
    /// The label.
    #[prop(into)]
    label: String,
    /// The element's id, unique on the page; its test id too.
    id: &'static str,
    /// What can be chosen: value and label.
    #[prop(into)]
    options: Signal<Vec<(String, String)>>,
    /// The chosen value.
    #[prop(into)]
    value: Signal<String>,
    /// Called with a new choice.
    on_choose: Callback<String>,
) -> impl IntoView {
    view! {
        <label class="select" for=id>
            <span>{label}</span>
            <select id=id data-testid=id on:change=move |event| on_choose.run(event_target_value(&event))>
                {move || {
                    let chosen = value.get();
                    options
                        .get()
                        .into_iter()
                        .map(|(option, label)| {
                            let is_chosen = option == chosen;
                            view! { <option value=option selected=is_chosen prop:selected=is_chosen>{label}</option> }
                        })
                        .collect_view()
                }}
            </select>
        </label>
    }
    .into_any()
}
