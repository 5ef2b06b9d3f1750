//! The language models against torch (golden files written by `tests/golden/models.py`) and against laws.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

mod norms;
mod real;

use api::{HookPoint, ResidualFrame, Site};
use engine::{
    kernel::Real,
    model::{Cut, Family, Hooks, LogitSlopes, Model, ModelError, NoHooks, Tape, Work},
};
use safetensors::{SafeTensors, tensor::TensorView};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Every golden folder.
const FOLDERS: [&str; 17] = [
    "gpt2",
    "gpt2_variant",
    "gpt_neo",
    "gpt_neox",
    "gpt_neox_sequential",
    "llama",
    "llama3",
    "llama_linear",
    "llama_f16",
    "llama_bf16",
    "mistral",
    "qwen2",
    "qwen3",
    "qwen3_variant",
    "gemma2",
    "gemma2_variant",
    "tiny",
];
/// One folder per kind of block.
const KINDS: [&str; 11] = [
    "gpt2",
    "gpt_neo",
    "gpt_neox",
    "gpt_neox_sequential",
    "llama",
    "llama3",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma2",
    "gemma2_variant",
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/models")
        .join(name)
}

fn load(name: &str) -> Model<f32> {
    Model::load(&folder(name), ResidualFrame::Raw).unwrap()
}

/// What torch computed.
struct Golden(Vec<u8>);

impl Golden {
    fn of(name: &str) -> Self {
        Self::open(name, "golden.safetensors")
    }

    fn open(name: &str, file: &str) -> Self {
        Self(fs::read(folder(name).join(file)).unwrap())
    }

    fn with<T>(&self, name: &str, f: impl FnOnce(TensorView<'_>) -> T) -> T {
        f(SafeTensors::deserialize(&self.0).unwrap().tensor(name).unwrap())
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        self.with(name, |view| bytemuck::pod_collect_to_vec(view.data()))
    }

    fn tokens(&self) -> Vec<u32> {
        self.with("tokens", |view| bytemuck::pod_collect_to_vec(view.data()))
    }

    fn layer(&self) -> usize {
        self.with("layer", |view| bytemuck::pod_collect_to_vec::<u8, i32>(view.data())[0]) as usize
    }
}

/// max |a − b| / max(1, max |b|).
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1.0f32, |m, x| m.max(x.abs()));
    let off = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs()));
    off.fold(0.0, |m, x| if x.is_nan() { f64::NAN } else { m.max(x) }) / f64::from(largest)
}

/// ‖a − b‖ / ‖b‖.
fn relative(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let off: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let size: f64 = b.iter().map(|b| f64::from(*b).powi(2)).sum();
    (off / size).sqrt()
}

/// Keeps what passes by, and in which order.
struct Keep<R>(BTreeMap<HookPoint, Vec<R>>, Vec<HookPoint>);

impl<R> Default for Keep<R> {
    fn default() -> Self {
        Self(BTreeMap::new(), Vec::new())
    }
}

impl<R: Real> Hooks<R> for Keep<R> {
    fn at(&mut self, point: HookPoint, value: &mut [R]) {
        self.0.insert(point, value.to_vec());
        self.1.push(point);
    }
}

/// Adds to the value or gradient at some points.
struct Add<R>(BTreeMap<HookPoint, Vec<R>>);

impl<R: Real> Hooks<R> for Add<R> {
    fn at(&mut self, point: HookPoint, value: &mut [R]) {
        for (x, y) in value.iter_mut().zip(self.0.get(&point).into_iter().flatten()) {
            *x += *y;
        }
    }
}

fn cut_at<R: Real>(model: &Model<R>, tokens: &[u32], at: HookPoint) -> Cut<R> {
    let mut cut = Cut::default();
    model
        .prefix(tokens, at, &mut cut, &mut NoHooks, &mut Work::default())
        .unwrap();
    cut
}

fn suffix<R: Real>(model: &Model<R>, cut: &Cut<R>, value: &[R], hooks: &mut dyn Hooks<R>) -> Vec<R> {
    let mut out = Vec::new();
    model.suffix(cut, value, &mut out, hooks, None, &mut Work::default()).unwrap();
    out
}

fn logits<R: Real>(model: &Model<R>, out: &[R]) -> Vec<R> {
    let facts = model.facts();
    let mut logits = vec![R::ZERO; out.len() / facts.d_model * facts.d_vocab];
    model.logits(out, &mut logits);
    logits
}

/// Numbers in [-1, 1) that look random, the same at each call.
fn numbers<R: Real>(n: usize, seed: u64) -> Vec<R> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let next = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        R::of((state >> 40) as f64 / f64::from(1 << 23) - 1.0)
    };
    (0..n).map(next).collect()
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn forward_is_torchs() {
    for name in FOLDERS {
        let (model, golden) = (load(name), Golden::of(name));
        let mut keep = Keep::default();
        let cut = cut_at(&model, &golden.tokens(), HookPoint::Embed);
        let out = suffix(&model, &cut, &cut.value, &mut keep);
        let close = |what: &str, ours: &[f32], torchs: &str| {
            let off = distance(ours, &golden.numbers(torchs));
            assert!(off < 1e-4, "{name}: {what} is off by {off}");
        };
        for layer in 0..model.facts().n_layers {
            let point = HookPoint::resid_pre(layer);
            close(&point.to_string(), &keep.0[&point], &format!("resid_pre.{layer}"));
        }
        let last = HookPoint::block(model.facts().n_layers - 1, Site::ResidPost);
        close("the last residual", &keep.0[&last], "resid_post");
        close("the final norm", &out, "normed");
        close("logits", &logits(&model, &out), "logits");
    }
}

/// The gradient of the golden file's sum by the value at `at`, where `replaced` stands there, and the logits.
fn golden_gradient(model: &Model<f32>, golden: &Golden, at: HookPoint, replaced: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let cut = cut_at(model, &golden.tokens(), at);
    let (mut tape, mut work, mut out) = (Tape::default(), Work::default(), Vec::new());
    model
        .suffix(&cut, replaced, &mut out, &mut NoHooks, Some(&mut tape), &mut work)
        .unwrap();
    let facts = model.facts();
    let mut logits = vec![f32::NAN; out.len() / facts.d_model * facts.d_vocab];
    let mut slopes = LogitSlopes::default();
    model.logits_for_gradient(&out, &mut logits, &mut slopes);
    let mut grad_out = vec![f32::NAN; out.len()];
    model.logits_backward(&mut golden.numbers("weight.logits"), &slopes, &mut grad_out);
    let above = golden.layer() + 1..facts.n_layers;
    let mut enter = Add(above
        .map(|layer| (HookPoint::resid_pre(layer), golden.numbers(&format!("weight.{layer}"))))
        .collect());
    let mut grad = Vec::new();
    model.backward(&tape, &mut grad_out, &mut grad, &mut enter, &mut work);
    (grad, logits)
}

#[test]
fn gradients_are_autograds() {
    for name in FOLDERS {
        let (model, golden) = (load(name), Golden::of(name));
        let at = HookPoint::resid_pre(golden.layer());
        let (grad, logits) = golden_gradient(&model, &golden, at, &golden.numbers("replaced"));
        let off = distance(&logits, &golden.numbers("logits_replaced"));
        assert!(off < 1e-4, "{name}: logits with the replaced residual are off by {off}");
        let off = relative(&grad, &golden.numbers("grad"));
        assert!(off < 1e-5, "{name}: the gradient is off by {off}");
    }
}

#[test]
fn cut_and_suffix_are_the_whole_forward_at_every_point() {
    for name in FOLDERS {
        let (model, tokens) = (load(name), Golden::of(name).tokens());
        let start = cut_at(&model, &tokens, HookPoint::Embed);
        let mut whole = Keep::default();
        let out = suffix(&model, &start, &start.value, &mut whole);
        whole.0.insert(HookPoint::Embed, start.value.clone());
        let points: Vec<_> = model.hook_points().iter().map(|(point, _)| *point).collect();
        assert_eq!(points, whole.0.keys().copied().collect::<Vec<_>>(), "{name}");
        assert_eq!(points[1..], whole.1, "{name}: the order of the visits");
        let (mut work, mut next) = (Work::default(), Cut::default());
        for (point, width) in model.hook_points() {
            assert_eq!(model.width(point).unwrap(), width);
            let cut = cut_at(&model, &tokens, point);
            assert_eq!(cut.value.len(), tokens.len() * width, "{name} {point}");
            assert!(cut.value == whole.0[&point], "{name} {point}");
            assert!(suffix(&model, &cut, &cut.value, &mut NoHooks) == out, "{name} {point}");
            // from here to every point above, and on
            for to in points.iter().copied().filter(|to| *to >= point) {
                model
                    .advance(&cut, &cut.value, to, &mut next, &mut NoHooks, &mut work)
                    .unwrap();
                assert!(next.value == whole.0[&to], "{name} {point} to {to}");
                assert!(suffix(&model, &next, &next.value, &mut NoHooks) == out, "{name} {point} {to}");
            }
        }
    }
}

#[test]
fn gradients_are_finite_differences_at_every_cut() {
    for name in KINDS {
        let model = load(name).to_f64();
        let tokens = &Golden::of(name).tokens()[..12];
        let (mut tape, mut work, mut out, mut grad) = (Tape::default(), Work::default(), Vec::new(), Vec::new());
        for (point, width) in model.hook_points() {
            let cut = cut_at(&model, tokens, point);
            let weights: Vec<f64> = numbers(tokens.len() * model.facts().d_model, 7);
            // the objective also reads every point above, so that gradients enter everywhere
            let above: BTreeMap<_, Vec<f64>> = model
                .hook_points()
                .into_iter()
                .filter(|(at, _)| *at > point)
                .map(|(at, width)| (at, numbers(tokens.len() * width, 8)))
                .collect();
            let objective = |value: &[f64]| -> f64 {
                let mut keep = Keep::default();
                let out = suffix(&model, &cut, value, &mut keep);
                inner(&out, &weights) + above.iter().map(|(at, w)| inner(&keep.0[at], w)).sum::<f64>()
            };
            let noise = numbers::<f64>(cut.value.len(), 3);
            let value: Vec<f64> = cut.value.iter().zip(noise).map(|(x, e)| x + 0.1 * e).collect();
            model
                .suffix(&cut, &value, &mut out, &mut NoHooks, Some(&mut tape), &mut work)
                .unwrap();
            model.backward(&tape, &mut weights.clone(), &mut grad, &mut Add(above.clone()), &mut work);
            assert_eq!(grad.len(), tokens.len() * width);
            for seed in 100..103 {
                let direction: Vec<f64> = numbers(value.len(), seed);
                let moved = |step: f64| {
                    let value: Vec<f64> = value.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
                    objective(&value)
                };
                let step = 1e-5;
                let measured = (moved(step) - moved(-step)) / (2.0 * step);
                let computed = inner(&grad, &direction);
                let off = (measured - computed).abs() / measured.abs().max(1.0);
                assert!(off < 1e-6, "{name} {point}: {computed} against {measured}");
            }
        }
    }
}

#[test]
fn the_gradient_of_logits_is_that_of_finite_differences() {
    for name in ["gpt2", "gemma2"] {
        let model = load(name).to_f64();
        let (n, d_model, d_vocab) = (5, model.facts().d_model, model.facts().d_vocab);
        let (out, weights): (Vec<f64>, Vec<f64>) = (numbers(n * d_model, 1), numbers(n * d_vocab, 2));
        let direction: Vec<f64> = numbers(n * d_model, 3);
        let moved = |step: f64| {
            let out: Vec<f64> = out.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
            inner(&logits(&model, &out), &weights)
        };
        let step = 1e-5;
        let measured = (moved(step) - moved(-step)) / (2.0 * step);
        let (mut taped, mut slopes, mut grad) = (vec![0.0; n * d_vocab], LogitSlopes::default(), vec![0.0; n * d_model]);
        model.logits_for_gradient(&out, &mut taped, &mut slopes);
        assert!(taped == logits(&model, &out), "{name}: other logits");
        model.logits_backward(&mut weights.clone(), &slopes, &mut grad);
        let computed = inner(&grad, &direction);
        assert!((measured - computed).abs() < 1e-7, "{name}: {computed} against {measured}");
    }
}

/// `hook_attn_out` and `hook_mlp_out` are what the stream takes, behind the norms that follow attention and MLP in some families.
#[test]
fn the_stream_is_the_sum_of_what_the_branches_write() {
    for name in KINDS {
        let (model, tokens) = (load(name), Golden::of(name).tokens());
        let mut keep = Keep::default();
        let cut = cut_at(&model, &tokens, HookPoint::Embed);
        suffix(&model, &cut, &cut.value, &mut keep);
        for layer in 0..model.facts().n_layers {
            let value = |site| &keep.0[&HookPoint::block(layer, site)];
            let written = value(Site::AttnOut).iter().zip(value(Site::MlpOut)).map(|(a, b)| a + b);
            let sum: Vec<f32> = value(Site::ResidPre).iter().zip(written).map(|(x, w)| x + w).collect();
            let off = distance(&sum, value(Site::ResidPost));
            assert!(off < 1e-6, "{name}, block {layer}: {off}");
        }
    }
}

#[test]
fn backward_visits_every_point_down_to_the_cut() {
    for name in KINDS {
        let (model, tokens) = (load(name), Golden::of(name).tokens());
        let points: Vec<_> = model.hook_points().iter().map(|(point, _)| *point).collect();
        let (mut tape, mut work, mut out, mut grad) = (Tape::default(), Work::default(), Vec::new(), Vec::new());
        for (index, point) in points.iter().enumerate() {
            let cut = cut_at(&model, &tokens, *point);
            model
                .suffix(&cut, &cut.value, &mut out, &mut NoHooks, Some(&mut tape), &mut work)
                .unwrap();
            let mut keep = Keep::default();
            model.backward(&tape, &mut numbers(out.len(), 1), &mut grad, &mut keep, &mut work);
            let expected: Vec<_> = points[index..].iter().rev().copied().collect();
            assert_eq!(keep.1, expected, "{name} {point}");
            assert!(keep.0[point] == grad, "{name} {point}");
        }
    }
}

#[test]
fn a_hook_that_replaces_is_a_cut_with_that_value() {
    for name in KINDS {
        let (model, tokens) = (load(name), Golden::of(name).tokens());
        let start = cut_at(&model, &tokens, HookPoint::Embed);
        let clean = suffix(&model, &start, &start.value, &mut NoHooks);
        for (point, width) in model.hook_points() {
            let extra: Vec<f32> = numbers(tokens.len() * width, 5);
            let cut = cut_at(&model, &tokens, point);
            let value: Vec<f32> = cut.value.iter().zip(&extra).map(|(a, b)| a + b).collect();
            let expected = suffix(&model, &cut, &value, &mut NoHooks);
            let mut add = Add(BTreeMap::from([(point, extra)]));
            let mut cut = Cut::default();
            // a prefix shows its own end, too
            model
                .prefix(&tokens, point, &mut cut, &mut add, &mut Work::default())
                .unwrap();
            assert!(cut.value == value, "{name} {point}");
            if point != HookPoint::Embed {
                let replaced = suffix(&model, &start, &start.value, &mut add);
                assert!(replaced == expected, "{name} {point}");
                assert!(distance(&replaced, &clean) > 1e-3, "{name} {point} has no effect");
            }
        }
    }
}

#[test]
fn buffers_of_other_contexts_leave_no_trace() {
    for name in KINDS {
        let (model, tokens) = (load(name), Golden::of(name).tokens());
        let (mut tape, mut work) = (Tape::default(), Work::default());
        let (mut cut, mut out, mut grad) = (Cut::default(), Vec::new(), Vec::new());
        let mut first: BTreeMap<(usize, HookPoint), (Vec<f32>, Vec<f32>)> = BTreeMap::new();
        for _ in 0..2 {
            for n in [tokens.len(), 1, 7] {
                for (point, _) in model.hook_points() {
                    model.prefix(&tokens[..n], point, &mut cut, &mut NoHooks, &mut work).unwrap();
                    model
                        .suffix(&cut, &cut.value, &mut out, &mut NoHooks, Some(&mut tape), &mut work)
                        .unwrap();
                    model.backward(&tape, &mut numbers(out.len(), 1), &mut grad, &mut NoHooks, &mut work);
                    let now = (out.clone(), grad.clone());
                    let before = first.entry((n, point)).or_insert_with(|| now.clone());
                    assert!(*before == now, "{name} {point}: {n} tokens");
                }
            }
        }
    }
}

#[test]
fn later_tokens_do_not_matter() {
    for name in FOLDERS {
        let (model, tokens) = (load(name), Golden::of(name).tokens());
        let run = |n: usize| {
            let cut = cut_at(&model, &tokens[..n], HookPoint::Embed);
            suffix(&model, &cut, &cut.value, &mut NoHooks)
        };
        let (all, part) = (run(tokens.len()), run(9));
        let off = distance(&part, &all[..part.len()]);
        assert!(off < 1e-5, "{name}: {off}");
    }
}

#[test]
fn centred_residuals_have_no_mean_and_the_same_logits() {
    for name in ["gpt2", "gpt2_variant", "gpt_neo", "gpt_neox", "gpt_neox_sequential", "tiny"] {
        let (raw, tokens) = (load(name), Golden::of(name).tokens());
        let centred = Model::load(&folder(name), ResidualFrame::Centred).unwrap();
        let d_model = raw.facts().d_model;
        let run = |model: &Model<f32>| {
            let mut keep = Keep::default();
            let cut = cut_at(model, &tokens, HookPoint::Embed);
            let out = suffix(model, &cut, &cut.value, &mut keep);
            keep.0.insert(HookPoint::Embed, cut.value);
            (keep.0, logits(model, &out))
        };
        let ((raw_values, raw_logits), (values, centred_logits)) = (run(&raw), run(&centred));
        let off = distance(&centred_logits, &raw_logits);
        assert!(off < 1e-4, "{name}: {off}");
        for (point, value) in values {
            let mut expected = raw_values[&point].clone();
            let inside_branch = matches!(
                point,
                HookPoint::Block {
                    site: Site::Z | Site::MlpPost,
                    ..
                }
            );
            if !inside_branch {
                for row in expected.chunks_exact_mut(d_model) {
                    let mean = row.iter().sum::<f32>() / d_model as f32;
                    row.iter_mut().for_each(|x| *x -= mean);
                }
            }
            let off = distance(&value, &expected);
            assert!(off < 1e-4, "{name} {point}: {off}");
        }
    }
    for name in ["llama", "mistral", "qwen2", "qwen3", "gemma2"] {
        let error = Model::load(&folder(name), ResidualFrame::Centred).err().unwrap();
        assert!(matches!(error, ModelError::Frame { family } if family.name() == name));
        assert!(error.to_string().contains("RMSNorm"), "{error}");
    }
}

#[test]
fn facts_are_those_of_the_config() {
    let facts = *load("llama").facts();
    assert_eq!((facts.family, facts.n_layers, facts.d_model), (Family::Llama, 3, 16));
    assert_eq!((facts.n_heads, facts.d_mlp, facts.d_vocab, facts.n_ctx), (4, 40, 64, 128));
    // embedding and unembedding; q and o, k and v, three MLP matrices, two norms; the last norm
    assert_eq!(facts.n_params, 2 * 64 * 16 + 3 * (2 * 256 + 2 * 128 + 3 * 640 + 32) + 16);
    assert!(!facts.layer_norm);
    let facts = *load("gpt_neox").facts();
    assert_eq!(facts.family.to_string(), "gpt_neox");
    assert!(facts.layer_norm);
}
