//! The downstream term: mean over the n later blocks of mse(clean resid_pre, spliced resid_pre), each mse a mean over tokens
//! and dimensions (e2e_sae `in_to_orig`, whose total coefficient is divided by the number of hooks). Never the dictionary's
//! own layer, never the last resid_post.

use api::{HookPoint, Site};

use crate::{
    kernel::{Real, add, simd},
    model::Hooks,
};

/// The block whose resid_pre `point` is.
fn block(point: HookPoint) -> Option<usize> {
    match point {
        HookPoint::Block {
            layer,
            site: Site::ResidPre,
        } => Some(layer),
        _ => None,
    }
}

/// Keeps the clean resid_pre of every block from `first` on; its vectors keep their memory from context to context.
#[derive(Debug, Default)]
pub struct Record<R> {
    /// The first block whose input is kept.
    pub first: usize,
    /// [n_tokens, d_model] per block, from `first` on.
    pub layers: Vec<Vec<R>>,
}

impl<R: Real> Hooks<R> for Record<R> {
    fn at(&mut self, point: HookPoint, value: &mut [R]) {
        let Some(index) = block(point).and_then(|layer| layer.checked_sub(self.first)) else {
            return;
        };
        if self.layers.len() <= index {
            self.layers.resize_with(index + 1, Vec::new);
        }
        self.layers[index].clear();
        self.layers[index].extend_from_slice(value);
    }
}

/// In the spliced forward pass, compares with what was recorded; in the backward pass, enters the gradient at each block.
#[derive(Debug, Default)]
pub struct Compare<R> {
    /// The first block that is compared; beyond the last one, nothing is.
    pub first: usize,
    /// Times (spliced − clean), the gradient that enters.
    pub scale: R,
    /// Σ (spliced − clean)² over the compared blocks.
    pub squared_error: f64,
    grads: Vec<Vec<R>>,
}

/// [`Compare`] on its way up.
#[derive(Debug)]
pub struct Forward<'a, R>(pub &'a mut Compare<R>, pub &'a Record<R>);

/// [`Compare`] on its way down.
#[derive(Debug)]
pub struct Backward<'a, R>(pub &'a Compare<R>);

impl<R: Real> Hooks<R> for Forward<'_, R> {
    fn at(&mut self, point: HookPoint, value: &mut [R]) {
        let Forward(compare, record) = self;
        let Some(index) = block(point).and_then(|layer| layer.checked_sub(compare.first)) else {
            return;
        };
        let Some(clean) = record.layers.get(index) else { return };
        if compare.grads.len() <= index {
            compare.grads.resize_with(index + 1, Vec::new);
        }
        let grad = &mut compare.grads[index];
        grad.resize(value.len(), R::ZERO);
        let scale = compare.scale;
        compare.squared_error += simd(|| {
            let mut sums = [R::ZERO; 16];
            for ((grad, new), old) in grad.chunks_mut(16).zip(value.chunks(16)).zip(clean.chunks(16)) {
                for (((grad, new), old), sum) in grad.iter_mut().zip(new).zip(old).zip(&mut sums) {
                    let error = *new - *old;
                    *sum += error * error;
                    *grad = scale * error;
                }
            }
            sums.iter().map(|s| s.f64()).sum::<f64>()
        });
    }
}

impl<R: Real> Hooks<R> for Backward<'_, R> {
    fn at(&mut self, point: HookPoint, grad: &mut [R]) {
        let Some(index) = block(point).and_then(|layer| layer.checked_sub(self.0.first)) else {
            return;
        };
        if let Some(entering) = self.0.grads.get(index) {
            simd(|| add(grad, entering));
        }
    }
}
