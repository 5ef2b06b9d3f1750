//! How well some features of a dictionary tell a label: chosen on the first half of the stories, scored on the second.

use api::BestFeature;

use super::{
    columns::Columns,
    ground::Ground,
    outcome::{Asked, Outcome, Scores, outcome},
    probe,
    sweep::{Cut, best, sweep},
};

/// A dictionary's codes on both halves.
pub struct Codes {
    /// Where features are chosen.
    pub choose: Columns,
    /// Where they are scored.
    pub score: Columns,
    /// On the first half: of each feature, its best cut for each label.
    pub cuts: Vec<Vec<Cut>>,
}

/// The best single feature and what it tells on the second half.
pub fn single(codes: &Codes, label: usize, asked: &Asked<'_>) -> (BestFeature, Outcome) {
    let (feature, cut) = best(&codes.cuts, label);
    let best = BestFeature {
        feature,
        threshold: f64::from(cut.threshold),
        says_yes: cut.says_yes,
    };
    (best, cut_outcome(&codes.score, feature, cut, asked))
}

/// The mean balanced accuracy of the best single feature of shuffled labels, label by label.
pub fn floors(ground: &Ground, codes: &Codes) -> Vec<f64> {
    let half = &ground.score;
    let mut sums = vec![(0.0, 0.0); ground.n_labels()];
    for shuffle in &ground.shuffles {
        let cuts = sweep(&codes.choose, &shuffle.weights);
        for (label, sum) in sums.iter_mut().enumerate() {
            let (feature, cut) = best(&cuts, label);
            let asked = Asked::new(&shuffle.answers[label], &half.told.story, half.told.contexts.len());
            let accuracy = cut_outcome(&codes.score, feature, cut, &asked).accuracy();
            if accuracy.is_finite() {
                *sum = (sum.0 + accuracy, sum.1 + 1.0);
            }
        }
    }
    // where not even shuffled labels could be scored, chance
    let mean = |(sum, n): (f64, f64)| if n > 0.0 { sum / n } else { 0.5 };
    sums.into_iter().map(mean).collect()
}

fn cut_outcome(columns: &Columns, feature: u32, cut: Cut, asked: &Asked<'_>) -> Outcome {
    let sign = if cut.says_yes { 1.0 } else { -1.0 };
    let threshold = f64::from(cut.threshold);
    let column = &columns.features[feature as usize];
    let scores = Scores {
        rest: 0.0,
        others: column
            .iter()
            .map(|(token, value)| (*token, sign * f64::from(*value)))
            .collect(),
    };
    let fires = |score: f64| sign * score > threshold;
    outcome(asked, &scores, |score| fires(score) == cut.says_yes)
}

/// The `k` features of the largest gain among those that `is_meant`, the first of those that are equal.
pub fn strongest(cuts: &[Vec<Cut>], label: usize, k: usize, is_meant: impl Fn(&Cut) -> bool) -> Vec<u32> {
    let cut = |feature: u32| &cuts[feature as usize][label];
    let is_meant = |feature: &u32| cut(*feature).gain > 0.0 && is_meant(cut(*feature));
    let mut features: Vec<u32> = (0..cuts.len() as u32).filter(is_meant).collect();
    features.sort_by(|a, b| cut(*b).gain.total_cmp(&cut(*a).gain).then(a.cmp(b)));
    features.truncate(k);
    features
}

/// What a probe on the `k` strongest features tells on the second half.
pub fn several(ground: &Ground, codes: &Codes, label: usize, k: usize, asked: &Asked<'_>) -> Outcome {
    let features = strongest(&codes.cuts, label, k, |_| true);
    let probe = probe::on_features(&features, &codes.choose, &ground.choose.told.answers[label]);
    outcome(asked, &probe::read_features(&probe, &features, &codes.score), |z| z > 0.0)
}
