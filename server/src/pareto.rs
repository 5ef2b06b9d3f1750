//! The Pareto page's answer: which dictionaries are compared, their fronts, each objective against local, and every series in order.

use anyhow::Result;
use api::{
    ConfigError, DictionaryInfo, Direction, EvaluationSplit, HookPoint, JobId, KindName, METRICS, MetricDefinition, ModelId,
    ParetoFront, ParetoQuery, ParetoRanking, ParetoSeries, ParetoView, Series, SeriesKey, metric,
};
use app::charts::{Theme, csv, pareto_chart};
use engine::experiment::{
    pareto::{self, Run},
    ranking::{self, Group},
};
use std::collections::{BTreeMap, BTreeSet};

/// Width and height of the chart as a file.
const SIZE: (u32, u32) = (760, 480);

/// Answers `query` from every dictionary of the registry.
///
/// # Errors
/// [`ConfigError`] for a metric, model, hook point or sweep that there is not.
pub fn view(mut all: Vec<DictionaryInfo>, query: ParetoQuery) -> Result<ParetoView, ConfigError> {
    let x = definition("x", query.x.as_deref().unwrap_or("l0"))?;
    let y = definition("y", query.y.as_deref().unwrap_or("ce_increase"))?;
    let evaluated_on = query.evaluated_on.unwrap_or_default();
    let n_all = all.len();
    all.retain(|d| d.evaluated_on == evaluated_on);
    let n_others = n_all - all.len();
    let choices = choices(&all);
    let newest = all
        .iter()
        .filter(|d| query.model.as_ref().is_none_or(|model| d.model == *model))
        .filter(|d| query.at.is_none_or(|at| d.at == at))
        .filter(|d| query.sweep.is_none_or(|sweep| d.sweep.0 == sweep))
        .max_by_key(|d| d.id.0);
    let query = ParetoQuery {
        model: query.model.clone().or_else(|| newest.map(|d| d.model.clone())),
        at: query.at.or_else(|| newest.map(|d| d.at)),
        sweep: query.sweep,
        evaluated_on: Some(evaluated_on),
        x: Some(x.name.into()),
        y: Some(y.name.into()),
        log_x: Some(query.log_x.unwrap_or(x.log)),
        log_y: Some(query.log_y.unwrap_or(y.log)),
        ..query
    };
    if newest.is_none() && (query.model.is_some() || query.at.is_some() || query.sweep.is_some()) {
        let mut error = nothing(&query, &choices);
        if n_others > 0 {
            error.message += &left_out(evaluated_on, n_others);
        }
        return Err(error);
    }
    let here: Vec<_> = all
        .into_iter()
        .filter(|d| Some(&d.model) == query.model.as_ref() && Some(d.at) == query.at)
        .collect();
    let sweeps = here
        .iter()
        .map(|d| d.sweep)
        .collect::<BTreeSet<JobId>>()
        .into_iter()
        .collect();
    let mut dictionaries: Vec<_> = here
        .into_iter()
        .filter(|d| query.sweep.is_none_or(|sweep| d.sweep.0 == sweep))
        .collect();
    let series = series(&dictionaries, &query);
    dictionaries.retain(|d| query.shows(d.config.series()));
    Ok(ParetoView {
        fronts: fronts(&dictionaries, x, y),
        summary: summary(&dictionaries, x, y),
        ranking: ranking(&dictionaries, &series, &query, x, y)?,
        query,
        choices,
        sweeps,
        series,
        dictionaries,
    })
}

/// The chart as SVG.
pub fn svg(view: &ParetoView) -> String {
    let mut chart = pareto_chart(view, SIZE);
    chart.key = true;
    chart.svg(Theme::Light)
}

/// The points as a table.
pub fn table(view: &ParetoView) -> String {
    csv(&view.dictionaries)
}

fn definition(field: &str, name: &str) -> Result<&'static MetricDefinition, ConfigError> {
    metric(name).ok_or_else(|| {
        let names: Vec<_> = METRICS.iter().map(|m| m.name).collect();
        ConfigError::new(
            field,
            format!("unknown metric '{name}'; expected one of {}", names.join(", ")),
        )
    })
}

/// The models that have dictionaries, with the hook points at which they have them.
fn choices(all: &[DictionaryInfo]) -> Vec<(ModelId, Vec<HookPoint>)> {
    let mut by_model: BTreeMap<ModelId, BTreeSet<HookPoint>> = BTreeMap::new();
    for dictionary in all {
        by_model.entry(dictionary.model.clone()).or_default().insert(dictionary.at);
    }
    by_model
        .into_iter()
        .map(|(model, points)| (model, points.into_iter().collect()))
        .collect()
}

/// "; 12 measured on validation text are left out: …"
pub fn left_out(evaluated_on: EvaluationSplit, n_others: usize) -> String {
    let other = match evaluated_on {
        EvaluationSplit::HeldOut => EvaluationSplit::Validation,
        EvaluationSplit::Validation => EvaluationSplit::HeldOut,
    };
    format!(
        "; {n_others} measured on {} are left out: evaluated_on={other} (--evaluated-on {other}) shows them alone",
        other.text()
    )
}

/// The first part of the query that nothing answers to.
fn nothing(query: &ParetoQuery, choices: &[(ModelId, Vec<HookPoint>)]) -> ConfigError {
    let list = |names: Vec<String>| {
        if names.is_empty() {
            "none yet".into()
        } else {
            names.join(", ")
        }
    };
    if let Some(model) = &query.model {
        let Some((_, points)) = choices.iter().find(|(id, _)| id == model) else {
            let names = list(choices.iter().map(|(id, _)| id.to_string()).collect());
            return ConfigError::new("model", format!("no dictionary of '{model}'; there are some of: {names}"));
        };
        if let Some(at) = query.at
            && !points.contains(&at)
        {
            let names = list(points.iter().map(ToString::to_string).collect());
            return ConfigError::new(
                "at",
                format!("no dictionary of '{model}' at '{at}'; there are some at: {names}"),
            );
        }
    }
    match (query.sweep, query.at) {
        (Some(sweep), _) => ConfigError::new("sweep", format!("no dictionary of sweep {sweep} among these")),
        (None, Some(at)) => ConfigError::new("at", format!("no dictionary at '{at}'")),
        (None, None) => ConfigError::new("model", "no dictionary"),
    }
}

/// The series of these dictionaries, in their order.
fn series(dictionaries: &[DictionaryInfo], query: &ParetoQuery) -> Vec<ParetoSeries> {
    let mut found: BTreeMap<Series, usize> = BTreeMap::new();
    dictionaries
        .iter()
        .for_each(|d| *found.entry(d.config.series()).or_default() += 1);
    let of = |(series, n)| ParetoSeries {
        series,
        n,
        shown: query.shows(series),
    };
    found.into_iter().map(of).collect()
}

/// The series that are shown, in order.
fn ranking(
    dictionaries: &[DictionaryInfo],
    here: &[ParetoSeries],
    query: &ParetoQuery,
    x: &MetricDefinition,
    y: &MetricDefinition,
) -> Result<Option<ParetoRanking>, ConfigError> {
    let asked = query.against.map(|SeriesKey(series)| series);
    if let Some(asked) = asked.filter(|asked| here.iter().all(|one| one.series != *asked)) {
        let there: Vec<_> = here.iter().map(|one| SeriesKey(one.series).to_string()).collect();
        let message = format!(
            "no dictionary of series '{}' here; there are some of: {}",
            SeriesKey(asked),
            there.join(", ")
        );
        return Err(ConfigError::new("against", message));
    }
    let of = |series: Series| -> Group {
        let own = dictionaries.iter().filter(|d| d.config.series() == series);
        (series, own.map(|d| (d.id, run(d, x, y))).collect())
    };
    let groups: Vec<Group> = here.iter().filter(|one| one.shown).map(|one| of(one.series)).collect();
    // one kind's objectives are compared over the range that all of them share
    let [first, ..] = &groups[..] else { return Ok(None) };
    let is_across = groups
        .iter()
        .any(|(series, _)| series.kind != first.0.kind || series.making != api::Making::Fresh);
    if groups.len() < 2 || !(is_across || asked.is_some()) {
        return Ok(None);
    }
    // what is left out has no say
    let asked = asked.filter(|asked| groups.iter().any(|(series, _)| series == asked));
    let is_lower_better = y.direction != Direction::HigherIsBetter;
    Ok(asked
        .or_else(|| ranking::usual(&groups))
        .map(|reference| ranking::ranking(&groups, reference, is_lower_better)))
}

/// Per kind and objective, the dictionaries on its front; what has none is left out.
fn fronts(dictionaries: &[DictionaryInfo], x: &MetricDefinition, y: &MetricDefinition) -> Vec<ParetoFront> {
    // what is neither better nor worse is read as a cost: fewer features at the same loss
    let lower = |metric: &MetricDefinition| metric.direction != Direction::HigherIsBetter;
    let every: BTreeSet<Series> = dictionaries.iter().map(|d| d.config.series()).collect();
    every
        .into_iter()
        .filter_map(|series| {
            let of: Vec<_> = dictionaries.iter().filter(|d| d.config.series() == series).collect();
            let points: Vec<_> = of.iter().map(|d| (value(d, x), value(d, y))).collect();
            let front = pareto::front(&points, lower(x), lower(y));
            (!front.is_empty()).then(|| ParetoFront {
                series,
                dictionaries: front.into_iter().map(|i| of[i].id).collect(),
            })
        })
        .collect()
}

fn summary(dictionaries: &[DictionaryInfo], x: &MetricDefinition, y: &MetricDefinition) -> Vec<api::ParetoSummary> {
    // within a kind: what differs is the objective alone
    let of_kind = |kind| {
        let of = dictionaries
            .iter()
            .filter(|d| d.config.kind.name() == kind && d.config.origin.is_fresh());
        pareto::summary(kind, &of.map(|d| run(d, x, y)).collect::<Vec<_>>())
    };
    KindName::ALL.into_iter().flat_map(of_kind).collect()
}

/// A dictionary as a point.
pub fn run(dictionary: &DictionaryInfo, x: &MetricDefinition, y: &MetricDefinition) -> Run {
    Run {
        objective: dictionary.config.objective.kind(),
        seed: dictionary.config.seed,
        coefficient: dictionary.config.dial().1,
        x: value(dictionary, x),
        y: value(dictionary, y),
    }
}

/// What was not measured has no place in the plot.
fn value(dictionary: &DictionaryInfo, metric: &MetricDefinition) -> f64 {
    dictionary.metric(metric.name).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dictionary(id: i64, sweep: i64, at: &str, objective: serde_json::Value, l0: f64, ce: f64) -> DictionaryInfo {
        let metric = |name: &str, value: f64| json!({"name": name, "version": 1, "n_tokens": 1000, "value": value});
        serde_json::from_value(json!({
            "id": id, "job": sweep, "sweep": sweep, "model": "m", "corpus": "c", "at": at, "residual": "raw", "input_scale": "none",
            "tokens": 1000, "n_passes": 1.0, "checksum": "", "created": id, "metrics": [metric("l0", l0), metric("ce_increase", ce)],
            "config": {"kind": "relu", "d_sae": 64, "lr": 0.001, "seed": 0, "objective": objective}
        }))
        .unwrap()
    }

    fn some() -> Vec<DictionaryInfo> {
        let local = |s: f64| json!({"name": "local", "sparsity": s});
        let e2e = |s: f64| json!({"name": "e2e", "sparsity": s, "kl": 1.0});
        let at = "blocks.2.hook_resid_pre";
        vec![
            dictionary(1, 1, at, local(0.1), 20.0, 0.2),
            dictionary(2, 1, at, local(0.2), 10.0, 0.4),
            dictionary(3, 1, at, local(0.3), 12.0, 0.5), // behind dictionary 2
            dictionary(4, 1, at, e2e(1.0), 20.0, 0.1),
            dictionary(5, 1, at, e2e(2.0), 10.0, 0.2),
            dictionary(6, 6, "blocks.1.hook_resid_pre", local(0.1), 9.0, 0.3),
        ]
    }

    #[test]
    fn the_newest_dictionarys_place_is_the_default() {
        let view = view(some(), ParetoQuery::default()).unwrap();
        assert_eq!(view.query.at, Some(HookPoint::resid_pre(1)));
        assert_eq!((view.query.x.as_deref(), view.query.log_y), (Some("l0"), Some(true)));
        assert_eq!(view.choices[0].1.len(), 2);
        assert_eq!(view.dictionaries.len(), 1);
    }

    #[test]
    fn fronts_and_summary_by_objective() {
        let query = ParetoQuery {
            at: Some(HookPoint::resid_pre(2)),
            ..ParetoQuery::default()
        };
        let view = view(some(), query).unwrap();
        let ids: Vec<Vec<i64>> = view
            .fronts
            .iter()
            .map(|front| front.dictionaries.iter().map(|id| id.0).collect())
            .collect();
        assert_eq!(ids, [vec![2, 1], vec![5, 4]]);
        assert_eq!(view.summary.len(), 1);
        // local's curve holds dictionary 3 too, which lies above the line from 2 to 1, so the ratio is below a half
        assert!(
            view.summary[0].value > 0.3 && view.summary[0].value < 0.5,
            "{:?}",
            view.summary
        );
    }

    #[test]
    fn kinds_are_not_mixed() {
        let mut all = some();
        // dictionary 3 lies behind another kind's alone
        all[2].config.kind = api::DictionaryKind::Gated;
        let query = ParetoQuery {
            at: Some(HookPoint::resid_pre(2)),
            ..ParetoQuery::default()
        };
        let view = view(all, query).unwrap();
        let ids: Vec<_> = view
            .fronts
            .iter()
            .map(|f| (f.series.kind, f.dictionaries.iter().map(|id| id.0).collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            ids,
            [
                (KindName::Relu, vec![2, 1]),
                (KindName::Relu, vec![5, 4]),
                (KindName::Gated, vec![3])
            ]
        );
        assert!(view.summary.iter().all(|part| part.kind == KindName::Relu));
    }

    #[test]
    fn several_kinds_are_ranked_and_what_is_hidden_has_no_say() {
        let mut all = some();
        for d in all.iter_mut().filter(|d| [4, 5].contains(&d.id.0)) {
            d.config.kind = api::DictionaryKind::Gated;
        }
        let query = |more: &str| -> ParetoQuery {
            let mut query = json!({"at": "blocks.2.hook_resid_pre"});
            for (name, value) in more.split('&').filter_map(|part| part.split_once('=')) {
                query[name] = value.into();
            }
            serde_json::from_value(query).unwrap()
        };
        let ranks = |view: &ParetoView| -> Vec<String> {
            let ranking = view.ranking.iter().flat_map(|ranking| &ranking.ranks);
            ranking.map(|rank| SeriesKey(rank.series).to_string()).collect()
        };
        let view = |more: &str| super::view(all.clone(), query(more));
        let whole = view("").unwrap();
        assert_eq!(whole.ranking.as_ref().unwrap().reference, Series::USUAL);
        assert_eq!(ranks(&whole), ["gated.e2e", "relu.local"]);
        assert_eq!(
            whole.series.iter().map(|one| (one.n, one.shown)).collect::<Vec<_>>(),
            [(3, true), (2, true)]
        );
        let other = view("against=gated.e2e").unwrap();
        assert_eq!(ranks(&other), ["gated.e2e", "relu.local"]);
        assert!(other.ranking.unwrap().ranks[1].found.unwrap().value > 1.0);
        // hidden: still to be chosen, and in nothing else
        let hidden = view("hide=gated.e2e&against=gated.e2e").unwrap();
        assert_eq!((hidden.dictionaries.len(), hidden.fronts.len(), hidden.ranking), (3, 1, None));
        assert_eq!(hidden.series.iter().map(|one| one.shown).collect::<Vec<_>>(), [true, false]);
        assert_eq!(view("only=gated.e2e").unwrap().dictionaries.len(), 2);
        assert!(view("only=tied.local").unwrap().dictionaries.is_empty());
        let error = view("against=tied.local").unwrap_err();
        assert!(
            error.field == "against" && error.message.contains("relu.local, gated.e2e"),
            "{error}"
        );
        // one kind's objectives have their own summary, and a ranking where it is asked for
        let one_kind = |more: &str| super::view(some(), query(more)).unwrap();
        assert_eq!(one_kind("").ranking, None);
        assert_eq!(ranks(&one_kind("against=relu.local")), ["relu.e2e", "relu.local"]);
    }

    #[test]
    fn what_was_measured_on_different_texts_is_never_compared() {
        let mut all = some();
        for d in all.iter_mut().filter(|d| [1, 4, 6].contains(&d.id.0)) {
            d.evaluated_on = EvaluationSplit::Validation;
        }
        let ids = |query: ParetoQuery| -> Vec<i64> {
            let view = view(all.clone(), query).unwrap();
            view.dictionaries.iter().map(|d| d.id.0).collect()
        };
        // the newest, at another place, was measured on validation text: it does not even decide what is shown
        assert_eq!(ids(ParetoQuery::default()), [2, 3, 5]);
        let validation = ParetoQuery {
            evaluated_on: Some(EvaluationSplit::Validation),
            at: Some(HookPoint::resid_pre(2)),
            ..ParetoQuery::default()
        };
        assert_eq!(ids(validation), [1, 4]);
        let elsewhere = ParetoQuery {
            at: Some(HookPoint::resid_pre(1)),
            ..ParetoQuery::default()
        };
        let message = view(all.clone(), elsewhere).unwrap_err().to_string();
        assert!(message.contains("3 measured on validation text are left out"), "{message}");
    }

    #[test]
    fn an_empty_registry_is_no_error_and_a_wrong_name_is() {
        assert!(view(Vec::new(), ParetoQuery::default()).unwrap().dictionaries.is_empty());
        let query = |change: fn(&mut ParetoQuery)| {
            let mut query = ParetoQuery::default();
            change(&mut query);
            view(some(), query).unwrap_err()
        };
        assert_eq!(query(|q| q.x = Some("l00".into())).field, "x");
        assert_eq!(query(|q| q.model = Some(ModelId("other".into()))).field, "model");
        assert_eq!(query(|q| q.sweep = Some(99)).field, "sweep");
        let wrong_place = |q: &mut ParetoQuery| {
            q.model = Some(ModelId("m".into()));
            q.at = Some(HookPoint::Embed);
        };
        assert!(query(wrong_place).message.contains("blocks.1.hook_resid_pre"));
    }
}
