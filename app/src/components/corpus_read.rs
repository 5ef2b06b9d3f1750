//! What was read of a corpus: the field, the documents read and skipped, and how the first of them begin, as text and in a model's tokens.

use api::{CorpusInfo, CorpusSummary, Excerpt, ModelInfo, TokenisedExcerpt};
use leptos::prelude::*;

use super::ErrorView;
use crate::client;

/// What was read of `corpus`; the tokens are those of one of `models`.
#[component]
pub fn CorpusRead(
    /// The corpus.
    corpus: CorpusInfo,
    /// Models whose tokens can be shown.
    #[prop(into)]
    models: Signal<Vec<ModelInfo>>,
) -> impl IntoView {
    let Some(summary) = corpus.summary else {
        return view! {
            <p class="hint">
                "It was added by a version of this program that kept nothing of what it read. Add the same file again to see it."
            </p>
        }
        .into_any();
    };
    let lines = summary
        .lines()
        .into_iter()
        .map(|line| view! { <li>{line}</li> })
        .collect_view();
    view! {
        <ul class="corpus-facts" data-testid="corpus-facts">{lines}</ul>
        <Beginnings id=corpus.id.0 summary models />
    }
    .into_any()
}

#[component]
fn Beginnings(id: String, summary: CorpusSummary, models: Signal<Vec<ModelInfo>>) -> impl IntoView {
    let chosen = RwSignal::new(None::<String>);
    // the first model's tokens until another is chosen
    let model = Memo::new(move |_| {
        let first = || models.with(|models| models.first().map(|model| model.id.0.clone()));
        chosen.get().or_else(first)
    });
    let tokens = LocalResource::new(move || {
        let (id, model) = (id.clone(), model.get());
        async move {
            match model {
                Some(model) => client::corpus_tokens(&id, &model).await.map(Some),
                None => Ok(None),
            }
        }
    });
    let options = move || {
        let option = |known: ModelInfo| {
            let id = known.id.0;
            let is_chosen = model.with_untracked(|model| model.as_ref() == Some(&id));
            view! {
                <option value=id.clone() selected=is_chosen>
                    {id.clone()}
                </option>
            }
        };
        models.get().into_iter().map(option).collect_view()
    };
    let texts = StoredValue::new(summary.first);
    view! {
        <label class="corpus-model" hidden=move || models.with(Vec::is_empty)>
            "How its first documents begin, in tokens of "
            <select data-testid="corpus-model" on:change=move |event| chosen.set(Some(event_target_value(&event)))>{options}</select>
        </label>
        <p class="hint" hidden=move || models.with(|models| !models.is_empty())>"How its first documents begin. Add a model to see its tokens."</p>
        {move || match tokens.get() {
            Some(Ok(Some(found))) => found.into_iter().map(in_tokens).collect_view().into_any(),
            Some(Err(error)) => view! {
                <ErrorView error />
                {as_text(texts)}
            }
            .into_any(),
            Some(Ok(None)) | None => as_text(texts).into_any(),
        }}
    }
    .into_any()
}

/// The beginnings as text alone.
fn as_text(texts: StoredValue<Vec<Excerpt>>) -> impl IntoView {
    let one = |excerpt: Excerpt| {
        let text = match excerpt {
            Excerpt::Text(text) => text,
            Excerpt::Tokens(ids) => ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "),
        };
        view! { <pre class="excerpt">{text}</pre> }
    };
    texts.get_value().into_iter().map(one).collect_view()
}

/// A beginning, and the tokens that it comes to.
fn in_tokens(excerpt: TokenisedExcerpt) -> impl IntoView {
    let tokens = excerpt.tokens.into_iter().map(|piece| {
        let id = format!("token {}", piece.id);
        // what has no width of its own is shown as what it is
        let text = piece.text.replace(' ', "·").replace('\n', "⏎");
        view! { <span class="piece" title=id>{text}</span> }
    });
    view! {
        <pre class="excerpt">{excerpt.text}</pre>
        <p class="pieces" data-testid="corpus-pieces">{tokens.collect_view()}</p>
    }
}
