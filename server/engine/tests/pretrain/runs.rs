//! Whole runs: the same bits on any number of threads and after any interruption, and what stops them.

use api::{HistoryPoint, PretrainConfig, Progress};
use engine::{
    corpus::{Order, Split},
    model::Trainable,
    pretrain::{Inputs, Learner, Outcome, PretrainError, documents, measure, new_model, run},
    train::{Observer, schedule},
};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::workplace::{Text, config, pool};

/// Writes down what it is told; stops or dies when it is asked the given time in a run.
#[derive(Default)]
struct Watch {
    stop_at: Option<usize>,
    die_at: Option<usize>,
    asked: usize,
    resumed: Vec<usize>,
    history: Vec<HistoryPoint>,
}

impl Observer for Watch {
    fn resumed(&mut self, step: usize) {
        self.asked = step;
        self.resumed.push(step);
        self.history.retain(|point| point.step < step);
    }

    fn history(&mut self, points: Vec<HistoryPoint>) {
        self.history.extend(points);
    }

    fn progress(&mut self, _: Progress) {}

    fn stop(&mut self) -> bool {
        assert!(self.die_at != Some(self.asked), "killed");
        self.asked += 1;
        self.stop_at == Some(self.asked - 1)
    }
}

fn run_in(
    text: &Text,
    name: &str,
    config: &PretrainConfig,
    n_threads: usize,
    watch: &mut Watch,
) -> Result<Outcome, PretrainError> {
    let folder = text.folder.path().join(name);
    fs::create_dir_all(&folder).unwrap();
    let inputs = Inputs {
        config,
        tokens: &text.tokens,
        folder: &folder,
    };
    pool(n_threads).install(|| run(inputs, &mut *watch))
}

/// The weights' bits and the loss that a run came to.
fn left(outcome: Outcome) -> (Vec<u32>, u64) {
    let Outcome::Done(done) = outcome else { panic!("stopped") };
    let bits = done.trainable.numbers().iter().map(|x| x.to_bits()).collect();
    (bits, done.measured.loss.to_bits())
}

#[test]
fn threads_change_no_bit() {
    let config = config();
    let text = Text::new(&config);
    let [one, two, three] = [1, 2, 3].map(|n_threads| {
        let mut watch = Watch::default();
        let outcome = run_in(&text, &n_threads.to_string(), &config, n_threads, &mut watch).unwrap();
        (left(outcome), watch.history)
    });
    assert!(one == two && one == three);
}

#[test]
fn interruptions_change_no_bit() {
    let config = config();
    let text = Text::new(&config);
    let mut whole = Watch::default();
    let expected = left(run_in(&text, "whole", &config, 2, &mut whole).unwrap());
    assert_eq!(whole.history.len(), config.n_steps());

    // stopped at some steps, with other numbers of threads
    let mut watch = Watch::default();
    for (stop, n_threads) in [(1, 1), (5, 3), (6, 2)] {
        watch.stop_at = Some(stop);
        let outcome = run_in(&text, "stopped", &config, n_threads, &mut watch).unwrap();
        assert!(matches!(outcome, Outcome::Stopped { step } if step == stop));
    }
    watch.stop_at = None;
    let resumed = left(run_in(&text, "stopped", &config, 2, &mut watch).unwrap());
    assert_eq!(watch.resumed, [0, 1, 5, 6]);
    assert!(resumed == expected && watch.history == whole.history);

    // killed at some steps: it goes on from the checkpoint, of which there is one every three steps
    let mut watch = Watch::default();
    for die in [2, 5, 7] {
        watch.die_at = Some(die);
        assert!(catch_unwind(AssertUnwindSafe(|| run_in(&text, "killed", &config, 2, &mut watch))).is_err());
    }
    watch.die_at = None;
    let resumed = left(run_in(&text, "killed", &config, 2, &mut watch).unwrap());
    assert_eq!(watch.resumed, [0, 0, 3, 6]);
    assert!(resumed == expected && watch.history == whole.history);
}

#[test]
fn a_run_is_its_steps_in_order_and_learns() {
    let config = config();
    let text = Text::new(&config);
    let Outcome::Done(done) = run_in(&text, "run", &config, 2, &mut Watch::default()).unwrap() else {
        panic!("stopped")
    };
    let new = || Trainable::new(new_model(&config.shape, 300, config.seed).unwrap());
    let mut learner = Learner::new(new());
    let mut order = Order::new(config.seed, text.tokens.n_contexts(Split::Train));
    let mut contexts = (0..).map(|position| text.tokens.context(Split::Train, order.at(position)));
    for step in 0..config.n_steps() {
        let batch: Vec<_> = contexts.by_ref().take(config.batch).collect();
        learner.gradient(&batch).unwrap();
        let lr = config.lr * schedule::factor(&config.schedule, step, config.n_steps());
        learner.update(config.adam, lr, config.weight_decay, config.max_grad_norm);
    }
    assert!(learner.trainable.numbers() == done.trainable.numbers());
    let held_out = documents(&text.tokens, Split::HeldOut, config.shape.n_ctx, config.evaluation.n_tokens);
    let before = measure(new().model(), &held_out).unwrap();
    // a new model knows nothing: its loss is near that of equal odds
    assert!((before.loss - (300f64).ln()).abs() < 0.1, "{before:?}");
    assert!(done.measured.loss < 0.85 * before.loss, "{:?}", done.measured);
}

#[test]
fn documents_are_scored_from_their_first_token() {
    let config = config();
    let text = Text::new(&config);
    let found = documents(&text.tokens, Split::Train, 32, 1_000);
    assert!(found.len() > 10);
    for document in &found {
        assert_eq!(document[0], 0, "BOS");
        assert!(document.len() > 1 && document.len() <= 33 && !document[1..].contains(&0));
    }
    let n: usize = found.iter().map(|document| document.len() - 1).sum();
    assert!((1_000..1_033).contains(&n), "{n}");
    // shorter contexts cut documents, they do not drop them
    let short = documents(&text.tokens, Split::Train, 4, usize::MAX);
    let all = documents(&text.tokens, Split::Train, 1_000, usize::MAX);
    assert_eq!(short.len(), all.len());
    assert!(
        short
            .iter()
            .zip(&all)
            .all(|(short, all)| all.starts_with(short) && short.len() == 5)
    );
    // one document's loss is the mean of its tokens', whatever stands beside it
    let model = new_model(&config.shape, 300, 1).unwrap();
    let alone: Vec<_> = found[..2]
        .iter()
        .map(|d| measure(&model, std::slice::from_ref(d)).unwrap())
        .collect();
    let both = measure(&model, &found[..2]).unwrap();
    let sum: f64 = alone.iter().map(|m| m.loss * m.n_tokens as f64).sum();
    assert!((both.loss - sum / both.n_tokens as f64).abs() < 1e-12);
    assert_eq!((both.n_documents, both.n_tokens), (2, alone[0].n_tokens + alone[1].n_tokens));
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_at_a_good_checkpoint() {
    let config = PretrainConfig {
        lr: 1e30,
        max_grad_norm: 1e30,
        ..config()
    };
    let text = Text::new(&config);
    let error = run_in(&text, "run", &config, 2, &mut Watch::default()).err().unwrap();
    let message = error.to_string();
    assert!(message.contains("try a smaller learning rate"), "{message}");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let config = config();
    let text = Text::new(&config);
    let mut watch = Watch {
        stop_at: Some(4),
        ..Watch::default()
    };
    run_in(&text, "run", &config, 2, &mut watch).unwrap();
    let other = PretrainConfig { seed: 8, ..config };
    let message = run_in(&text, "run", &other, 2, &mut Watch::default())
        .err()
        .unwrap()
        .to_string();
    assert!(message.contains("belongs to another config, text or tokenizer"), "{message}");
}
