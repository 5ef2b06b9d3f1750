//! A real browser, driven through its own driver: what a user sees and does, and what the console says.

use crate::{binary, free_port, http};
use anyhow::{Context, Result, bail, ensure};
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions, MOUSE_BUTTON_LEFT, MouseActions, PointerAction},
    elements::Element,
    key::Key,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::{
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long the page may take to become what a test waits for.
pub const DEADLINE: Duration = Duration::from_secs(30);

const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A headless Chromium with a profile of its own, gone when it is dropped.
pub struct Browser {
    client: Client,
    session: String,
    port: u16,
    driver: Child,
    _profile: TempDir,
}

impl Browser {
    /// Opens one with an empty page of 1280 × 900. The driver is the one that `SAESCOPE_CHROMEDRIVER` names, else
    /// `chromedriver` on `PATH`; the browser the one that `SAESCOPE_CHROMIUM` names, else the driver's own choice.
    ///
    /// # Errors
    /// When the driver is missing (the message says what to install) or no session starts in a minute.
    pub async fn open() -> Result<Self> {
        let name = env::var_os("SAESCOPE_CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into());
        let port = free_port();
        let mut driver = Command::new(&name)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| {
                format!(
                    "cannot start `{}`; install chromium and its driver (Debian and Ubuntu: apt-get install chromium \
                     chromium-driver), or let `cargo xtask test` do it",
                    name.display()
                )
            })?;
        let profile = tempfile::tempdir().context("cannot create a temporary folder")?;
        match session(port, &profile).await {
            Ok((client, session)) => Ok(Self {
                client,
                session,
                port,
                driver,
                _profile: profile,
            }),
            Err(error) => {
                let _ = driver.kill();
                let _ = driver.wait();
                Err(error)
            }
        }
    }

    /// Goes to `url` and waits until the document has loaded.
    ///
    /// # Errors
    /// When the driver fails.
    pub async fn goto(&self, url: &str) -> Result<()> {
        self.client.goto(url).await.with_context(|| format!("cannot open {url}"))
    }

    /// The URL that the page is at.
    ///
    /// # Errors
    /// When the driver fails.
    pub async fn url(&self) -> Result<String> {
        Ok(self.client.current_url().await?.to_string())
    }

    /// Waits for the first element that `css` selects.
    ///
    /// # Errors
    /// When there is none after [`DEADLINE`]; the message holds the page's text.
    pub async fn wait_for(&self, css: &str) -> Result<Element> {
        let start = Instant::now();
        loop {
            if let Ok(element) = self.client.find(Locator::Css(css)).await {
                return Ok(element);
            }
            if start.elapsed() > DEADLINE {
                bail!(
                    "`{css}` did not appear in {DEADLINE:?} at {}; the page says:\n{}",
                    self.url().await?,
                    self.page_text().await
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the text of `css` satisfies `holds`, and gives it.
    ///
    /// # Errors
    /// When it does not within `within`; the message holds the last text.
    pub async fn wait_for_text(&self, css: &str, within: Duration, holds: impl Fn(&str) -> bool) -> Result<String> {
        let start = Instant::now();
        let mut last = String::new();
        while start.elapsed() < within {
            if let Ok(element) = self.client.find(Locator::Css(css)).await
                && let Ok(text) = element.text().await
            {
                if holds(&text) {
                    return Ok(text);
                }
                last = text;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!(
            "`{css}` did not become what was expected in {within:?}; it says `{last}`, the page:\n{}",
            self.page_text().await
        )
    }

    /// How many elements `css` selects now.
    ///
    /// # Errors
    /// When the driver fails.
    pub async fn count(&self, css: &str) -> Result<usize> {
        Ok(self.client.find_all(Locator::Css(css)).await?.len())
    }

    /// The visible text of `css`, once it is there.
    ///
    /// # Errors
    /// As [`Browser::wait_for`].
    pub async fn text(&self, css: &str) -> Result<String> {
        self.wait_for(css)
            .await?
            .text()
            .await
            .with_context(|| format!("cannot read `{css}`"))
    }

    /// The attribute `name` of `css`, once it is there.
    ///
    /// # Errors
    /// As [`Browser::wait_for`].
    pub async fn attribute(&self, css: &str, name: &str) -> Result<Option<String>> {
        self.wait_for(css)
            .await?
            .attr(name)
            .await
            .with_context(|| format!("cannot read `{name}` of `{css}`"))
    }

    /// Clicks `css`, once it is there.
    ///
    /// # Errors
    /// As [`Browser::wait_for`], and when something lies over it.
    pub async fn click(&self, css: &str) -> Result<()> {
        self.wait_for(css)
            .await?
            .click()
            .await
            .with_context(|| format!("cannot click `{css}`"))
    }

    /// Replaces the text of the field `css` by typing; in a list, chooses the option with that value or label.
    ///
    /// # Errors
    /// As [`Browser::wait_for`], and when the field takes no text or the list has no such option.
    pub async fn fill(&self, css: &str, text: &str) -> Result<()> {
        let field = self.wait_for(css).await?;
        if field.tag_name().await?.eq_ignore_ascii_case("select") {
            if field.select_by_value(text).await.is_err() {
                field
                    .select_by_label(text)
                    .await
                    .with_context(|| format!("`{css}` has no option `{text}`"))?;
            }
            return Ok(());
        }
        field.clear().await.with_context(|| format!("cannot clear `{css}`"))?;
        // the driver clears without the events that a person's key makes
        let keys = if text.is_empty() { " \u{e003}" } else { text };
        field
            .send_keys(keys)
            .await
            .with_context(|| format!("cannot type into `{css}`"))
    }

    /// Moves the mouse over the middle of `css`.
    ///
    /// # Errors
    /// As [`Browser::wait_for`].
    pub async fn hover(&self, css: &str) -> Result<()> {
        let element = self.wait_for(css).await?;
        self.script("arguments[0].scrollIntoView({block: 'center'})", vec![json!(element)])
            .await?;
        let over = PointerAction::MoveToElement {
            element,
            duration: None,
            x: 0.0,
            y: 0.0,
        };
        let mouse = MouseActions::new("mouse".to_owned()).then(over);
        self.client
            .perform_actions(mouse)
            .await
            .with_context(|| format!("cannot move to `{css}`"))
    }

    /// Moves the mouse to (x, y) of the window's content, in CSS pixels, and presses there when `press` is set.
    ///
    /// # Errors
    /// When the point lies outside.
    pub async fn point(&self, x: f64, y: f64, press: bool) -> Result<()> {
        let mut mouse = MouseActions::new("mouse".to_owned()).then(PointerAction::MoveTo { duration: None, x, y });
        if press {
            mouse = mouse
                .then(PointerAction::Down {
                    button: MOUSE_BUTTON_LEFT,
                })
                .then(PointerAction::Up {
                    button: MOUSE_BUTTON_LEFT,
                });
        }
        self.client
            .perform_actions(mouse)
            .await
            .with_context(|| format!("cannot point at ({x}, {y})"))
    }

    /// Presses and releases a key, wherever the focus is.
    ///
    /// # Errors
    /// When the driver fails.
    pub async fn press(&self, key: Key) -> Result<()> {
        let value = char::from(key);
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.client
            .perform_actions(keys)
            .await
            .with_context(|| format!("cannot press {value:?}"))
    }

    /// The id of the element that has the focus; empty where it has none.
    ///
    /// # Errors
    /// When the driver fails.
    pub async fn focused(&self) -> Result<String> {
        let id = self.script("return document.activeElement.id", Vec::new()).await?;
        Ok(id.as_str().unwrap_or_default().to_owned())
    }

    /// Runs JavaScript in the page; it returns with `return`, and finds `arguments`.
    ///
    /// # Errors
    /// When the script throws.
    pub async fn script(&self, script: &str, arguments: Vec<Value>) -> Result<Value> {
        self.client
            .execute(script, arguments)
            .await
            .with_context(|| format!("the script failed: {script}"))
    }

    /// Sets the size of the window's content, in CSS pixels.
    ///
    /// # Errors
    /// When the driver fails.
    pub async fn size(&self, width: u32, height: u32) -> Result<()> {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await
    }

    /// Makes the page see a preference for dark or for light colours.
    ///
    /// # Errors
    /// When the driver fails.
    pub async fn dark(&self, dark: bool) -> Result<()> {
        let value = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.devtools("Emulation.setEmulatedMedia", features).await
    }

    /// Saves what the window shows to `target/screenshots/NAME.png`.
    ///
    /// # Errors
    /// When the driver fails or the file cannot be written.
    pub async fn screenshot(&self, name: &str) -> Result<()> {
        let file = binary::screenshots()?.join(format!("{name}.png"));
        fs::write(&file, self.client.screenshot().await?).with_context(|| format!("cannot write {}", file.display()))
    }

    /// What the console has said since the last call, a line each: errors of scripts, failed requests, warnings.
    ///
    /// # Errors
    /// When the driver fails.
    pub async fn console(&self) -> Result<Vec<String>> {
        let entries = self.command("se/log", &json!({"type": "browser"})).await?;
        let entries = entries.as_array().context("the driver's log is no list")?;
        Ok(entries
            .iter()
            .map(|entry| format!("{} {}", entry["level"], entry["message"]))
            .collect())
    }

    /// Fails when the console has said anything since the last look.
    ///
    /// # Errors
    /// When it has; the message holds it.
    pub async fn expect_silence(&self) -> Result<()> {
        let said = self.console().await?;
        ensure!(said.is_empty(), "the browser's console is not empty:\n{}", said.join("\n"));
        Ok(())
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Result<()> {
        self.command("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
            .await
            .map(drop)
    }

    /// A command of this driver that the WebDriver standard does not have.
    async fn command(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("http://127.0.0.1:{}/session/{}/{path}", self.port, self.session);
        Ok(http::post_json(&url, body).await?["value"].take())
    }

    async fn page_text(&self) -> String {
        let text = self
            .client
            .execute("return document.body ? document.body.innerText : ''", Vec::new())
            .await;
        text.ok()
            .and_then(|text| text.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

impl Drop for Browser {
    /// Ends the session first: a killed driver leaves its browser behind.
    fn drop(&mut self) {
        if let Ok(mut driver) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = driver.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = write!(
                driver,
                "DELETE /session/{} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n",
                self.session, self.port
            );
            let _ = driver.read(&mut [0; 256]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Starts a session with the driver at `port`, which may itself still be starting.
async fn session(port: u16, profile: &TempDir) -> Result<(Client, String)> {
    let start = Instant::now();
    while http::get_json(&format!("http://127.0.0.1:{port}/status")).await.is_err() {
        ensure!(
            start.elapsed() < STARTS_WITHIN,
            "chromedriver did not answer in {STARTS_WITHIN:?}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let capabilities = capabilities(profile);
    let capabilities = capabilities.as_object().context("capabilities are an object")?.clone();
    let mut builder = ClientBuilder::new(HttpConnector::new());
    let client = builder
        .capabilities(capabilities)
        .connect(&format!("http://127.0.0.1:{port}"))
        .await;
    let client = client.context("chromedriver started no browser; do the versions of chromium and chromedriver fit?")?;
    let session = client.session_id().await?.context("the session has no id")?;
    Ok((client, session))
}

fn capabilities(profile: &TempDir) -> Value {
    let mut arguments: Vec<String> = [
        "--headless",
        "--no-sandbox", // Chromium refuses to run as root with it
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--window-size=1280,900",
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.push(format!("--user-data-dir={}", profile.path().display()));
    let mut options = json!({"args": arguments});
    if let Some(browser) = env::var_os("SAESCOPE_CHROMIUM") {
        options["binary"] = json!(browser.to_string_lossy());
    }
    json!({"goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": options})
}
