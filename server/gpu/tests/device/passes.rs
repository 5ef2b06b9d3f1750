//! Every model at every hook point: the value there, the rest of the model from there, and the gradient back to there.

use api::{HookPoint, ResidualFrame, Site};
use candle_core::Tensor;
use engine::model::{Cut, Hooks, Model, NoHooks, Tape, Work};
use gpu::{Chunks, Gpu, OnGpu};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::golden::{models, relative};

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
const N_CONTEXTS: usize = 2;
/// Longer than any window of the golden models.
const N_CTX: usize = 48;
/// Relative to the norm.
const BOUND: f64 = 1e-5;

/// Adds the same to the gradient at every block's input, as a downstream term does.
struct Enter<'a>(&'a [f32]);

impl Hooks<f32> for Enter<'_> {
    fn at(&mut self, point: HookPoint, grad: &mut [f32]) {
        if is_resid_pre(point) {
            grad.iter_mut().zip(self.0).for_each(|(g, e)| *g += e);
        }
    }
}

fn is_resid_pre(point: HookPoint) -> bool {
    matches!(
        point,
        HookPoint::Block {
            site: Site::ResidPre,
            ..
        }
    )
}

/// What the processor computes for one context: the value at `at`, the suffix' output for that value plus `nudge`, its
/// gradient, and the logits.
fn on_the_processor(
    model: &Model<f32>,
    tokens: &[u32],
    at: HookPoint,
    nudge: &[f32],
    grad: &[f32],
    enter: &[f32],
) -> [Vec<f32>; 4] {
    let (mut cut, mut work, mut tape) = (Cut::default(), Work::default(), Tape::default());
    model.prefix(tokens, at, &mut cut, &mut NoHooks, &mut work).unwrap();
    let value: Vec<f32> = cut.value.iter().zip(nudge).map(|(x, y)| x + y).collect();
    let (mut out, mut back) = (Vec::new(), Vec::new());
    model
        .suffix(&cut, &value, &mut out, &mut NoHooks, Some(&mut tape), &mut work)
        .unwrap();
    model.backward(&tape, &mut grad.to_vec(), &mut back, &mut Enter(enter), &mut work);
    let mut logits = vec![0.0; tokens.len() * model.facts().d_vocab];
    model.logits(&out, &mut logits);
    [cut.value, out, back, logits]
}

fn contexts(model: &Model<f32>, n_ctx: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<u32>> {
    let facts = model.facts();
    let context = |_| (0..n_ctx).map(|_| rng.random_range(0..facts.d_vocab as u32)).collect();
    (0..N_CONTEXTS).map(context).collect()
}

fn every_hook_point(folder: &str, frame: ResidualFrame, chunks: Chunks) {
    let host = Model::load(&models().join(folder), frame).unwrap();
    let mut gpu = OnGpu::new(&Gpu::processor(), &host).unwrap();
    gpu.model.chunks = chunks;
    let model = &gpu.model;
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (n_ctx, d_model) = (host.facts().n_ctx.min(N_CTX), host.facts().d_model);
    let contexts = contexts(&host, n_ctx, &mut rng);
    let contexts: Vec<&[u32]> = contexts.iter().map(Vec::as_slice).collect();
    let n = N_CONTEXTS * n_ctx;
    let form = model.form(N_CONTEXTS, n_ctx).unwrap();
    let tensor = |numbers: &[f32]| Tensor::from_slice(numbers, (n, numbers.len() / n), &candle_core::Device::Cpu).unwrap();
    for (at, width) in host.hook_points() {
        let mut numbers = |width: usize| -> Vec<f32> { (0..n * width).map(|_| rng.random_range(-0.1..0.1)).collect() };
        let (nudge, grad, enter) = (numbers(width), numbers(d_model), numbers(d_model));
        let expected: Vec<[Vec<f32>; 4]> = contexts
            .iter()
            .enumerate()
            .map(|(i, tokens)| {
                let part = |numbers: &[f32], width: usize| numbers[i * n_ctx * width..(i + 1) * n_ctx * width].to_vec();
                let (nudge, grad, enter) = (part(&nudge, width), part(&grad, d_model), part(&enter, d_model));
                on_the_processor(&host, tokens, at, &nudge, &grad, &enter)
            })
            .collect();

        let cut = model.prefix(&contexts, &form, at).unwrap();
        let value = (cut.value() + tensor(&nudge)).unwrap();
        let mut tape = gpu::Tape::default();
        let mut seen = vec![at];
        let mut see = |point: HookPoint, _: &mut Tensor| {
            seen.push(point);
            Ok(())
        };
        let out = model.suffix(&cut, &value, &form, &mut see, Some(&mut tape)).unwrap();
        let enter = tensor(&enter);
        let mut seen_back = Vec::new();
        let mut add = |point: HookPoint, grad: &mut Tensor| {
            seen_back.push(point);
            if is_resid_pre(point) {
                *grad = (&*grad + &enter)?;
            }
            Ok(())
        };
        let back = model.backward(&tape, &tensor(&grad), &form, &mut add).unwrap();
        let logits = model.logits(&out).unwrap();

        let above: Vec<HookPoint> = host.hook_points().into_iter().map(|(point, _)| point).collect();
        assert_eq!(
            seen,
            above[above.iter().position(|p| *p == at).unwrap()..],
            "{folder} from {at}"
        );
        seen.reverse();
        assert_eq!(seen_back, seen, "{folder} back to {at}");
        let names = ["the value", "the suffix' output", "the gradient", "the logits"];
        for (k, (name, ours)) in names.into_iter().zip([cut.value(), &out, &back, &logits]).enumerate() {
            let ours: Vec<f32> = ours.flatten_all().unwrap().to_vec1().unwrap();
            let expected: Vec<f64> = expected.iter().flat_map(|e| &e[k]).map(|x| f64::from(*x)).collect();
            let off = relative(&ours, &expected);
            assert!(off <= BOUND, "{folder} at {at}: {name} is {off:.1e} off");
        }
    }
}

#[test]
fn every_model_at_every_hook_point_is_the_engines() {
    for folder in FOLDERS {
        every_hook_point(folder, ResidualFrame::Raw, Chunks::default());
    }
    for folder in ["gpt2", "gpt_neox"] {
        every_hook_point(folder, ResidualFrame::Centred, Chunks::default());
    }
}

#[test]
fn chunks_change_nothing() {
    for folder in ["gpt_neo", "llama", "gemma2"] {
        // three key heads at a time, which does not divide their number
        let host = Model::load(&models().join(folder), ResidualFrame::Raw).unwrap();
        let shared = host.facts().n_heads / host.parts().blocks[0].attention.n_kv_heads;
        let scores = 3 * shared * N_CTX * N_CTX;
        every_hook_point(folder, ResidualFrame::Raw, Chunks { scores, logits: 1 });
    }
}
