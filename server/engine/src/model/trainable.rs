//! A model whose weights can be trained: all of them are parts of one vector, and their gradients are parts of another one in
//! the same order. So an optimiser, a checkpoint and a sum over contexts see nothing but vectors.

use super::{
    LogitSlopes, Model, Tape, Work,
    attention::Attention,
    block::Block,
    head_norm::HeadNorms,
    mlp::Mlp,
    norm::Norm,
    pass::scaled,
    tensor::{Linear, Weights},
};
use crate::kernel::{Mat, MatMut, Real, add, matmul, simd};
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

/// Where a tensor lies in the vector of all weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name in the checkpoint.
    pub name: String,
    /// Its shape there; row-major.
    pub shape: Vec<usize>,
    /// Its place in the vector.
    pub place: Range<usize>,
}

/// See the module.
pub struct Trainable<R> {
    model: Model<R>,
    numbers: Arc<Vec<R>>,
    tensors: Vec<Tensor>,
}

impl<R: Real> Trainable<R> {
    /// `model`, with its weights copied into one vector, in the order of the forward pass. Tied ones stay tied.
    pub fn new(mut model: Model<R>) -> Self {
        let (mut numbers, mut tensors) = (Vec::new(), Vec::<Tensor>::new());
        let mut known = HashSet::new();
        for weights in model.weights_mut() {
            if !known.insert(weights.name.clone()) {
                continue;
            }
            let first = numbers.len();
            numbers.extend_from_slice(weights.as_slice());
            tensors.push(Tensor {
                name: weights.name.to_string(),
                shape: weights.shape.to_vec(),
                place: first..numbers.len(),
            });
        }
        let mut trainable = Self {
            model,
            numbers: Arc::new(numbers),
            tensors,
        };
        trainable.bind();
        trainable
    }

    /// The model with its present weights.
    pub fn model(&self) -> &Model<R> {
        &self.model
    }

    /// What lies where in the vectors.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// All weights, as the forward pass uses them: where a checkpoint stores a gain less 1, as Gemma's does, this is the gain.
    pub fn numbers(&self) -> &[R] {
        &self.numbers
    }

    /// Changes the weights in place.
    pub fn update(&mut self, change: impl FnOnce(&mut [R])) {
        let none = Arc::new(Vec::new());
        for weights in self.model.weights_mut() {
            weights.bind(none.clone(), 0..0);
        }
        // nothing else holds them now, unless somebody has cloned the model: then that one keeps the former weights
        let numbers: &mut Vec<R> = Arc::make_mut(&mut self.numbers);
        change(numbers);
        self.bind();
    }

    /// Makes every tensor of the model its part of the vector.
    fn bind(&mut self) {
        let places: HashMap<&str, &Range<usize>> = self.tensors.iter().map(|t| (t.name.as_str(), &t.place)).collect();
        for weights in self.model.weights_mut() {
            let place = places[&*weights.name].clone();
            weights.bind(self.numbers.clone(), place);
        }
    }

    /// From the gradient of logits [n, d_vocab], made from the unembedding's inputs `out` [n, d_model] with their `slopes`, which
    /// is consumed: the gradient of `out` into `grad_out`, and that of the unembedding's weights added to `grads`, the gradients
    /// of all weights.
    ///
    /// # Panics
    /// When the lengths do not fit each other.
    pub fn logits_backward(
        &self,
        grad_logits: &mut [R],
        slopes: &LogitSlopes<R>,
        out: &[R],
        grad_out: &mut [R],
        grads: &mut [R],
    ) {
        let model = &self.model;
        model.logits_backward(grad_logits, slopes, grad_out);
        let (d_model, d_vocab) = (model.facts.d_model, model.facts.d_vocab);
        let n = out.len() / d_model;
        let grad = MatMut::new(&mut grads[model.unembed.place()], d_vocab, d_model);
        let grad_logits = Mat::new(grad_logits, n, d_vocab).t();
        matmul(grad, R::ONE, R::ONE, grad_logits, Mat::new(out, n, d_model));
    }

    /// Adds the gradients of everything below the unembedding to `grads`, the gradients of all weights, from `grad_out`
    /// [n, d_model], that of the unembedding's input, which is consumed. `tape` is one for weights, filled by a suffix from
    /// `hook_embed` of the context `tokens` [n] whose hooks replaced nothing; `scratch` is scratch.
    ///
    /// # Panics
    /// When the lengths do not fit each other, or the tape is of another kind.
    pub fn backward(
        &self,
        tokens: &[u32],
        tape: &Tape<R>,
        grad_out: &mut [R],
        grads: &mut [R],
        scratch: &mut Vec<R>,
        work: &mut Work<R>,
    ) {
        assert!(tape.is_for_weights_from_embed(), "a tape for weights, from hook_embed on");
        let model = &self.model;
        model.descend(tape, grad_out, scratch, &mut super::NoHooks, Some(grads), work);
        let d_model = model.facts.d_model;
        if let Some(positions) = &model.positions {
            let grad = &mut grads[positions.place()];
            simd(
                #[inline(always)]
                || add(grad, scratch),
            );
        }
        if let Some(scale) = model.embed_scale {
            scaled(scratch, R::of(scale));
        }
        let grad = &mut grads[model.embed.place()];
        simd(
            #[inline(always)]
            || {
                for (id, row) in tokens.iter().zip(scratch.chunks_exact(d_model)) {
                    add(&mut grad[*id as usize * d_model..][..d_model], row);
                }
            },
        );
    }
}

impl<R> Model<R> {
    /// Every weight, in the order of the forward pass.
    fn weights_mut(&mut self) -> Vec<&mut Weights<R>> {
        let mut weights = vec![&mut self.embed];
        weights.extend(&mut self.positions);
        for block in &mut self.blocks {
            let Block {
                attention_norm,
                attention,
                attention_post_norm,
                mlp_norm,
                mlp,
                mlp_post_norm,
                parallel: _,
            } = block;
            let Attention {
                inputs,
                head_norms,
                output,
                ..
            } = attention;
            let Mlp {
                input,
                up,
                output: mlp_output,
                activation: _,
            } = mlp;
            norm(attention_norm, &mut weights);
            inputs.iter_mut().for_each(|(input, _)| linear(input, &mut weights));
            if let Some(HeadNorms { query, key }) = head_norms {
                norm(query, &mut weights);
                norm(key, &mut weights);
            }
            linear(output, &mut weights);
            attention_post_norm.iter_mut().for_each(|after| norm(after, &mut weights));
            norm(mlp_norm, &mut weights);
            linear(input, &mut weights);
            up.iter_mut().for_each(|up| linear(up, &mut weights));
            linear(mlp_output, &mut weights);
            mlp_post_norm.iter_mut().for_each(|after| norm(after, &mut weights));
        }
        norm(&mut self.final_norm, &mut weights);
        weights.push(&mut self.unembed);
        weights
    }
}

fn norm<'a, R>(norm: &'a mut Norm<R>, weights: &mut Vec<&'a mut Weights<R>>) {
    weights.push(&mut norm.gain);
    weights.extend(&mut norm.bias);
}

fn linear<'a, R>(linear: &'a mut Linear<R>, weights: &mut Vec<&'a mut Weights<R>>) {
    weights.push(&mut linear.weight);
    weights.extend(&mut linear.bias);
}
