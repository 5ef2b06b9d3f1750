//! Thresholds, ROC areas and probes against numpy and scikit-learn (`tests/golden/known.py`).

use serde::Deserialize;

use super::{
    columns::{Columns, sort},
    logistic::{Problem, fit},
    outcome::{Asked, Scores, outcome},
    sweep::{Weights, sweep},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    thresholds: Vec<Threshold>,
    areas: Vec<Area>,
    probes: Vec<Probe>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Threshold {
    values: Vec<f32>,
    answers: Vec<Option<bool>>,
    gain: f64,
    says_yes: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Area {
    scores: Vec<f64>,
    answers: Vec<bool>,
    auc: f64,
    accuracy: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    x: Vec<Vec<f64>>,
    yes: Vec<bool>,
    c: f64,
    weights: Vec<f64>,
    bias: f64,
}

fn golden() -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/known/golden.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn near(found: f64, expected: f64, bound: f64, what: &str) {
    assert!((found - expected).abs() <= bound, "{what}: {found}, expected {expected}");
}

#[test]
fn the_best_threshold_is_that_of_trying_all() {
    for case in golden().thresholds {
        let fired = case.values.iter().enumerate().filter(|(_, value)| **value != 0.0);
        let mut column: Vec<_> = fired.map(|(token, value)| (token as u32, *value)).collect();
        sort(&mut column);
        let columns = Columns {
            n_tokens: case.values.len(),
            features: vec![column],
        };
        // among other labels, in another lane
        let other = vec![None; case.values.len()];
        let cut = sweep(&columns, &Weights::new(&[other, case.answers.clone()]))[0][1];
        near(cut.gain, case.gain, 1e-12, "gain");
        assert_eq!(cut.says_yes, case.says_yes);
        // the threshold itself gives that gain
        let rate = |wanted: bool| {
            let asked = case
                .values
                .iter()
                .zip(&case.answers)
                .filter(|(_, answer)| **answer == Some(wanted));
            let (n, fires) = asked.fold((0.0, 0.0), |(n, fires), (value, _)| {
                (n + 1.0, fires + f64::from(u8::from(*value > cut.threshold)))
            });
            fires / n
        };
        let gain = rate(true) - rate(false);
        near(
            if case.says_yes { gain } else { -gain },
            case.gain,
            1e-12,
            "gain at the threshold",
        );
    }
}

#[test]
fn areas_and_accuracies_are_scikit_learns() {
    for case in golden().areas {
        let answers: Vec<Option<bool>> = case.answers.iter().map(|yes| Some(*yes)).collect();
        let story: Vec<u32> = (0..answers.len() as u32).map(|token| token % 4).collect();
        let asked = Asked::new(&answers, &story, 4);
        let tokens = || case.scores.iter().enumerate().map(|(token, score)| (token as u32, *score));
        // token by token, and with all the zeros as the rest
        let whole = Scores {
            rest: f64::NAN,
            others: tokens().collect(),
        };
        let rest = Scores {
            rest: 0.0,
            others: tokens().filter(|(_, score)| *score != 0.0).collect(),
        };
        // some zeros among the others must join the rest
        let mixed = Scores {
            rest: 0.0,
            others: tokens().filter(|(token, score)| *score != 0.0 || token % 2 == 0).collect(),
        };
        for scores in [whole, rest, mixed] {
            let found = outcome(&asked, &scores, |score| score > 0.0);
            near(found.auc(), case.auc, 1e-12, "area");
            near(found.accuracy(), case.accuracy, 1e-12, "balanced accuracy");
            // seen from yes and from no it is one area
            let from_no = found.below.iter().sum::<f64>() / found.no.iter().sum::<f64>();
            near(from_no, case.auc, 1e-12, "area, seen from no");
        }
    }
}

#[test]
fn probes_are_scikit_learns() {
    for case in golden().probes {
        let n = case.yes.len();
        let count = |wanted: bool| case.yes.iter().filter(|yes| **yes == wanted).count() as f64;
        let weights: Vec<f64> = case.yes.iter().map(|yes| 0.5 / count(*yes)).collect();
        let probe = fit(Problem {
            x: &case.x.concat(),
            yes: &case.yes,
            weights: &weights,
            ridge: 1.0 / (case.c * n as f64),
        });
        for (found, expected) in probe.weights.iter().zip(&case.weights) {
            near(*found, *expected, 1e-7 * expected.abs().max(1.0), "weight");
        }
        near(probe.bias, case.bias, 1e-7 * case.bias.abs().max(1.0), "bias");
    }
}
