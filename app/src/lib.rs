//! The page: a Leptos user interface, rendered on the server with its data and hydrated in the browser.
//! In reading order: [`App`] names the routes, `pages` has a file for each, `components` what they share,
//! `client` is the only door to the server, `live` follows its events.

pub mod charts;
pub mod client;
mod components;
mod format;
mod link;
mod live;
mod pages;
mod train_form;

use leptos::{nonce::use_nonce, prelude::*};
use leptos_meta::{MetaTags, provide_meta_context};
use leptos_router::{
    SsrMode, StaticSegment,
    components::{Route, Router, Routes},
    path,
};

use components::Frame;
use pages::{Dictionary, Methods, NotFound, Overview, Pareto, Run, Runs, Train};

/// The document around [`App`], as the server sends it.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <meta name="description" content="Train, evaluate and compare sparse dictionaries of language models." />
                <link rel="icon" type="image/svg+xml" href="/icon.svg" />
                <link rel="stylesheet" href="/style.css" nonce=use_nonce() />
                <HydrationScripts options />
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

/// The whole page: frame, routes, and the one stream of events that keeps them current.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    live::provide();
    // the data is awaited on the server, so that the first HTML is whole and nothing moves when the page wakes up
    view! {
        <Router>
            <Frame>
                <Routes fallback=NotFound>
                    <Route path=StaticSegment("") view=Overview ssr=SsrMode::Async />
                    <Route path=path!("/train") view=Train ssr=SsrMode::Async />
                    <Route path=path!("/runs") view=Runs ssr=SsrMode::Async />
                    <Route path=path!("/runs/:id") view=Run ssr=SsrMode::Async />
                    <Route path=path!("/dictionaries/:id") view=Dictionary ssr=SsrMode::Async />
                    <Route path=path!("/pareto") view=Pareto ssr=SsrMode::Async />
                    <Route path=path!("/methods") view=Methods ssr=SsrMode::Async />
                </Routes>
            </Frame>
        </Router>
    }
}
