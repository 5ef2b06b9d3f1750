//! The client's transport in the browser: fetch, multipart uploads, and the event stream. Changes carry the server's token
//! where one is kept; one that is refused for want of it waits until the page's user has given it, then is sent again.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
    time::Duration,
};

use api::{ApiError, ErrorKind};
use gloo_net::http::{RequestBuilder, Response};
use leptos::prelude::set_timeout;
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{EventSource, FileList, FormData, HtmlInputElement, MessageEvent};

use super::{Answer, Heard, Request};

/// Files chosen in the browser; never empty.
pub struct Files(FileList);

impl Files {
    /// The files chosen in `input`.
    pub fn chosen(input: &HtmlInputElement) -> Option<Self> {
        input.files().filter(|files| files.length() > 0).map(Files)
    }

    /// The name of the first file, or of the folder it lies in.
    pub fn name(&self) -> String {
        let Some(file) = self.0.get(0) else { return String::new() };
        let path = js_sys::Reflect::get(&file, &"webkitRelativePath".into())
            .ok()
            .and_then(|v| v.as_string());
        match path.as_deref().and_then(|p| p.split_once('/')) {
            Some((folder, _)) => folder.to_string(),
            None => file.name(),
        }
    }
}

fn unreachable(_: gloo_net::Error) -> ApiError {
    ApiError::new(
        ErrorKind::Unreachable,
        "the server does not answer; see that saescope still runs, then try again",
    )
}

async fn answer(response: Result<Response, gloo_net::Error>) -> Answer<(u16, String)> {
    let response = response.map_err(unreachable)?;
    let status = response.status();
    Ok((status, response.text().await.map_err(unreachable)?))
}

// The browser has one thread: its futures never leave it, which is what the wrapper promises.
pub(crate) fn exchange(request: Request) -> impl Future<Output = Answer<(u16, String)>> + Send {
    SendWrapper::new(async move {
        if request.method == "POST" {
            change(async || post(&request).await).await
        } else {
            answer(RequestBuilder::new(&request.path).send().await).await
        }
    })
}

/// The status that says that a change needs the server's token.
const NEEDS_TOKEN: u16 = 401;

/// A change, and once more when it was refused and the token has been given since.
async fn change(send: impl AsyncFn() -> Answer<(u16, String)>) -> Answer<(u16, String)> {
    let refused = send().await?;
    if refused.0 != NEEDS_TOKEN {
        return Ok(refused);
    }
    keep(None);
    if asked().await { send().await } else { Ok(refused) }
}

async fn post(request: &Request) -> Answer<(u16, String)> {
    let builder = changing(&request.path, kept().as_deref());
    let sent = match &request.body {
        Some(body) => {
            let builder = builder.header("content-type", "application/json");
            builder.body(body.clone()).map_err(unreachable)?.send().await
        }
        None => builder.send().await,
    };
    answer(sent).await
}

fn changing(path: &str, token: Option<&str>) -> RequestBuilder {
    let builder = RequestBuilder::new(path).method(gloo_net::http::Method::POST);
    match token {
        Some(token) => builder.header("authorization", &format!("Bearer {token}")),
        None => builder,
    }
}

pub(crate) async fn exchange_with(path: &str, token: &str) -> Answer<(u16, String)> {
    answer(changing(path, Some(token)).send().await).await
}

pub(crate) async fn upload(path: &str, name: &str, files: &Files, said: &[(&str, String)]) -> Answer<(u16, String)> {
    let refused = |_| ApiError::new(ErrorKind::Invalid, "the browser could not read the chosen files");
    change(async || {
        let form = FormData::new().map_err(refused)?;
        form.append_with_str("name", name).map_err(refused)?;
        for (part, value) in said {
            form.append_with_str(part, value).map_err(refused)?;
        }
        for file in (0..files.0.length()).filter_map(|i| files.0.get(i)) {
            // a part per file, under the file's name
            form.append_with_blob_and_filename(&file.name(), &file, &file.name())
                .map_err(refused)?;
        }
        let request = changing(path, kept().as_deref()).body(form).map_err(unreachable)?;
        answer(request.send().await).await
    })
    .await
}

thread_local! {
    /// What asks the page's user for the token.
    static ASK: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
    /// What lets the changes go on that wait for it: the resolve functions of their promises.
    static WAITING: RefCell<Vec<js_sys::Function>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn when_refused(ask: impl Fn() + 'static) {
    ASK.set(Some(Rc::new(ask)));
}

pub(crate) fn go_on(is_given: bool) {
    for resolve in WAITING.take() {
        // a promise's own resolve function does not throw
        _ = resolve.call1(&JsValue::NULL, &is_given.into());
    }
}

/// Asks for the token and waits; whether there is one now.
async fn asked() -> bool {
    let Some(ask) = ASK.with_borrow(Clone::clone) else {
        return false;
    };
    let reply = js_sys::Promise::new(&mut |resolve, _| WAITING.with_borrow_mut(|waiting| waiting.push(resolve)));
    ask();
    JsFuture::from(reply).await.is_ok_and(|is_given| is_given.is_truthy())
}

/// The token's name in the tab's own storage. It lasts as long as the tab, over reloads: a computer that others use too does
/// not keep the right to change the server.
const TOKEN: &str = "saescope-token";

fn storage() -> Option<JsValue> {
    // a browser that blocks storage throws here
    js_sys::Reflect::get(&js_sys::global(), &"sessionStorage".into())
        .ok()
        .filter(JsValue::is_object)
}

pub(crate) fn kept() -> Option<String> {
    js_sys::Reflect::get(&storage()?, &TOKEN.into()).ok()?.as_string()
}

pub(crate) fn keep(token: Option<&str>) {
    let Some(storage) = storage() else { return };
    // where the browser refuses to store it, the next change asks again
    _ = match token {
        Some(token) => js_sys::Reflect::set(&storage, &TOKEN.into(), &token.into()),
        None => js_sys::Reflect::delete_property(storage.unchecked_ref::<js_sys::Object>(), &TOKEN.into()),
    };
}

pub(crate) fn follow(path: &'static str, heard: impl Fn(Heard) + 'static) {
    open(path, Rc::new(heard), 0);
}

/// Opens the stream; when it breaks, opens another after a pause that doubles up to half a minute.
fn open(path: &'static str, heard: Rc<dyn Fn(Heard)>, failures: u32) {
    let Ok(source) = EventSource::new(path) else { return };
    let failures = Rc::new(Cell::new(failures));

    let on_open = Closure::<dyn Fn()>::new({
        let (heard, failures) = (heard.clone(), failures.clone());
        move || {
            failures.set(0);
            heard(Heard::Open);
        }
    });
    source.set_onopen(Some(on_open.into_js_value().unchecked_ref()));

    let on_message = Closure::<dyn Fn(MessageEvent)>::new({
        let heard = heard.clone();
        move |message: MessageEvent| {
            let event = message.data().as_string().and_then(|data| serde_json::from_str(&data).ok());
            if let Some(event) = event {
                heard(Heard::Event(event));
            }
        }
    });
    source.set_onmessage(Some(on_message.into_js_value().unchecked_ref()));

    let on_error = Closure::<dyn Fn()>::new({
        let broken = source.clone();
        move || {
            broken.close();
            heard(Heard::Lost);
            let (heard, failures) = (heard.clone(), failures.get());
            let pause = Duration::from_millis((500 << failures.min(6)).min(30_000));
            set_timeout(move || open(path, heard, failures + 1), pause);
        }
    });
    source.set_onerror(Some(on_error.into_js_value().unchecked_ref()));
}
