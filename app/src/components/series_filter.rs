//! The key of the Pareto page's charts, which is a filter too: pressing a series hides or shows it, `only` leaves it alone. What is hidden is
//! in the address, and in no chart, file, ranking or table.

use std::collections::BTreeSet;

use api::{ParetoQuery, ParetoSeries, ParetoView, Series, SeriesKey, SeriesSet};
use leptos::{ev::MouseEvent, prelude::*};

use super::{ObjectiveKey, pareto_controls::Change};
use crate::{charts::FEW, format::counted};

/// A chip per series.
#[component]
pub fn SeriesFilter(
    /// What the server answered.
    #[prop(into)]
    view: Signal<ParetoView>,
    /// Goes to the changed address.
    change: Callback<Change>,
) -> impl IntoView {
    let series = Memo::new(move |_| view.with(|view| view.series.iter().map(|one| one.series).collect::<Vec<_>>()));
    let n_hidden = Memo::new(move |_| view.with(|view| view.series.iter().filter(|one| !one.shown).count()));
    let go = move |state: State| change.run(state.changes());
    let on_toggle = Callback::new(move |series| go(view.with_untracked(|view| toggled(&view.query, &view.series, series))));
    let on_only = Callback::new(move |series| go(view.with_untracked(|view| isolated(&view.series, series))));
    // nothing to choose from
    let is_one = move || series.with(|series| series.len() < 2);
    view! {
        <div class="series-filter" role="group" aria-label="series, each to be hidden or shown" hidden=is_one>
            // by key, so that the one that was pressed keeps the focus
            <For each=move || series.get() key=|series| *series let:series>
                <Chip view series on_toggle on_only />
            </For>
            <span class="series-note" aria-live="polite" data-testid="series-note">
                {move || match n_hidden.get() {
                    0 => "Press one to hide it.".to_string(),
                    n => format!("{} hidden: in no chart, file, ranking or table. ", counted(n, "series")),
                }}
            </span>
            <button type="button" class="plain" data-testid="series-all" hidden=move || n_hidden.get() == 0
                on:click=move |_| go(State::default())>"Show all"</button>
        </div>
    }
    .into_any()
}

#[component]
fn Chip(view: Signal<ParetoView>, series: Series, on_toggle: Callback<Series>, on_only: Callback<Series>) -> impl IntoView {
    let one = Memo::new(move |_| view.with(|view| view.series.iter().find(|one| one.series == series).copied()));
    let shown = Memo::new(move |_| one.get().is_some_and(|one| one.shown));
    let name = view.with_untracked(|view| view.name(series));
    let press = move |event: MouseEvent| {
        if event.shift_key() {
            on_only.run(series)
        } else {
            on_toggle.run(series)
        }
    };
    let only = format!("only {name}");
    view! {
        <span class="chip" class:off=move || !shown.get()>
            <button type="button" class="chip-name" data-testid="series-chip" data-series=SeriesKey(series).to_string()
                aria-pressed=move || shown.get().to_string() on:click=press>
                <ObjectiveKey series name />
                <span class="unit">{move || one.get().map(|one| one.n)}</span>
            </button>
            <button type="button" class="chip-only" data-testid="series-only" aria-label=only on:click=move |_| on_only.run(series)>
                "only"
            </button>
        </span>
    }
    .into_any()
}

/// The series of a drawing that is not to be filtered, where they are too many to be named in it.
#[component]
pub fn SeriesNames(
    /// What the server answered.
    #[prop(into)]
    view: Signal<ParetoView>,
) -> impl IntoView {
    let name = move |one: &ParetoSeries| (one.series, view.with_untracked(|view| view.name(one.series)));
    let are_few = move || view.with(|view| view.series.iter().filter(|one| one.shown).count() <= FEW);
    view! {
        <div class="series-filter" hidden=are_few>
            {move || {
                let all: Vec<_> = view.with(|view| view.series.iter().filter(|one| one.shown).map(name).collect());
                all.into_iter().map(|(series, name)| view! { <ObjectiveKey series name /> }).collect_view()
            }}
        </div>
    }
    .into_any()
}

/// What of the address says which series are shown.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    hide: Option<SeriesSet>,
    only: Option<SeriesSet>,
}

impl State {
    fn changes(self) -> Change {
        let text = |set: Option<SeriesSet>| set.map(|set| set.to_string());
        vec![("hide", text(self.hide)), ("only", text(self.only))]
    }
}

/// With `series` hidden where it is shown, and shown where it is hidden. Whichever of the two was in use stays in use.
fn toggled(query: &ParetoQuery, all: &[ParetoSeries], series: Series) -> State {
    let is_shown = |one: &ParetoSeries| one.shown != (one.series == series);
    let (shown, hidden): (BTreeSet<Series>, BTreeSet<Series>) = (
        all.iter().filter(|one| is_shown(one)).map(|one| one.series).collect(),
        all.iter().filter(|one| !is_shown(one)).map(|one| one.series).collect(),
    );
    match (&query.only, hidden.is_empty(), shown.is_empty()) {
        (_, true, _) => State::default(),
        // no series at all cannot be said by naming those that are shown
        (Some(_), _, false) => State {
            hide: None,
            only: Some(SeriesSet(shown)),
        },
        _ => State {
            hide: Some(SeriesSet(hidden)),
            only: None,
        },
    }
}

/// `series` alone, or all where it is alone already.
fn isolated(all: &[ParetoSeries], series: Series) -> State {
    match all.iter().all(|one| one.shown == (one.series == series)) {
        true => State::default(),
        false => State {
            hide: None,
            only: Some(SeriesSet(BTreeSet::from([series]))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The series as they are shown under a state, and the query of it.
    fn under(state: &State) -> (ParetoQuery, Vec<ParetoSeries>) {
        let query = ParetoQuery {
            hide: state.hide.clone(),
            only: state.only.clone(),
            ..Default::default()
        };
        let one = |key: &str| {
            let series = key.parse::<SeriesKey>().unwrap().0;
            ParetoSeries {
                series,
                n: 1,
                shown: query.shows(series),
            }
        };
        let all = ["relu.local", "gated.local", "ica"].map(one).to_vec();
        (query, all)
    }

    fn series(key: &str) -> Series {
        key.parse::<SeriesKey>().unwrap().0
    }

    fn words(state: &State) -> [String; 2] {
        [&state.hide, &state.only].map(|set| set.as_ref().map(ToString::to_string).unwrap_or_default())
    }

    #[test]
    fn pressing_hides_and_shows() {
        let press = |state: &State, key: &str| {
            let (query, all) = under(state);
            toggled(&query, &all, series(key))
        };
        let first = press(&State::default(), "ica");
        assert_eq!(words(&first), ["ica", ""]);
        let second = press(&first, "relu.local");
        assert_eq!(words(&second), ["relu.local,ica", ""]);
        assert_eq!(press(&press(&second, "ica"), "relu.local"), State::default());
        // the last one can be hidden too
        let none = press(&second, "gated.local");
        assert_eq!(words(&none), ["relu.local,gated.local,ica", ""]);
    }

    #[test]
    fn only_leaves_one_and_others_can_be_added() {
        let (_, all) = under(&State::default());
        let alone = isolated(&all, series("ica"));
        assert_eq!(words(&alone), ["", "ica"]);
        let (query, all) = under(&alone);
        assert_eq!(words(&toggled(&query, &all, series("relu.local"))), ["", "relu.local,ica"]);
        assert_eq!(
            words(&toggled(&query, &all, series("ica"))),
            ["relu.local,gated.local,ica", ""]
        );
        // once more brings all back
        assert_eq!(isolated(&all, series("ica")), State::default());
    }
}
