//! The Train form's typed fields: what each is called and what it means.

/// A field that is typed.
pub struct TextField {
    /// The request's name for it.
    pub name: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Whether it has a line of its own.
    pub is_wide: bool,
}

const fn field(name: &'static str, label: &'static str, help: &'static str) -> TextField {
    TextField {
        name,
        label,
        help,
        is_wide: false,
    }
}

/// The kinds' own numbers; each kind has some of them.
pub const KIND_SETTINGS: &[TextField] = &[
    TextField {
        name: "target_l0",
        label: "Features per token",
        help: "How many features are to fire, on average: L0. A dictionary is trained for each number, so several draw a Pareto curve. The weight of the sparsity term is found on the way.",
        is_wide: true,
    },
    TextField {
        name: "k",
        label: "Features per token",
        help: "How many features fire: k. A dictionary is trained or fitted for each number, so several draw a Pareto curve. Of ica, random and identity all that is positive is kept where none is given.",
        is_wide: true,
    },
    field(
        "resample_steps",
        "Resampling",
        "Steps between two at which dead features begin anew, each at an input that is reconstructed badly; 0 for never.",
    ),
    field(
        "resample_warmup_steps",
        "Warm-up after it",
        "Steps after a resampling over which the learning rate rises to where it was.",
    ),
    field(
        "aux_coefficient",
        "Dead features' weight",
        "Of the term in which dead features learn what the others leave over.",
    ),
    field(
        "dead_tokens",
        "Dead after",
        "Tokens without firing after which a feature is dead.",
    ),
    field(
        "threshold_decay",
        "Threshold's decay",
        "In use, features fire above a threshold: the decaying mean of the smallest activation that training batches kept.",
    ),
    field(
        "bandwidth",
        "Bandwidth",
        "Width of the window around a threshold in which it has a gradient, in units of the input's size.",
    ),
    field("initial_threshold", "First threshold", "In units of the input's size."),
    field(
        "read_at",
        "Reads at",
        "A hook point before the one where it writes: blocks.2.ln2.hook_normalized for blocks.2.hook_mlp_out, so that it stands for the MLP.",
    ),
    field(
        "groups",
        "Groups",
        "Of features, each prefix of which reconstructs by itself: 1/32, 1/16, 1/8, 1/4 of them and the rest are five.",
    ),
    field("final_p", "Last p", "Of the penalty Σ cᵖ, which begins at 1."),
    field("anneal_start", "p falls from", "The optimiser step at which it begins to."),
    field("anneal_end", "p falls until", "The optimiser step at which it is the last."),
];

/// The penalty by its weight, for whoever does not ask for features per token.
pub const PENALTY: &[TextField] = &[
    TextField {
        name: "coefficient",
        label: "Sparsity coefficient λ",
        help: "In place of features per token. Weight of the sparsity term: the mean L1 norm of the codes (gated: of the open gates; jumprelu: their number; relu-april and relu-saelens: times the length of what they write; p-anneal: Σ cᵖ) over d_in. A dictionary is trained for each value: \
               0.1,0.3,1 for every objective or, per objective, local=0.1,0.3;e2e=1,3.",
        is_wide: true,
    },
    field(
        "sparsity_warmup_steps",
        "Sparsity warm-up",
        "Steps over which λ rises linearly from 0.",
    ),
];

/// The objectives' own numbers.
pub const COEFFICIENTS: &[TextField] = &[
    field(
        "kl_coefficient",
        "KL coefficient",
        "Weight of KL(model ‖ spliced) in e2e and e2e+ds, one value or a list, per objective if you like.",
    ),
    field(
        "ds_coefficient",
        "Downstream coefficient",
        "e2e+ds: total weight of the reconstruction at later blocks, shared equally among them.",
    ),
];

/// The dictionary and its text.
pub const SIZES: &[TextField] = &[
    field(
        "from",
        "Train further",
        "Numbers of trained dictionaries, 7,8: each is trained on under every objective. Kind, width and λ stay theirs.",
    ),
    field("d_sae", "Features, d_sae", "Number of features in each dictionary."),
    field(
        "tokens",
        "Tokens",
        "Tokens to train on. Documents repeat, reshuffled, when they run out.",
    ),
    field(
        "seeds",
        "Seeds",
        "Each sets the initial weights and the order of the text, and is a run of its own: 0,1,2. Intervals need two or more.",
    ),
];

/// The optimiser and the batches.
pub const OPTIMISER: &[TextField] = &[
    field(
        "lr",
        "Learning rate",
        "Adam's peak learning rate; a list or values per objective train a dictionary for each.",
    ),
    field("n_ctx", "Context length, n_ctx", "Tokens per context."),
    field(
        "leave_out",
        "Tokens left out",
        "Neither trained nor measured on: special, longer=10 (activations longer than 10 times the median), or special,longer=10.",
    ),
    field("batch", "Batch", "Contexts per batch."),
    field("accumulation", "Accumulation", "Batches per optimiser step."),
    field(
        "warmup_steps",
        "Warm-up steps",
        "Steps in which the learning rate rises linearly from 0.",
    ),
    field(
        "min_lr_factor",
        "Last learning rate",
        "As a fraction of the peak, at the end of the cosine.",
    ),
    field("hold_steps", "Hold", "Steps at the end that keep the last learning rate."),
    field(
        "max_grad_norm",
        "Largest gradient norm",
        "A dictionary's gradient is scaled down to it.",
    ),
    field("adam_beta1", "Adam β₁", "Decay of the mean of the gradient."),
    field("adam_beta2", "Adam β₂", "Decay of the mean of its square."),
    field("adam_eps", "Adam ε", "Added to the root of that mean."),
];

/// The buffer of activations.
pub const BUFFER: &[TextField] = &[
    field(
        "buffer_tokens",
        "Buffer",
        "Activation vectors of many contexts, mixed, that steps draw from; for the local objective alone. Empty: contexts in order.",
    ),
    field(
        "buffer_mixing",
        "Kept back",
        "Share of the buffer that is mixed with the next vectors when the others have been served.",
    ),
];

/// What is measured and kept.
pub const MEASUREMENT: &[TextField] = &[
    field("eval_tokens", "Tokens measured", "Of that text, for the final metrics."),
    field("validation_tokens", "Validation tokens", "For the curves while it trains."),
    field(
        "eval_every_steps",
        "Validation interval",
        "Steps between two measurements of the validation text.",
    ),
    field("log_every_steps", "Log interval", "Steps between two points of the curves."),
    field(
        "checkpoint_every_steps",
        "Checkpoint interval",
        "Steps between two checkpoints, from which a run goes on.",
    ),
];
