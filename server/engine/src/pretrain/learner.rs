//! A model in training: its weights, and AdamW (Loshchilov and Hutter 2019, as torch computes it): first each matrix is taken
//! 1 − lr · decay times, then everything moves by Adam's step. Gains, biases and other vectors do not decay.

use crate::{
    kernel::Real,
    model::{ModelError, Trainable},
    train::adam::{Step, clip, squares},
};

use super::pass::Pass;

/// See the module.
pub struct Learner<R> {
    /// The model.
    pub trainable: Trainable<R>,
    /// First moments, in the order of the weights.
    pub first: Vec<R>,
    /// Second moments.
    pub second: Vec<R>,
    /// Steps made.
    pub steps: usize,
    /// The last batch's mean loss, in nats per prediction.
    pub loss: f64,
    /// The last gradient's norm, before clipping.
    pub grad_norm: f64,
    grads: Vec<R>,
    pass: Pass<R>,
}

impl<R: Real> Learner<R> {
    /// Before the first step.
    pub fn new(trainable: Trainable<R>) -> Self {
        let zeros = vec![R::ZERO; trainable.numbers().len()];
        Self {
            trainable,
            first: zeros.clone(),
            second: zeros.clone(),
            steps: 0,
            loss: 0.0,
            grad_norm: 0.0,
            grads: zeros,
            pass: Pass::default(),
        }
    }

    /// The last gradient, before clipping, in the order of the weights.
    pub fn grads(&self) -> &[R] {
        &self.grads
    }

    /// Loss, gradient and its norm over `contexts`; no weight moves.
    ///
    /// # Errors
    /// The model's.
    pub fn gradient(&mut self, contexts: &[&[u32]]) -> Result<(), ModelError> {
        self.loss = self.pass.gradient(&self.trainable, contexts, &mut self.grads)?;
        self.grad_norm = squares(&self.grads).sqrt();
        Ok(())
    }

    /// Moves the weights along the last gradient, clipped to `max_grad_norm`.
    pub fn update(&mut self, constants: api::Adam, lr: f64, weight_decay: f64, max_grad_norm: f64) {
        self.steps += 1;
        let step = Step::new(constants, self.steps, lr, clip(self.grad_norm, max_grad_norm));
        let tensors = self.trainable.tensors().to_vec();
        let (grads, first, second) = (&self.grads, &mut self.first, &mut self.second);
        self.trainable.update(|weights| {
            for tensor in tensors {
                let decay = if tensor.shape.len() > 1 { weight_decay } else { 0.0 };
                let place = tensor.place;
                step.make(
                    1.0 - lr * decay,
                    &mut weights[place.clone()],
                    &grads[place.clone()],
                    &mut first[place.clone()],
                    &mut second[place],
                );
            }
        });
    }
}
