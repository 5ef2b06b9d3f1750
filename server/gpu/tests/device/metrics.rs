//! Every metric is what torch computes in f64 from the same tokens, and what the engine computes.

use api::Measurement;
use engine::{
    dictionary::Normaliser,
    metrics::{Depth, Evaluated, Subject, Text, of_weights},
    train::{Backend, Cpu, Device},
};
use gpu::Gpu;

use crate::golden::{Golden, model, off};

fn same(ours: &[Measurement], engines: &[Measurement], what: &str) {
    assert_eq!(ours.len(), engines.len(), "{what}");
    for (a, b) in ours.iter().zip(engines) {
        assert_eq!(
            (&a.name, a.version, a.at, a.tokens, a.n_tokens),
            (&b.name, b.version, b.at, b.tokens, b.n_tokens),
            "{what}"
        );
        let other = |name: &str| {
            let same = |m: &&Measurement| m.name == name && m.tokens == b.tokens && m.at.is_none();
            engines.iter().find(same).map_or(f64::NAN, |m| m.value)
        };
        let off = off(&a.name, a.value, b.value, other);
        assert!(off <= 1e-5, "{what}: {a:?}; the engine has {}, {off:.1e} off", b.value);
    }
}

#[test]
fn metrics_are_torchs_and_the_engines() {
    let golden = Golden::read();
    let about = &golden.about;
    for setup in golden.about.setups.iter().filter(|setup| setup.read_at.is_none()) {
        let (model, dictionary) = (model(setup), golden.dictionary::<f32>(setup));
        let contexts = golden.tokens(&format!("{}.eval", setup.model));
        let contexts: Vec<&[u32]> = contexts.chunks(about.n_ctx).collect();
        let subject = Subject {
            dictionary: &dictionary,
            normaliser: setup.normaliser,
        };
        let text = Text {
            contexts: &contexts,
            special: &about.special,
            batch: about.eval_batch,
            documents: None,
            depth: Depth::Results,
        };
        let measure = |backend: Box<dyn Backend + '_>| -> Vec<Vec<Measurement>> {
            let measured = backend.evaluate(setup.at, &[subject, subject], text, &mut |_, _| true);
            let all = |measured: Evaluated| {
                let weights = of_weights(&dictionary, &measured.firings, measured.n_tokens);
                measured.metrics.into_iter().chain(weights).collect()
            };
            measured.unwrap().into_iter().map(all).collect()
        };
        let ours = measure(Gpu::processor().backend(&model).unwrap());
        let engines = measure(Cpu.backend(&model).unwrap());
        assert_eq!(ours.len(), 2);
        for (ours, engines) in ours.iter().zip(&engines) {
            same(ours, engines, &setup.name);
        }
        for torchs in &setup.metrics {
            let is_it = |m: &&Measurement| (&m.name, m.at, m.tokens) == (&torchs.name, torchs.at, torchs.tokens);
            let found: Vec<_> = ours[0].iter().filter(is_it).collect();
            let what = format!("{} {} at {:?} of {:?}", setup.name, torchs.name, torchs.at, torchs.tokens);
            let [found] = found[..] else {
                panic!("{what}: found {found:?}")
            };
            assert_eq!(found.n_tokens, torchs.n_tokens, "{what}");
            let off = setup.off(torchs, found.value);
            assert!(
                off <= 1e-5,
                "{what}: {}; torch has {}, {off:.1e} off",
                found.value,
                torchs.value
            );
        }
    }
}

/// Positions that are all alike have no variance to be explained, on the device as on the processor; and the pass can be ended.
#[test]
fn what_is_not_defined_is_left_out_and_a_pass_can_end_early() {
    let golden = Golden::read();
    let setup = golden.setup("llama_resid");
    let (model, dictionary) = (model(setup), golden.dictionary::<f32>(setup));
    let n_ctx = golden.about.n_ctx;
    let mut contexts = golden.tokens("llama.eval");
    contexts.iter_mut().step_by(n_ctx).for_each(|first| *first = 1);
    let contexts: Vec<&[u32]> = contexts.chunks(n_ctx).collect();
    let subject = Subject {
        dictionary: &dictionary,
        normaliser: Normaliser::default(),
    };
    let text = Text {
        contexts: &contexts,
        special: &[],
        batch: 3,
        documents: None,
        depth: Depth::Results,
    };
    for go_on in [true, false] {
        let measure = |backend: Box<dyn Backend + '_>| {
            let measured = backend.evaluate(setup.at, &[subject], text, &mut |_, _| go_on);
            measured.unwrap().pop().unwrap().metrics
        };
        let ours = measure(Gpu::processor().backend(&model).unwrap());
        let engines = measure(Cpu.backend(&model).unwrap());
        same(&ours, &engines, "llama");
    }
}
