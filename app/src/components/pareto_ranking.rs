//! Every series in order: against one of them, at equal x.

use api::{Against, AtEqual, MetricDefinition, ParetoRank, ParetoView, SeriesKey};
use leptos::prelude::*;

use super::{Command, ObjectiveKey};
use crate::{
    format::{count, number, percent_of},
    link,
};

/// The table of the ranking; nothing where there is none.
#[component]
pub fn ParetoRanking(
    /// What the server answered.
    #[prop(into)]
    view: Signal<ParetoView>,
) -> impl IntoView {
    move || view.with(table)
}

fn table(view: &ParetoView) -> Option<AnyView> {
    let ranking = view.ranking.as_ref()?;
    let (x, y) = view.query.axes()?;
    let reference = view.name(ranking.reference);
    let n_hidden = view.series.iter().filter(|one| !one.shown).count();
    let mut place = 0;
    let rows: Vec<_> = ranking
        .ranks
        .iter()
        .map(|rank| {
            let is_reference = rank.series == ranking.reference;
            let has_place = is_reference || rank.found.is_some();
            place += usize::from(has_place);
            let command = ranking.command(rank, x.name, y.name);
            row(view, rank, (x, y), has_place.then_some(place), is_reference, command)
        })
        .collect();
    let seen = view! {
        <h2 id="ranking">"At equal " {x.label}</h2>
        <p class="hint prose">
            "Each series against " <b>{reference.clone()}</b> ", over the " {x.label} " that the two share; the better " {y.label}
            " comes first. Ranges differ, so that neighbours may be compared at different " {x.label}
            ". Intervals are over seeds, at 95 %. "
            {(n_hidden > 0).then(|| format!("{n_hidden} hidden series are left out. "))}
            <a href=link::SUMMARY_METHOD>"How this is computed"</a>
        </p>
        <div class="table-box" tabindex="0" role="region" aria-labelledby="ranking">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"series"</th>
                        <th scope="col">{y.label}<span class="unit">"against " {reference}</span></th>
                        <th scope="col">"interval"</th>
                        <th scope="col">{x.label}<span class="unit">"compared over"</span></th>
                        <th scope="col" class="minor">{x.label}<span class="unit">"its own"</span></th>
                        <th scope="col">"seeds"</th>
                        <th scope="col">"dictionaries"</th>
                        <th scope="col"><span class="unseen">"command"</span></th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    };
    Some(seen.into_any())
}

fn row(
    view: &ParetoView,
    rank: &ParetoRank,
    (x, y): (&MetricDefinition, &MetricDefinition),
    place: Option<usize>,
    is_reference: bool,
    command: Option<String>,
) -> AnyView {
    let key = SeriesKey(rank.series).to_string();
    let value = match (&rank.found, is_reference) {
        (Some(found), _) => said(found, y.unit),
        (None, true) => "the reference".into(),
        (None, false) => format!("no {} in common", x.label),
    };
    let interval = rank.found.as_ref().and_then(interval).unwrap_or_default();
    let compared = rank.found.map(|found| range(found.range)).unwrap_or_default();
    let seeds = rank.found.map_or(rank.n_seeds, |found| found.n_seeds);
    let raw = rank.found.map(|found| found.value.to_string());
    view! {
        <tr data-testid="ranking-row" data-series=key.clone() data-value=raw class:reference=is_reference>
            <td>
                <span class="rank">{place.map(|place| place.to_string())}</span>
                <ObjectiveKey series=rank.series name=view.name(rank.series) />
            </td>
            <td>{value}</td>
            <td>{interval}</td>
            <td>{compared}</td>
            <td class="minor">{range(rank.range)}</td>
            <td>{count(seeds as u64)}</td>
            <td>{count(rank.dictionaries.len() as u64)}</td>
            <td>{command.map(|command| how(&key, command))}</td>
        </tr>
    }
    .into_any()
}

/// A button that shows the command of a row.
fn how(key: &str, command: String) -> AnyView {
    let id = format!("contrast-{key}");
    view! {
        <button type="button" class="plain" popovertarget=id.clone()>"command"</button>
        <div class="definition" id=id popover="auto">
            <Command text=command />
        </div>
    }
    .into_any()
}

/// `37 %`, or `−0.0123 nats per token`.
pub fn said(found: &AtEqual, unit: &str) -> String {
    match found.against {
        Against::Ratio => percent_of(found.value),
        Against::Difference => {
            let sign = if found.value > 0.0 { "+" } else { "" };
            format!("{sign}{} {unit}", number(found.value)).trim_end().into()
        }
    }
}

/// `32 % to 42 %`, or in the unit of the difference.
pub fn interval(found: &AtEqual) -> Option<String> {
    let (low, high) = found.interval?;
    Some(match found.against {
        Against::Ratio => format!("{} to {}", percent_of(low), percent_of(high)),
        Against::Difference => format!("{} to {}", number(low), number(high)),
    })
}

/// `6.70 to 19.9`, or one number.
pub fn range((low, high): (f64, f64)) -> String {
    let (low, high) = (number(low), number(high));
    if low == high { low } else { format!("{low} to {high}") }
}
