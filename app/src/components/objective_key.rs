//! An objective's name with its colour and marker, the same on every page and in every chart; and a kind's before it.

use api::{KindName, ObjectiveKind};
use leptos::prelude::*;

const CIRCLE: &str = "M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0 -9Z";
const SQUARE: &str = "M2 2h8v8h-8Z";
const TRIANGLE: &str = "M6 1L11 10.5H1Z";

/// The marker's shape in a 12 by 12 box.
fn shape(kind: KindName, objective: ObjectiveKind) -> &'static str {
    match kind {
        KindName::Tied | KindName::PcaDynamic => return "M6 0.8L11.2 6L6 11.2L0.8 6Z",
        KindName::Gated | KindName::Ica => return "M6 0.9L10.4 3.4V8.6L6 11.1L1.6 8.6V3.4Z",
        KindName::TopK | KindName::PcaTopK => return "M6 11L1 1.5H11Z",
        KindName::BatchTopK | KindName::Nmf => {
            return "M6 0.5L7.4 4.3L11.5 4.4L8.2 6.9L9.4 10.8L6 8.5L2.6 10.8L3.8 6.9L0.5 4.4L4.6 4.3Z";
        }
        KindName::JumpRelu | KindName::TokenMean => return "M11 6L1.5 11V1Z",
        KindName::Random => return "M1.5 3L3 1.5L6 4.5L9 1.5L10.5 3L7.5 6L10.5 9L9 10.5L6 7.5L3 10.5L1.5 9L4.5 6Z",
        KindName::PcaNonNegative => return CIRCLE,
        KindName::PcaStatic => return SQUARE,
        KindName::Identity => return TRIANGLE,
        KindName::Relu => {}
    }
    match objective {
        ObjectiveKind::Local => CIRCLE,
        ObjectiveKind::E2e => SQUARE,
        ObjectiveKind::E2eDs => TRIANGLE,
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
    let colour = match kind.is_fitted() {
        true => "baseline".to_string(),
        false => objective.to_string().replace('+', "-"),
    };
    let class = format!("objective objective-{colour}");
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
