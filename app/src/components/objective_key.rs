//! A series' name with its objective's colour and its kind's marker, the same on every page and in every chart.

use api::{KindName, Making, ObjectiveKind, Series};
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
        KindName::AbsTopK => return "M4 1H8L11 4V8L8 11H4L1 8V4Z",
        KindName::BatchTopK | KindName::Nmf => {
            return "M6 0.5L7.4 4.3L11.5 4.4L8.2 6.9L9.4 10.8L6 8.5L2.6 10.8L3.8 6.9L0.5 4.4L4.6 4.3Z";
        }
        KindName::JumpRelu | KindName::TokenMean => return "M11 6L1.5 11V1Z",
        KindName::Pursuit | KindName::Random => {
            return "M2.3 1L6 4.7L9.7 1L11 2.3L7.3 6L11 9.7L9.7 11L6 7.3L2.3 11L1 9.7L4.7 6L1 2.3Z";
        }
        KindName::MatchingPursuit => return "M4 2H11.8L8 10H0.2Z",
        KindName::Matryoshka => return "M6 0.8L11.2 4.6L9.2 10.8H2.8L0.8 4.6Z",
        KindName::ReluUnit => return "M4.2 1H7.8V4.2H11V7.8H7.8V11H4.2V7.8H1V4.2H4.2Z",
        KindName::ReluApril => {
            return "M3.5 0.9L6 3.4L8.5 0.9L11.1 3.5L8.6 6L11.1 8.5L8.5 11.1L6 8.6L3.5 11.1L0.9 8.5L3.4 6L0.9 3.5Z";
        }
        KindName::ReluSaelens => return "M1 6L10.5 1V11Z",
        KindName::PAnneal => return "M1 1.5H11L6 6L11 10.5H1L6 6Z",
        KindName::Transcoder => return "M1 4H6V1L11.2 6L6 11V8H1Z",
        KindName::JumpReluTranscoder => return "M1 1H5.5L10.5 6L5.5 11H1L6 6Z",
        KindName::PcaNonNegative => return CIRCLE,
        KindName::PcaStatic => return SQUARE,
        KindName::Identity => return TRIANGLE,
        KindName::Relu => {}
    }
    match objective {
        ObjectiveKind::Local => CIRCLE,
        ObjectiveKind::E2e => SQUARE,
        ObjectiveKind::E2eDs => TRIANGLE,
        ObjectiveKind::KlMse => "M1.5 1L6 6L10.5 1V11L6 6L1.5 11Z",
    }
}

/// Marker and name.
#[component]
pub fn ObjectiveKey(
    /// The series.
    series: Series,
) -> impl IntoView {
    let hollow = series.making != Making::Fresh;
    let colour = match series.kind.is_fitted() {
        true => "baseline".to_string(),
        false => series.objective.to_string().replace('+', "-"),
    };
    let class = format!("objective objective-{colour}");
    view! {
        <span class=class>
            <svg viewBox="0 0 12 12" aria-hidden="true">
                <path d=shape(series.kind, series.objective) fill="currentColor"
                    fill-opacity=hollow.then_some("0.25") stroke=hollow.then_some("currentColor") />
            </svg>
            <span>{series.to_string()}</span>
        </span>
    }
    .into_any()
}
