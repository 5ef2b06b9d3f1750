//! What a run found to be wrong with a dictionary: what is so, and what to try.

use api::Finding;
use leptos::prelude::*;

/// The findings, as a list. Nothing where there are none.
#[component]
pub fn FindingList(
    /// What was found.
    findings: Vec<Finding>,
) -> impl IntoView {
    let one = |finding: &Finding| {
        view! {
            <li data-testid="finding">
                <b>{finding.says()}</b>
                <p>"To try: " {finding.advice()}</p>
            </li>
        }
        .into_any()
    };
    let list = || view! { <ul class="findings">{findings.iter().map(one).collect_view()}</ul> }.into_any();
    (!findings.is_empty()).then(list)
}
