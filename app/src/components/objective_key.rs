//! An objective's name with its colour and marker, the same on every page and in every chart; and a kind's before it.

use api::{KindName, ObjectiveKind};
use leptos::prelude::*;

/// The marker's shape in a 12 by 12 box.
fn shape(kind: KindName, objective: ObjectiveKind) -> &'static str {
    match kind {
        KindName::Tied => return "M6 0.8L11.2 6L6 11.2L0.8 6Z",
        KindName::Gated => return "M6 0.9L10.4 3.4V8.6L6 11.1L1.6 8.6V3.4Z",
        KindName::TopK => return "M6 11L1 1.5H11Z",
        KindName::BatchTopK => return "M6 0.5L7.4 4.3L11.5 4.4L8.2 6.9L9.4 10.8L6 8.5L2.6 10.8L3.8 6.9L0.5 4.4L4.6 4.3Z",
        KindName::JumpRelu => return "M11 6L1.5 11V1Z",
        KindName::Relu => {}
    }
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
    /// The kind of dictionary.
    #[prop(optional)]
    kind: KindName,
) -> impl IntoView {
    let class = format!("objective objective-{}", objective.to_string().replace('+', "-"));
    view! {
        <span class=class>
            <svg viewBox="0 0 12 12" aria-hidden="true">
                <path d=shape(kind, objective) fill="currentColor" />
            </svg>
            <span>{api::series(kind, objective)}</span>
        </span>
    }
    .into_any()
}
