//! From labels to metrics of a dictionary. Only readable labels count; those that follow from the token alone are apart.

use api::{Estimate, KnownSummary, LabelKind};

use super::resample::Resamples;

/// Share of the way from floor to ceiling from which on a label counts as covered.
const COVERED: f64 = 0.75;

/// Whether `accuracy` covers a label.
pub fn covers(accuracy: f64, floor: f64, ceiling: f64) -> bool {
    accuracy >= floor + COVERED * (ceiling - floor)
}

/// A value, and the same over each draw of stories.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Over all stories.
    pub value: f64,
    /// Over each draw.
    pub draws: Vec<f64>,
}

/// What is known of a readable label.
#[derive(Clone, Debug)]
pub struct Readable {
    /// From what it follows.
    pub kind: LabelKind,
    /// Whether the model uses it.
    pub is_used: bool,
    /// Balanced accuracy of the best single feature on shuffled labels.
    pub floor: f64,
    /// Balanced accuracy of the probe on activations.
    pub ceiling: Drawn,
    /// Balanced accuracies of one, two and five features.
    pub accuracy: [Drawn; 3],
    /// AUC of the best single feature.
    pub auc: Drawn,
    /// Number of main features.
    pub n_main: usize,
    /// Share of tokens absorbed, where there are narrower labels.
    pub absorption: Option<Drawn>,
}

impl Readable {
    /// Whether one (0), two (1) or five (2) features cover it.
    fn is_covered(&self, k: usize) -> Drawn {
        let is_covered = |accuracy: f64, ceiling: f64| f64::from(u8::from(covers(accuracy, self.floor, ceiling)));
        let draws = self.accuracy[k].draws.iter().zip(&self.ceiling.draws);
        Drawn {
            value: is_covered(self.accuracy[k].value, self.ceiling.value),
            draws: draws.map(|(accuracy, ceiling)| is_covered(*accuracy, *ceiling)).collect(),
        }
    }

    fn is_of_context(&self) -> bool {
        self.kind != LabelKind::Token
    }
}

/// The metrics; one that no label counts for is left out.
pub fn summary(labels: &[Readable], resamples: &Resamples) -> Vec<KnownSummary> {
    let of = |which: &dyn Fn(&Readable) -> bool, value: &dyn Fn(&Readable) -> Option<Drawn>| {
        mean(
            labels.iter().filter(|label| which(label)).filter_map(value).collect(),
            resamples,
        )
    };
    let coverage = |k: usize| move |label: &Readable| Some(label.is_covered(k));
    let accuracy = |k: usize| move |label: &Readable| Some(label.accuracy[k].clone());
    let context = |label: &Readable| label.is_of_context();
    let main = |label: &Readable| {
        Some(Drawn {
            value: label.n_main as f64,
            draws: Vec::new(),
        })
    };
    let rows = [
        ("known_coverage", of(&context, &coverage(0))),
        ("known_coverage_5", of(&context, &coverage(2))),
        ("known_coverage_used", of(&|l| context(l) && l.is_used, &coverage(0))),
        ("known_coverage_unused", of(&|l| context(l) && !l.is_used, &coverage(0))),
        ("known_coverage_planted", of(&|l| l.kind == LabelKind::Planted, &coverage(0))),
        ("known_coverage_token", of(&|l| !context(l), &coverage(0))),
        ("known_accuracy_1", of(&context, &accuracy(0))),
        ("known_accuracy_2", of(&context, &accuracy(1))),
        ("known_accuracy_5", of(&context, &accuracy(2))),
        ("known_auc", of(&context, &|l| Some(l.auc.clone()))),
        ("known_splitting", of(&context, &main)),
        ("known_absorption", of(&|_| true, &|l| l.absorption.clone())),
    ];
    rows.into_iter()
        .filter_map(|(name, row)| {
            let (value, n_labels) = row?;
            Some(KnownSummary {
                name: name.into(),
                value,
                n_labels,
            })
        })
        .collect()
}

/// The mean over labels, and their number; none where there are none.
fn mean(labels: Vec<Drawn>, resamples: &Resamples) -> Option<(Estimate, u64)> {
    let n = labels.len() as f64;
    let draws = labels.first()?.draws.len();
    let draws = (0..draws).map(|draw| labels.iter().map(|label| label.draws[draw]).sum::<f64>() / n);
    let value = labels.iter().map(|label| label.value).sum::<f64>() / n;
    Some((resamples.estimate(value, draws.collect()), labels.len() as u64))
}
