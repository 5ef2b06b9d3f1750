//! Ten steps of AdamW are torch's.

use engine::{
    kernel::Real,
    model::{Model, Trainable},
    pretrain::Learner,
    train::schedule,
};

use crate::workplace::{Golden, model, tensor};

/// Runs torch's ten steps; gives how far the last weights are from torch's, as a share of the way they went, at the worst tensor.
fn all_steps<R: Real>(golden: &Golden, model: Model<R>, bound: f64) -> f64 {
    let fact = |name: &str| golden.number(&format!("/steps/{name}"));
    let (n_steps, batch) = (fact("n_steps") as usize, fact("batch") as usize);
    let constants = api::Adam {
        beta1: fact("beta1"),
        beta2: fact("beta2"),
        eps: fact("eps"),
    };
    let course = api::Schedule {
        warmup_steps: fact("warmup") as usize,
        min_lr_factor: fact("min_lr_factor"),
        hold_steps: 0,
    };
    let contexts = golden.contexts("gpt2");
    let mut learner = Learner::new(Trainable::new(model));
    let first = learner.trainable.numbers().to_vec();
    for step in 0..n_steps {
        let contexts: Vec<&[u32]> = contexts[step * batch..][..batch].iter().map(Vec::as_slice).collect();
        learner.gradient(&contexts).unwrap();
        let close = |what: &str, ours: f64, path: &str| {
            let torchs = fact(&format!("{path}/{step}"));
            assert!(
                (ours - torchs).abs() <= bound * torchs.abs(),
                "step {step}: {what} {ours}; torch's {torchs}"
            );
        };
        let lr = fact("lr") * schedule::factor(&course, step, n_steps);
        close("loss", learner.loss, "losses");
        close("norm", learner.grad_norm, "grad_norms");
        close("learning rate", lr, "lrs");
        learner.update(constants, lr, fact("weight_decay"), fact("max_grad_norm"));
    }
    let off = learner.trainable.tensors().iter().map(|t| {
        let last: Vec<f64> = golden.numbers(&format!("gpt2.final.{}", t.name));
        let ours = tensor(&learner.trainable, learner.trainable.numbers(), &t.name);
        let (mut off, mut way) = (0.0, 0.0);
        for ((ours, torchs), first) in ours.iter().zip(last).zip(&first[t.place.clone()]) {
            off += (ours.f64() - torchs).powi(2);
            way += (torchs - first.f64()).powi(2);
        }
        (off / way).sqrt()
    });
    off.fold(0.0, f64::max)
}

#[test]
fn ten_steps_are_torchs() {
    let golden = Golden::read();
    let off = all_steps(&golden, model("gpt2").to_f64(), 1e-8);
    assert!(off < 1e-6, "in f64, the weights are {off:.1e} of their way off");
    // in f32, Adam's first steps take the sign of gradients that are round-off alone: of the weights, only losses tell
    all_steps(&golden, model("gpt2"), 2e-5);
}
