//! What a training step of each kind of dictionary costs under each objective, on batches of 4,096 tokens: in products of its encoder
//! with the batch, timed in the same run, and in tokens per second.
//!
//! `cargo bench -p engine --bench kinds` on all cores; with `RAYON_NUM_THREADS=1` on one. A word (`-- gated`) measures the kinds whose
//! names hold it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and may stop at a surprise"
)]

mod parts;

use api::{DictionaryKind, HookPoint, KindName, ObjectiveKind, ResidualFrame, Site, SweepRequest, TrainConfig};
use engine::{
    dictionary::{Dictionary, Normaliser, Scratch, SparseCodes},
    kernel::{Mat, MatMut, par_matmul},
    model::{Cut, Model, NoHooks, Work},
    train::{Stepper, Trainee},
};
use parts::{Shape, normals, seconds, seconds_of, sparse_dictionary, write_gpt2};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

/// Features per token, about.
const L0: usize = 64;
/// The least learning rate: a step costs what it costs, and the dictionary stays as it is.
const LR: f64 = 1e-12;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    println!("threads: {}", rayon::current_num_threads());
    let shapes = [(5, 64, 8, 512, 16, 256, 3840), (4, 768, 12, 8192, 8, 512, 6144)];
    for (layers, d_model, heads, vocabulary, batch, n_ctx, d_sae) in shapes {
        let shape = Shape {
            layers,
            d_model,
            heads,
            vocabulary,
            n_ctx,
            batch,
            d_sae,
        };
        every_kind(shape, |kind| {
            words.is_empty() || words.iter().any(|word| kind.to_string().contains(word.as_str()))
        });
    }
}

fn every_kind(shape: Shape, is_wanted: impl Fn(KindName) -> bool) {
    let folder = tempfile::tempdir().unwrap();
    write_gpt2(shape, folder.path());
    let place = Place::new(shape, Model::load(folder.path(), ResidualFrame::Raw).unwrap());
    let Shape { d_model, d_sae, .. } = shape;
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let x = place.activations(place.at);
    let relu = sparse_dictionary(d_model, d_sae, L0, &mut rng);
    let (mut codes, scratch) = (SparseCodes::default(), Scratch::new());
    let encoder = seconds(|| relu.encode(&x, &mut codes, &scratch));
    println!(
        "\n[{}, {d_model} → {d_sae}] at {} of {} blocks, vocabulary {}; a step in encoder products (tokens per second)",
        shape.batch * shape.n_ctx,
        place.at,
        shape.layers,
        shape.vocabulary
    );
    let names = ObjectiveKind::ALL.map(|objective| objective.to_string());
    println!(
        "| kind | L0 | {} |\n|---|---|{}",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    let rows = normals(d_model * d_sae, &mut rng);
    for kind in KindName::ALL.into_iter().filter(|kind| !kind.is_fitted() && is_wanted(*kind)) {
        let mut l0 = 0.0;
        let cells = ObjectiveKind::ALL.map(|objective| match place.step(kind, objective, &rows) {
            Ok((step, of_step)) => {
                l0 = of_step;
                format!("{:.2} ({:.0})", step / encoder, (shape.batch * shape.n_ctx) as f64 / step)
            }
            Err(refused) => refused,
        });
        println!("| {kind} | {l0:.0} | {} |", cells.join(" | "));
    }
}

/// A language model, a batch, and where the dictionaries stand.
struct Place {
    shape: Shape,
    model: Model<f32>,
    at: HookPoint,
    /// Where transcoders read.
    read_at: HookPoint,
    tokens: Vec<Vec<u32>>,
    /// Inputs of variance 1.
    scale: f64,
}

impl Place {
    fn new(shape: Shape, model: Model<f32>) -> Self {
        let layer = shape.layers / 2 - 1;
        let site = |site| HookPoint::Block { layer, site };
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut token = || rng.random_range(0..shape.vocabulary as u32);
        let tokens = (0..shape.batch)
            .map(|_| (0..shape.n_ctx).map(|_| token()).collect())
            .collect();
        let mut place = Self {
            shape,
            model,
            at: site(Site::MlpOut),
            read_at: site(Site::ResidMid),
            tokens,
            scale: 1.0,
        };
        let x = place.activations(place.at);
        place.scale = (x.len() as f64 / x.iter().map(|v| f64::from(v * v)).sum::<f64>()).sqrt();
        place
    }

    /// The batch's activations as dictionaries see them.
    fn activations(&self, at: HookPoint) -> Vec<f32> {
        let (mut cut, mut work) = (Cut::default(), Work::default());
        let mut x = Vec::new();
        for tokens in &self.tokens {
            self.model.prefix(tokens, at, &mut cut, &mut NoHooks, &mut work).unwrap();
            x.extend(cut.value.iter().map(|v| v * self.scale as f32));
        }
        x
    }

    /// What a request for it comes to.
    fn config(&self, kind: KindName, objective: ObjectiveKind) -> Result<TrainConfig, String> {
        let Shape { n_ctx, batch, d_sae, .. } = self.shape;
        let mut request = json!({
            "model": "m", "corpus": "c", "at": self.at, "kind": kind, "objectives": [objective], "n_ctx": n_ctx, "batch": batch, "d_sae": d_sae,
        });
        match kind.has_penalty() {
            true => request["coefficient"] = json!("0"),
            false => request["k"] = json!([L0]),
        }
        if kind.settings().contains(&"read_at") {
            request["read_at"] = json!(self.read_at);
        }
        let request: SweepRequest = serde_json::from_value(request).map_err(|e| e.to_string())?;
        let facts = api::ResolvedAgainst {
            width: self.shape.d_model,
            d_vocab: self.shape.vocabulary,
            max_n_ctx: n_ctx,
            has_bos: true,
            parents: &[],
        };
        let resolved = request.resolve(facts).map_err(|e| e.to_string())?;
        Ok(resolved.runs.into_iter().next().unwrap())
    }

    /// Seconds of a step, and how many features fired.
    fn step(&self, kind: KindName, objective: ObjectiveKind, rows: &[f32]) -> Result<(f64, f64), String> {
        let config = self.config(kind, objective)?;
        let own = &config.dictionaries[0];
        let x = self.activations(own.kind.read_at().unwrap_or(self.at));
        let dictionary = self.dictionary(own.kind, rows, &x);
        let mut trainee = Trainee::new(own.objective, LR, dictionary, config.adam);
        if objective == ObjectiveKind::Local {
            let (target, scratch) = (self.activations(self.at), Scratch::new());
            let step = seconds(|| {
                trainee.begin();
                trainee.forward_to(&x, &target, 1.0, &scratch);
                trainee.backward(&x, 1.0, &scratch);
                trainee.complete();
                trainee.update(1.0, 10.0);
            });
            return Ok((step, trainee.l0));
        }
        let mut stepper =
            Stepper::new(&self.model, &config, Normaliser::Scale(self.scale), vec![trainee]).map_err(|e| e.to_string())?;
        let batches = vec![self.tokens.iter().map(Vec::as_slice).collect::<Vec<_>>()];
        let step = seconds_of(3, || {
            stepper.gradients(&batches).unwrap();
            stepper.update(1.0);
        });
        Ok((step, stepper.trainees[0].l0))
    }

    /// A dictionary with the encoder `rows`, whose thresholds let about [`L0`] features fire; a kind that chooses the largest
    /// needs none.
    fn dictionary(&self, kind: DictionaryKind, rows: &[f32], x: &[f32]) -> Dictionary<f32> {
        let Shape { d_model: d, d_sae, .. } = self.shape;
        let encoder: Vec<f32> = rows.iter().map(|w| w / (d as f32).sqrt()).collect();
        let some = &x[..256 * d];
        let mut z = vec![0f32; 256 * d_sae];
        par_matmul(
            MatMut::new(&mut z, 256, d_sae),
            0.0,
            1.0,
            Mat::new(some, 256, d),
            Mat::new(&encoder, d_sae, d).t(),
        );
        let threshold = *z.select_nth_unstable_by(256 * L0, |a, b| b.total_cmp(a)).1;
        let chooses = kind.k().is_some();
        let mut dictionary = Dictionary::between(kind, (d, d), d_sae, 0);
        let has_threshold = dictionary.parameters().0.iter().any(|tensor| tensor.name == "threshold");
        dictionary.update(|parameters| {
            for tensor in &mut parameters.0 {
                match tensor.name {
                    "W_enc" => tensor.data.clone_from(&encoder),
                    "threshold" => tensor.data.fill(threshold),
                    "b_enc" if !chooses && !has_threshold => tensor.data.fill(-threshold),
                    "b_gate" => tensor.data.fill(-threshold),
                    _ => {}
                }
            }
        });
        dictionary
    }
}
