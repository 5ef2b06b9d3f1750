//! Laws of known features, on stories' true labels with activations that are made up: a coordinate for each label, and others
//! that say nothing.

use api::{CausalUse, Estimate, KnownLabel, KnownScores, KnownSummary};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    dictionary::known,
    ground::{Ground, Half},
    shuffle::shuffled,
    told::Told,
    used::Uses,
};
use crate::{
    corpus::storyworld::{LABELS, Storyworld},
    dictionary::Normaliser,
    dictionary::{Dictionary, Relu},
    metrics::Subject,
};

/// Coordinates that say nothing.
const N_NOISE: usize = 8;
const D_IN: usize = LABELS_LEN + N_NOISE;
const LABELS_LEN: usize = 56;

/// A token per word.
fn told(first: u64, n: u64) -> Told {
    let mut told = Told {
        answers: vec![Vec::new(); LABELS.len()],
        ..Told::default()
    };
    for number in 0..n {
        let story = Storyworld::new(9).story(first + number);
        for word in &story.words {
            told.story.push(number as u32);
            for (answers, label) in told.answers.iter_mut().zip(LABELS) {
                answers.push(label.of(word, &story.cast));
            }
        }
        told.contexts.push(vec![0; story.words.len() + 1]);
        told.positions.push((1..=story.words.len()).collect());
    }
    told
}

/// A coordinate per label, 1 where it is true; then noise.
fn half(told: Told, seed: u64) -> Half {
    assert_eq!(LABELS.len(), LABELS_LEN);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut x = Vec::with_capacity(told.n_tokens() * D_IN);
    for token in 0..told.n_tokens() {
        x.extend(
            told.answers
                .iter()
                .map(|answers| f32::from(u8::from(answers[token] == Some(true)))),
        );
        x.extend((0..N_NOISE).map(|_| rng.random_range(-1.0f32..1.0)));
    }
    Half { told, x }
}

fn ground(choose: Told, score: Told) -> Ground {
    Ground::new(half(choose, 1), half(score, 2), D_IN, &|_, _, _| true).unwrap()
}

/// Every label is used.
fn uses() -> Uses {
    let ce_increase = Estimate {
        value: 1.0,
        low: 1.0,
        high: 1.0,
    };
    let causal = CausalUse {
        ce_increase,
        is_used: true,
    };
    Uses {
        floor: 0.0,
        labels: vec![Some(causal); LABELS.len()],
    }
}

/// Of each feature, its weights on the labels' coordinates; they are the decoder's, too.
fn dictionary(features: &[Vec<(usize, f32)>]) -> Dictionary<f32> {
    let mut rows = vec![0.0; features.len() * D_IN];
    for (feature, weights) in features.iter().enumerate() {
        for (coordinate, weight) in weights {
            rows[feature * D_IN + coordinate] = *weight;
        }
    }
    Dictionary::Relu(Relu::new(rows.clone(), vec![0.0; features.len()], rows, vec![0.0; D_IN]))
}

fn measure(ground: &Ground, features: &[Vec<(usize, f32)>]) -> (Vec<KnownLabel>, Vec<KnownSummary>) {
    let dictionary = dictionary(features);
    let subject = Subject {
        dictionary: &dictionary,
        normaliser: Normaliser::default(),
    };
    known(ground, &uses(), &subject)
}

fn index(name: &str) -> usize {
    LABELS.iter().position(|label| label.name == name).unwrap()
}

fn scores(labels: &[KnownLabel]) -> impl Iterator<Item = (&str, &KnownScores)> {
    labels
        .iter()
        .filter_map(|label| Some((label.name.as_str(), label.scores.as_ref()?)))
}

fn value(summary: &[KnownSummary], name: &str) -> f64 {
    summary.iter().find(|row| row.name == name).unwrap().value.value
}

fn a_feature_per_label() -> Vec<Vec<(usize, f32)>> {
    (0..LABELS.len()).map(|label| vec![(label, 1.0 + label as f32)]).collect()
}

#[test]
fn a_feature_per_label_knows_them_all() {
    let ground = ground(told(0, 30), told(30, 30));
    let (labels, summary) = measure(&ground, &a_feature_per_label());
    assert!(scores(&labels).count() > 45, "{}", scores(&labels).count());
    for (name, scores) in scores(&labels) {
        for reading in [scores.one, scores.two, scores.five, scores.ceiling] {
            assert_eq!((reading.accuracy.value, reading.auc.value), (1.0, 1.0), "{name}: {scores:?}");
            assert_eq!((reading.accuracy.low, reading.accuracy.high), (1.0, 1.0), "{name}");
        }
        assert!(
            (scores.floor - 0.5).abs() < 0.12,
            "{name}: shuffled labels reach {}",
            scores.floor
        );
        assert!(scores.is_covered && scores.is_covered_by_five, "{name}");
        assert!(scores.best.says_yes && scores.best.threshold == 0.0, "{name}");
        assert!(scores.main.len() == 1, "{name}: {:?}", scores.main);
        assert!(scores.absorption.is_none_or(|share| share.value == 0.0), "{name}");
    }
    let mean = scores(&labels).map(|(_, scores)| scores.floor).sum::<f64>() / scores(&labels).count() as f64;
    assert!((mean - 0.5).abs() < 0.02, "shuffled labels reach {mean} on average");
    for row in &summary {
        let expected = if row.name == "known_absorption" { 0.0 } else { 1.0 };
        assert_eq!(
            (row.value.value, row.value.low, row.value.high),
            (expected, expected, expected),
            "{}",
            row.name
        );
    }
    // all labels are used here, so there is none to say anything of unused ones
    assert_eq!(summary.len(), 11);
}

#[test]
fn features_of_noise_know_nothing() {
    let ground = ground(told(0, 30), told(30, 30));
    let noise = (0..N_NOISE).map(|i| vec![(LABELS.len() + i, 1.0)]).collect::<Vec<_>>();
    let (labels, summary) = measure(&ground, &noise);
    assert_eq!(value(&summary, "known_coverage"), 0.0);
    assert_eq!(value(&summary, "known_coverage_5"), 0.0);
    for name in ["known_accuracy_1", "known_accuracy_2", "known_accuracy_5", "known_auc"] {
        assert!(
            (value(&summary, name) - 0.5).abs() < 0.02,
            "{name}: {}",
            value(&summary, name)
        );
    }
    // what is chosen among many must not look better than it is
    for (name, scores) in scores(&labels) {
        assert!((scores.one.accuracy.value - 0.5).abs() < 0.15, "{name}: {scores:?}");
        assert_eq!(scores.ceiling.accuracy.value, 1.0, "{name}");
    }
}

#[test]
fn a_label_that_is_rare_is_reported_as_not_scored() {
    let (mut choose, score) = (told(0, 20), told(20, 20));
    let rare = index("quoted");
    choose.answers[rare].iter_mut().for_each(|answer| *answer = Some(false));
    let (labels, _) = measure(&ground(choose, score), &a_feature_per_label());
    assert_eq!(labels.len(), LABELS.len());
    assert!(labels[rare].scores.is_none() && labels[rare].n_yes > 0);
}

#[test]
fn the_complement_of_a_label_is_told_as_well() {
    let (choose, score) = (told(0, 20), told(20, 20));
    let flip = |mut told: Told| {
        for answer in told.answers.iter_mut().flatten() {
            *answer = answer.map(|yes| !yes);
        }
        told
    };
    // the features stay those of the labels as they were
    let straight = ground(choose.clone(), score.clone());
    let mut flipped = ground(flip(choose), flip(score));
    (flipped.choose.x, flipped.score.x) = (straight.choose.x.clone(), straight.score.x.clone());
    let features: Vec<Vec<(usize, f32)>> = (0..LABELS.len())
        .map(|label| vec![(label, 1.0), (LABELS.len(), 0.7)])
        .collect();
    let (straight, flipped) = (measure(&straight, &features).0, measure(&flipped, &features).0);
    for ((name, a), (_, b)) in scores(&straight).zip(scores(&flipped)) {
        assert_eq!(
            (a.best.feature, a.best.threshold),
            (b.best.feature, b.best.threshold),
            "{name}"
        );
        assert_eq!(a.best.says_yes, !b.best.says_yes, "{name}");
        for (a, b) in [(a.one, b.one), (a.two, b.two), (a.five, b.five)] {
            assert!((a.accuracy.value - b.accuracy.value).abs() < 1e-9, "{name}");
            assert!((a.auc.value - b.auc.value).abs() < 1e-9, "{name}");
        }
    }
}

#[test]
fn the_order_of_features_does_not_matter() {
    let ground = ground(told(0, 20), told(20, 20));
    // blurred differently, so that no two features are equal
    let mut features: Vec<Vec<(usize, f32)>> = (0..LABELS.len())
        .map(|label| vec![(label, 1.0), (LABELS.len() + label % N_NOISE, 0.3 + 0.01 * label as f32)])
        .collect();
    let (straight, straight_summary) = measure(&ground, &features);
    features.reverse();
    let (turned, turned_summary) = measure(&ground, &features);
    let turn = |feature: u32| LABELS.len() as u32 - 1 - feature;
    for ((name, a), (_, b)) in scores(&straight).zip(scores(&turned)) {
        assert_eq!(a.best.feature, turn(b.best.feature), "{name}");
        assert_eq!(a.main, b.main.iter().map(|f| turn(*f)).collect::<Vec<_>>(), "{name}");
        assert_eq!((a.one, a.absorption), (b.one, b.absorption), "{name}");
        assert!((a.five.accuracy.value - b.five.accuracy.value).abs() < 1e-9, "{name}");
    }
    for (a, b) in straight_summary.iter().zip(&turned_summary) {
        assert!((a.value.value - b.value.value).abs() < 1e-9, "{}", a.name);
    }
}

#[test]
fn absorption_is_exactly_what_the_narrower_feature_took() {
    // every 25th noun is plural
    let (noun, plural) = (index("class=noun"), index("noun=plural"));
    let rare = |mut told: Told| {
        let mut n = 0;
        for token in 0..told.n_tokens() {
            let is_noun = told.answers[noun][token] == Some(true);
            n += usize::from(is_noun);
            told.answers[plural][token] = Some(is_noun && n.is_multiple_of(25));
        }
        told
    };
    let ground = ground(rare(told(0, 30)), rare(told(30, 30)));
    let count = |label: usize| ground.score.told.answers[label].iter().filter(|a| **a == Some(true)).count() as f64;
    // the noun feature does not fire on plurals; theirs does, and points along the nouns' direction as well
    let features = |along: f32| vec![vec![(noun, 1.0), (plural, -1.0)], vec![(plural, 1.0), (noun, along)], vec![]];
    let of = |along: f32| {
        let mut features = features(along);
        features[2] = vec![(LABELS.len(), 1.0)];
        let dictionary = dictionary(&features);
        // it reads plurals only
        let mut dictionary = dictionary;
        dictionary.update(|parameters| parameters.0[0].data[D_IN + noun] = 0.0);
        let subject = Subject {
            dictionary: &dictionary,
            normaliser: Normaliser::default(),
        };
        let (labels, _) = known(&ground, &uses(), &subject);
        let scores = labels[noun].scores.clone().unwrap();
        assert_eq!(scores.main, [0]);
        assert_eq!(labels[plural].scores.as_ref().unwrap().main, [1]);
        scores.absorption.unwrap().value
    };
    assert_eq!(of(1.0), count(plural) / count(noun));
    // against the direction, it takes nothing over
    assert_eq!(of(-1.0), 0.0);
}

#[test]
fn a_label_that_two_features_share_is_split() {
    let ground = ground(told(0, 30), told(30, 30));
    let (name, feminine, masculine) = (index("class=name"), index("name=feminine"), index("name=masculine"));
    let (labels, _) = measure(
        &ground,
        &[vec![(feminine, 1.0)], vec![(LABELS.len(), 1.0)], vec![(masculine, 1.0)]],
    );
    let of = |label: usize| labels[label].scores.as_ref().unwrap();
    let mut main = of(name).main.clone();
    main.sort_unstable();
    assert_eq!(
        (main, &of(feminine).main[..], &of(masculine).main[..]),
        (vec![0, 2], &[0][..], &[2][..])
    );
    assert!(of(name).one.accuracy.value < 0.9);
    assert_eq!((of(name).two.accuracy.value, of(name).five.accuracy.value), (1.0, 1.0));
}

#[test]
fn shuffled_labels_keep_their_runs_and_lose_their_place() {
    let told = told(0, 50);
    let quoted = index("quoted");
    let [a, b] = [0, 1].map(|seed| shuffled(&told, seed)[quoted].clone());
    assert_ne!(a, b);
    assert_eq!(a, shuffled(&told, 0)[quoted]);
    let count = |answers: &[Option<bool>]| answers.iter().filter(|answer| **answer == Some(true)).count() as f64;
    let turns = |answers: &[Option<bool>]| answers.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64;
    let truth = &told.answers[quoted];
    assert!((count(&a) / count(truth) - 1.0).abs() < 0.1);
    assert!((turns(&a) / turns(truth) - 1.0).abs() < 0.2);
}

#[test]
fn threads_change_no_bit() {
    let run = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| {
            let ground = ground(told(0, 20), told(20, 20));
            let features: Vec<Vec<(usize, f32)>> = (0..LABELS.len())
                .map(|label| vec![(label, 1.0), (LABELS.len() + label % N_NOISE, 0.5)])
                .collect();
            measure(&ground, &features)
        })
    };
    assert_eq!(run(1), run(3));
}
