//! What one dictionary knows of the labels.

use api::{KnownLabel, KnownScores, KnownSummary, LabelKind};
use rayon::prelude::*;

use super::{
    absorption::{absorbed, main_features, narrower},
    columns::Columns,
    ground::{Ceiling, Ground},
    reading::{Codes, floors, several, single},
    summary::{Drawn, Readable, covers, summary},
    sweep::sweep,
    used::Uses,
};
use crate::{
    corpus::storyworld::{self, LABELS},
    metrics::Subject,
};

/// Every label, and the dictionary's metrics.
pub fn known(ground: &Ground, uses: &Uses, subject: &Subject<'_>) -> (Vec<KnownLabel>, Vec<KnownSummary>) {
    let choose = Columns::encode(subject, &ground.choose.tokens(), &ground.choose.x);
    let codes = Codes {
        cuts: sweep(&choose, &ground.weights),
        score: Columns::encode(subject, &ground.score.tokens(), &ground.score.x),
        choose,
    };
    let floors = floors(ground, &codes);
    let labels = 0..ground.n_labels();
    let is_scored = |label: usize| ground.ceilings[label].is_some();
    let main_of = |label: usize| {
        if is_scored(label) {
            main_features(ground, &codes, label)
        } else {
            Vec::new()
        }
    };
    let main: Vec<Vec<u32>> = labels.clone().into_par_iter().map(main_of).collect();
    let directions = subject.dictionary.directions();
    let one = |label: usize| {
        let asked = ground.score.asked(label);
        let scores = ground.ceilings[label].as_ref().map(|ceiling| {
            let inner: Vec<usize> = narrower(label).into_iter().filter(|inner| is_scored(*inner)).collect();
            let absorption = (!inner.is_empty()).then(|| {
                let (all, some) = absorbed(&ground.score, &codes, directions, &main, (label, ceiling), &inner);
                share(&all, &some, ground)
            });
            scores(
                ground,
                &codes,
                uses,
                (label, ceiling),
                floors[label],
                &main[label],
                absorption,
            )
        });
        let (n_yes, n_no) = asked.counts();
        let (scores, readable) = scores.unzip();
        let known = KnownLabel {
            name: LABELS[label].name.into(),
            kind: kind(label),
            parent: LABELS[label].parent.map(Into::into),
            n_yes: n_yes as u64,
            n_no: n_no as u64,
            scores,
        };
        (known, readable.flatten())
    };
    let (known, readable): (Vec<_>, Vec<_>) = labels.into_par_iter().map(one).unzip();
    let readable: Vec<Readable> = readable.into_iter().flatten().collect();
    (known, summary(&readable, &ground.resamples))
}

/// What is said of one label, and, where it is readable, what the summary needs of it.
fn scores(
    ground: &Ground,
    codes: &Codes,
    uses: &Uses,
    (label, ceiling): (usize, &Ceiling),
    floor: f64,
    main: &[u32],
    absorption: Option<Drawn>,
) -> (KnownScores, Option<Readable>) {
    let asked = ground.score.asked(label);
    let resamples = &ground.resamples;
    let (best, one) = single(codes, label, &asked);
    let [two, five] = [2, 5].map(|k| several(ground, codes, label, k, &asked));
    let accuracy = [&one, &two, &five].map(|outcome| Drawn {
        value: outcome.accuracy(),
        draws: outcome.accuracies(resamples),
    });
    let is_covered = |k: usize| ceiling.is_readable() && covers(accuracy[k].value, floor, ceiling.reading.accuracy.value);
    let scores = KnownScores {
        floor,
        ceiling: ceiling.reading,
        causal: uses.labels[label],
        best,
        one: one.reading(resamples),
        two: two.reading(resamples),
        five: five.reading(resamples),
        is_covered: is_covered(0),
        is_covered_by_five: is_covered(2),
        main: main.to_vec(),
        absorption: absorption
            .as_ref()
            .map(|drawn| resamples.estimate(drawn.value, drawn.draws.clone())),
    };
    let readable = uses.labels[label].map(|causal| Readable {
        kind: kind(label),
        is_used: causal.is_used,
        floor,
        ceiling: Drawn {
            value: ceiling.reading.accuracy.value,
            draws: ceiling.draws.clone(),
        },
        accuracy,
        auc: Drawn {
            value: one.auc(),
            draws: one.aucs(resamples),
        },
        n_main: main.len(),
        absorption,
    });
    (scores, readable)
}

/// Σ `some` / Σ `all`, over all stories and over each draw.
fn share(all: &[f64], some: &[f64], ground: &Ground) -> Drawn {
    let (n, k) = (ground.resamples.sums(all), ground.resamples.sums(some));
    Drawn {
        value: some.iter().sum::<f64>() / all.iter().sum::<f64>(),
        draws: k.iter().zip(&n).map(|(k, n)| k / n).collect(),
    }
}

fn kind(label: usize) -> LabelKind {
    match LABELS[label].kind {
        storyworld::LabelKind::Token => LabelKind::Token,
        storyworld::LabelKind::Context => LabelKind::Context,
        storyworld::LabelKind::Planted => LabelKind::Planted,
    }
}
