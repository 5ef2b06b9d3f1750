//! Links between pages: every view's state is its URL, written and read here.

use std::str::FromStr;

use api::{
    ApiError, ConfigError, DictionaryId, DictionaryInfo, ErrorKind, HookPoint, JobId, KindName, ModelId, ParetoQuery, SeriesKey,
    SeriesSet,
};
use leptos_router::params::ParamsMap;

/// A run's page.
pub fn run(id: &JobId) -> String {
    format!("/runs/{id}")
}

/// A dictionary's page.
pub fn dictionary(id: &DictionaryId) -> String {
    format!("/dictionaries/{id}")
}

/// The form that trains a dictionary further, on its own text.
pub fn train_further(info: &DictionaryInfo) -> String {
    let mut params = ParamsMap::new();
    params.insert("model", info.model.to_string());
    params.insert("corpus", info.corpus.to_string());
    params.insert("at", info.at.to_string());
    params.insert("from", info.id.to_string());
    format!("/train{}", params.to_query_string())
}

/// The form for a dictionary's null: as many random directions as it has alive features, and as many of them active. None where it has none,
/// and of a transcoder, whose directions are not of what it reads.
pub fn random_null(info: &DictionaryInfo) -> Option<String> {
    let measured = |name: &str| info.metric(name).map(f64::round).filter(|n| *n > 0.0);
    let (alive, l0) = (measured("alive")?, measured("l0")?);
    if info.config.kind.read_at().is_some() || info.config.kind.name() == KindName::Random {
        return None;
    }
    let mut params = ParamsMap::new();
    params.insert("model", info.model.to_string());
    params.insert("corpus", info.corpus.to_string());
    params.insert("at", info.at.to_string());
    params.insert("kind", KindName::Random.to_string());
    params.insert("d_sae", alive.to_string());
    params.insert("k", l0.min(alive).to_string());
    Some(format!("/train{}", params.to_query_string()))
}

/// The Pareto page with this query.
pub fn pareto(query: &ParetoQuery) -> String {
    format!("/pareto{}", pareto_params(query).to_query_string())
}

/// A metric's place on the Methods page.
pub fn metric(name: &str) -> String {
    format!("/methods#{name}")
}

/// Where the Methods page says how the Pareto summary is computed.
pub const SUMMARY_METHOD: &str = "/methods#pareto-summary";

/// A query as URL parameters; what is not set is left out.
pub fn pareto_params(query: &ParetoQuery) -> ParamsMap {
    let mut params = ParamsMap::new();
    let mut set = |name: &'static str, value: Option<String>| {
        if let Some(value) = value {
            params.insert(name, value);
        }
    };
    set("model", query.model.as_ref().map(ToString::to_string));
    set("at", query.at.map(|at| at.to_string()));
    set("sweep", query.sweep.map(|sweep| sweep.to_string()));
    set("evaluated_on", query.evaluated_on.map(|split| split.to_string()));
    set("x", query.x.clone());
    set("y", query.y.clone());
    set("log_x", query.log_x.map(|on| on.to_string()));
    set("log_y", query.log_y.map(|on| on.to_string()));
    set("hide", query.hide.as_ref().map(ToString::to_string));
    set("only", query.only.as_ref().map(ToString::to_string));
    set("against", query.against.map(|series| series.to_string()));
    params
}

/// The query in a URL's parameters; other parameters are left to the page.
///
/// # Errors
/// The first parameter that cannot be read.
pub fn pareto_query(params: &ParamsMap) -> Result<ParetoQuery, ApiError> {
    Ok(ParetoQuery {
        model: given(params, "model").map(ModelId),
        at: given(params, "at").map(|at| at.parse::<HookPoint>()).transpose()?,
        sweep: read(params, "sweep", "a sweep's number")?,
        evaluated_on: given(params, "evaluated_on").map(|split| split.parse()).transpose()?,
        x: given(params, "x"),
        y: given(params, "y"),
        log_x: read(params, "log_x", "true or false")?,
        log_y: read(params, "log_y", "true or false")?,
        hide: given(params, "hide").map(|series| series.parse::<SeriesSet>()).transpose()?,
        only: given(params, "only").map(|series| series.parse::<SeriesSet>()).transpose()?,
        against: given(params, "against")
            .map(|series| series.parse::<SeriesKey>())
            .transpose()?,
    })
}

/// The address at `path` with these parameters, those named in `changes` set or, for none, left out.
pub fn changed(path: &str, params: &ParamsMap, changes: &[(&'static str, Option<String>)]) -> String {
    let mut params = params.clone();
    for (name, value) in changes {
        params.remove(name);
        if let Some(value) = value {
            params.insert(*name, value.clone());
        }
    }
    format!("{path}{}", params.to_query_string())
}

/// A number in a path, such as a run's.
///
/// # Errors
/// There is nothing of that number.
pub fn number(params: &ParamsMap, what: &str) -> Result<i64, ApiError> {
    let text = params.get("id").unwrap_or_default();
    text.parse()
        .map_err(|_| ApiError::new(ErrorKind::NotFound, format!("there is no {what} '{text}'; expected a number")))
}

fn given(params: &ParamsMap, name: &str) -> Option<String> {
    params.get(name).filter(|value| !value.is_empty())
}

fn read<T: FromStr>(params: &ParamsMap, name: &str, expected: &str) -> Result<Option<T>, ConfigError> {
    given(params, name)
        .map(|text| {
            text.parse()
                .map_err(|_| ConfigError::new(name, format!("found '{text}'; expected {expected}")))
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::EvaluationSplit;

    #[test]
    fn a_query_survives_its_url() {
        let query = ParetoQuery {
            model: Some(ModelId("a-b".into())),
            at: Some(HookPoint::resid_pre(2)),
            sweep: Some(7),
            evaluated_on: Some(EvaluationSplit::Validation),
            x: Some("alive".into()),
            y: None,
            log_x: Some(false),
            log_y: None,
            hide: Some("gated.e2e+ds,ica".parse().unwrap()),
            only: None,
            against: Some("jumprelu.local.pruned".parse().unwrap()),
        };
        assert_eq!(pareto_query(&pareto_params(&query)).unwrap(), query);
        assert_eq!(pareto_query(&ParamsMap::new()).unwrap(), ParetoQuery::default());
    }

    #[test]
    fn a_change_keeps_the_rest() {
        let mut params = ParamsMap::new();
        params.insert("x", "l0".into());
        params.insert("sweep", "3".into());
        let url = changed("/pareto", &params, &[("x", Some("alive".into())), ("sweep", None)]);
        assert_eq!(url, "/pareto?x=alive");
    }

    #[test]
    fn a_bad_parameter_is_named() {
        let mut params = ParamsMap::new();
        params.insert("sweep", "x".into());
        assert_eq!(pareto_query(&params).unwrap_err().field.as_deref(), Some("sweep"));
    }
}
