//! The Train form's fields, in the order in which they are thought of.

use api::{CorpusInfo, KindName, Making, ModelInfo, ObjectiveKind, Series};
use leptos::prelude::*;

use super::{Choices, ObjectiveKey, TypedField, field::FormState};
use crate::train_form::{
    BUFFER, COEFFICIENTS, KIND_SETTINGS, MEASUREMENT, OPTIMISER, PENALTY, SIZES, TextField, has_field, kind, middle, objectives,
    prefill_kind, set_objective,
};

/// All fields.
#[component]
pub fn TrainFields(
    /// The form.
    form: FormState,
    /// What can be trained on.
    #[prop(into)]
    models: Signal<Vec<ModelInfo>>,
    /// What can be read.
    #[prop(into)]
    corpora: Signal<Vec<CorpusInfo>>,
    /// The default of a field.
    defaults: Callback<&'static str, String>,
) -> impl IntoView {
    let chosen_kind = Memo::new(move |_| form.values.with(kind));
    // what the chosen kind does not take is not shown, and not asked for
    let typed = move |fields: &'static [TextField]| {
        let each = move |field: &'static TextField| {
            let shown = move || chosen_kind.get().takes(field.name);
            view! {
                <Show when=shown>
                    <TypedField form field default=Signal::derive(move || defaults.run(field.name)) />
                </Show>
            }
        };
        fields.iter().map(each).collect_view()
    };
    let settings = move |fields: &'static [TextField], kind: KindName| {
        let own = fields.iter().filter(move |field| has_field(kind, field.name));
        let each = move |field: &'static TextField| {
            view! { <TypedField form field default=Signal::derive(move || defaults.run(field.name)) /> }
        };
        own.map(each).collect_view()
    };
    // an address that gives coefficients shows where
    let by_coefficient = form.values.with_untracked(|values| values.contains_key("coefficient"));
    view! {
        <fieldset>
            <legend>"Where"</legend>
            <Where form models corpora />
        </fieldset>
        <fieldset>
            <legend>"What they are trained to do"</legend>
            <Objectives form />
            {typed(COEFFICIENTS)}
        </fieldset>
        <fieldset>
            <legend>"What kind of dictionary"</legend>
            <Choices form name="kind" label="Kind" options=kinds() on_chosen=Callback::new(move |_| form.values.update(prefill_kind))
                help="All are compared on the same page. Kinds differ in what makes few features fire." />
            {move || settings(KIND_SETTINGS, chosen_kind.get())}
        </fieldset>
        <Show when=move || chosen_kind.get().has_penalty()>
            <details class="more" open=by_coefficient>
                <summary>"Sparsity by coefficient"</summary>
                <fieldset>{move || settings(PENALTY, chosen_kind.get())}</fieldset>
            </details>
        </Show>
        <fieldset>
            <legend>"How large, and on how much"</legend>
            {typed(SIZES)}
        </fieldset>
        <details class="more">
            <summary>"Optimiser and batches"</summary>
            <fieldset>{typed(OPTIMISER)}</fieldset>
        </details>
        <details class="more">
            <summary>"Mixing activations"</summary>
            <fieldset>
                {typed(BUFFER)}
                <Choices form name="buffer_on" label="Activations are kept" options=kept_on()
                    help="On disk, later runs at this hook point of the model and text need not compute them again." />
            </fieldset>
        </details>
        <details class="more">
            <summary>"How activations and text are read"</summary>
            <fieldset><Reading form models /></fieldset>
        </details>
        <details class="more">
            <summary>"What is measured and kept"</summary>
            <fieldset>
                <Choices form name="evaluate_on" label="Measured on" options=measured_on()
                    help="At the end. Validation text is for choosing settings before anyone has seen the held-out figures." />
                {typed(MEASUREMENT)}
            </fieldset>
        </details>
    }
    .into_any()
}

/// The kinds that can be chosen.
fn kinds() -> Vec<(String, String, bool)> {
    let says = |kind| match kind {
        KindName::Relu => "relu (default): an L1 penalty on what fires",
        KindName::ReluUnit => "relu-unit: the same, rows of the decoder kept at length 1 (dictionary_learning)",
        KindName::ReluApril => "relu-april: the same, a free decoder whose length is paid for (Anthropic, April 2024)",
        KindName::ReluSaelens => "relu-saelens: the same, the decoder's bias taken from the input (SAELens)",
        KindName::PAnneal => "p-anneal: a penalty that comes nearer to counting what fires",
        KindName::Tied => "tied: relu with one matrix both ways",
        KindName::Gated => "gated: a gate decides what fires, so nothing shrinks",
        KindName::TopK => "topk: the k largest of each token",
        KindName::AbsTopK => "abstopk: each token's k of largest size, with their signs",
        KindName::BatchTopK => "batchtopk: the largest of a batch, k per token on average",
        KindName::Matryoshka => "matryoshka: batchtopk, and the first features do without the later ones",
        KindName::JumpRelu => "jumprelu: a threshold for each feature, learnt",
        KindName::Transcoder => "transcoder: relu that reads at another hook point than it writes",
        KindName::JumpReluTranscoder => "jumprelu-transcoder: jumprelu that reads at another hook point",
        KindName::TopKTranscoder => "topk-transcoder: topk that reads at another hook point",
        KindName::SkipTranscoder => "skip-transcoder: transcoder, and what it reads goes to what it writes by a matrix as well",
        KindName::JumpReluSkipTranscoder => "jumprelu-skip-transcoder: jumprelu-transcoder with such a matrix",
        KindName::TopKSkipTranscoder => "topk-skip-transcoder: topk-transcoder with such a matrix",
        KindName::Pursuit => "pursuit: no encoder, codes found by gradient pursuit",
        KindName::MatchingPursuit => "matching-pursuit: no encoder, one feature after the other by what is left",
        KindName::PcaStatic => "pca-static (baseline): the first k principal components",
        KindName::PcaDynamic => "pca-dynamic (baseline): each token's k largest components, signed",
        KindName::PcaTopK => "pca-topk (baseline): both signs of each component, the k largest",
        KindName::PcaNonNegative => "pca-nonnegative (baseline): both signs of each component around the mean",
        KindName::Ica => "ica (baseline): both signs of each independent component",
        KindName::Nmf => "nmf (baseline): directions and codes that are not negative",
        KindName::Random => "random (baseline): random directions with the data's covariance",
        KindName::Identity => "identity (baseline): both signs of each coordinate",
        KindName::TokenMean => "token-mean (baseline): the mean activation of each token",
    };
    let option = |kind: KindName| {
        let value = if kind == KindName::default() {
            String::new()
        } else {
            kind.to_string()
        };
        (value, says(kind).to_string(), true)
    };
    KindName::ALL.map(option).to_vec()
}

/// Where a buffer's activations can be kept.
fn kept_on() -> Vec<(String, String, bool)> {
    let option = |value: &str, label: &str| (value.to_string(), label.to_string(), true);
    vec![
        option("", "in memory, for the run (default)"),
        option("disk", "on disk, for all runs"),
    ]
}

/// The texts that final metrics can be taken on.
fn measured_on() -> Vec<(String, String, bool)> {
    let option = |value: &str, label: &str| (value.to_string(), label.to_string(), true);
    vec![option("", "held-out (default)"), option("validation", "validation text")]
}

/// The model that is chosen. Tracked.
fn chosen(form: FormState, models: Signal<Vec<ModelInfo>>) -> Option<ModelInfo> {
    let id = form.text("model");
    models.with(|models| models.iter().find(|model| model.id.0 == id).cloned())
}

#[component]
fn Where(form: FormState, models: Signal<Vec<ModelInfo>>, corpora: Signal<Vec<CorpusInfo>>) -> impl IntoView {
    let named = |id: &str| (id.to_string(), id.to_string(), true);
    let model_options = Signal::derive(move || models.with(|models| models.iter().map(|m| named(&m.id.0)).collect::<Vec<_>>()));
    let corpus_options =
        Signal::derive(move || corpora.with(|corpora| corpora.iter().map(|c| named(&c.id.0)).collect::<Vec<_>>()));
    let points = Signal::derive(move || {
        let points = chosen(form, models).map(|model| model.hook_points).unwrap_or_default();
        points
            .iter()
            .map(|(at, width)| (at.to_string(), format!("{at}  [{width}]"), true))
            .collect::<Vec<_>>()
    });
    // another model may not have the hook point
    let keep_point = Callback::new(move |_: String| {
        let Some(model) = chosen(form, models) else { return };
        let at = form
            .values
            .with_untracked(|values| values.get("at").and_then(|at| at.parse().ok()));
        if at.and_then(|at| model.width(at)).is_none() {
            form.set("at", middle(&model).to_string());
        }
    });
    view! {
        <Choices form name="model" label="Language model" help="It stays frozen." options=model_options on_chosen=keep_point />
        <Choices form name="corpus" label="Corpus" options=corpus_options
            help="Split by document into training, validation and held-out text." />
        <Choices form name="at" label="Hook point" options=points
            help="Where the dictionary reads and writes, as TransformerLens names it, with the width there." />
    }
    .into_any()
}

#[component]
fn Objectives(form: FormState) -> impl IntoView {
    let help = |objective| match objective {
        ObjectiveKind::Local => "reconstruct the activation",
        ObjectiveKind::E2e => "reproduce the model's output distribution",
        ObjectiveKind::E2eDs => "the output distribution and the later blocks' activations",
        ObjectiveKind::KlMse => "the activation and the output distribution in equal parts: for finetuning",
    };
    let each = move |objective: ObjectiveKind| {
        let on = Memo::new(move |_| form.values.with(|values| objectives(values).contains(&objective)));
        view! {
            <label class="objective-choice">
                <input type="checkbox" data-testid=format!("field-objective-{objective}") checked=on.get_untracked() prop:checked=on
                    on:change=move |event| {
                        form.values.update(|values| set_objective(values, objective, event_target_checked(&event)));
                    } />
                <ObjectiveKey series=Series { kind: KindName::Relu, objective, making: Making::Fresh } />
                <span class="hint">{help(objective)}</span>
            </label>
        }
    };
    view! {
        <div class="field" role="group" aria-label="Objectives">
            {ObjectiveKind::ALL.map(each).collect_view()}
            <p class="problem">{move || form.problem_of("objective")}</p>
        </div>
    }
    .into_any()
}

#[component]
fn Reading(form: FormState, models: Signal<Vec<ModelInfo>>) -> impl IntoView {
    let model = Memo::new(move |_| chosen(form, models));
    let can_centre = move || model.with(|model| model.as_ref().is_none_or(|model| model.layer_norm));
    let has_bos = move || model.with(|model| model.as_ref().is_none_or(|model| model.has_bos));
    let option = |value: &str, label: &str, allowed: bool| (value.to_string(), label.to_string(), allowed);
    let frames = Signal::derive(move || vec![option("", "raw", true), option("centred", "centred", can_centre())]);
    let frame_help = Signal::derive(move || {
        if can_centre() {
            "Raw is as the checkpoint has it; centred takes the mean over d_model out, as TransformerLens does.".to_string()
        } else {
            "Raw is as the checkpoint has it. This model has RMSNorm, which sees the mean, so it cannot be centred.".to_string()
        }
    });
    let scales = Signal::derive(move || {
        vec![
            option("", "unit_norm (default; none for fitted kinds)", true),
            option("none", "none: as it is", true),
            option("unit_norm", "unit_norm: so that E‖x‖² = 1", true),
            option("layer_norm", "layer_norm: each token to mean 0, deviation 1", true),
            option("constant_norm", "constant_norm: each token to length √d", true),
        ]
    });
    let weights = Signal::derive(move || {
        vec![
            option("", "matched, where the kind has a penalty (default)", true),
            option("matched", "matched to the first batch", true),
            option("published", "published: as the kind's source draws them", true),
        ]
    });
    let bos = Signal::derive(move || {
        let default = if has_bos() {
            "documents (default)"
        } else {
            "nothing (default)"
        };
        vec![
            option("", default, true),
            option("document", "documents", has_bos()),
            option("context", "contexts", has_bos()),
            option("none", "nothing", true),
        ]
    });
    let bos_help = Signal::derive(move || {
        if has_bos() {
            "What the tokenizer's BOS token opens."
        } else {
            "This model's tokenizer has no BOS token."
        }
        .to_string()
    });
    let eos = Signal::derive(move || vec![option("", "nothing", true), option("document", "documents", true)]);
    view! {
        <Choices form name="residual" label="Residual stream" help=frame_help options=frames />
        <Choices form name="input_scale" label="Input scale" options=scales
            help="unit_norm: one number, measured on the first batches; layer_norm, constant_norm: each token by itself." />
        <Choices form name="initial_weights" label="Initial weights" options=weights
            help="Matched: the encoder is the decoder's transpose, centred on the data, and every feature fires equally often. Published: relu's are e2e_sae's." />
        <Choices form name="bos" label="BOS before" help=bos_help options=bos />
        <Choices form name="eos" label="EOS after" help="What the tokenizer's EOS token closes." options=eos />
    }
    .into_any()
}
