//! An objective's name with its colour and marker, the same on every page and in every chart.

use api::ObjectiveKind;
use leptos::prelude::*;

/// The marker's shape in a 12 by 12 box.
fn shape(objective: ObjectiveKind) -> &'static str {
    match objective {
        ObjectiveKind::Local => "M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0 -9Z",
        ObjectiveKind::E2e => "M2 2h8v8h-8Z",
        ObjectiveKind::E2eDs => "M6 1L11 10.5H1Z",
    }
}

/// Marker and name.
#[component]
pub fn ObjectiveKey(
    /// The objective.
    objective: ObjectiveKind,
) -> impl IntoView {
    let class = format!("objective objective-{}", objective.to_string().replace('+', "-"));
    view! {
        <span class=class>
            <svg viewBox="0 0 12 12" aria-hidden="true">
                <path d=shape(objective) fill="currentColor" />
            </svg>
            <span>{objective.to_string()}</span>
        </span>
    }
    .into_any()
}
