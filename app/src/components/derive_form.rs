//! Changing a trained dictionary on its page: what means nothing for its kind says why before it is tried.

use api::{ApiError, DeriveRequest, DictionaryInfo, PostHoc, TrainConfig};
use leptos::prelude::*;

use super::job_form::{FormField, JobForm, number};
use crate::client;

/// A way to change it, with a value that it could have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Prune,
    Threshold,
    RescaleShift,
    Pursuit,
    Fold,
}

impl Way {
    const ALL: [Way; 5] = [Way::Prune, Way::Threshold, Way::RescaleShift, Way::Pursuit, Way::Fold];

    fn words(self) -> [&'static str; 2] {
        match self {
            Way::Prune => ["prune", "drop the weakest activations, below one threshold"],
            Way::Threshold => ["threshold", "a threshold in place of the k largest, at the same L0"],
            Way::RescaleShift => [
                "rescale and shift",
                "train a scale and a shift per feature, which undoes shrinkage",
            ],
            Way::Pursuit => ["pursuit", "gradient pursuit in place of the encoder"],
            Way::Fold => [
                "fold",
                "decoder norms and the input's scale into the weights; the output stays",
            ],
        }
    }

    fn example(self) -> PostHoc {
        match self {
            Way::Prune => PostHoc::Prune { keep: 0.5 },
            Way::Threshold => PostHoc::Threshold,
            Way::RescaleShift => PostHoc::RescaleShift,
            Way::Pursuit => PostHoc::Pursuit { k: 8 },
            Way::Fold => PostHoc::Fold,
        }
    }
}

/// What is typed, as text.
#[derive(Clone, Copy)]
struct Typed {
    keep: RwSignal<String>,
    k: RwSignal<String>,
    tokens: RwSignal<String>,
    lr: RwSignal<String>,
}

/// The request that the form asks for. Tracked.
fn request(info: &DictionaryInfo, way: Way, typed: Typed) -> Result<DeriveRequest, ApiError> {
    let trains = way == Way::RescaleShift;
    let by = match way {
        Way::Prune => PostHoc::Prune {
            keep: number("keep", &typed.keep.get())?.unwrap_or(0.5),
        },
        Way::Pursuit => PostHoc::Pursuit {
            k: number("k", &typed.k.get())?.unwrap_or(8),
        },
        other => other.example(),
    };
    Ok(DeriveRequest {
        from: vec![info.id],
        by: vec![by],
        tokens: number("tokens", &typed.tokens.get())?.filter(|_| trains),
        lr: number("lr", &typed.lr.get())?.filter(|_| trains),
    })
}

/// The form.
#[component]
pub fn DeriveForm(
    /// The dictionary.
    info: DictionaryInfo,
    /// The config of its run.
    config: TrainConfig,
) -> impl IntoView {
    let refusal = |way: Way| way.example().kind(info.config.kind).err().map(|error| error.message);
    let ways = Way::ALL.map(|way| (way, refusal(way)));
    let first = ways.iter().find(|(_, refused)| refused.is_none());
    let way = RwSignal::new(first.map_or(Way::Fold, |(way, _)| *way));
    let typed = Typed {
        keep: RwSignal::new(String::new()),
        k: RwSignal::new(String::new()),
        tokens: RwSignal::new(String::new()),
        lr: RwSignal::new(String::new()),
    };
    let parent = StoredValue::new((info, config));
    let asked = Memo::new(move |_| {
        parent.with_value(|(info, config)| {
            let asked = request(info, way.get(), typed)?;
            // what the server would say, said here
            asked.resolve(&[(info.clone(), config.clone())])?;
            Ok::<_, ApiError>(asked)
        })
    });
    let refused = Signal::derive(move || asked.get().err().map(|error| error.message));
    let start = move || async move { client::derive(&asked.get_untracked()?).await };
    let is = move |this: Way| move || way.get() != this;
    view! {
        <JobForm title="Derive another from it" testid="derive" button="Derive and measure" start refused
            hint="A new dictionary, measured on the same text and beside this one on the Pareto page.">
            <div class="ways" role="radiogroup" aria-label="how">
                {ways.into_iter().map(|(this, refused)| view! { <Choice this refused way /> }).collect_view().into_any()}
            </div>
            <div hidden=is(Way::Prune)>
                <FormField label="Share of the firings that stay" id="derive-keep" value=typed.keep placeholder="0.5" />
            </div>
            <div hidden=is(Way::Pursuit)>
                <FormField label="Features per token, at most" id="derive-k" value=typed.k placeholder="8" />
            </div>
            <div hidden=is(Way::RescaleShift)>
                <FormField label="Tokens to train on" id="derive-tokens" value=typed.tokens placeholder="500,000" />
                <FormField label="Learning rate" id="derive-lr" value=typed.lr placeholder="0.001" />
            </div>
        </JobForm>
    }
    .into_any()
}

#[component]
fn Choice(this: Way, refused: Option<String>, way: RwSignal<Way>) -> impl IntoView {
    let [name, what] = this.words();
    let is_refused = refused.is_some();
    view! {
        <label class="way" class:refused=is_refused>
            <input type="radio" name="derive-way" disabled=is_refused checked=way.get_untracked() == this
                prop:checked=move || way.get() == this on:change=move |_| way.set(this) data-testid=format!("derive-{}", name.replace(' ', "-")) />
            <span>
                <b>{name}</b> ": " {what}
                {refused.map(|why| view! { <span class="hint">{why}</span> })}
            </span>
        </label>
    }
    .into_any()
}
