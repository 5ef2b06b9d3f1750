//! A command line that can be copied.

use leptos::prelude::*;

/// The command and a button that copies it.
#[component]
pub fn Command(
    /// The command.
    #[prop(into)]
    text: Signal<String>,
) -> impl IntoView {
    // an option per line, continued as a shell reads it
    let text = Signal::derive(move || text.with(|text| text.replace(" --", " \\\n  --")));
    let copied = RwSignal::new(false);
    let copy = move |_| {
        copy_text(&text.get_untracked());
        copied.set(true);
        set_timeout(move || copied.set(false), std::time::Duration::from_secs(2));
    };
    view! {
        <div class="command">
            <pre>
                <code>{text}</code>
            </pre>
            <button type="button" on:click=copy aria-live="polite">
                {move || if copied.get() { "Copied" } else { "Copy" }}
            </button>
        </div>
    }
}

#[cfg(all(feature = "hydrate", not(feature = "ssr")))]
fn copy_text(text: &str) {
    // the promise fails only where the browser forbids it; the text can still be selected by hand
    _ = window().navigator().clipboard().write_text(text);
}

#[cfg(not(all(feature = "hydrate", not(feature = "ssr"))))]
fn copy_text(_: &str) {}
