//! Whole runs: a checkpoint of one device is resumed on the other, and both come to the same dictionaries.

use api::{HistoryPoint, HookPoint, InputScale, Progress, TrainConfig};
use engine::{
    corpus::TokenFile,
    dictionary::{self, Parameters},
    model::Model,
    train::{Cpu, Device, Inputs, Observer, Outcome, Trained, evaluate, run},
};
use gpu::Gpu;
use std::fs;

use crate::{
    golden::relative,
    workplace::{config, tiny},
};

/// Stops when it is asked the given time in a run.
#[derive(Default)]
struct Watch {
    stop_at: Option<usize>,
    asked: usize,
    history: Vec<HistoryPoint>,
}

impl Observer for Watch {
    fn resumed(&mut self, step: usize) {
        self.asked = step;
    }

    fn history(&mut self, points: Vec<HistoryPoint>) {
        self.history.extend(points);
    }

    fn progress(&mut self, _: Progress) {}

    fn stop(&mut self) -> bool {
        self.asked += 1;
        self.stop_at == Some(self.asked - 1)
    }
}

struct Place {
    folder: tempfile::TempDir,
    model: Model<f32>,
    tokens: TokenFile,
    config: TrainConfig,
}

impl Place {
    fn run(&self, name: &str, device: &dyn Device, watch: &mut Watch) -> Outcome {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        let backend = device.backend(&self.model).unwrap();
        let inputs = Inputs {
            config: &self.config,
            from: &[],
            backend: &*backend,
            model_hash: "tiny",
            tokens: &self.tokens,
            folder: &folder,
            cache: None,
        };
        run(inputs, watch).unwrap()
    }
}

fn done(outcome: Outcome) -> Vec<Trained> {
    match outcome {
        Outcome::Done(trained) => trained,
        Outcome::Stopped { step } => panic!("stopped at {step}"),
    }
}

fn weights(trained: &Trained) -> Parameters<f32> {
    dictionary::load(&trained.file).unwrap().0.parameters().clone()
}

#[test]
fn a_run_moves_between_devices_and_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (model, tokens) = tiny(folder.path());
    let config = TrainConfig {
        input_scale: InputScale::UnitNorm,
        ..config(HookPoint::resid_pre(1))
    };
    let place = Place {
        folder,
        model,
        tokens,
        config,
    };
    let gpu = Gpu::processor();
    let mut by_the_engine = Watch::default();
    let expected = done(place.run("cpu", &Cpu, &mut by_the_engine));

    // all on the device, and with a move each way
    let mut whole = Watch::default();
    let on_the_device = done(place.run("gpu", &gpu, &mut whole));
    let mut moved = Watch::default();
    let devices: [(&dyn Device, usize); 3] = [(&gpu, 3), (&Cpu, 6), (&gpu, 8)];
    for (device, stop_at) in devices {
        moved.stop_at = Some(stop_at);
        let outcome = place.run("moved", device, &mut moved);
        assert!(matches!(outcome, Outcome::Stopped { step } if step == stop_at), "{outcome:?}");
    }
    moved.stop_at = None;
    let moved_about = done(place.run("moved", &Cpu, &mut moved));

    for (ours, watch) in [(&on_the_device, &whole), (&moved_about, &moved)] {
        assert_eq!(watch.history.len(), by_the_engine.history.len());
        for (a, b) in watch.history.iter().zip(&by_the_engine.history) {
            assert_eq!((a.step, a.dictionary), (b.step, b.dictionary));
            assert!(a.values.keys().eq(b.values.keys()), "{a:?}");
            for (name, b_value) in &b.values {
                let off = (a.values[name] - b_value).abs() / b_value.abs().max(1e-3);
                assert!(off < 1e-3, "step {}, {name}: {} and {b_value}", a.step, a.values[name]);
            }
        }
        for (ours, expected) in ours.iter().zip(&expected) {
            for (a, b) in weights(ours).0.iter().zip(&weights(expected).0) {
                let off = relative(&a.data, &b.data.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
                assert!(off < 1e-4, "{}: {off:.1e} off", a.name);
            }
            let names = |trained: &Trained| trained.metrics.iter().map(|m| (m.name.clone(), m.at)).collect::<Vec<_>>();
            assert_eq!(names(ours), names(expected));
        }
    }

    // a dictionary is measured alike, whoever trained it
    let files = std::slice::from_ref(&on_the_device[2].file);
    let [ours, engines] = [&gpu as &dyn Device, &Cpu].map(|device| {
        let backend = device.backend(&place.model).unwrap();
        evaluate(files, &*backend, &place.tokens, &place.config, &mut |_, _| true)
            .unwrap()
            .remove(0)
    });
    for (a, b) in ours.metrics.iter().zip(&engines.metrics) {
        let off = (a.value - b.value).abs() / b.value.abs().max(1.0);
        assert!(off <= 1e-5, "{}: {} and {}", a.name, a.value, b.value);
    }
}
