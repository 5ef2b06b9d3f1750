//! Causal self-attention over all contexts and heads at once. The backward pass recomputes the probabilities.

use candle_core::{D, Device, Result, Tensor};
use engine::model::parts::AttentionParts;

use crate::{
    cap::SoftCap,
    form::Form,
    linear::Linear,
    norm::{Norm, NormTape},
    rope::{Rope, Turn},
};

/// The attention of a block.
pub struct Attention {
    /// d_model to all queries, then all keys, then all values, head by head.
    inputs: Linear,
    /// Of each head's queries and of its keys, before they are rotated.
    head_norms: Option<[Norm; 2]>,
    /// [n_heads · d_head, d_model].
    pub output: Linear,
    n_heads: usize,
    n_kv_heads: usize,
    d_head: usize,
    scale: f64,
    cap: Option<SoftCap>,
    /// How many positions a query sees, its own included; none: all.
    pub window: Option<usize>,
}

/// What the backward pass needs. A key head's query heads lie one below the other: `q`
/// [n_contexts · n_kv_heads, n_heads / n_kv_heads · n_ctx, d_head], rotated and scaled; `k` and `v`
/// [n_contexts · n_kv_heads, n_ctx, d_head].
#[derive(Clone)]
pub struct AttentionTape {
    q: Tensor,
    k: Tensor,
    v: Tensor,
    head_norms: Option<[NormTape; 2]>,
}

impl Attention {
    pub fn new(parts: &AttentionParts<'_, f32>, device: &Device) -> Result<Self> {
        let (n_heads, n_kv_heads, d_head) = (parts.columns.len(), parts.n_kv_heads, parts.d_head);
        let shared = n_heads / n_kv_heads;
        let queries = parts.columns.iter().map(|[q, ..]| q);
        let keys = parts.columns.iter().step_by(shared).map(|[_, k, _]| k);
        let values = parts.columns.iter().step_by(shared).map(|[.., v]| v);
        let columns = queries.chain(keys).chain(values);
        let columns = columns.flat_map(|first| (*first..first + d_head).map(|column| column as u32));
        Ok(Self {
            inputs: Linear::joint(&parts.inputs, columns.collect(), device)?,
            head_norms: match &parts.head_norms {
                Some([query, key]) => Some([Norm::new(query, device)?, Norm::new(key, device)?]),
                None => None,
            },
            output: Linear::new(&parts.output, device)?,
            n_heads,
            n_kv_heads,
            d_head,
            scale: parts.scale,
            cap: parts.cap.map(SoftCap),
            window: parts.window,
        })
    }

    /// The heads' outputs [n, n_heads · d_head] from the normalised residual `x` [n, d_model].
    pub fn forward(&self, x: &Tensor, rope: Option<&Rope>, form: &Form) -> Result<(Tensor, AttentionTape)> {
        let qkv = self.inputs.forward(x)?;
        let (n_heads, n_kv) = (self.n_heads, self.n_kv_heads);
        let mut q = self.split(&qkv, 0, n_heads, form)?;
        let mut k = self.split(&qkv, n_heads, n_kv, form)?;
        let v = self.split(&qkv, n_heads + n_kv, n_kv, form)?;
        let mut head_norms = None;
        if let Some([query, key]) = &self.head_norms {
            let ((q_normed, q_tape), (k_normed, k_tape)) = (query.forward(&q)?, key.forward(&k)?);
            (q, k, head_norms) = (q_normed, k_normed, Some([q_tape, k_tape]));
        }
        if let Some(rope) = rope {
            q = rope.turn(&q, Turn::Ahead)?;
            k = rope.turn(&k, Turn::Ahead)?;
        }
        let tape = AttentionTape {
            q: self.by_key_head(&q.affine(self.scale, 0.0)?, form)?,
            k: self.by_key_head(&k, form)?,
            v: self.by_key_head(&v, form)?,
            head_norms,
        };
        let z = self.chunks(form).map(|(first, n)| {
            let scores = self.scores(&tape.q.narrow(0, first, n)?, &tape.k.narrow(0, first, n)?)?;
            let p = self.probabilities(&scores, form)?;
            p.matmul(&tape.v.narrow(0, first, n)?)
        });
        let z = Tensor::cat(&z.collect::<Result<Vec<_>>>()?, 0)?;
        Ok((self.join(&z, n_heads, form)?, tape))
    }

    /// The gradient of x [n, d_model] from that of the heads' outputs.
    pub fn backward(&self, tape: &AttentionTape, dz: &Tensor, rope: Option<&Rope>, form: &Form) -> Result<Tensor> {
        let dz = self.by_key_head(&self.split(dz, 0, self.n_heads, form)?, form)?;
        let (mut dq, mut dk, mut dv) = (Vec::new(), Vec::new(), Vec::new());
        for (first, n) in self.chunks(form) {
            let [q, k, v, dz] = [&tape.q, &tape.k, &tape.v, &dz].map(|tensor| tensor.narrow(0, first, n));
            let (q, k, v, dz) = (q?, k?, v?, dz?);
            let scores = self.scores(&q, &k)?;
            let p = self.probabilities(&scores, form)?;
            let dp = dz.matmul(&v.t()?)?;
            let mean = (&p * &dp)?.sum_keepdim(D::Minus1)?;
            let mut ds = (&p * dp.broadcast_sub(&mean)?)?;
            if let Some(cap) = self.cap {
                ds = cap.back(&scores, &ds)?;
            }
            dv.push(p.t()?.matmul(&dz)?);
            // q has the scale in it already
            dk.push(ds.t()?.matmul(&q)?);
            dq.push(ds.matmul(&k)?.affine(self.scale, 0.0)?);
        }
        let heads = |grads: Vec<Tensor>, n_heads: usize| {
            Tensor::cat(&grads, 0)?.reshape((form.n_contexts, n_heads, form.n_ctx, self.d_head))
        };
        let mut dq = heads(dq, self.n_heads)?;
        let mut dk = heads(dk, self.n_kv_heads)?;
        let dv = heads(dv, self.n_kv_heads)?;
        if let Some(rope) = rope {
            dq = rope.turn(&dq, Turn::Back)?;
            dk = rope.turn(&dk, Turn::Back)?;
        }
        if let (Some([query, key]), Some([q_tape, k_tape])) = (&self.head_norms, &tape.head_norms) {
            (dq, dk) = (query.backward(q_tape, &dq)?, key.backward(k_tape, &dk)?);
        }
        let parts = [
            self.join(&dq, self.n_heads, form)?,
            self.join(&dk, self.n_kv_heads, form)?,
            self.join(&dv, self.n_kv_heads, form)?,
        ];
        self.inputs.backward(&Tensor::cat(&parts, 1)?)
    }

    /// `n_heads` heads of `rows` [n, width] from head `first` on, as [n_contexts, n_heads, n_ctx, d_head].
    fn split(&self, rows: &Tensor, first: usize, n_heads: usize, form: &Form) -> Result<Tensor> {
        rows.narrow(1, first * self.d_head, n_heads * self.d_head)?
            .reshape((form.n_contexts, form.n_ctx, n_heads, self.d_head))?
            .transpose(1, 2)?
            .contiguous()
    }

    /// The reverse: heads as rows [n, n_heads · d_head].
    fn join(&self, heads: &Tensor, n_heads: usize, form: &Form) -> Result<Tensor> {
        heads
            .reshape((form.n_contexts, n_heads, form.n_ctx, self.d_head))?
            .transpose(1, 2)?
            .reshape((form.n_tokens(), n_heads * self.d_head))
    }

    /// Heads [n_contexts, n_heads, n_ctx, d_head] as a batch of matrices, one per context and key head.
    fn by_key_head(&self, heads: &Tensor, form: &Form) -> Result<Tensor> {
        let n = form.n_contexts * self.n_kv_heads;
        heads.reshape((n, heads.elem_count() / n / self.d_head, self.d_head))
    }

    /// The batch of matrices in chunks whose scores stay bounded: the first and the number of each.
    fn chunks(&self, form: &Form) -> impl Iterator<Item = (usize, usize)> + use<> {
        let n = form.n_contexts * self.n_kv_heads;
        let scores = self.n_heads / self.n_kv_heads * form.n_ctx * form.n_ctx;
        let step = (form.scores / scores).max(1);
        (0..n).step_by(step).map(move |first| (first, step.min(n - first)))
    }

    /// q kᵀ, capped where there is a cap.
    fn scores(&self, q: &Tensor, k: &Tensor) -> Result<Tensor> {
        let scores = q.matmul(&k.t()?)?;
        match self.cap {
            None => Ok(scores),
            Some(cap) => cap.cap(&scores),
        }
    }

    /// The softmax of scores over the keys that each query sees.
    fn probabilities(&self, scores: &Tensor, form: &Form) -> Result<Tensor> {
        let shape = scores.dims3()?;
        let scores = scores
            .reshape(((), form.n_ctx, form.n_ctx))?
            .broadcast_add(form.mask(self.window)?)?;
        let above = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        above.broadcast_div(&above.sum_keepdim(D::Minus1)?)?.reshape(shape)
    }
}
