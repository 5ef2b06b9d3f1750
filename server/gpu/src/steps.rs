//! The optimiser steps of a run's dictionaries on the device. Weights and moments live there; they come to the processor when
//! a checkpoint or a measurement asks for them.

use api::{HookPoint, Objective, Site, TrainConfig};
use candle_core::{self as candle, Tensor};
use engine::{
    dictionary::{Normaliser, Parameters},
    objective::{Terms, balanced},
    train::{Backend, Steps, TrainError, Trainee, adam::clip},
};
use std::time::Instant;

use crate::{
    adam::{Adam, norm},
    device::OnGpu,
    form::Form,
    host, logits,
    model::{Cut, Model, Tape},
    normaliser::{self, Back},
    relu::{Relu, download, fired, upload},
};

/// See the module.
pub struct GpuSteps<'b, 'm> {
    on: &'b OnGpu<'m>,
    at: HookPoint,
    normaliser: Normaliser,
    max_grad_norm: f64,
    /// As they come to the processor.
    trainees: Vec<Trainee<f32>>,
    /// As they are on the device, in the same order.
    parts: Vec<Part>,
    /// Of the last batch.
    form: Option<Form>,
}

/// A dictionary in training on the device.
struct Part {
    relu: Relu,
    adam: Adam,
    /// Of the step so far; empty before its first batch.
    grads: Vec<Tensor>,
}

/// What the dictionaries of a batch share.
struct Batch<'a, 'm> {
    model: &'a Model<'m>,
    form: &'a Form,
    cut: Cut,
    /// As the dictionaries see it [n_tokens, d_in].
    x: Tensor,
    /// From what they give of it to the model's activations.
    back: Back,
    /// The batch's part in the step.
    weight: f64,
    clean: Option<Clean>,
}

/// What the clean pass beyond the hook point leaves.
struct Clean {
    /// The input of the unembedding [n_tokens, d_model].
    out: Tensor,
    /// The input of each later block [n_tokens, d_model]; empty where no dictionary asks for them.
    later: Vec<Tensor>,
    /// The first of these blocks.
    first: usize,
}

impl Clean {
    /// Which of `later` stands at `point`.
    fn index(&self, point: HookPoint) -> Option<usize> {
        later(point, self.first).filter(|index| *index < self.later.len())
    }
}

/// What a dictionary's spliced pass gives.
struct Spliced {
    /// The loss' derivative by x̂ in the model's scale [n_tokens, d_in].
    grad: Tensor,
    /// KL per token.
    kl: Tensor,
    /// Per later block and token: ‖spliced − clean‖².
    downstream: Vec<Tensor>,
}

impl<'b, 'm> GpuSteps<'b, 'm> {
    /// For the dictionaries `trainees`, which see the activations at `config.at` through `normaliser`.
    ///
    /// # Errors
    /// When the model has no such hook point, and the device's.
    pub fn new(
        on: &'b OnGpu<'m>,
        config: &TrainConfig,
        normaliser: Normaliser,
        trainees: Vec<Trainee<f32>>,
    ) -> Result<Self, TrainError> {
        on.model.host.width(config.at)?;
        if config.buffer.is_some() {
            on.no_buffer()?;
        }
        trainees.iter().try_for_each(|trainee| on.supports(&trainee.dictionary))?;
        on.no_resampling(config)?;
        let device = &on.model.device;
        let part = |trainee: &Trainee<f32>| {
            let first = upload(&trainee.adam.first, device)?;
            let second = upload(&trainee.adam.second, device)?;
            Ok(Part {
                relu: Relu::new(trainee.dictionary.parameters(), device)?,
                adam: Adam::new(config.adam, first, second, trainee.adam.steps),
                grads: Vec::new(),
            })
        };
        Ok(Self {
            on,
            at: config.at,
            normaliser,
            max_grad_norm: config.max_grad_norm,
            parts: on.run(trainees.iter().map(part).collect())?,
            trainees,
            form: None,
        })
    }

    /// The gradient of the last step, before clipping, of dictionary `index`.
    ///
    /// # Errors
    /// The device's.
    pub fn grads(&self, index: usize) -> Result<Parameters<f32>, TrainError> {
        let mut grads = self.trainees[index].dictionary.parameters().zeros_like();
        self.on.run(download(&self.parts[index].grads, &mut grads))?;
        Ok(grads)
    }

    fn batch(&mut self, contexts: &[&[u32]], weight: f64) -> candle::Result<()> {
        let model = &self.on.model;
        let start = Instant::now();
        let (n, n_ctx) = (contexts.len(), contexts.first().map_or(0, |c| c.len()));
        let form = match self.form.take() {
            Some(form) if (form.n_contexts, form.n_ctx) == (n, n_ctx) => form,
            _ => model.form(n, n_ctx)?,
        };
        let cut = model.prefix(contexts, &form, self.at)?;
        let (x, back) = normaliser::apply(self.normaliser, cut.value())?;
        let mut batch = Batch {
            model,
            x,
            form: &form,
            cut,
            back,
            weight,
            clean: None,
        };
        let prefix = self.seconds(start)?;
        let start = Instant::now();
        if self.trainees.iter().any(Trainee::looks_past) {
            let downstream = self.trainees.iter().any(|t| t.objective.downstream() > 0.0);
            batch.clean = Some(batch.clean(self.at.next_block(), downstream)?);
        }
        let clean = self.seconds(start)?;
        let n_past = self.trainees.iter().filter(|t| t.looks_past()).count();
        let n = self.trainees.len();
        for (trainee, part) in self.trainees.iter_mut().zip(&mut self.parts) {
            let start = Instant::now();
            batch.train(trainee, part)?;
            trainee.seconds += start.elapsed().as_secs_f64() + prefix / n as f64;
            if trainee.looks_past() {
                trainee.seconds += clean / n_past as f64;
            }
        }
        self.form = Some(form);
        Ok(())
    }

    /// Seconds since `start`, all that was begun done.
    fn seconds(&self, start: Instant) -> candle::Result<f64> {
        self.on.model.device.synchronize()?;
        Ok(start.elapsed().as_secs_f64())
    }
}

impl Steps for GpuSteps<'_, '_> {
    /// Made by the processor, as the engine's are, of the device's activations.
    fn prepare(&mut self, contexts: &[&[u32]]) -> Result<(), TrainError> {
        let mut x = Vec::new();
        self.on.activations(self.at, contexts, &mut x)?;
        let width = self.on.model.host.width(self.at)?;
        self.normaliser.apply(&mut x, width, &mut engine::dictionary::Back::default());
        let device = &self.on.model.device;
        for (trainee, part) in self.trainees.iter_mut().zip(&mut self.parts) {
            trainee.prepare_to(&x, &x);
            part.relu = self.on.run(Relu::new(trainee.dictionary.parameters(), device))?;
        }
        Ok(())
    }

    fn gradients(&mut self, batches: &[Vec<&[u32]>]) -> Result<(), TrainError> {
        for (trainee, part) in self.trainees.iter_mut().zip(&mut self.parts) {
            trainee.terms = Terms::default();
            trainee.l0 = 0.0;
            part.grads.clear();
        }
        for contexts in batches {
            self.on.check(contexts)?;
            let done = self.batch(contexts, 1.0 / batches.len() as f64);
            self.on.run(done)?;
        }
        for (dictionary, (trainee, part)) in self.trainees.iter_mut().zip(&mut self.parts).enumerate() {
            self.on.run(part.relu.finish(&mut part.grads))?;
            trainee.grad_norm = self.on.run(norm(&part.grads))?;
            let loss = trainee.terms.loss(&trainee.objective);
            if !loss.is_finite() || !trainee.grad_norm.is_finite() {
                let grad_norm = trainee.grad_norm;
                return Err(TrainError::NotFinite {
                    dictionary,
                    loss,
                    grad_norm,
                });
            }
        }
        Ok(())
    }

    fn prepare_vectors(&mut self, _: &[f32]) -> Result<(), TrainError> {
        self.on.no_buffer()
    }

    fn gradients_of_vectors(&mut self, _: &[Vec<f32>], _: f64) -> Result<(), TrainError> {
        self.on.no_buffer()
    }

    fn update(&mut self, factor: f64) -> Result<(), TrainError> {
        for (trainee, part) in self.trainees.iter_mut().zip(&mut self.parts) {
            let start = Instant::now();
            let clip = clip(trainee.grad_norm, self.max_grad_norm);
            let moved = part
                .adam
                .step(trainee.lr * factor, clip, &part.grads, &part.relu.parameters)
                .and_then(Relu::of);
            part.relu = self.on.run(moved)?;
            self.on.run(self.on.model.device.synchronize())?;
            trainee.advance();
            trainee.seconds += start.elapsed().as_secs_f64();
        }
        Ok(())
    }

    fn fetch(&mut self) -> Result<(), TrainError> {
        for (trainee, part) in self.trainees.iter_mut().zip(&self.parts) {
            let mut done = Ok(());
            trainee
                .dictionary
                .update(|parameters| done = download(&part.relu.parameters, parameters));
            let done = done
                .and_then(|()| download(&part.adam.first, &mut trainee.adam.first))
                .and_then(|()| download(&part.adam.second, &mut trainee.adam.second));
            trainee.adam.steps = part.adam.steps;
            self.on.run(done)?;
        }
        Ok(())
    }

    fn trainees(&self) -> &[Trainee<f32>] {
        &self.trainees
    }
}

impl Batch<'_, '_> {
    /// The clean pass beyond the hook point, with the inputs of the blocks from `first` on where `downstream` asks for them.
    fn clean(&self, first: usize, downstream: bool) -> candle::Result<Clean> {
        let mut blocks = Vec::new();
        let mut see = |point: HookPoint, value: &mut Tensor| {
            if downstream && later(point, first).is_some() {
                blocks.push(value.clone());
            }
            Ok(())
        };
        let out = self.model.suffix(&self.cut, self.cut.value(), self.form, &mut see, None)?;
        Ok(Clean {
            out,
            later: blocks,
            first,
        })
    }

    /// Adds a dictionary's terms and its gradient.
    fn train(&self, trainee: &mut Trainee<f32>, part: &mut Part) -> candle::Result<()> {
        let (n, d) = self.x.dims2()?;
        let per_number = self.weight / (n * d) as f64;
        let codes = part.relu.encode(&self.x)?;
        let x_hat = part.relu.decode(&codes)?;
        let fired = fired(&codes)?;
        let mut rows = vec![host::squared_errors(&self.x, &x_hat)?, codes.sum(1)?, fired.sum(1)?];
        let facts = self.model.host.facts();
        let mut downstream = 0.0;
        let grad_out = match &self.clean {
            Some(clean) if trainee.looks_past() => {
                // without later blocks a downstream term was refused when the run began
                let n_hooks = facts.n_layers.saturating_sub(clean.first).max(1);
                downstream = self.weight / (n * facts.d_model * n_hooks) as f64;
                let kl_scale = self.weight * trainee.kl_wanted() / n as f64;
                let ds_scale = downstream * trainee.objective.downstream();
                let spliced = self.spliced(clean, &x_hat, kl_scale, ds_scale)?;
                let mut grad = self.back.gradient(&spliced.grad)?;
                if let Objective::KlMse { .. } = trainee.objective {
                    // α without a transfer: mse / KL of the batch, both means
                    let (mse, kl) = ((rows[0].sum_all()? / (n * d) as f64)?, (spliced.kl.sum_all()? / n as f64)?);
                    let alpha = (mse / (kl + balanced::EPS)?)?;
                    let by_mse = (&x_hat - &self.x)?.affine(per_number, 0.0)?;
                    grad = (grad.broadcast_mul(&(alpha * 0.5)?)? + by_mse)?;
                }
                rows.push(spliced.kl);
                rows.extend(spliced.downstream);
                grad
            }
            _ => (&x_hat - &self.x)?.affine(2.0 * per_number, 0.0)?,
        };
        let sparsity = per_number * trainee.objective.sparsity();
        let grads = part.relu.backward(&self.x, &codes, &fired, &grad_out, sparsity)?;
        part.grads = match part.grads.is_empty() {
            true => grads,
            false => part
                .grads
                .iter()
                .zip(&grads)
                .map(|(sum, g)| sum + g)
                .collect::<candle::Result<_>>()?,
        };
        // one transfer, behind all that was begun
        let sums: Vec<f64> = Tensor::stack(&rows, 0)?
            .to_vec2::<f32>()?
            .iter()
            .map(|row| row.iter().copied().map(f64::from).sum())
            .collect();
        trainee.terms.reconstruction += per_number * sums[0];
        trainee.terms.sparsity += per_number * sums[1];
        trainee.l0 += self.weight * sums[2] / n as f64;
        if let [_, _, _, kl, later @ ..] = &sums[..] {
            trainee.terms.kl += self.weight * kl / n as f64;
            if let Objective::KlMse { .. } = trainee.objective {
                trainee.terms.balanced += self.weight * balanced::value(sums[0] / (n * d) as f64, kl / n as f64);
            }
            trainee.terms.downstream += downstream * later.iter().sum::<f64>();
        }
        Ok(())
    }

    /// The spliced pass with `x_hat` as the dictionary gives it, and back: `kl_scale` and `ds_scale` are what Σ KL and
    /// Σ (spliced − clean)² are taken times in the loss.
    fn spliced(&self, clean: &Clean, x_hat: &Tensor, kl_scale: f64, ds_scale: f64) -> candle::Result<Spliced> {
        let mut tape = Tape::default();
        let (mut downstream, mut entering) = (Vec::new(), Vec::new());
        let mut see = |point: HookPoint, value: &mut Tensor| {
            if let Some(index) = clean.index(point).filter(|_| ds_scale > 0.0) {
                let error = (&*value - &clean.later[index])?;
                downstream.push(error.sqr()?.sum(1)?);
                entering.push(error.affine(2.0 * ds_scale, 0.0)?);
            }
            Ok(())
        };
        let value = self.back.output(x_hat)?;
        let out = self.model.suffix(&self.cut, &value, self.form, &mut see, Some(&mut tape))?;
        let (kl, grad) = logits::kl(self.model, &clean.out, &out, kl_scale)?;
        let mut enter = |point: HookPoint, grad: &mut Tensor| {
            if let Some(entering) = clean.index(point).and_then(|index| entering.get(index)) {
                *grad = (&*grad + entering)?;
            }
            Ok(())
        };
        let grad = self.model.backward(&tape, &grad, self.form, &mut enter)?;
        Ok(Spliced { grad, kl, downstream })
    }
}

/// Which of the blocks from `first` on has its input at `point`, counted from `first`.
fn later(point: HookPoint, first: usize) -> Option<usize> {
    match point {
        HookPoint::Block {
            layer,
            site: Site::ResidPre,
        } => layer.checked_sub(first),
        _ => None,
    }
}
