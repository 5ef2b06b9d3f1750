//! The client's transport in the browser: fetch, multipart uploads, and the event stream.

use std::{cell::Cell, future::Future, rc::Rc, time::Duration};

use api::{ApiError, ErrorKind};
use gloo_net::http::{RequestBuilder, Response};
use leptos::prelude::set_timeout;
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, closure::Closure};
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
        let builder = RequestBuilder::new(&request.path).method(if request.method == "POST" {
            gloo_net::http::Method::POST
        } else {
            gloo_net::http::Method::GET
        });
        let sent = match request.body {
            Some(body) => {
                builder
                    .header("content-type", "application/json")
                    .body(body)
                    .map_err(unreachable)?
                    .send()
                    .await
            }
            None => builder.send().await,
        };
        answer(sent).await
    })
}

pub(crate) async fn upload(path: &str, name: &str, files: Files) -> Answer<(u16, String)> {
    let refused = |_| ApiError::new(ErrorKind::Invalid, "the browser could not read the chosen files");
    let form = FormData::new().map_err(refused)?;
    form.append_with_str("name", name).map_err(refused)?;
    for file in (0..files.0.length()).filter_map(|i| files.0.get(i)) {
        form.append_with_blob_and_filename("files", &file, &file.name())
            .map_err(refused)?;
    }
    let request = RequestBuilder::new(path)
        .method(gloo_net::http::Method::POST)
        .body(form)
        .map_err(unreachable)?;
    answer(request.send().await).await
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
