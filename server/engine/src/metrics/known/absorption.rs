//! Which features share a label, and where a narrower label's feature stands in for them.
//!
//! **Main features** (splitting). Features whose firing says yes, in the order of how well each tells the label by itself; the first k
//! of them, where k grows as long as the next one raises the balanced accuracy of the probe on k features by at least 0.03 on the
//! half that they are chosen on.
//!
//! **Absorption.** A token of a label is absorbed where none of the label's main features fires, the token has a strictly narrower
//! label, and a main feature of that one fires with a positive contribution c_j ⟨d_j, p⟩ along the label's probe direction p.

use crate::corpus::storyworld::LABELS;

use super::{
    ground::{Ceiling, Ground, Half},
    outcome::outcome,
    probe,
    reading::{Codes, strongest},
};

/// What a further feature has to add.
const LEAST_GAIN: f64 = 0.03;
/// Features that may share a label, at most.
const MOST: usize = 10;

/// The main features of a label, the first one first; none where no feature's firing says yes.
pub fn main_features(ground: &Ground, codes: &Codes, label: usize) -> Vec<u32> {
    let mut candidates = strongest(&codes.cuts, label, MOST, |cut| cut.says_yes);
    let asked = ground.choose.asked(label);
    let accuracy = |features: &[u32]| {
        let probe = probe::on_features(features, &codes.choose, asked.answers);
        outcome(&asked, &probe::read_features(&probe, features, &codes.choose), |z| z > 0.0).accuracy()
    };
    let mut reached = 0.0;
    for k in 1..=candidates.len() {
        let next = accuracy(&candidates[..k]);
        if k > 1 && next - reached < LEAST_GAIN {
            candidates.truncate(k - 1);
            break;
        }
        reached = next;
    }
    candidates
}

/// The labels that are strictly narrower than `label`.
pub fn narrower(label: usize) -> Vec<usize> {
    let is_within = |inner: usize| {
        let parent = |name: &str| LABELS.iter().find(|l| l.name == name).and_then(|l| l.parent);
        let mut parents = std::iter::successors(LABELS[inner].parent, |name| parent(name));
        parents.any(|name| name == LABELS[label].name)
    };
    (0..LABELS.len()).filter(|inner| is_within(*inner)).collect()
}

/// Of a label on the second half, story by story: its tokens, and how many of them are absorbed by the features of `inner` labels.
/// `main` has every label's main features, `directions` [d_sae, d_in] are the dictionary's.
pub fn absorbed(
    half: &Half,
    codes: &Codes,
    directions: &[f32],
    main: &[Vec<u32>],
    (label, ceiling): (usize, &Ceiling),
    inner: &[usize],
) -> (Vec<f64>, Vec<f64>) {
    let d = ceiling.direction.len();
    let columns = &codes.score;
    let along = |feature: u32| -> f64 {
        let direction = &directions[feature as usize * d..][..d];
        direction.iter().zip(&ceiling.direction).map(|(a, b)| f64::from(*a) * b).sum()
    };
    let mut fires = vec![false; columns.n_tokens];
    for feature in &main[label] {
        for (token, _) in &columns.features[*feature as usize] {
            fires[*token as usize] = true;
        }
    }
    let mut stands_in = vec![false; columns.n_tokens];
    for inner in inner {
        let answers = &half.told.answers[*inner];
        for feature in main[*inner].iter().filter(|feature| !main[label].contains(feature)) {
            let along = along(*feature);
            for (token, value) in &columns.features[*feature as usize] {
                stands_in[*token as usize] |= answers[*token as usize] == Some(true) && f64::from(*value) * along > 0.0;
            }
        }
    }
    let n_stories = half.told.contexts.len();
    let (mut all, mut absorbed) = (vec![0.0; n_stories], vec![0.0; n_stories]);
    for (token, answer) in half.told.answers[label].iter().enumerate() {
        if *answer == Some(true) {
            let story = half.told.story[token] as usize;
            all[story] += 1.0;
            if stands_in[token] && !fires[token] {
                absorbed[story] += 1.0;
            }
        }
    }
    (all, absorbed)
}
