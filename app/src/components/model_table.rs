//! The registry's language models.

use api::ModelInfo;
use leptos::prelude::*;

use crate::format;

/// A row per model, with a way to train on it.
#[component]
pub fn ModelTable(
    /// The models.
    #[prop(into)]
    models: Signal<Vec<ModelInfo>>,
) -> impl IntoView {
    view! {
        <div class="table-box">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"model"</th>
                        <th scope="col" class="words minor">"family"</th>
                        <th scope="col" class="minor">"blocks"</th>
                        <th scope="col">"d_model"</th>
                        <th scope="col" class="minor">"n_ctx"</th>
                        <th scope="col">"parameters"</th>
                        <th scope="col"><span class="unseen">"actions"</span></th>
                    </tr>
                </thead>
                <tbody>
                    <For each=move || models.get() key=|model| model.hash.clone() + &model.id.0 let:model>
                        <tr data-testid="model-row">
                            <td title=format!("{}\nSHA-256 {}", model.source, model.hash)>{model.id.to_string()}</td>
                            <td class="words minor">{model.family.clone()}</td>
                            <td class="minor">{format::count(model.n_layers as u64)}</td>
                            <td>{format::count(model.d_model as u64)}</td>
                            <td class="minor">{format::count(model.n_ctx as u64)}</td>
                            <td>{format::compact(model.n_params)}</td>
                            <td>
                                <a href=format!("/train?model={}", model.id)>"Train on it"</a>
                            </td>
                        </tr>
                    </For>
                </tbody>
            </table>
        </div>
    }
    .into_any()
}
