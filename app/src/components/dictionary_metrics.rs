//! Everything that was measured of one dictionary, in groups, each with the command that computes it again.

use api::{DictionaryInfo, Measurement, MetricDefinition, MetricGroup, TokenSet, metric};
use leptos::prelude::*;

use super::{Command, MetricName};
use crate::format::{count, measured};

/// The stories that known features were measured on: how many, and their seed.
pub type Stories = Option<(u64, u64)>;

/// A table per group.
#[component]
pub fn DictionaryMetrics(
    /// The dictionary.
    info: DictionaryInfo,
    /// What its known features were measured on.
    stories: Stories,
) -> impl IntoView {
    let group = |group: MetricGroup| {
        let of = |m: &&Measurement| metric(&m.name).is_some_and(|metric| metric.group() == group);
        let own: Vec<Measurement> = info.metrics.iter().filter(of).cloned().collect();
        let again = command(&info, stories, group);
        (!own.is_empty()).then(|| view! { <Group group measurements=own again /> })
    };
    MetricGroup::ALL.map(group).into_iter().flatten().collect_view()
}

/// The command that computes a group's metrics again.
fn command(info: &DictionaryInfo, stories: Stories, group: MetricGroup) -> String {
    let id = info.id;
    match (group, stories) {
        (MetricGroup::Run, _) => info.command.clone(),
        (MetricGroup::Known, Some((n, seed))) => format!("saescope known --dictionary {id} --stories {n} --seed {seed}"),
        (MetricGroup::Known, None) => format!("saescope known --dictionary {id}"),
        _ => info.measuring(),
    }
}

#[component]
fn Group(group: MetricGroup, measurements: Vec<Measurement>, again: String) -> impl IntoView {
    let is_whole = |m: &Measurement| m.at.is_none() && m.tokens == TokenSet::Ordinary;
    let (whole, parts): (Vec<_>, Vec<_>) = measurements.into_iter().partition(is_whole);
    let title = group.title();
    let id = title.to_lowercase().replace([' ', '\''], "-");
    let computed = if group == MetricGroup::Run {
        "Measured by the run alone, while it trains:"
    } else {
        "Computed again by:"
    };
    let further = (!parts.is_empty()).then(|| {
        view! {
            <details class="parts">
                <summary>"At each later block, and on other tokens"</summary>
                <Table measurements=parts name=format!("{title} elsewhere") is_by_place=true />
            </details>
        }
        .into_any()
    });
    view! {
        <section aria-labelledby=id.clone() data-testid="metric-group">
            <h3 id=id.clone()>{title}</h3>
            <Table measurements=whole name=title.to_string() is_by_place=false />
            {further}
            <div class="again">
                <span class="hint">{computed}</span>
                <Command text=again />
            </div>
        </section>
    }
    .into_any()
}

#[component]
fn Table(measurements: Vec<Measurement>, name: String, is_by_place: bool) -> impl IntoView {
    let has_intervals = measurements.iter().any(|m| m.interval.is_some());
    let row = |m: Measurement| {
        let definition = metric(&m.name)?;
        let place = is_by_place.then(|| place(&m));
        let interval = has_intervals.then(|| m.interval.map(|sure| interval(definition, &sure)));
        let unit = (!definition.unit.is_empty()).then(|| view! { " " <span class="unit">{definition.unit}</span> });
        // what is repeated for each place opens its definition in the table above
        let name = match is_by_place {
            true => definition.label.into_any(),
            false => view! { <MetricName metric=definition place="dictionary" /> }.into_any(),
        };
        Some(
            view! {
                <tr data-metric=m.name.clone() data-value=m.value.to_string()>
                    <td class="wraps">{name}</td>
                    {place.map(|place| view! { <td class="words">{place}</td> })}
                    <td class="wraps">{measured(definition, m.value)} {unit}</td>
                    {interval.map(|sure| view! { <td class="wraps">{sure}</td> })}
                    <td>{count(m.n_tokens)}</td>
                </tr>
            }
            .into_any(),
        )
    };
    view! {
        <div class="table-box" tabindex="0" role="region" aria-label=name>
            <table class="measured">
                <thead>
                    <tr>
                        <th scope="col">"metric"</th>
                        {is_by_place.then(|| view! { <th scope="col" class="words">"where"</th> })}
                        <th scope="col">"value"</th>
                        {has_intervals.then(|| view! { <th scope="col">"95 % interval"</th> })}
                        <th scope="col">"tokens"</th>
                    </tr>
                </thead>
                <tbody>{measurements.into_iter().filter_map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// "1.02 to 1.31" and what was drawn anew.
fn interval(metric: &MetricDefinition, sure: &api::Interval) -> String {
    let [low, high] = [sure.low, sure.high].map(|end| measured(metric, end));
    format!("{low} to {high} ({} {})", count(sure.n), sure.over)
}

/// Where a value was taken, where that is not the whole dictionary on ordinary tokens.
fn place(m: &Measurement) -> String {
    let tokens = match m.tokens {
        TokenSet::Ordinary => None,
        TokenSet::PositionZero => Some("position 0"),
        TokenSet::Special => Some("special tokens"),
    };
    let at = m.at.map(|at| at.to_string());
    at.into_iter().chain(tokens.map(String::from)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_its_command() {
        let info = serde_json::json!({"id": 7, "job": 1, "sweep": 1, "model": "m", "corpus": "c",
            "at": "blocks.1.hook_resid_pre", "residual": "raw", "input_scale": "none", "config": {"kind": "relu", "d_sae": 8,
            "objective": {"name": "local", "sparsity": 0.1}, "lr": 0.1, "seed": 0},
            "tokens": 1, "n_passes": 1.0, "metrics": [], "checksum": "", "created": 1, "command": "saescope sweep"});
        let info: DictionaryInfo = serde_json::from_value(info).unwrap();
        let of = |group, stories| command(&info, stories, group);
        assert_eq!(of(MetricGroup::Behaviour, None), "saescope evaluate --dictionary 7");
        assert_eq!(of(MetricGroup::Run, None), "saescope sweep");
        assert_eq!(
            of(MetricGroup::Known, Some((600, 5))),
            "saescope known --dictionary 7 --stories 600 --seed 5"
        );
    }
}
