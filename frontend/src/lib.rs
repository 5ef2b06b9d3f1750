//! The WebAssembly entry point of the page: hydrate, nothing else.

/// Called by the script that the server puts into the page: takes over the HTML that is already there.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::App);
}
