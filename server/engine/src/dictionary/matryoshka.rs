//! The Matryoshka BatchTopK dictionary (Bussmann et al. 2025, arXiv 2503.17547; dictionary_learning's `MatryoshkaBatchTopKSAE`): a
//! BatchTopK dictionary whose first features have to do without the later ones:
//!
//! x̂_g = b_d + Σ over the features of the first g groups of c_j d_j, loss = (1/G) Σ_g ‖x − x̂_g‖² + AuxK of x − x̂_G
//!
//! The groups hold 1/2^G, 1/2^(G−1), …, 1/4 of the features, and the rest. dictionary_learning weighs each error 1/G by default *and* takes
//! the mean over the groups, which makes AuxK G times as large beside them; here it is the mean alone.
//!
//! The errors of all prefixes but the last are a term of the kind's own, as AuxK is: they stand beside whatever is asked of x̂_G
//! itself, which a local objective asks for its share of 1/G. An e2e objective of every prefix would take G passes through the model.

use api::DictionaryKind;

use super::{
    codes::{Entries, SparseCodes},
    forward::{Forward, Seen, error_gradient},
    kind::{Encoder, Kind},
    parameters::{Parameters, Tensor},
    tile::{self, Path, Scratch},
    topk::{B_DEC, TopK},
};
use crate::kernel::{Real, add};

/// See the module.
#[derive(Clone, Debug)]
pub struct Matryoshka<R> {
    whole: TopK<R>,
    groups: usize,
}

impl<R: Real> Matryoshka<R> {
    /// The BatchTopK dictionary `whole` with its features in `groups`.
    pub fn new(whole: TopK<R>, groups: usize) -> Self {
        Self { whole, groups }
    }

    /// Where each group but the last ends.
    fn ends(&self) -> Vec<u32> {
        let d_sae = self.whole.parameters().0[0].shape[0];
        let sizes = (2..=self.groups).rev().map(|halvings| (d_sae >> halvings) as u32);
        sizes
            .scan(0, |end, size| {
                *end += size;
                Some(*end)
            })
            .collect()
    }
}

/// Deals `codes` to the groups that end at `ends`; what lies behind the last is left out.
fn deal<R: Real>(codes: &SparseCodes<R>, ends: &[u32], groups: &mut Vec<(SparseCodes<R>, Vec<R>)>) {
    groups.resize_with(ends.len(), Default::default);
    let mut start = 0;
    for ((group, _), end) in groups.iter_mut().zip(ends) {
        group.reset(codes.n_tokens(), codes.d_sae);
        for (to, from) in group.segments.iter_mut().zip(&codes.segments) {
            for r in 0..from.n_rows() {
                for e in from.range(r) {
                    to.push(from.ids[e], from.values[e], (start..*end).contains(&from.ids[e]));
                }
                to.end_row();
            }
        }
        start = *end;
    }
}

impl<R: Real> Kind<R> for Matryoshka<R> {
    fn kind(&self) -> DictionaryKind {
        match self.whole.kind() {
            DictionaryKind::BatchTopK {
                k,
                aux_coefficient,
                dead_tokens,
                threshold_decay,
            } => DictionaryKind::Matryoshka {
                k,
                aux_coefficient,
                dead_tokens,
                threshold_decay,
                groups: self.groups,
            },
            other => other,
        }
    }

    fn parameters(&self) -> &Parameters<R> {
        self.whole.parameters()
    }

    fn parameters_mut(&mut self) -> &mut Parameters<R> {
        self.whole.parameters_mut()
    }

    fn state(&self) -> &[Tensor<R>] {
        self.whole.state()
    }

    fn state_mut(&mut self) -> &mut [Tensor<R>] {
        self.whole.state_mut()
    }

    fn encoder(&self) -> Option<Encoder<R>> {
        self.whole.encoder()
    }

    fn directions(&self) -> &[R] {
        self.whole.directions()
    }

    fn centre(&self) -> Option<&[R]> {
        self.bias()
    }

    fn prepare(&mut self, x: &[R]) {
        self.whole.prepare(x);
    }

    fn encode(&self, x: &[R], codes: &mut SparseCodes<R>, scratch: &Scratch<R>) {
        self.whole.encode(x, codes, scratch);
    }

    fn forward(&self, x: &[R], per_number: f64, forward: &mut Forward<R>, path: Path, scratch: &Scratch<R>) {
        self.whole.forward(x, per_number, forward, path, scratch);
        let Forward { codes, groups, .. } = forward;
        deal(codes, &self.ends(), groups);
        let mut before: Option<&[R]> = None;
        for (codes, out) in &mut *groups {
            out.resize(x.len(), R::ZERO);
            let bias = if before.is_none() { self.bias() } else { None };
            tile::combine(codes, Entries::Values, self.decoder(), bias, out, path, scratch);
            if let Some(before) = before {
                add(out, before);
            }
            before = Some(out);
        }
        let share = self.reconstruction_share();
        for (_, out) in groups {
            forward.auxiliary += share * error_gradient(x, out, R::of(2.0 * per_number * share));
        }
    }

    fn reconstruction_share(&self) -> f64 {
        1.0 / self.groups as f64
    }

    fn backward(
        &self,
        x: &[R],
        forward: &mut Forward<R>,
        grad_out: &[R],
        sparsity: R,
        grads: &mut Parameters<R>,
        mut grad_x: Option<&mut [R]>,
        path: Path,
        scratch: &Scratch<R>,
    ) {
        let whole = grad_x.as_deref_mut();
        self.whole
            .backward(x, forward, grad_out, sparsity, grads, whole, path, scratch);
        let Forward { groups, centred, .. } = forward;
        // a group writes to its own prefix and to all that come after
        for g in (1..groups.len()).rev() {
            let (before, after) = groups.split_at_mut(g);
            add(&mut before[g - 1].1, &after[0].1);
        }
        if let Some((_, all)) = groups.first() {
            tile::row_sums(all, &mut grads.0[B_DEC].data);
        }
        for (codes, grad_out) in groups {
            self.whole.add_gradient(centred, codes, grad_out, grads, (path, scratch));
            if let Some(grad_x) = grad_x.as_deref_mut() {
                let mut own = vec![R::ZERO; grad_x.len()];
                let rows = &self.parameters().0[0].data;
                tile::combine(codes, Entries::Grads, rows, None, &mut own, path, scratch);
                add(grad_x, &own);
            }
        }
    }

    fn finish(&self, grads: &mut Parameters<R>) {
        self.whole.finish(grads);
    }

    fn settle(&mut self, seen: &Seen) {
        self.whole.settle(seen);
    }
}
