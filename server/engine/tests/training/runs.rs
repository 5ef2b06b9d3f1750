//! Whole runs: the same bits on any number of threads and after any interruption, and what stops them.

use api::{EvaluationSplit, HistoryPoint, HookPoint, InputScale, Progress, Site, TrainConfig};
use engine::{
    corpus::{Order, Split, TokenFile},
    dictionary::{self, Dictionary, DictionaryError, Normaliser},
    model::{Cut, Model, NoHooks, Work},
    train::{
        ActivationCache, Cpu, Device as _, Inputs, Observer, Outcome, Stepper, TrainError, Trained, Trainee, evaluate, run,
        schedule,
    },
};
use safetensors::SafeTensors;
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use crate::{
    golden::{Golden, model},
    workplace::{config, tiny, token_file},
};

/// Writes down what it is told; stops or dies when it is asked the given time in a run.
#[derive(Default)]
pub struct Watch {
    pub stop_at: Option<usize>,
    pub die_at: Option<usize>,
    pub asked: usize,
    pub resumed: Vec<usize>,
    pub history: Vec<HistoryPoint>,
}

impl Watch {
    pub fn stopping_at(step: usize) -> Self {
        Self {
            stop_at: Some(step),
            ..Self::default()
        }
    }
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

pub struct Place {
    pub folder: tempfile::TempDir,
    pub model: Model<f32>,
    tokens: TokenFile,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (model, tokens) = tiny(folder.path());
        Self { folder, model, tokens }
    }

    pub fn tokens(&self) -> &TokenFile {
        &self.tokens
    }

    pub fn run(&self, name: &str, config: &TrainConfig, n_threads: usize, watch: &mut Watch) -> Result<Outcome, TrainError> {
        self.run_with(name, config, &[], n_threads, None, watch)
    }

    /// A run whose dictionaries begin from files.
    pub fn run_from(
        &self,
        name: &str,
        config: &TrainConfig,
        from: &[Option<PathBuf>],
        n_threads: usize,
        watch: &mut Watch,
    ) -> Result<Outcome, TrainError> {
        self.run_with(name, config, from, n_threads, None, watch)
    }

    /// With a place for activations.
    pub fn run_with(
        &self,
        name: &str,
        config: &TrainConfig,
        from: &[Option<PathBuf>],
        n_threads: usize,
        cache: Option<ActivationCache<'_>>,
        watch: &mut Watch,
    ) -> Result<Outcome, TrainError> {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        let inputs = Inputs {
            config,
            from,
            backend: &*Cpu.backend(&self.model).unwrap(),
            model_hash: "tiny",
            tokens: &self.tokens,
            folder: &folder,
            cache,
        };
        pool(n_threads).install(|| run(inputs, &mut *watch))
    }
}

fn pool(n_threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap()
}

pub fn at() -> HookPoint {
    HookPoint::resid_pre(1)
}

/// Everything that a run left: its dictionaries' bytes and what was measured but the time.
pub fn left(outcome: Outcome) -> Vec<(Vec<u8>, Vec<api::Measurement>)> {
    let Outcome::Done(trained) = outcome else {
        panic!("{outcome:?}")
    };
    let one = |Trained { file, metrics, .. }| {
        let timeless = |m: &api::Measurement| m.name != "train_seconds";
        (fs::read(file).unwrap(), metrics.into_iter().filter(timeless).collect())
    };
    trained.into_iter().map(one).collect()
}

#[test]
fn threads_change_no_bit() {
    let place = Place::new();
    for (k, point) in [at(), HookPoint::block(0, Site::MlpOut)].into_iter().enumerate() {
        let config = TrainConfig {
            input_scale: InputScale::UnitNorm,
            ..config(point)
        };
        let [one, two, three] = [1, 2, 3].map(|n_threads| {
            let mut watch = Watch::default();
            let outcome = place
                .run(&format!("{k}.{n_threads}"), &config, n_threads, &mut watch)
                .unwrap();
            (left(outcome), watch.history)
        });
        assert_eq!(one.0.len(), 3);
        assert!(one == two && one == three, "{point}");
    }
}

#[test]
fn the_text_of_the_final_metrics_can_be_chosen_and_changes_nothing_else() {
    let place = Place::new();
    let held_out = config(at());
    let mut validation = held_out.clone();
    validation.evaluation.split = EvaluationSplit::Validation;
    let [on_held_out, on_validation] = [&held_out, &validation].map(|config| {
        let name = config.evaluation.split.to_string();
        let outcome = place.run(&name, config, 2, &mut Watch::default()).unwrap();
        let again = pool(2).install(|| {
            let file = place.folder.path().join(name).join("dictionary-1.safetensors");
            evaluate(
                &[file],
                &*Cpu.backend(&place.model).unwrap(),
                &place.tokens,
                config,
                &mut |_, _| true,
            )
            .unwrap()
            .remove(0)
        });
        let left = left(outcome);
        assert!(
            again.metrics.iter().all(|m| left[1].1.contains(m)),
            "measured again on {}",
            config.evaluation.split
        );
        left
    });
    for ((bytes, metrics), (other_bytes, other_metrics)) in on_held_out.iter().zip(&on_validation) {
        let [one, other] = [bytes, other_bytes].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        for (name, tensor) in one.tensors().into_iter().filter(|(name, _)| !name.starts_with("firings")) {
            let same = other.tensor(&name).unwrap();
            assert!(
                tensor == same,
                "the text that is measured on must not change the weights: {name}"
            );
        }
        assert_ne!(metrics, other_metrics);
    }
    // position 0 of each context is a set of its own: it counts the contexts
    let n_contexts = |left: &[(Vec<u8>, Vec<api::Measurement>)]| {
        let at_zero = |m: &&api::Measurement| m.name == "l0" && m.tokens == api::TokenSet::PositionZero;
        left[0].1.iter().find(at_zero).unwrap().n_tokens as usize
    };
    assert_eq!(n_contexts(&on_held_out), place.tokens.n_contexts(Split::HeldOut));
    assert_eq!(n_contexts(&on_validation), place.tokens.n_contexts(Split::Validation));
}

#[test]
fn interruptions_change_no_bit() {
    let place = Place::new();
    let config = TrainConfig {
        input_scale: InputScale::UnitNorm,
        ..config(at())
    };
    let mut whole = Watch::default();
    let expected = left(place.run("whole", &config, 2, &mut whole).unwrap());
    assert_eq!(whole.history.len(), 3 * config.n_steps());

    // stopped at some steps, with other numbers of threads
    let mut watch = Watch::default();
    for (stop, n_threads) in [(1, 1), (5, 3), (6, 2)] {
        watch.stop_at = Some(stop);
        let outcome = place.run("stopped", &config, n_threads, &mut watch).unwrap();
        assert!(matches!(outcome, Outcome::Stopped { step } if step == stop), "{outcome:?}");
    }
    watch.stop_at = None;
    let resumed = left(place.run("stopped", &config, 2, &mut watch).unwrap());
    assert_eq!(watch.resumed, [0, 1, 5, 6]);
    assert!(resumed == expected && watch.history == whole.history);

    // killed at some steps: it goes on from the checkpoint, of which there is one every three steps
    let mut watch = Watch::default();
    for die in [2, 5, 7] {
        watch.die_at = Some(die);
        catch_unwind(AssertUnwindSafe(|| place.run("killed", &config, 2, &mut watch))).unwrap_err();
    }
    watch.die_at = None;
    let resumed = left(place.run("killed", &config, 2, &mut watch).unwrap());
    assert_eq!(watch.resumed, [0, 0, 3, 6]);
    assert!(resumed == expected && watch.history == whole.history);
}

#[test]
fn a_run_is_its_steps_in_order() {
    let place = Place::new();
    let config = config(at());
    let ours = left(place.run("run", &config, 2, &mut Watch::default()).unwrap());
    let d_model = place.model.facts().d_model;
    let trainees = config.dictionaries.iter().map(|c| {
        let dictionary = Dictionary::random(c.kind, d_model, c.d_sae, c.seed);
        Trainee::new(c.objective, c.lr, dictionary, config.adam)
    });
    let mut stepper = Stepper::new(&place.model, &config, Normaliser::default(), trainees.collect()).unwrap();
    let mut order = Order::new(config.data_seed, place.tokens.n_contexts(Split::Train));
    let mut contexts = (0..).map(|position| place.tokens.context(Split::Train, order.at(position)));
    for step in 0..10 {
        let batches = [(); 2].map(|()| contexts.by_ref().take(3).collect());
        stepper.gradients(&batches).unwrap();
        stepper.update(schedule::factor(&config.schedule, step, 10));
    }
    for (k, ((bytes, _), trainee)) in ours.iter().zip(&stepper.trainees).enumerate() {
        let file = place.folder.path().join("again.safetensors");
        fs::write(&file, bytes).unwrap();
        let (dictionary, facts) = dictionary::load(&file).unwrap();
        assert_eq!(dictionary.parameters(), trainee.dictionary.parameters(), "dictionary {k}");
        assert_eq!((facts.at, facts.config), (config.at, config.dictionaries[k].clone()));
    }
}

#[test]
fn input_is_scaled_to_unit_norm() {
    let golden = Golden::read();
    let setup = golden.setup("gpt2_scaled");
    let (model, contexts) = (model(setup), golden.tokens("gpt2.tokens"));
    let folder = tempfile::tempdir().unwrap();
    let tokens = token_file(folder.path(), golden.about.n_ctx, model.facts().d_vocab, &[], &contexts);
    // one pass over the very contexts on which torch measured
    let mut config = TrainConfig {
        input_scale: InputScale::UnitNorm,
        ..config(setup.at)
    };
    config.packing = tokens.manifest().packing;
    (config.batch, config.accumulation, config.tokens) = (golden.about.batch, golden.about.accumulation, contexts.len() as u64);
    let inputs = Inputs {
        config: &config,
        from: &[],
        backend: &*Cpu.backend(&model).unwrap(),
        model_hash: "gpt2",
        tokens: &tokens,
        folder: folder.path(),
        cache: None,
    };
    let Outcome::Done(trained) = run(inputs, &mut Watch::default()).unwrap() else {
        panic!("stopped")
    };
    let (_, facts) = dictionary::load(&trained[0].file).unwrap();
    let [Normaliser::Scale(ours), Normaliser::Scale(torchs)] = [facts.normaliser, setup.normaliser] else {
        panic!("{:?}", facts.normaliser)
    };
    assert!((ours / torchs - 1.0).abs() < 1e-6, "{ours} and {torchs}");
    // and what torch measured is E‖x‖² = 1
    let mut work = Work::default();
    let squares = contexts.chunks_exact(golden.about.n_ctx).map(|context| {
        let mut cut = Cut::default();
        model.prefix(context, setup.at, &mut cut, &mut NoHooks, &mut work).unwrap();
        cut.value.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>()
    });
    let mean = squares.sum::<f64>() / contexts.len() as f64;
    assert!((ours.powi(2) * mean - 1.0).abs() < 1e-6);
}

fn checkpoint(folder: &Path) -> Vec<u8> {
    fs::read(folder.join("checkpoint.safetensors")).unwrap()
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint() {
    let place = Place::new();
    for (k, (lr, every)) in [(1e30, 1), (1e30, 3), (1e300, 1), (1e300, 2)].into_iter().enumerate() {
        let mut config = TrainConfig {
            checkpoint_every_steps: every,
            ..config(at())
        };
        config.schedule.warmup_steps = 4;
        config.dictionaries.swap(0, 1);
        config.dictionaries[1].lr = lr;
        let name = format!("ruined{k}");
        let folder = place.folder.path().join(&name);
        // the first step is made at learning rate 0, the second ruins the weights, the third sees it
        let mut watch = Watch {
            stop_at: Some(1),
            ..Watch::default()
        };
        assert!(matches!(
            place.run(&name, &config, 2, &mut watch),
            Ok(Outcome::Stopped { step: 1 })
        ));
        let good = checkpoint(&folder);
        for _ in 0..2 {
            let mut watch = Watch::default();
            let error = place.run(&name, &config, 2, &mut watch).unwrap_err();
            let TrainError::Step { step: 2, kept: 1, cause } = &error else {
                panic!("{name}: {error}")
            };
            assert!(
                matches!(**cause, TrainError::NotFinite { dictionary: 1, .. }),
                "{name}: {error}"
            );
            assert!(error.to_string().starts_with("step 2: dictionary 1: "), "{name}: {error}");
            assert_eq!(watch.resumed, [1], "{name}");
            assert!(checkpoint(&folder) == good, "{name}");
        }
    }
}

#[test]
fn a_run_whose_last_step_ruins_the_weights_leaves_no_dictionary() {
    let place = Place::new();
    let mut config = config(at());
    config.tokens = (2 * config.accumulation * config.batch_tokens()) as u64;
    config.schedule.warmup_steps = 1;
    config.dictionaries[2].lr = 1e300;
    let error = place.run("last", &config, 2, &mut Watch::default()).unwrap_err();
    assert!(matches!(error, TrainError::Step { step: 2, .. }), "{error}");
    assert!(!place.folder.path().join("last/dictionary-0.safetensors").exists());
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let place = Place::new();
    let config = config(at());
    let stop = || Watch {
        stop_at: Some(4),
        ..Watch::default()
    };
    place.run("refused", &config, 2, &mut stop()).unwrap();
    let folder = place.folder.path().join("refused");
    let good = checkpoint(&folder);
    let refused = |config: &TrainConfig, expected: &str| {
        let error = place.run("refused", config, 2, &mut Watch::default()).unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains("checkpoint.safetensors") && message.contains(expected),
            "{message}"
        );
    };
    let change = |f: &dyn Fn(&mut TrainConfig)| {
        let mut config = config.clone();
        f(&mut config);
        refused(&config, "another config");
    };
    change(&|c| c.dictionaries[0].lr *= 2.0);
    change(&|c| c.data_seed += 1);
    change(&|c| c.dictionaries.truncate(2));
    change(&|c| c.at = HookPoint::block(1, Site::AttnOut));
    assert!(checkpoint(&folder) == good);
    fs::write(folder.join("checkpoint.safetensors"), &good[..good.len() / 2]).unwrap();
    refused(&config, "damaged");
    // once it is put back, the run goes on
    fs::write(folder.join("checkpoint.safetensors"), &good).unwrap();
    let mut watch = Watch::default();
    place.run("refused", &config, 2, &mut watch).unwrap();
    assert_eq!(watch.resumed, [4]);
}

#[test]
fn a_dictionary_that_is_not_finite_is_refused() {
    let place = Place::new();
    let config = config(at());
    let Outcome::Done(trained) = place.run("nan", &config, 2, &mut Watch::default()).unwrap() else {
        panic!("stopped")
    };
    let mut bytes = fs::read(&trained[0].file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let first = tensors.tensor("W_dec").unwrap().data().as_ptr().addr() - bytes.as_ptr().addr();
    bytes[first..first + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&trained[0].file, bytes).unwrap();
    assert!(matches!(
        dictionary::load(&trained[0].file),
        Err(DictionaryError::Format { .. })
    ));
}
