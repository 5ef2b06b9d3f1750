//! The options of `train` and `sweep`, and the request that they make.

use api::{
    BosPolicy, BufferPlace, ConfigError, CorpusId, DictionaryId, DictionaryInfo, EosPolicy, EvaluationSplit, HookPoint,
    InitialWeights, InputScale, KindName, LeaveOut, ModelId, ObjectiveKind, PerObjective, ResidualFrame, SweepRequest,
};
use clap::Args;
use std::str::FromStr;

use super::reading_options::ReadingOptions;

/// What to train. What is left out takes a default, which is printed.
#[derive(Clone, Debug, Args)]
pub struct SweepOptions {
    /// The language model: a Hugging Face folder, a registered name, or a name on the hub
    #[arg(long, value_name = "FOLDER|NAME")]
    pub model: String,
    /// The text: a file or a folder of files (text, JSON lines, JSON array, CSV, TSV, Parquet, token file), or a registered name
    #[arg(long, value_name = "FILE|NAME")]
    pub corpus: String,
    #[command(flatten)]
    pub reading: ReadingOptions,
    /// Where the dictionaries read and write, as TransformerLens names it: blocks.2.hook_resid_pre
    #[arg(long, value_name = "HOOK POINT")]
    pub at: HookPoint,
    /// Numbers of dictionaries to train further, in place of fresh weights: kind, width and λ (unless given) are theirs
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_hyphen_values = true, value_parser = whole::<u64>)]
    pub from: Vec<u64>,
    #[arg(long, help = kinds())]
    pub kind: Option<KindName>,
    /// The dictionary that random is the null of: as many directions as it has alive features, and as many of them active
    #[arg(long, value_name = "ID", allow_negative_numbers = true, value_parser = whole::<u64>)]
    pub like: Option<u64>,
    /// Objectives: local, e2e, e2e+ds, kl+mse; the baselines have none [default: local; kl+mse with --from]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub objective: Vec<ObjectiveKind>,
    /// Features per token, a dictionary for each, of the kinds with a sparsity term: its coefficient is found while the dictionary trains;
    /// the other kinds have --k [default: 16,32,64, and 32 for saescope train]
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_hyphen_values = true, value_parser = number)]
    pub target_l0: Vec<f64>,
    /// Features per token, a dictionary for each, of the kinds of topk, batchtopk, matryoshka, the pursuits and three of the kinds of PCA
    /// [default: 16,32,64, and 32 for saescope train]; ica, random and identity may have it
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_hyphen_values = true, value_parser = whole::<usize>)]
    pub k: Vec<usize>,
    /// Coefficients of the sparsity term, in place of --target-l0: 0.1,0.3 for every objective, or "local=0.1;e2e=1,3"
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub coefficient: Option<PerObjective>,
    /// Optimiser steps over which the sparsity coefficient rises linearly from 0 [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub sparsity_warmup_steps: Option<usize>,
    /// Optimiser steps between two resamplings of dead features, for the ReLU kinds, tied and gated; 0 for none [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub resample_steps: Option<usize>,
    /// Optimiser steps after a resampling over which the learning rate rises linearly to where it was [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub resample_warmup_steps: Option<usize>,
    /// Weight of the dead features' term of the kinds of topk, batchtopk and matryoshka [default: 0.03125]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub aux_coefficient: Option<f64>,
    /// Tokens without firing after which a feature of the kinds of topk, batchtopk or matryoshka is dead [default: a tenth of the run's, at most 10,000,000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u64>)]
    pub dead_tokens: Option<u64>,
    /// Decay of the mean that is batchtopk's and matryoshka's threshold in use [default: 0.999, less in runs of fewer than 10,000 steps]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub threshold_decay: Option<f64>,
    /// Width of the window in which jumprelu's thresholds have a gradient, in units of the input's size [default: 0.001]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub bandwidth: Option<f64>,
    /// Where jumprelu's thresholds begin, in units of the input's size [default: 0.001]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub initial_threshold: Option<f64>,
    /// Groups of matryoshka's features, each prefix of which reconstructs by itself: 1/32, 1/16, 1/8, 1/4 of them and the rest are five [default: 5]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub groups: Option<usize>,
    /// The last p of p-anneal's penalty, which begins at 1 [default: 0.2]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub final_p: Option<f64>,
    /// The optimiser step at which p-anneal's p begins to fall [default: 10 % of the run's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub anneal_start: Option<usize>,
    /// The optimiser step at which p-anneal's p is the last [default: 90 % of the run's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub anneal_end: Option<usize>,
    /// Where transcoders read, as blocks.2.hook_resid_mid; they write at --at
    #[arg(long, value_name = "HOOK POINT")]
    pub read_at: Option<HookPoint>,
    /// Coefficients of the KL term, as --coefficient [default: e2e 1, e2e+ds 0.5]
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub kl_coefficient: Option<PerObjective>,
    /// Total coefficient of the downstream terms of e2e+ds [default: 2.5]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub ds_coefficient: Option<f64>,
    /// Peak learning rates, as --coefficient [default: by width and steps, 0.03 for 400 steps at width 64, e2e two thirds; 0.0001 with --from]
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub lr: Option<PerObjective>,
    /// Features per dictionary; most baselines have a number of their own [default: 16 times the width at the hook point, nmf once]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub d_sae: Option<usize>,
    /// Tokens per context [default: 256, or the model's longest context if that is shorter]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub n_ctx: Option<usize>,
    /// Contexts per batch [default: 4,096 tokens' worth]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub batch: Option<usize>,
    /// Batches per optimiser step [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub accumulation: Option<usize>,
    /// Tokens to train on; documents repeat, reshuffled, when they run out [default: 2,000,000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u64>)]
    pub tokens: Option<u64>,
    /// Vectors in a buffer that mixes the activations of many contexts, for the local objective alone [default: no buffer, contexts in order]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub buffer_tokens: Option<usize>,
    /// Share of the buffer that is kept back to be mixed with the next vectors [default: 0.5]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub buffer_mixing: Option<f64>,
    /// Where the buffer's activations are kept: memory, or disk so that later runs find them [default: memory]
    #[arg(long, value_name = "PLACE")]
    pub buffer_on: Option<BufferPlace>,
    /// Seeds of the initial weights and of the order of the text, a run for each [default: 0]
    #[arg(long, value_name = "LIST", value_delimiter = ',', allow_hyphen_values = true, value_parser = whole::<u64>)]
    pub seed: Vec<u64>,
    /// Optimiser steps of linear warm-up [default: 5 % of the run's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub warmup_steps: Option<usize>,
    /// Last learning rate as a fraction of the peak [default: 0.1]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub min_lr_factor: Option<f64>,
    /// Optimiser steps at the end for which the last learning rate is held [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub hold_steps: Option<usize>,
    /// Decay of Adam's first moment [default: 0.9]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub adam_beta1: Option<f64>,
    /// Decay of Adam's second moment [default: 0.999]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub adam_beta2: Option<f64>,
    /// Added to the root of Adam's second moment [default: 1e-8]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub adam_eps: Option<f64>,
    /// Largest norm of a dictionary's gradient; larger ones are scaled down to it [default: 1]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub max_grad_norm: Option<f64>,
    /// How the residual stream is read: raw, or centred as TransformerLens does [default: raw]
    #[arg(long)]
    pub residual: Option<ResidualFrame>,
    /// How the dictionaries' input is scaled: none, unit_norm so that its mean squared norm is 1, or each token by itself: layer_norm to mean 0
    /// and deviation 1, constant_norm to length √d [default: unit_norm, and none for kinds that are fitted]
    #[arg(long)]
    pub input_scale: Option<InputScale>,
    /// How fresh weights come about: matched to the first batch, or published, as the kind's source draws them (relu: e2e_sae's)
    /// [default: matched, for kinds with a sparsity term]
    #[arg(long, value_name = "HOW")]
    pub initial_weights: Option<InitialWeights>,
    /// The tokens that are neither trained nor measured on: nothing, special (those that the tokenizer calls so), longer=N (those whose
    /// activation is longer than N times the median), or special,longer=N [default: nothing]
    #[arg(long, value_name = "TOKENS")]
    pub leave_out: Option<LeaveOut>,
    /// What the BOS token opens: document, context or none [default: document, where the tokenizer has one]
    #[arg(long)]
    pub bos: Option<BosPolicy>,
    /// What the EOS token closes: document or none [default: none]
    #[arg(long)]
    pub eos: Option<EosPolicy>,
    /// The text of the final metrics: held_out, or validation while settings are being chosen [default: held_out]
    #[arg(long, value_name = "TEXT")]
    pub evaluate_on: Option<EvaluationSplit>,
    /// Tokens for the final metrics [default: 65,536]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub eval_tokens: Option<usize>,
    /// Validation tokens for the curves during training [default: 16,384]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub validation_tokens: Option<usize>,
    /// Optimiser steps between two measurements on the validation text [default: 5 % of the run's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub eval_every_steps: Option<usize>,
    /// Optimiser steps between two points of the curves [default: 0.5 % of the run's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub log_every_steps: Option<usize>,
    /// Optimiser steps between two checkpoints [default: 10 % of the run's]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub checkpoint_every_steps: Option<usize>,
}

/// A whole number. That it is not negative is said here, because to clap a dash begins an option.
fn whole<T: FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| "expected a whole number, 0 or more")
}

fn number(text: &str) -> Result<f64, &'static str> {
    text.parse().map_err(|_| "expected a number")
}

/// What the help says of `--kind`.
fn kinds() -> String {
    let names = |is_fitted| {
        let names = KindName::ALL.into_iter().filter(|kind| kind.is_fitted() == is_fitted);
        names.map(|kind| kind.to_string()).collect::<Vec<_>>().join(", ")
    };
    let (trained, baselines) = (names(false), names(true));
    format!(
        "The kind of dictionary: {trained}, or a baseline: {baselines} [default: {}]",
        KindName::default()
    )
}

impl SweepOptions {
    /// Takes the numbers of the dictionary that `--like` names, `other`, where they are not given. Says what it took.
    ///
    /// # Errors
    /// With another kind than random, and a dictionary without alive features.
    pub fn imitate(&mut self, other: &DictionaryInfo) -> Result<Vec<String>, ConfigError> {
        let (id, kind) = (other.id, self.kind.unwrap_or_default());
        if kind != KindName::Random {
            return Err(ConfigError::new("like", format!("found with {kind}; expected --kind random")));
        }
        let measured = |name: &str| other.metric(name).map(|value| value.round() as usize).filter(|n| *n > 0);
        let none = || ConfigError::new("like", format!("dictionary {id} has no alive feature; expected one that has"));
        let (alive, l0) = (measured("alive").ok_or_else(none)?, measured("l0").ok_or_else(none)?);
        let mut taken = Vec::new();
        if self.d_sae.is_none() {
            self.d_sae = Some(alive);
            taken.push(format!("d_sae {alive}, the alive features of dictionary {id}"));
        }
        if self.k.is_empty() {
            self.k.push(l0.min(alive));
            taken.push(format!("k {}, the L0 of dictionary {id}", l0.min(alive)));
        }
        Ok(taken)
    }

    /// The request, with the model and the corpus as the registry names them.
    pub fn request(&self, model: ModelId, corpus: CorpusId) -> SweepRequest {
        SweepRequest {
            model,
            corpus,
            at: self.at,
            from: self.from.iter().map(|id| DictionaryId(*id as i64)).collect(),
            kind: self.kind.unwrap_or_default(),
            objectives: self.objective.clone(),
            coefficient: self.coefficient.clone(),
            target_l0: self.target_l0.clone(),
            sparsity_warmup_steps: self.sparsity_warmup_steps,
            resample_steps: self.resample_steps,
            resample_warmup_steps: self.resample_warmup_steps,
            k: self.k.clone(),
            aux_coefficient: self.aux_coefficient,
            dead_tokens: self.dead_tokens,
            threshold_decay: self.threshold_decay,
            bandwidth: self.bandwidth,
            initial_threshold: self.initial_threshold,
            groups: self.groups,
            final_p: self.final_p,
            anneal_start: self.anneal_start,
            anneal_end: self.anneal_end,
            read_at: self.read_at,
            kl_coefficient: self.kl_coefficient.clone(),
            ds_coefficient: self.ds_coefficient,
            lr: self.lr.clone(),
            d_sae: self.d_sae,
            n_ctx: self.n_ctx,
            batch: self.batch,
            accumulation: self.accumulation,
            tokens: self.tokens,
            buffer_tokens: self.buffer_tokens,
            buffer_mixing: self.buffer_mixing,
            buffer_on: self.buffer_on,
            seeds: self.seed.clone(),
            warmup_steps: self.warmup_steps,
            min_lr_factor: self.min_lr_factor,
            hold_steps: self.hold_steps,
            adam_beta1: self.adam_beta1,
            adam_beta2: self.adam_beta2,
            adam_eps: self.adam_eps,
            max_grad_norm: self.max_grad_norm,
            residual: self.residual.unwrap_or_default(),
            input_scale: self.input_scale,
            initial_weights: self.initial_weights,
            leave_out: self.leave_out.unwrap_or_default(),
            bos: self.bos,
            eos: self.eos,
            evaluate_on: self.evaluate_on,
            eval_tokens: self.eval_tokens,
            validation_tokens: self.validation_tokens,
            eval_every_steps: self.eval_every_steps,
            log_every_steps: self.log_every_steps,
            checkpoint_every_steps: self.checkpoint_every_steps,
        }
    }
}

impl SweepOptions {
    /// The values that were not given and that the request has a value for all the same, as `field = value`.
    pub fn defaults(&self) -> Vec<String> {
        let kind = (self.kind.is_none() && self.from.is_empty()).then(|| format!("kind = {}", KindName::default()));
        let residual = self
            .residual
            .is_none()
            .then(|| format!("residual = {}", ResidualFrame::default()));
        [kind, residual].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: SweepOptions,
    }

    fn parse(line: &[&str]) -> Result<SweepOptions, String> {
        Command::try_parse_from(std::iter::once(&"sweep").chain(line))
            .map(|c| c.options)
            .map_err(|e| e.to_string())
    }

    const REQUIRED: [&str; 10] = [
        "--model",
        "m",
        "--corpus",
        "c",
        "--at",
        "blocks.2.hook_resid_pre",
        "--objective",
        "local",
        "--coefficient",
        "1",
    ];

    #[test]
    fn every_option_reaches_the_request_and_the_command_says_the_same() {
        let mut line = REQUIRED.to_vec();
        line[7] = "local,e2e,e2e+ds";
        line[9] = "local=0.1,0.3;e2e=1;e2e+ds=2";
        line.extend([
            "--kind",
            "batchtopk",
            "--k",
            "8,16",
            "--aux-coefficient",
            "0.05",
            "--dead-tokens",
            "7000",
            "--threshold-decay",
            "0.97",
            "--bandwidth",
            "0.02",
            "--initial-threshold",
            "0.003",
            "--target-l0",
            "16,32.5",
            "--sparsity-warmup-steps",
            "13",
            "--resample-steps",
            "40",
            "--resample-warmup-steps",
            "14",
            "--groups",
            "4",
            "--final-p",
            "0.3",
            "--anneal-start",
            "12",
            "--anneal-end",
            "90",
            "--read-at",
            "blocks.1.hook_resid_mid",
            "--kl-coefficient",
            "e2e=1;e2e+ds=0.5",
            "--ds-coefficient",
            "2.5",
            "--lr",
            "0.002",
            "--d-sae",
            "512",
            "--n-ctx",
            "128",
            "--batch",
            "8",
            "--accumulation",
            "2",
            "--tokens",
            "1000000",
            "--buffer-tokens",
            "9000",
            "--buffer-mixing",
            "0.25",
            "--buffer-on",
            "disk",
            "--seed",
            "0,1",
            "--warmup-steps",
            "5",
            "--min-lr-factor",
            "0.2",
            "--hold-steps",
            "6",
            "--max-grad-norm",
            "7",
            "--residual",
            "centred",
            "--input-scale",
            "unit_norm",
            "--initial-weights",
            "published",
            "--bos",
            "context",
            "--eos",
            "document",
            "--evaluate-on",
            "validation",
            "--eval-tokens",
            "1000",
            "--validation-tokens",
            "100",
            "--eval-every-steps",
            "9",
            "--log-every-steps",
            "3",
            "--checkpoint-every-steps",
            "11",
            "--adam-beta1",
            "0.5",
            "--adam-beta2",
            "0.99",
            "--adam-eps",
            "1e-6",
        ]);
        let request = parse(&line).unwrap().request(ModelId("m".into()), CorpusId("c".into()));
        let command = request.command().replace('"', "");
        let words: Vec<&str> = command.split(' ').skip(2).collect();
        let again = parse(&words).unwrap().request(ModelId("m".into()), CorpusId("c".into()));
        assert_eq!(again, request);
        let left_out: Vec<_> = serde_json::to_value(&request)
            .unwrap()
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| value.is_null())
            .map(|(name, _)| name.clone())
            .collect();
        assert_eq!(left_out, Vec::<String>::new(), "an option that the test does not give");
    }

    #[test]
    fn a_bad_value_is_quoted_with_what_was_expected() {
        for (position, value, expected) in [
            (5, "blocks.2.hook_resid", "hook_resid_pre"),
            (7, "e3e", "local, e2e, e2e+ds"),
            (9, "local=x", "'x'"),
            (9, "--lr", "'--lr' in '--lr' is not a number"),
        ] {
            let mut line = REQUIRED.to_vec();
            line[position] = value;
            let message = parse(&line).unwrap_err();
            assert!(message.contains(value) && message.contains(expected), "{message}");
        }
    }
}
