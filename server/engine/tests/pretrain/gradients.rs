//! The gradient of every weight of every family of models.

use engine::{
    kernel::Real,
    model::{Model, Trainable},
    pretrain::Pass,
};

use crate::workplace::{Golden, model, pool, relative, tensor};

/// One folder per kind of block and of embedding.
const KINDS: [&str; 11] = [
    "gpt2",
    "gpt2_variant",
    "gpt_neo",
    "gpt_neox",
    "gpt_neox_sequential",
    "llama",
    "llama3",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma2",
];

fn contexts(d_vocab: usize) -> Vec<Vec<u32>> {
    let id = |i: usize| ((i * 7919 + 13) % d_vocab) as u32;
    vec![
        (0..9).map(id).collect(),
        (40..57).map(id).collect(),
        (100..102).map(id).collect(),
    ]
}

fn gradient<R: Real>(trainable: &Trainable<R>, contexts: &[Vec<u32>]) -> (f64, Vec<R>) {
    let contexts: Vec<&[u32]> = contexts.iter().map(Vec::as_slice).collect();
    let mut grads = vec![R::of(f64::NAN); trainable.numbers().len()];
    let loss = Pass::default().gradient(trainable, &contexts, &mut grads).unwrap();
    (loss, grads)
}

/// Along every tensor's own gradient and a few single weights of each, the loss rises as the gradient says.
fn rises_as_the_gradient_says(name: &str, model: Model<f64>) {
    let mut trainable = Trainable::new(model);
    let contexts = contexts(trainable.model().facts().d_vocab);
    let (_, grads) = gradient(&trainable, &contexts);
    let tensors = trainable.tensors().to_vec();
    let mut loss_at = |change: &dyn Fn(&mut [f64])| {
        let before = trainable.numbers().to_vec();
        trainable.update(|weights| change(weights));
        let (loss, _) = gradient(&trainable, &contexts);
        trainable.update(|weights| weights.copy_from_slice(&before));
        loss
    };
    for t in tensors {
        let norm = grads[t.place.clone()].iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(norm > 0.0, "{name}: {} has no gradient", t.name);
        let step = 1e-5;
        let along = |by: f64| {
            let (grads, place) = (&grads, t.place.clone());
            move |weights: &mut [f64]| {
                for (w, g) in weights[place.clone()].iter_mut().zip(&grads[place.clone()]) {
                    *w += by / norm * g;
                }
            }
        };
        let slope = (loss_at(&along(step)) - loss_at(&along(-step))) / (2.0 * step);
        assert!(
            (slope - norm).abs() < 1e-6 * norm.max(1e-3),
            "{name}: along {} the slope is {slope}; its gradient's norm {norm}",
            t.name
        );
        let n = t.place.len();
        for i in [0, n / 3, n / 2, n - 1].map(|i| t.place.start + i) {
            let moved = |by: f64| move |weights: &mut [f64]| weights[i] += by;
            let slope = (loss_at(&moved(step)) - loss_at(&moved(-step))) / (2.0 * step);
            assert!(
                (slope - grads[i]).abs() < 1e-7,
                "{name}: {}[{}]: the slope is {slope}; the gradient {}",
                t.name,
                i - t.place.start,
                grads[i]
            );
        }
    }
}

#[test]
fn they_are_those_of_finite_differences() {
    // mistral's and qwen2's weights are all of llama3's kinds
    for name in KINDS.into_iter().filter(|name| !["mistral", "qwen2"].contains(name)) {
        rises_as_the_gradient_says(name, model(name).to_f64());
    }
}

fn torchs<R: Real>(golden: &Golden, name: &str, model: Model<R>, bound: f64) {
    let trainable = Trainable::new(model);
    let contexts = golden.contexts(name);
    let (loss, grads) = gradient(&trainable, &contexts[..5]);
    let expected = golden.number(&format!("/{name}/loss"));
    assert!(
        (loss - expected).abs() < bound * expected,
        "{name}: loss {loss}, torch {expected}"
    );
    for t in trainable.tensors() {
        let ours = tensor(&trainable, &grads, &t.name);
        let theirs: Vec<f32> = golden.numbers(&format!("{name}.grad.{}", t.name));
        assert_eq!(ours.len(), theirs.len(), "{name} {}", t.name);
        let off = relative(ours.iter().map(|g| g.f64()), theirs.iter().map(|g| f64::from(*g)));
        assert!(off < bound, "{name}: the gradient of {} is {off:.1e} off", t.name);
    }
}

#[test]
fn they_are_torchs() {
    let golden = Golden::read();
    for name in KINDS.into_iter().filter(|name| *name != "gpt_neo") {
        torchs(&golden, name, model(name), 1e-5);
        // not tighter: the golden gradients are kept in f32, and the sines of rotary positions are taken in f32 on both sides
        torchs(&golden, name, model(name).to_f64(), 1e-6);
    }
}

#[test]
fn threads_change_no_bit() {
    let trainable = Trainable::new(model("gpt2"));
    let golden = Golden::read();
    // more contexts than lanes, and not a multiple of them
    let contexts = &golden.contexts("gpt2")[..37];
    let one = pool(1).install(|| gradient(&trainable, contexts));
    for n_threads in [2, 3] {
        let more = pool(n_threads).install(|| gradient(&trainable, contexts));
        assert_eq!(one.0.to_bits(), more.0.to_bits());
        assert!(one.1 == more.1, "{n_threads} threads");
    }
}

#[test]
fn a_tied_unembedding_is_one_tensor() {
    let (tied, untied) = (Trainable::new(model("gpt2")), Trainable::new(model("gpt2_variant")));
    let has = |trainable: &Trainable<f32>, name: &str| trainable.tensors().iter().any(|t| t.name == name);
    assert!(has(&tied, "transformer.wte.weight") && !has(&tied, "lm_head.weight"));
    assert!(has(&untied, "transformer.wte.weight") && has(&untied, "lm_head.weight"));
    assert_eq!(tied.numbers().len() as u64, tied.model().facts().n_params);
    assert_eq!(untied.numbers().len() as u64, untied.model().facts().n_params);
}
