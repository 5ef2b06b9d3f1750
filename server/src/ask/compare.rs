//! How alike two dictionaries' decoders are, each by the features that fire on the text of its stored metrics.

use anyhow::{Context as _, Result, bail};
use api::{Answer, Compared, Comparison, ConfigError, DictionaryInfo, Progress, Similarity, TrainConfig};
use app::charts::push_record;
use engine::{
    experiment::similarity::{Directions, similarity},
    train::firings,
};

use super::{Answered, Asked, only};
use crate::on_text::{OnText, common_config, on_text_here, told};

/// The directions of a dictionary's features that fire, of how many features, in how many dimensions, on how many tokens.
struct Alive {
    directions: Directions,
    n_features: usize,
    width: usize,
    n_tokens: u64,
}

/// Answers the question; None where it was ended.
pub fn answer(asked: &Asked<'_>) -> Result<Option<Answered>> {
    let Some((a, b)) = both(asked)? else { return Ok(None) };
    let [of_a, of_b] = &asked.infos[..] else {
        bail!("found {} dictionaries; expected two", asked.infos.len());
    };
    if a.width != b.width {
        let message = format!(
            "dictionary {} writes {} numbers, dictionary {} {}; expected two that write to spaces of one dimension",
            of_a.id, a.width, of_b.id, b.width
        );
        return Err(ConfigError::new("dictionaries", message).into());
    }
    let stage = |stage: &str| {
        (asked.observe)(Progress {
            stage: stage.into(),
            ..Progress::default()
        })
    };
    if !stage("matching features") {
        return Ok(None);
    }
    let pool = asked.workspace.job_pool()?;
    let found = pool.install(|| similarity(&a.directions, &b.directions));
    if !stage("matching random directions") {
        return Ok(None);
    }
    let random = Directions::random(b.directions.len(), b.width);
    let null = pool.install(|| similarity(&a.directions, &random));
    let (Some(found), Some(null)) = (found, null) else {
        bail!("a dictionary without a feature that fires has nothing to compare");
    };
    let of = |info: &DictionaryInfo, alive: &Alive| Compared {
        dictionary: info.id,
        n_features: alive.n_features as u64,
        n_alive: alive.directions.len() as u64,
        n_tokens: alive.n_tokens,
    };
    let comparison = Comparison {
        of: [of(of_a, &a), of(of_b, &b)],
        width: a.width as u64,
        found,
        null,
    };
    Ok(Some(Answered {
        csv: csv(&comparison),
        answer: Answer::Compare(comparison),
    }))
}

/// Both dictionaries: in one pass where they were measured in the same place on the same text, else each in its own.
fn both(asked: &Asked<'_>) -> Result<Option<(Alive, Alive)>> {
    let store = &asked.workspace.store;
    let config = |infos: &[DictionaryInfo]| asked.runtime.block_on(common_config(store, infos));
    let mut found = Vec::with_capacity(2);
    if let Ok(config) = config(&asked.infos) {
        let Some(both) = alive(asked, &asked.infos, &config)? else {
            return Ok(None);
        };
        found = both;
    } else {
        for info in &asked.infos {
            let one = std::slice::from_ref(info);
            let Some(alive) = alive(asked, one, &config(one)?)? else {
                return Ok(None);
            };
            found.push(only(alive)?);
        }
    }
    let mut found = found.into_iter();
    let pair = found.next().zip(found.next());
    pair.map(Some).context("one of the dictionaries was not measured")
}

fn alive(asked: &Asked<'_>, infos: &[DictionaryInfo], config: &TrainConfig) -> Result<Option<Vec<Alive>>> {
    let mut tell = told(asked.observe, "finding the features that fire", "tokens");
    let work = |on: OnText<'_>| -> Result<Option<Vec<Alive>>> {
        let (mut n_tokens, mut goes_on) = (0, true);
        let mut progress = |done, total| {
            (n_tokens, goes_on) = (total, tell(done, total));
            goes_on
        };
        let fired = firings(on.files, on.backend, on.tokens, on.config, &mut progress)?;
        let alive = fired.iter().map(|(dictionary, firings)| {
            let fires: Vec<bool> = firings.iter().map(|n| *n > 0).collect();
            Alive {
                directions: Directions::alive(dictionary.directions(), dictionary.d_out(), &fires),
                n_features: fires.len(),
                width: dictionary.d_out(),
                n_tokens,
            }
        });
        Ok(goes_on.then(|| alive.collect()))
    };
    let found = on_text_here(asked.workspace, asked.runtime, infos, config, asked.observe, work)?;
    Ok(found.flatten())
}

/// A row per figure, with that of random directions beside it.
fn csv(comparison: &Comparison) -> String {
    let [a, b] = comparison.of.map(|one| one.dictionary);
    let mut out = String::new();
    push_record(
        &mut out,
        ["figure", "value", "random_directions"].map(String::from).into_iter(),
    );
    for (name, of) in figures() {
        let name = name.replace("{a}", &a.to_string()).replace("{b}", &b.to_string());
        let values = [&comparison.found, &comparison.null].map(|s| of(s).to_string());
        push_record(&mut out, std::iter::once(name).chain(values));
    }
    out
}

/// What a figure is of a similarity.
type Of = fn(&Similarity) -> f64;

/// The figures by name; `{a}` and `{b}` stand for the dictionaries.
fn figures() -> [(&'static str, Of); 5] {
    [
        ("mmcs_{a}_to_{b}", |s| s.mmcs),
        ("mmcs_{b}_to_{a}", |s| s.mmcs_back),
        ("hungarian", |s| s.hungarian),
        ("hungarian_above_0.9", |s| s.above[0]),
        ("hungarian_above_0.7", |s| s.above[1]),
    ]
}
