//! A form's fields: label, help, input, and what is wrong with it.

use api::ApiError;
use leptos::prelude::*;

use crate::train_form::Values;

/// What a form's fields share.
#[derive(Clone, Copy)]
pub struct FormState {
    /// The values, by field.
    pub values: RwSignal<Values>,
    /// What is wrong, if something is.
    pub problem: Signal<Option<ApiError>>,
}

impl FormState {
    /// The field's text. Tracked.
    pub fn text(self, name: &str) -> String {
        self.values.with(|values| values.get(name).cloned().unwrap_or_default())
    }

    /// Sets the field's text; an empty one is forgotten, so that its default holds.
    pub fn set(self, name: &str, text: String) {
        self.values.update(|values| {
            if text.is_empty() {
                values.remove(name);
            } else {
                values.insert(name.into(), text);
            }
        });
    }

    /// What is wrong with the field. Tracked.
    pub fn problem_of(self, name: &str) -> Option<String> {
        let problem = self.problem.get()?;
        let is_it = problem.field.as_deref() == Some(name);
        is_it.then(|| {
            problem
                .message
                .strip_prefix(&format!("{name}: "))
                .map_or(problem.message.clone(), str::to_string)
        })
    }
}

/// A field that is typed; where nothing is typed its default shows.
#[component]
pub fn TypedField(
    /// The form.
    form: FormState,
    /// Name, label and help.
    field: &'static crate::train_form::TextField,
    /// The value that holds while nothing is typed.
    #[prop(into)]
    default: Signal<String>,
) -> impl IntoView {
    let name = field.name;
    let id = format!("field-{name}");
    let value = Memo::new(move |_| form.text(name));
    let wrong = Memo::new(move |_| form.problem_of(name));
    view! {
        <div class="field" class:wide=field.is_wide>
            <label for=id.clone()>{field.label}</label>
            <input id=id.clone() data-testid=id.clone() type="text" autocomplete="off" spellcheck="false" placeholder=default
                value=value.get_untracked() prop:value=value aria-describedby=format!("{id}-help")
                aria-invalid=move || wrong.get().is_some().then_some("true")
                on:input=move |event| form.set(name, event_target_value(&event)) />
            <p class="hint" id=format!("{id}-help")>{field.help}</p>
            <p class="problem">{wrong}</p>
        </div>
    }
    .into_any()
}

/// A field that is chosen.
#[component]
pub fn Choices(
    /// The form.
    form: FormState,
    /// The request's name for it.
    name: &'static str,
    /// What it is called.
    label: &'static str,
    /// What it means.
    #[prop(into)]
    help: Signal<String>,
    /// Value, label and whether it can be chosen.
    #[prop(into)]
    options: Signal<Vec<(String, String, bool)>>,
    /// Called after a new choice.
    #[prop(optional)]
    on_chosen: Option<Callback<String>>,
) -> impl IntoView {
    let id = format!("field-{name}");
    let wrong = Memo::new(move |_| form.problem_of(name));
    let choose = move |event| {
        let text = event_target_value(&event);
        form.set(name, text.clone());
        if let Some(on_chosen) = on_chosen {
            on_chosen.run(text);
        }
    };
    let option = |(value, label, allowed): (String, String, bool), chosen: &str| {
        let is_chosen = value == chosen;
        view! { <option value=value selected=is_chosen prop:selected=is_chosen disabled=!allowed>{label}</option> }
    };
    view! {
        <div class="field" class:wide=matches!(name, "at" | "kind")>
            <label for=id.clone()>{label}</label>
            <select id=id.clone() data-testid=id.clone() on:change=choose aria-describedby=format!("{id}-help")
                aria-invalid=move || wrong.get().is_some().then_some("true")>
                {move || {
                    let chosen = form.text(name);
                    options.get().into_iter().map(|each| option(each, &chosen)).collect_view()
                }}
            </select>
            <p class="hint" id=format!("{id}-help")>{help}</p>
            <p class="problem">{wrong}</p>
        </div>
    }
    .into_any()
}
