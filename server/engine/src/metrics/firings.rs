//! How many features fire, and how often: what is counted over the whole text, and how sure that is.
//!
//! Firings are kept per unit (document or context) and feature, without the zeros, so that memory follows what fires and not
//! units × d_sae. Counts are whole numbers, whose sums are the same in any order and with any number of threads.

use super::bootstrap::{Draws, percentiles};

/// Shares of the tokens that a feature may fire on more than: the metric's name, that of the firings' share, the share.
const SHARES: [(&str, &str, f64); 2] = [
    ("freq_over_1_percent", "normalized_freq_over_1_percent", 0.01),
    ("freq_over_10_percent", "normalized_freq_over_10_percent", 0.1),
];
/// Features whose resamples are computed at a time: with 4,096 units a tile takes 8 MiB, and its product with the draws 2 MiB.
const TILE: usize = 256;
/// The 97.5 % quantile of the normal distribution.
const Z_975: f64 = 1.959_963_984_540_054;

/// On how many ordinary tokens of each unit each feature fired.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Firings {
    /// A unit, and where its part of `counts` ends. A unit may have several parts.
    parts: Vec<(u32, usize)>,
    /// A feature that fired, and on how many tokens.
    counts: Vec<(u32, u32)>,
}

impl Firings {
    /// Of the tokens of one batch: the unit of each, none for those that do not count, and the features that fired on it.
    pub fn of_tokens<'a>(tokens: impl Iterator<Item = (Option<u32>, &'a [u32])>, d_sae: usize) -> Self {
        let mut found = Self::default();
        let (mut sums, mut fired) = (vec![0_u32; d_sae], Vec::new());
        let mut open = None;
        for (unit, features) in tokens {
            let Some(unit) = unit else { continue };
            if open.is_some_and(|open| open != unit) {
                found.close(open, &mut sums, &mut fired);
            }
            open = Some(unit);
            for feature in features {
                let sum = &mut sums[*feature as usize];
                if *sum == 0 {
                    fired.push(*feature);
                }
                *sum += 1;
            }
        }
        found.close(open, &mut sums, &mut fired);
        found
    }

    fn close(&mut self, unit: Option<u32>, sums: &mut [u32], fired: &mut Vec<u32>) {
        let counts = fired
            .drain(..)
            .map(|feature| (feature, std::mem::take(&mut sums[feature as usize])));
        self.counts.extend(counts);
        self.parts.extend(unit.map(|unit| (unit, self.counts.len())));
    }

    /// Adds a part: on how many tokens of `unit` each feature fired, [d_sae].
    pub fn push(&mut self, unit: u32, per_feature: impl Iterator<Item = u32>) {
        let fired = (0..).zip(per_feature).filter(|(_, n)| *n > 0);
        self.counts.extend(fired);
        self.parts.push((unit, self.counts.len()));
    }

    /// Adds what fired in later tokens.
    pub fn extend(&mut self, later: &Self) {
        let before = self.counts.len();
        self.counts.extend_from_slice(&later.counts);
        self.parts.extend(later.parts.iter().map(|(unit, end)| (*unit, before + end)));
    }

    /// Adds to the firings of each feature, [d_sae].
    pub fn add_to(&self, totals: &mut [u32]) {
        self.counts.iter().for_each(|(feature, n)| totals[*feature as usize] += n);
    }

    /// A unit, a feature, and on how many of the unit's tokens it fired, in the order of the text.
    fn each(&self) -> impl Iterator<Item = (u32, u32, u32)> {
        let starts = std::iter::once(0).chain(self.parts.iter().map(|(_, end)| *end));
        let parts = self.parts.iter().zip(starts);
        parts.flat_map(|((unit, end), start)| self.counts[start..*end].iter().map(|(feature, n)| (*unit, *feature, *n)))
    }
}

/// The metrics of the features by name, over `n_tokens` ordinary tokens; `firings` are each feature's.
pub fn values(firings: &[u32], n_tokens: f64) -> Vec<(&'static str, f64)> {
    let at_least = |least: u32| firings.iter().filter(|n| **n >= least).count() as f64;
    let d_sae = firings.len() as f64;
    let mut found = vec![
        ("alive", at_least(1)),
        ("alive_10", at_least(10)),
        ("frac_alive", at_least(1) / d_sae),
    ];
    let all: f64 = firings.iter().map(|n| f64::from(*n)).sum();
    for (features, of_firings, share) in SHARES {
        let over = || firings.iter().map(|n| f64::from(*n)).filter(|n| n / n_tokens > share);
        found.push((features, over().count() as f64 / d_sae));
        if all > 0.0 {
            found.push((of_firings, over().sum::<f64>() / all));
        }
    }
    found
}

/// The 95 % intervals of [`values`] by name, from `firings` and the ordinary tokens of each unit, [n_units].
pub fn intervals(draws: &Draws, firings: &Firings, tokens: &[f64], d_sae: usize) -> Vec<(&'static str, (f64, f64))> {
    let by_feature = ByFeature::new(firings, d_sae);
    let mut found = by_feature.of_alive(tokens.iter().filter(|n| **n > 0.0).count());
    found.extend(by_feature.of_shares(draws, tokens));
    found
}

/// [`Firings`] feature by feature.
struct ByFeature {
    /// Where each feature's part of `counts` begins, and where the last one ends: [d_sae + 1].
    starts: Vec<usize>,
    /// A unit, and on how many of its tokens the feature fired; units rise.
    counts: Vec<(u32, u32)>,
}

impl ByFeature {
    fn new(firings: &Firings, d_sae: usize) -> Self {
        let mut starts = vec![0; d_sae + 1];
        for (_, feature, _) in firings.each() {
            starts[feature as usize + 1] += 1;
        }
        for feature in 0..d_sae {
            starts[feature + 1] += starts[feature];
        }
        let (mut next, mut counts) = (starts.clone(), vec![(0, 0); firings.counts.len()]);
        for (unit, feature, n) in firings.each() {
            let place = &mut next[feature as usize];
            counts[*place] = (unit, n);
            *place += 1;
        }
        Self { starts, counts }
    }

    fn d_sae(&self) -> usize {
        self.starts.len() - 1
    }

    fn of(&self, feature: usize) -> &[(u32, u32)] {
        &self.counts[self.starts[feature]..self.starts[feature + 1]]
    }

    fn total(&self, feature: usize) -> f64 {
        self.of(feature).iter().map(|(_, n)| f64::from(*n)).sum()
    }

    /// Intervals of how many features are alive, which a resample cannot give: it holds some 63 % of the units, and so misses features.
    /// They are ± 1.96 √v, v the jackknife's variance over the `n` units that have tokens. Its expectation is no smaller than the
    /// true variance (Efron and Stein 1981), whatever the features have to do with each other.
    fn of_alive(&self, n: usize) -> Vec<(&'static str, (f64, f64))> {
        let d_sae = self.d_sae() as f64;
        let ends = |least: u32| {
            let (alive, lost) = self.lost_without(least);
            // units without whom nothing is lost have 0
            let (sum, squares) = lost.iter().fold((0.0, 0.0), |(sum, squares), q| (sum + q, squares + q * q));
            let n = n as f64;
            let half = Z_975 * ((n - 1.0) / n * (squares - sum * sum / n).max(0.0)).sqrt();
            ((alive - half).max(0.0), (alive + half).min(d_sae))
        };
        let (low, high) = ends(1);
        vec![
            ("alive", (low, high)),
            ("alive_10", ends(10)),
            ("frac_alive", (low / d_sae, high / d_sae)),
        ]
    }

    /// Features that fire on at least `least` tokens, and per unit how many of them do not without it.
    fn lost_without(&self, least: u32) -> (f64, Vec<f64>) {
        let n_units = self.counts.iter().map(|(unit, _)| *unit as usize + 1).max().unwrap_or(0);
        let (mut alive, mut lost) = (0.0, vec![0.0; n_units]);
        for feature in 0..self.d_sae() {
            let counts = self.of(feature);
            let total: u64 = counts.iter().map(|(_, n)| u64::from(*n)).sum();
            if total < u64::from(least) {
                continue;
            }
            alive += 1.0;
            for same in counts.chunk_by(|a, b| a.0 == b.0) {
                let own: u64 = same.iter().map(|(_, n)| u64::from(*n)).sum();
                if total - own < u64::from(least) {
                    lost[same[0].0 as usize] += 1.0;
                }
            }
        }
        (alive, lost)
    }

    /// Intervals of the shares of features and of firings, from the resamples.
    fn of_shares(&self, draws: &Draws, tokens: &[f64]) -> Vec<(&'static str, (f64, f64))> {
        let mut per_unit = vec![0.0; tokens.len()];
        self.counts
            .iter()
            .for_each(|(unit, n)| per_unit[*unit as usize] += f64::from(*n));
        let (n, all) = (draws.sums(tokens, 1), draws.sums(&per_unit, 1));
        // a feature cannot fire more often in a resample than all its firings as often as a unit is drawn at most
        let fewest = n.iter().copied().fold(f64::INFINITY, f64::min);
        let (most_drawn, least_share) = (draws.most(), SHARES[0].2);
        let can_matter = |feature: &usize| self.total(*feature) * most_drawn / fewest > least_share;
        let features: Vec<usize> = (0..self.d_sae()).filter(can_matter).collect();
        // per share and resample: features that fire on more, and their firings
        let mut over = [(); SHARES.len()].map(|()| vec![(0.0, 0.0); n.len()]);
        for tile in features.chunks(TILE) {
            let mut counts = vec![0.0; tokens.len() * tile.len()];
            for (column, feature) in tile.iter().enumerate() {
                for (unit, n) in self.of(*feature) {
                    counts[*unit as usize * tile.len() + column] += f64::from(*n);
                }
            }
            let drawn = draws.sums(&counts, tile.len());
            for (resample, drawn) in drawn.chunks_exact(tile.len()).enumerate() {
                for (over, (.., share)) in over.iter_mut().zip(SHARES) {
                    let (features, firings) = &mut over[resample];
                    for fired in drawn.iter().filter(|fired| **fired / n[resample] > share) {
                        *features += 1.0;
                        *firings += fired;
                    }
                }
            }
        }
        let mut found = Vec::new();
        for ((features, of_firings, _), over) in SHARES.into_iter().zip(over) {
            let mut of_features: Vec<f64> = over.iter().map(|(features, _)| features / self.d_sae() as f64).collect();
            found.push((features, percentiles(&mut of_features)));
            // a resample in which nothing fires has no share of firings
            let shares = over.iter().zip(&all).map(|((_, firings), all)| firings / all);
            let mut shares: Vec<f64> = shares.filter(|share| share.is_finite()).collect();
            if shares.len() == n.len() {
                found.push((of_firings, percentiles(&mut shares)));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;
    use serde::Deserialize;
    use std::{collections::BTreeMap, path::Path};

    #[derive(Deserialize)]
    struct Golden {
        draws: Vec<Vec<f64>>,
        firings: Vec<Vec<Vec<u32>>>,
        n_features: usize,
        features: BTreeMap<String, [f64; 2]>,
    }

    /// The units and the features of tokens, document by document.
    fn tokens(documents: &[Vec<Vec<u32>>]) -> Vec<(Option<u32>, &[u32])> {
        let each = (0..).zip(documents);
        each.flat_map(|(unit, document)| document.iter().map(move |features| (Some(unit), &features[..])))
            .collect()
    }

    fn lengths(documents: &[Vec<Vec<u32>>]) -> Vec<f64> {
        documents.iter().map(|document| document.len() as f64).collect()
    }

    #[test]
    fn intervals_of_features_are_numpys_of_the_same_draws() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bootstrap/golden.json");
        let golden: Golden = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let draws = Draws::given(golden.draws);
        let all = tokens(&golden.firings);
        let whole = Firings::of_tokens(all.iter().copied(), golden.n_features);
        // batches that cut documents, with tokens between that do not count
        let mut in_batches = Firings::default();
        for batch in all.chunks(7) {
            let apart = batch.iter().copied().chain([(None, &[0, 1, 2][..])]);
            in_batches.extend(&Firings::of_tokens(apart, golden.n_features));
        }
        assert!(in_batches.parts.len() > whole.parts.len());
        for firings in [whole, in_batches] {
            let found = intervals(&draws, &firings, &lengths(&golden.firings), golden.n_features);
            assert_eq!(found.len(), golden.features.len());
            for (name, (low, high)) in found {
                let [numpys_low, numpys_high] = golden.features[name];
                for (ours, numpys) in [(low, numpys_low), (high, numpys_high)] {
                    assert!((ours - numpys).abs() < 1e-9, "{name}: {ours}, numpy {numpys}");
                }
            }
        }
    }

    #[test]
    fn what_is_pushed_dense_is_what_was_counted() {
        let documents = vec![vec![vec![2, 0], vec![2]], vec![vec![]], vec![vec![1]]];
        let counted = Firings::of_tokens(tokens(&documents).into_iter(), 3);
        let mut pushed = Firings::default();
        for (unit, counts) in [(0, [1, 0, 2]), (1, [0, 0, 0]), (2, [0, 1, 0])] {
            pushed.push(unit, counts.into_iter());
        }
        let each = |firings: &Firings| {
            let mut all: Vec<_> = firings.each().collect();
            all.sort_unstable();
            all
        };
        assert_eq!(each(&counted), [(0, 0, 1), (0, 2, 2), (2, 1, 1)]);
        assert_eq!(each(&pushed), each(&counted));
        let mut totals = [0; 3];
        pushed.add_to(&mut totals);
        assert_eq!(totals, [1, 1, 2]);
    }

    #[test]
    fn more_features_than_a_tile_are_each_counted() {
        // every feature fires on every second token of each document, whichever are drawn
        let n = TILE + 3;
        let every: Vec<u32> = (0..n as u32).collect();
        let documents: Vec<Vec<Vec<u32>>> = (0..30).map(|_| vec![every.clone(), Vec::new()]).collect();
        let firings = Firings::of_tokens(tokens(&documents).into_iter(), n);
        let found = intervals(&Draws::new(&[true; 30]), &firings, &lengths(&documents), n);
        for (name, interval) in found {
            let certain = if name.starts_with("alive") { n as f64 } else { 1.0 };
            assert_eq!(interval, (certain, certain), "{name}");
        }
    }

    /// Documents have a topic each, whose features fire in them and hardly elsewhere. The number of features alive in a text of so many
    /// documents has a known expectation, which the interval has at least as often as it says; percentiles of resamples nearly never do.
    #[test]
    fn intervals_of_the_alive_cover_and_percentiles_do_not() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let (n_documents, n_topics, d_sae) = (60, 20, 200);
        // of the features of its topic and of the others, how likely one fires in a document
        let (own, other) = (0.3, 0.002);
        let p = own / n_topics as f64 + other * (1.0 - 1.0 / n_topics as f64);
        let expected = d_sae as f64 * (1.0 - (1.0 - p).powi(n_documents));
        let draws = Draws::new(&vec![true; n_documents as usize]);
        let (n_texts, mut n_covered, mut n_by_percentiles) = (200, 0, 0);
        for _ in 0..n_texts {
            let document = |_| {
                let topic = random.random_range(0..n_topics);
                let features = (0..d_sae as u32).filter(|feature| {
                    let likely = if feature % n_topics == topic { own } else { other };
                    random.random_bool(likely)
                });
                vec![features.collect::<Vec<u32>>()]
            };
            let documents: Vec<Vec<Vec<u32>>> = (0..n_documents).map(document).collect();
            let firings = Firings::of_tokens(tokens(&documents).into_iter(), d_sae);
            let (_, (low, high)) = intervals(&draws, &firings, &lengths(&documents), d_sae)[0];
            n_covered += usize::from((low..=high).contains(&expected));
            let mut alive: Vec<f64> = vec![0.0; 1000];
            for feature in 0..d_sae as u32 {
                let has = |document: &Vec<Vec<u32>>| f64::from(u8::from(document[0].contains(&feature)));
                let drawn = draws.sums(&documents.iter().map(has).collect::<Vec<_>>(), 1);
                alive
                    .iter_mut()
                    .zip(drawn)
                    .for_each(|(n, drawn)| *n += f64::from(u8::from(drawn > 0.0)));
            }
            let (low, high) = percentiles(&mut alive);
            n_by_percentiles += usize::from((low..=high).contains(&expected));
        }
        assert!(n_covered >= 186, "{n_covered} of {n_texts}");
        assert!(n_by_percentiles <= 20, "{n_by_percentiles} of {n_texts} by percentiles");
    }
}
