//! What a number per token makes of a label: balanced accuracy and the area under the ROC curve, kept story by story, so that
//! both can be taken over resampled stories.
//!
//! AUC = P(s(yes) > s(no)) + P(s(yes) = s(no)) / 2 over pairs of tokens. As a sum over tokens: the mean over yes of the share of no
//! that lies below (equal ones as a half), which is also the mean over no of the share of yes that lies above: the placements
//! of DeLong et al. 1988, which Obuchowski 1997 adds up by cluster.

use super::resample::Resamples;
use api::Reading;

/// A number per token, of which most are the same: those of tokens on which nothing fires.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    /// Of every token that is not among `others`.
    pub rest: f64,
    /// Tokens and their numbers, each token at most once.
    pub others: Vec<(u32, f64)>,
}

/// A label's answers on a split.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Per token.
    pub answers: &'a [Option<bool>],
    /// Per token.
    pub story: &'a [u32],
    /// Tokens of yes per story.
    pub yes: Vec<f64>,
    /// Tokens of no per story.
    pub no: Vec<f64>,
}

impl<'a> Asked<'a> {
    /// Counts the answers.
    pub fn new(answers: &'a [Option<bool>], story: &'a [u32], n_stories: usize) -> Self {
        let (mut yes, mut no) = (vec![0.0; n_stories], vec![0.0; n_stories]);
        for (answer, story) in answers.iter().zip(story) {
            match answer {
                Some(true) => yes[*story as usize] += 1.0,
                Some(false) => no[*story as usize] += 1.0,
                None => {}
            }
        }
        Self { answers, story, yes, no }
    }

    /// Tokens of yes and of no.
    pub fn counts(&self) -> (f64, f64) {
        (self.yes.iter().sum(), self.no.iter().sum())
    }
}

/// What scores make of a label; everything per story.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Tokens of yes.
    pub yes: Vec<f64>,
    /// Tokens of no.
    pub no: Vec<f64>,
    /// Tokens of yes that are called yes.
    pub hits: Vec<f64>,
    /// Tokens of no that are called no.
    pub passes: Vec<f64>,
    /// Σ over yes of the share of no below.
    pub above: Vec<f64>,
    /// Σ over no of the share of yes above.
    pub below: Vec<f64>,
}

/// Scores a label: `is_yes` says what a score calls a token; the higher a score, the more it should say yes.
pub fn outcome(asked: &Asked<'_>, scores: &Scores, is_yes: impl Fn(f64) -> bool) -> Outcome {
    let n_stories = asked.yes.len();
    let zeros = vec![0.0; n_stories];
    let mut out = Outcome {
        yes: asked.yes.clone(),
        no: asked.no.clone(),
        hits: zeros.clone(),
        passes: zeros.clone(),
        above: zeros.clone(),
        below: zeros,
    };
    let (p, n) = asked.counts();
    let is_asked = |(token, _): &&(u32, f64)| asked.answers[*token as usize].is_some();
    let mut others: Vec<(u32, f64)> = scores.others.iter().filter(is_asked).copied().collect();
    others.sort_unstable_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    // the tokens that all have the same score, by story
    let (mut rest_yes, mut rest_no) = (asked.yes.clone(), asked.no.clone());
    for (token, _) in &others {
        let story = asked.story[*token as usize] as usize;
        match asked.answers[*token as usize] {
            Some(true) => rest_yes[story] -= 1.0,
            _ => rest_no[story] -= 1.0,
        }
    }
    let rest = Group {
        score: scores.rest,
        tokens: &[],
        rest: Some((&rest_yes, &rest_no)),
    };
    let (mut yes_below, mut no_below) = (0.0, 0.0);
    for group in groups(&others, rest) {
        let (yes, no) = group.per_story(asked);
        let (group_yes, group_no): (f64, f64) = (yes.total(), no.total());
        let called = is_yes(group.score);
        let above = if n > 0.0 { (no_below + group_no / 2.0) / n } else { 0.0 };
        let below = if p > 0.0 { (p - yes_below - group_yes / 2.0) / p } else { 0.0 };
        yes.each(|story, count| {
            out.hits[story] += if called { count } else { 0.0 };
            out.above[story] += count * above;
        });
        no.each(|story, count| {
            out.passes[story] += if called { 0.0 } else { count };
            out.below[story] += count * below;
        });
        yes_below += group_yes;
        no_below += group_no;
    }
    out
}

/// Tokens of one score.
struct Group<'a> {
    score: f64,
    tokens: &'a [(u32, f64)],
    /// Per story, where these are (also) the tokens of the common score.
    rest: Option<(&'a [f64], &'a [f64])>,
}

/// Tokens per story, of those that are counted one by one and of those that are counted already.
struct Counts<'a> {
    stories: Vec<u32>,
    rest: Option<&'a [f64]>,
}

impl Counts<'_> {
    fn total(&self) -> f64 {
        self.stories.len() as f64 + self.rest.map_or(0.0, |rest| rest.iter().sum())
    }

    fn each(&self, mut f: impl FnMut(usize, f64)) {
        self.stories.iter().for_each(|story| f(*story as usize, 1.0));
        if let Some(rest) = self.rest {
            rest.iter().enumerate().for_each(|(story, count)| f(story, *count));
        }
    }
}

impl<'a> Group<'a> {
    /// Tokens of yes and of no.
    fn per_story(&self, asked: &Asked<'_>) -> (Counts<'a>, Counts<'a>) {
        let of = |wanted: bool| {
            let tokens = self.tokens.iter().map(|(token, _)| *token as usize);
            let tokens = tokens.filter(|token| asked.answers[*token] == Some(wanted));
            tokens.map(|token| asked.story[token]).collect()
        };
        let counts = |stories, rest| Counts { stories, rest };
        (
            counts(of(true), self.rest.map(|rest| rest.0)),
            counts(of(false), self.rest.map(|rest| rest.1)),
        )
    }
}

/// The groups of equal scores, ascending; `rest` at its place among them.
fn groups<'a>(others: &'a [(u32, f64)], rest: Group<'a>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = others
        .chunk_by(|a, b| a.1 == b.1)
        .map(|tokens| Group {
            score: tokens[0].1,
            tokens,
            rest: None,
        })
        .collect();
    let at = groups.partition_point(|group| group.score < rest.score);
    match groups.get_mut(at) {
        Some(same) if same.score == rest.score => same.rest = rest.rest,
        _ => groups.insert(at, rest),
    }
    groups
}

impl Outcome {
    /// Balanced accuracy.
    pub fn accuracy(&self) -> f64 {
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        (sum(&self.hits) / sum(&self.yes) + sum(&self.passes) / sum(&self.no)) / 2.0
    }

    /// Area under the ROC curve.
    pub fn auc(&self) -> f64 {
        self.above.iter().sum::<f64>() / self.yes.iter().sum::<f64>()
    }

    /// Balanced accuracy over each resample; NaN where a resample has no yes or no no.
    pub fn accuracies(&self, resamples: &Resamples) -> Vec<f64> {
        let [hits, yes, passes, no] = [&self.hits, &self.yes, &self.passes, &self.no].map(|values| resamples.sums(values));
        (0..hits.len())
            .map(|draw| (hits[draw] / yes[draw] + passes[draw] / no[draw]) / 2.0)
            .collect()
    }

    /// AUC over each resample, to first order: each token keeps its placement among the tokens of all stories.
    pub fn aucs(&self, resamples: &Resamples) -> Vec<f64> {
        let [above, yes, below, no] = [&self.above, &self.yes, &self.below, &self.no].map(|values| resamples.sums(values));
        let auc = self.auc();
        (0..above.len())
            .map(|draw| (above[draw] / yes[draw] + below[draw] / no[draw] - auc).clamp(0.0, 1.0))
            .collect()
    }

    /// Both with their intervals.
    pub fn reading(&self, resamples: &Resamples) -> Reading {
        Reading {
            accuracy: resamples.estimate(self.accuracy(), self.accuracies(resamples)),
            auc: resamples.estimate(self.auc(), self.aucs(resamples)),
        }
    }
}
