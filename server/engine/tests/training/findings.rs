//! What a run says of itself: planted curves for every finding, and whole runs with and without.

use api::{
    Course, DictionaryConfig, DictionaryKind, Finding, HistoryPoint, KindName, Measurement, Objective, Origin, PostHoc,
    TrainConfig,
};
use engine::{
    corpus::Split,
    train::{Cpu, Device as _, Finished, Outcome, Reference, Trained, findings},
};

use crate::{
    runs::{Place, Watch, at},
    workplace::config,
};

const N_STEPS: usize = 200;

/// A run as it should be, which each test spoils in one thing.
#[derive(Clone)]
struct Planted {
    config: DictionaryConfig,
    history: Vec<HistoryPoint>,
    metrics: Vec<Measurement>,
    reference: Option<Reference>,
}

impl Planted {
    /// Asked for 16 features per token, of which λ was found by step 160.
    fn healthy() -> Self {
        let config = DictionaryConfig {
            kind: DictionaryKind::Relu,
            d_sae: 1000,
            objective: Objective::E2e { sparsity: 0.0, kl: 1.0 },
            lr: 1e-3,
            seed: 0,
            course: Course {
                target_l0: Some(16.0),
                ..Course::default()
            },
            origin: Origin::Fresh,
        };
        let point = |step: usize| {
            let t = step as f64 / N_STEPS as f64;
            let (coefficient, penalty) = (0.5 * (t / 0.8).min(1.0), 0.6);
            let kl = 0.2 + (-8.0 * t).exp();
            let mut values = std::collections::BTreeMap::from([
                ("loss".to_owned(), kl + coefficient * penalty),
                ("loss/kl".to_owned(), kl),
                ("loss/sparsity".to_owned(), penalty),
                ("coefficient".to_owned(), coefficient),
            ]);
            if step.is_multiple_of(10) {
                values.insert("validation/alive".into(), 1000.0 - 200.0 * t);
            }
            HistoryPoint {
                step,
                tokens: 0,
                dictionary: 0,
                values,
            }
        };
        let metric = |name, value| Measurement::new(name, 20_000, value);
        Self {
            config,
            history: (0..N_STEPS).step_by(2).map(point).collect(),
            metrics: vec![metric("l0", 16.4), metric("alive", 800.0), metric("explained_variance", 0.8)],
            reference: Some(Reference {
                directions: 17,
                explained_variance: 0.9,
            }),
        }
    }

    fn measured(mut self, name: &str, value: f64) -> Self {
        self.metrics.iter_mut().find(|m| m.name == name).unwrap().value = value;
        self
    }

    /// With `name` in the curves changed to what `of` makes of the step and its value.
    fn curve(mut self, name: &str, of: impl Fn(usize, f64) -> f64) -> Self {
        for point in &mut self.history {
            if let Some(value) = point.values.get_mut(name) {
                *value = of(point.step, *value);
            }
        }
        self
    }

    fn found(&self) -> Vec<Finding> {
        // another dictionary's curves say nothing of this one
        let mut history = self.history.clone();
        for point in &self.history {
            let mut other = point.clone();
            other.dictionary = 1;
            other.values.values_mut().for_each(|value| *value = point.step as f64);
            history.push(other);
        }
        findings(Finished {
            config: &self.config,
            index: 0,
            n_steps: N_STEPS,
            history: &history,
            metrics: &self.metrics,
            reference: self.reference,
        })
    }
}

#[test]
fn a_healthy_run_has_no_finding() {
    assert_eq!(Planted::healthy().found(), []);
}

#[test]
fn l0_off_target_is_found_from_5_percent_on() {
    for (reached, is_found) in [(15.3, false), (16.7, false), (15.1, true), (16.9, true), (4.8, true)] {
        let found = Planted::healthy().measured("l0", reached).found();
        let expected = Finding::L0 {
            kind: KindName::Relu,
            asked: 16.0,
            reached,
        };
        assert_eq!(found, if is_found { vec![expected] } else { vec![] }, "{reached}");
    }
    // who gave a coefficient asked for no number; k is one, but of the pursuits, which may stop before it
    let mut given = Planted::healthy().measured("l0", 5.0);
    given.config.course = Course::default();
    given.config.objective = given.config.objective.with_sparsity(0.5);
    assert_eq!(given.found(), []);
    given.config.kind = DictionaryKind::Pursuit { k: 16 };
    assert_eq!(given.found(), []);
    given.config.kind = DictionaryKind::BatchTopK {
        k: 16,
        aux_coefficient: 0.0,
        dead_tokens: 1,
        threshold_decay: 0.9,
    };
    assert!(matches!(
        given.found()[..],
        [Finding::L0 {
            kind: KindName::BatchTopK,
            ..
        }]
    ));
}

#[test]
fn a_coefficient_that_drowns_the_rest_or_counts_no_more_is_found() {
    let large = Planted::healthy().curve("coefficient", |_, value| 30.0 * value);
    // the loss has the same term
    let large = large.curve("loss", |step, value| {
        value + 29.0 * 0.6 * 0.5 * (step as f64 / 160.0).min(1.0)
    });
    let found = large.found();
    let [Finding::Coefficient { coefficient, share }] = found[..] else {
        panic!("{found:?}")
    };
    assert!((coefficient - 15.0).abs() < 1e-9 && (share - 45.0).abs() < 0.5, "{share}");

    let idle = Planted::healthy().curve("coefficient", |_, value| 1e-9 * value);
    let idle = idle.curve("loss", |_, value| value - 0.05);
    assert_eq!(idle.found(), [], "a small one that reaches its number is as good as another");
    let found = idle.measured("l0", 2.2).found();
    assert!(
        matches!(found[..], [Finding::L0 { .. }, Finding::Coefficient { share, .. }] if share < 1e-8),
        "{found:?}"
    );
}

#[test]
fn a_search_that_had_not_come_to_rest_is_found() {
    let swings = |step: usize, value: f64| if step < 160 && step % 8 < 4 { 6.0 * value } else { value };
    let found = Planted::healthy().curve("coefficient", swings).found();
    assert!(matches!(found[..], [Finding::Unsettled { step: 160, .. }]), "{found:?}");
}

#[test]
fn features_that_died_are_found_with_the_step() {
    let dead = Planted::healthy().measured("alive", 393.0);
    let dead = dead.curve("validation/alive", |step, _| 1000.0 - 607.0 * (step as f64 / 60.0).min(1.0));
    let expected = Finding::Dead {
        alive: 393,
        d_sae: 1000,
        step: Some(30),
        n_steps: N_STEPS,
    };
    assert_eq!(dead.found(), [expected]);
    assert_eq!(Planted::healthy().measured("alive", 610.0).found(), []);
    let mut little = dead;
    little.metrics.iter_mut().for_each(|m| m.n_tokens = 900);
    assert_eq!(little.found(), [], "on so little text many rare features do not fire");
}

#[test]
fn explaining_far_less_than_principal_components_is_found() {
    for (objective, reached, is_found) in [
        (Objective::Local { sparsity: 0.0 }, 0.46, false),
        (Objective::Local { sparsity: 0.0 }, 0.37, true),
        (Objective::KlMse { sparsity: 0.0 }, 0.37, true),
        // what is trained end to end need not reconstruct
        (Objective::E2e { sparsity: 0.0, kl: 1.0 }, 0.37, false),
        (Objective::E2e { sparsity: 0.0, kl: 1.0 }, -0.14, true),
    ] {
        let mut planted = Planted::healthy().measured("explained_variance", reached);
        planted.config.objective = objective;
        let expected = Finding::ExplainedVariance {
            reached,
            pca: 0.9,
            directions: 17,
        };
        let found = planted.found();
        assert_eq!(
            found,
            if is_found { vec![expected] } else { vec![] },
            "{objective:?}, {reached}"
        );
        planted.reference = None;
        assert_eq!(planted.found(), []);
    }
}

#[test]
fn a_loss_that_rises_at_the_end_is_found() {
    let rise = |step: usize, value: f64| value + 0.02 * step.saturating_sub(160) as f64;
    let found = Planted::healthy().curve("loss", rise).found();
    assert!(
        matches!(&found[..], [Finding::Rising { term, from, to, step: 160 }] if term == "loss" && to > from),
        "{found:?}"
    );
    let found = Planted::healthy().curve("loss/kl", rise).found();
    assert!(
        matches!(&found[..], [Finding::Rising { term, .. }] if term == "loss/kl"),
        "{found:?}"
    );
    // while λ is still being found, the loss rises because λ does; and noise is no rise
    let before = |step: usize, value: f64| value + 0.02 * step.min(158) as f64;
    assert_eq!(Planted::healthy().curve("loss", before).found(), []);
    let noise = |step: usize, value: f64| value * (1.0 + 0.3 * f64::from(step.is_multiple_of(4)));
    assert_eq!(Planted::healthy().curve("loss", noise).found(), []);
}

#[test]
fn of_what_is_not_trained_nothing_is_said() {
    let mut planted = Planted::healthy().measured("l0", 2.0);
    planted.config.origin = Origin::Derived {
        from: api::DictionaryId(1),
        by: PostHoc::Fold,
    };
    assert_eq!(planted.found(), []);
}

/// Two hundred steps of one dictionary on the tiny model.
fn one(kind: DictionaryKind, sparsity: f64, lr: f64) -> TrainConfig {
    let mut config = config(at());
    config.tokens *= 20;
    config.dictionaries.truncate(1);
    let dictionary = &mut config.dictionaries[0];
    (dictionary.kind, dictionary.lr) = (kind, lr);
    dictionary.objective = dictionary.objective.with_sparsity(sparsity);
    (config.evaluation.every_steps, config.checkpoint_every_steps) = (20, 100);
    config
}

struct Run {
    found: Vec<Finding>,
    trained: Trained,
}

fn trained(place: &Place, name: &str, config: &TrainConfig) -> Run {
    let mut watch = Watch::default();
    let Outcome::Done(mut trained) = place.run(name, config, 2, &mut watch).unwrap() else {
        panic!("it was stopped")
    };
    let trained = trained.swap_remove(0);
    let found = findings(Finished {
        config: &config.dictionaries[0],
        index: 0,
        n_steps: config.n_steps(),
        history: &watch.history,
        metrics: &trained.metrics,
        reference: trained.reference,
    });
    Run { found, trained }
}

#[test]
fn a_run_at_an_absurd_rate_says_so_and_a_good_one_says_nothing() {
    let place = Place::new();
    let absurd = trained(&place, "absurd", &one(DictionaryKind::Relu, 0.01, 30.0));
    assert!(
        absurd
            .found
            .iter()
            .any(|f| matches!(f, Finding::ExplainedVariance { .. } | Finding::Dead { .. })),
        "{:?}",
        absurd.found
    );
    let good = trained(&place, "good", &one(DictionaryKind::Relu, 0.01, 1e-2));
    assert_eq!(good.found, []);
}

#[test]
fn the_reference_is_the_first_principal_component_of_the_text_that_is_measured() {
    let place = Place::new();
    let kind = DictionaryKind::TopK {
        k: 1,
        aux_coefficient: 0.0,
        dead_tokens: 1000,
    };
    let run = trained(&place, "one", &one(kind, 0.0, 1e-2));
    let reference = run.trained.reference.unwrap();
    assert_eq!(reference.directions, 1);

    let (tokens, backend) = (place.tokens(), Cpu.backend(&place.model).unwrap());
    let special = &tokens.manifest().special;
    let (width, mut rows) = (place.model.width(at()).unwrap(), Vec::new());
    for index in 0..tokens.n_contexts(Split::HeldOut) {
        let (context, mut x) = (tokens.context(Split::HeldOut, index), Vec::new());
        backend.activations(at(), &[context], &mut x).unwrap();
        let ordinary = |position: usize| position > 0 && !special.contains(&context[position]);
        let kept = x.chunks(width).enumerate().filter(|(position, _)| ordinary(*position));
        rows.extend(kept.map(|(_, row)| row.iter().map(|v| f64::from(*v)).collect::<Vec<_>>()));
    }
    let n = rows.len() as f64;
    let mean: Vec<f64> = (0..width).map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / n).collect();
    rows.iter_mut()
        .for_each(|row| row.iter_mut().zip(&mean).for_each(|(v, m)| *v -= m));
    let total: f64 = rows.iter().flatten().map(|v| v * v).sum();
    // power iteration
    let (mut direction, mut along) = (vec![1.0; width], 0.0);
    for _ in 0..2000 {
        let norm = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
        direction.iter_mut().for_each(|v| *v /= norm);
        let mut next = vec![0.0; width];
        along = 0.0;
        for row in &rows {
            let score: f64 = row.iter().zip(&direction).map(|(a, b)| a * b).sum();
            along += score * score;
            next.iter_mut().zip(row).for_each(|(next, v)| *next += score * v);
        }
        direction = next;
    }
    assert!(
        (reference.explained_variance - along / total).abs() < 1e-9,
        "{} {}",
        reference.explained_variance,
        along / total
    );
}
