//! The WebAssembly entry point: take over the page that the server rendered, nothing else.

/// Called once by the script in the page's head, when the module has loaded.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::App);
}
