//! What the black-box tests stand on: the built binary, a server of it, and a real browser. `cargo xtask test` builds
//! all three; a test whose binary or browser is missing fails and says what to do.

pub mod binary;
pub mod chromium;
pub mod given;
pub mod http;
pub mod server;

pub use chromium::Browser;
pub use server::Server;

use anyhow::{Result, bail};
use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

/// A port of the loopback that nothing listens on now.
///
/// # Panics
/// When the machine has no free port.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on the loopback");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// Asks `look` again and again until it has something.
///
/// # Errors
/// When it has nothing after `within`, which the message calls `what`; whatever `look` fails with.
pub async fn eventually<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if start.elapsed() > within {
            bail!("{what}: not within {within:?}");
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}
