//! A series' name with its objective's colour, its kind's marker and its making's fill, the same on every page and in every chart.

use api::Series;
use leptos::prelude::*;

use crate::charts::{icon, series_style};

/// The class that has the series' colour.
fn colour(series: Series) -> String {
    let colour = match series.kind.is_fitted() {
        true => "baseline".to_string(),
        false => series.objective.to_string().replace('+', "-"),
    };
    format!("objective objective-{colour}")
}

/// Marker and name.
#[component]
pub fn ObjectiveKey(
    /// The series.
    series: Series,
    /// What it is called, where that is not what it is printed as.
    #[prop(optional, into)]
    name: Option<String>,
) -> impl IntoView {
    let icon = icon(series_style(series));
    // what is not filled needs an edge; what is made of lines is nothing else
    let edge = icon.opacity.is_none_or(|opacity| opacity < 1.0);
    view! {
        <span class=colour(series)>
            <svg viewBox="0 0 12 12" aria-hidden="true">
                <path d=icon.outline fill="currentColor" fill-opacity=icon.opacity.unwrap_or(0.0)
                    stroke=edge.then_some("currentColor") stroke-width="1.3" />
                {(!icon.inside.is_empty()).then(|| view! { <path d=icon.inside fill="none" stroke="currentColor" stroke-width="1.3" /> })}
            </svg>
            <span>{name.unwrap_or_else(|| series.to_string())}</span>
        </span>
    }
    .into_any()
}
