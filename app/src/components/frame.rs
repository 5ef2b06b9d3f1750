//! The quiet frame around every page: navigation, the way past it, whether the server can be heard and changed.

use leptos::prelude::*;
use leptos_router::components::A;

use super::Token;
use crate::live::live;

/// Navigation at the left (on top where it is narrow), the page beside it.
#[component]
pub fn Frame(children: Children) -> impl IntoView {
    let live = live();
    // lets a test wait until the page answers to clicks
    Effect::new(|_| {
        if let Some(root) = document().document_element() {
            _ = root.set_attribute("data-hydrated", "true");
        }
    });
    view! {
        <a class="skip" href="#content">"Skip to the content"</a>
        <div class="frame">
            <nav class="nav" aria-label="Pages">
                <A href="/" exact=true attr:class="brand" attr:tabindex="-1" attr:aria-hidden="true">
                    "saescope"
                </A>
                <A href="/" exact=true attr:data-testid="nav-overview">
                    "Overview"
                </A>
                <A href="/train" attr:data-testid="nav-train">
                    "Train"
                </A>
                <A href="/runs" attr:data-testid="nav-runs">
                    "Runs"
                </A>
                <A href="/pareto" attr:data-testid="nav-pareto">
                    "Pareto"
                </A>
                <A href="/methods" attr:data-testid="nav-methods">
                    "Methods"
                </A>
                <p class="connection" role="status">
                    {move || live.is_lost().then_some("Connection lost, trying again. What is shown may be old.")}
                </p>
                <Token />
            </nav>
            <main id="content" tabindex="-1">
                {children()}
            </main>
        </div>
    }
}
