//! Laws of the metrics: dictionaries of which it is known what must come out, and the traps that other tools' definitions fell into.

use api::{HookPoint, TokenSet};
use engine::{
    dictionary::{Dictionary, Normaliser, Relu},
    metrics::{Depth, Evaluated, Subject, Text, evaluate},
    model::{Cut, Model, NoHooks, Work},
};

use crate::golden::{Golden, model};

struct Place {
    model: Model<f32>,
    at: HookPoint,
    contexts: Vec<u32>,
    special: Vec<u32>,
    n_ctx: usize,
}

impl Place {
    fn new() -> Self {
        let golden = Golden::read();
        let setup = golden.setup("gpt2_resid");
        Self {
            model: model(setup),
            at: setup.at,
            contexts: golden.tokens("gpt2.eval"),
            special: golden.about.special.clone(),
            n_ctx: golden.about.n_ctx,
        }
    }

    fn d(&self) -> usize {
        self.model.width(self.at).unwrap()
    }

    fn measure(&self, dictionary: &Dictionary<f32>, batch: usize, times: usize) -> Evaluated {
        let tokens = self.contexts.repeat(times);
        let contexts: Vec<&[u32]> = tokens.chunks(self.n_ctx).collect();
        let text = Text {
            contexts: &contexts,
            special: &self.special,
            batch,
            documents: None,
            depth: Depth::Results,
        };
        let subject = Subject {
            dictionary,
            normaliser: Normaliser::default(),
        };
        let measured = evaluate(&self.model, self.at, &[subject], text, &mut |_, _| true);
        measured.unwrap().remove(0)
    }

    /// mean(x) over the ordinary tokens, and Σ_d Var(x_d).
    fn moments(&self) -> (Vec<f64>, f64) {
        let mut ordinary: Vec<Vec<f64>> = Vec::new();
        for tokens in self.contexts.chunks(self.n_ctx) {
            let mut cut = Cut::default();
            let mut work = Work::default();
            self.model.prefix(tokens, self.at, &mut cut, &mut NoHooks, &mut work).unwrap();
            let rows = cut.value.chunks(self.d()).zip(tokens).skip(1);
            let rows = rows.filter(|(_, token)| !self.special.contains(token));
            ordinary.extend(rows.map(|(x, _)| x.iter().map(|x| f64::from(*x)).collect()));
        }
        let n = ordinary.len() as f64;
        let mean: Vec<f64> = (0..self.d())
            .map(|i| ordinary.iter().map(|x| x[i]).sum::<f64>() / n)
            .collect();
        let off = |x: &Vec<f64>| x.iter().zip(&mean).map(|(x, m)| (x - m).powi(2)).sum::<f64>();
        let variance = ordinary.iter().map(off).sum::<f64>() / n;
        (mean, variance)
    }
}

fn value(measured: &Evaluated, name: &str) -> f64 {
    let whole = |m: &&api::Measurement| m.name == name && m.at.is_none() && m.tokens == TokenSet::Ordinary;
    measured
        .metrics
        .iter()
        .find(whole)
        .unwrap_or_else(|| panic!("{name} was not measured"))
        .value
}

/// x̂ = `bias`, whatever x is.
fn constant(bias: Vec<f32>) -> Dictionary<f32> {
    let d = bias.len();
    let directions = (0..2 * d).map(|i| f32::from(u8::from(i / d == i % d))).collect();
    Dictionary::Relu(Relu::new(vec![0.0; 2 * d], vec![-1.0; 2], directions, bias))
}

/// x̂ = x: a feature for each direction of the basis, and one for its opposite.
fn identity(d: usize) -> Dictionary<f32> {
    let mut rows = vec![0.0; 2 * d * d];
    for i in 0..d {
        rows[i * d + i] = 1.0;
        rows[(d + i) * d + i] = -1.0;
    }
    Dictionary::Relu(Relu::new(rows.clone(), vec![0.0; 2 * d], rows, vec![0.0; d]))
}

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected}");
}

#[test]
fn a_dictionary_that_changes_nothing_is_perfect() {
    let place = Place::new();
    let measured = place.measure(&identity(place.d()), 4, 1);
    for (name, expected) in [
        ("ce_increase", 0.0),
        ("ce_loss_score", 1.0),
        ("ce_loss_score_mean", 1.0),
        ("kl_div_with_sae", 0.0),
        ("kl_div_score", 1.0),
        ("explained_variance", 1.0),
        ("fvu", 0.0),
        ("frac_variance_explained", 1.0),
        ("mse", 0.0),
        ("cossim", 1.0),
        ("l2_ratio", 1.0),
        ("relative_reconstruction_bias", 1.0),
        ("norm_slope", 1.0),
        ("norm_intercept", 0.0),
    ] {
        close(value(&measured, name), expected, 1e-5);
    }
    close(
        value(&measured, "perplexity_with_sae"),
        value(&measured, "perplexity_without_sae"),
        1e-3,
    );
    close(
        value(&measured, "perplexity_without_sae"),
        value(&measured, "ce_loss_without_sae").exp(),
        1e-9,
    );
}

#[test]
fn the_ablations_score_nothing() {
    let place = Place::new();
    let zero = place.measure(&constant(vec![0.0; place.d()]), 4, 1);
    assert_eq!(value(&zero, "ce_loss_with_sae"), value(&zero, "ce_loss_with_ablation"));
    assert_eq!(value(&zero, "ce_loss_score"), 0.0);
    assert_eq!(value(&zero, "kl_div_score"), 0.0);
    assert_eq!((value(&zero, "l0"), value(&zero, "frac_alive")), (0.0, 0.0));
    let (mean, _) = place.moments();
    let mean = place.measure(&constant(mean.iter().map(|m| *m as f32).collect()), 4, 1);
    close(
        value(&mean, "ce_loss_with_sae"),
        value(&mean, "ce_loss_with_mean_ablation"),
        1e-6,
    );
    close(value(&mean, "explained_variance"), 0.0, 1e-5);
    close(value(&mean, "frac_variance_explained"), 0.0, 1e-5);
}

/// A constant error is an error: explained variance has it above and the variance about the mean below. FVE forgives it.
#[test]
fn a_constant_error_counts_in_one_of_the_explained_variances() {
    let place = Place::new();
    let (mean, variance) = place.moments();
    let shifted: Vec<f32> = mean.iter().map(|m| (*m + 0.5) as f32).collect();
    let squares = 0.25 * place.d() as f64;
    let measured = place.measure(&constant(shifted), 4, 1);
    close(value(&measured, "explained_variance"), -squares / variance, 1e-4);
    close(value(&measured, "fvu"), 1.0 + squares / variance, 1e-4);
    close(value(&measured, "frac_variance_explained"), 0.0, 1e-5);
    // the variance about zero is larger: SAEBench 0.6.0's and SAELens' former denominator would give less
    let about_zero = variance + mean.iter().map(|m| m * m).sum::<f64>();
    assert!(
        about_zero > 1.01 * variance,
        "the test could not tell the two denominators apart"
    );
}

/// Means do not depend on how many tokens there are, nor on the batch: the same text twice has the same metrics.
#[test]
fn the_same_text_twice_measures_the_same() {
    let place = Place::new();
    let golden = Golden::read();
    let dictionary = golden.dictionary::<f32>(golden.setup("gpt2_resid"));
    let once = place.measure(&dictionary, 4, 1);
    let twice = place.measure(&dictionary, 3, 2);
    let by_batch = ["explained_variance_legacy", "explained_variance_e2e_sae", "alive_10"];
    let mut n = 0;
    for a in once.metrics.iter().filter(|m| !by_batch.contains(&m.name.as_str())) {
        let same = |b: &&api::Measurement| (&a.name, a.at, a.tokens) == (&b.name, b.at, b.tokens);
        let b = twice.metrics.iter().find(same).unwrap();
        assert_eq!(2 * a.n_tokens, b.n_tokens, "{}", a.name);
        assert!((a.value - b.value).abs() <= 1e-9 * a.value.abs().max(1.0), "{a:?} {b:?}");
        n += 1;
    }
    assert!(n > 80, "{n}");
}

#[test]
fn intervals_hold_their_values_and_threads_change_no_bit() {
    let place = Place::new();
    let golden = Golden::read();
    let dictionary = golden.dictionary::<f32>(golden.setup("gpt2_resid"));
    let with = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| place.measure(&dictionary, 4, 1))
    };
    let measured = with(1);
    assert_eq!(measured.metrics, with(3).metrics);
    let sure: Vec<_> = measured.metrics.iter().filter_map(|m| Some((m, m.interval?))).collect();
    for (m, interval) in &sure {
        assert!((m.tokens, m.at) == (TokenSet::Ordinary, None));
        assert_eq!((interval.over, interval.n), (api::Resampled::Contexts, 7));
        let width = (interval.high - interval.low).abs() + 1e-9;
        assert!((interval.low - width..=interval.high + width).contains(&m.value), "{m:?}");
    }
    for name in [
        "ce_increase",
        "ce_loss_score",
        "explained_variance",
        "frac_variance_explained",
        "l0",
        "mse",
        "kl_div_with_sae",
    ] {
        assert!(sure.iter().any(|(m, _)| m.name == name), "{name} has no interval");
    }
}
