//! How much memory a run of dictionaries takes: see [`crate::memory`].

use api::{DictionaryConfig, DictionaryKind, KindName, Objective, TrainConfig};

use crate::memory::{NUMBER, Needs, Sizes, THREAD};

/// Bytes of an entry of codes: its feature, its value, its gradient, and half as much again, because lists grow by doubling.
const ENTRY: u128 = 18;
/// Vectors [n_tokens, width] that every dictionary has of a batch: x̂ and its gradient.
const VECTORS: u128 = 2;
/// Those that kinds with a second set of codes have besides: what it decodes to and is to decode to, the centred input.
const SIDE_VECTORS: u128 = 3;
/// Of how many units (documents or contexts) measuring keeps account.
const UNITS: u128 = 4096;
/// Features per token that a dictionary is taken to have at most when it is measured: one that is not trained yet has more, for a
/// text that is shorter.
const MEASURED_L0: u128 = 256;
/// Bytes of the activations that ICA keeps.
const ICA_KEPT: u128 = 1 << 30;

/// What the run `config` takes at a hook point of `width`, of a model of these sizes, on `n_threads` threads of the processor.
pub fn needs(config: &TrainConfig, width: usize, sizes: &Sizes, n_threads: usize) -> Needs {
    let w = width as u128;
    let n_ctx = config.packing.n_ctx as u128;
    let n_tokens = config.batch as u128 * n_ctx;
    let threads = (n_threads as u128).min(config.batch as u128).max(1);
    let d = sizes.d_model as u128;
    let later = (sizes.n_layers.saturating_sub(config.at.next_block()) + 1) as u128;
    let n_dictionaries = config.dictionaries.len() as u128;
    let matrix = n_tokens * w * NUMBER;
    let n_past = config.dictionaries.iter().filter(|d| looks_past(d)).count() as u128;
    let n_read = config
        .dictionaries
        .iter()
        .filter(|d| d.kind.read_at().is_some())
        .count()
        .min(1) as u128;
    let trains = config.n_steps() > 0;

    let parameters = config.state_bytes(width);
    // weights and moments are put together before they are written
    let state = parameters + if trains { parameters * 3 / 4 } else { 0 };

    let vectors: u128 = config.dictionaries.iter().map(|d| vectors(d, matrix)).sum();
    // the batch as the model has it and as dictionaries see it, with what transcoders read, and where a branch is under way
    let batch = matrix * (2 + 2 * n_read) + n_tokens * d * NUMBER + matrix * n_past;
    let spliced = if n_past > 0 {
        // a tape, four inputs of the unembedding, and the later layers' activations with how they differ
        sizes.tape(n_ctx, later) + n_ctx * d * NUMBER * (4 + 2 * later) + sizes.logits(3)
    } else {
        0
    };
    let fitted = if config.is_fit() { fit(config, n_tokens, w) } else { 0 };
    let activations = batch + vectors + threads * (sizes.work(n_ctx) + spliced + THREAD) + fitted;
    let codes = config.dictionaries.iter().map(|d| codes(d, n_tokens, w)).sum();

    let measured: u128 = config
        .dictionaries
        .iter()
        .map(|d| measured(d, config, n_tokens, w, later))
        .sum();
    let per_thread = n_ctx * d * NUMBER * (n_dictionaries + 4) + sizes.work(n_ctx) + sizes.logits(2) + THREAD;
    // cuts, what is kept of the later layers and its copy, an input at a time, and two ablations
    let shared = matrix * (3 + 2 * n_read) + n_tokens * d * NUMBER * (1 + 2 * later) + n_tokens * 64;
    let evaluation = measured + shared + threads * per_thread;

    let buffer = match config.buffer {
        // its numbers, where each is, a batch that is read, and those that a step draws
        Some(buffer) => config.buffer_bytes(width) + buffer.tokens as u128 * 40 + matrix * (1 + config.accumulation as u128),
        None => 0,
    };
    Needs {
        model: sizes.weights(),
        state,
        activations,
        codes,
        buffer,
        evaluation,
    }
}

/// What it takes to measure the dictionaries of `config`, which were made before.
pub fn measuring_needs(config: &TrainConfig, width: usize, sizes: &Sizes, n_threads: usize) -> Needs {
    let all = needs(config, width, sizes, n_threads);
    Needs {
        // the parameters alone
        state: config.state_bytes(width) / 4,
        activations: 0,
        codes: 0,
        buffer: 0,
        ..all
    }
}

fn looks_past(dictionary: &DictionaryConfig) -> bool {
    !matches!(dictionary.objective, Objective::Local { .. })
}

fn vectors(dictionary: &DictionaryConfig, matrix: u128) -> u128 {
    let kind = dictionary.kind.name();
    let side = match kind.has_auxiliary() || kind == KindName::Gated {
        true => SIDE_VECTORS,
        false => 1,
    };
    let groups = match dictionary.kind {
        DictionaryKind::Matryoshka { groups, .. } => groups as u128,
        _ => 0,
    };
    let both = u128::from(matches!(dictionary.objective, Objective::KlMse { .. }));
    matrix * (VECTORS + side + groups + both)
}

/// Features that fire on a token: of what has a sparsity term, half of those that are fresh.
fn fired(dictionary: &DictionaryConfig) -> u128 {
    let half = (dictionary.d_sae as u128).div_ceil(2);
    match (dictionary.kind.name(), dictionary.kind.k()) {
        // all of a batch that are positive are looked at before the largest of them are known
        (KindName::BatchTopK | KindName::Matryoshka, _) | (_, None) => half,
        (_, Some(k)) => half.min(k as u128),
    }
}

fn codes(dictionary: &DictionaryConfig, n_tokens: u128, width: u128) -> u128 {
    let kind = dictionary.kind.name();
    let side = match kind {
        KindName::Gated => fired(dictionary),
        _ if kind.has_auxiliary() => (dictionary.d_sae as u128 / 2).min(width / 2),
        _ => 0,
    };
    n_tokens * (fired(dictionary) + side + 1) * ENTRY
}

/// What measuring holds of one dictionary: x̂ and codes of a batch, per token what is compared at each later layer, twice, and
/// per unit what is resampled.
fn measured(dictionary: &DictionaryConfig, config: &TrainConfig, n_tokens: u128, width: u128, later: u128) -> u128 {
    let l0 = fired(dictionary).min(MEASURED_L0);
    let tokens = config.evaluation.n_tokens as u128;
    let units = UNITS.min(tokens / 16 + 1);
    let of_text = (tokens * l0).min(units * dictionary.d_sae as u128) * 8 + units * width * 16;
    let of_batch = n_tokens * (width * NUMBER + fired(dictionary) * 12 + 2 * (16 + 8 * (later + 1)) + 12);
    of_batch + of_text + dictionary.d_sae as u128 * 16
}

/// What a fit holds: moments and factors in f64, and what ICA keeps of the activations.
fn fit(config: &TrainConfig, n_tokens: u128, width: u128) -> u128 {
    let moments = 8 * (n_tokens * width + 8 * width * width);
    let of = |dictionary: &DictionaryConfig| {
        let n = dictionary.d_sae as u128;
        match dictionary.kind.name() {
            KindName::Ica => ICA_KEPT.min(config.tokens as u128 * width * 8) + 8 * n_tokens * width,
            // sums over chunks of 512 vectors, all of a batch at once
            KindName::Nmf => (n_tokens / 512 + 3) * n * (n + width) * 8,
            _ => n * width * 16,
        }
    };
    moments + config.dictionaries.iter().map(of).sum::<u128>()
}
