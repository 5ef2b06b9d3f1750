//! `saescope serve`: the page, the API and the workers.

use anyhow::{Context as _, Result};
use api::ConfigError;
use clap::Args;
use std::{
    fs::{File, TryLockError},
    io::Write as _,
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch};

use super::{
    Global,
    say::{note, say},
    workspace,
};
use crate::{
    demo::{Bundle, install, installed},
    http::{self, Access, AppState, Events, HostName},
    jobs::worker::Workers,
    page, site,
    workspace::Workspace,
};

/// How long requests in flight may take after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serve the page and the API, and run the jobs
///
/// Bound to a loopback address (the default), whoever uses this machine may read and change things, under the names localhost,
/// 127.0.0.1 and [::1]. Bound elsewhere, reading is open and changing anything needs the token; so it does on a loopback address
/// where a token or a host is given. A request that calls the server by a name that is not its own is refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  saescope serve
  saescope serve --data results --bind 0.0.0.0:3000 --host saes.example.org --token SECRET")]
pub struct Serve {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    bind: SocketAddr,
    /// The token that changing anything needs [default: none on a loopback address without --host, else a random one, printed]
    #[arg(long, env = "SAESCOPE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// A name by which browsers open this server, without a port; may be given several times. Its address in figures (not on
    /// loopback) and localhost need none
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<HostName>,
    /// Jobs that run at the same time, each with --threads threads
    #[arg(long, default_value_t = 1, value_name = "N")]
    jobs: usize,
    /// Start a new data folder empty, without the demo
    #[arg(long)]
    no_demo: bool,
}

impl Serve {
    /// Runs the command.
    pub fn run(self, global: &Global) -> Result<ExitCode> {
        workspace::block_on(self.serve(global))
    }

    async fn serve(self, global: &Global) -> Result<ExitCode> {
        let access = self.access()?;
        let listener = listen(self.bind).await?;
        let address = listener.local_addr().context("the server's address cannot be found")?;
        let workspace = workspace::open(global).await?;
        let _served = only_server(workspace.store.data(), address)?;
        self.demo(&workspace).await?;
        let (shut_down, shutdown) = watch::channel(false);
        let state = AppState {
            workspace: workspace.clone(),
            events: Events::watch(workspace.clone(), shutdown.clone()),
            access: access.clone(),
            shutdown: shutdown.clone(),
        };
        let api = http::api(state);
        let server = http::server(api.clone(), page::routes(api, address), access.clone());
        let workers = Workers::start(&workspace, self.jobs).context("cannot start the workers")?;
        let _ = self.greet(address, &access, workspace.store.data()); // the page is served whoever reads this
        let serving = axum::serve(listener, server).with_graceful_shutdown(until_down(shutdown.clone()));
        let mut serving = tokio::spawn(async move { serving.await });
        tokio::select! {
            ended = &mut serving => ended.context("the server ended early")?.context("the server failed")?,
            () = signal() => {}
        }
        note!("stopping: running jobs keep a checkpoint and go on at the next start; once more quits at once");
        tokio::spawn(async {
            signal().await;
            std::process::exit(130);
        });
        let _ = shut_down.send(true); // ends the event streams, which would hold the server up
        workers.stop().await;
        if tokio::time::timeout(GRACE, serving).await.is_err() {
            tracing::warn!("requests were still in flight");
        }
        workspace::close(&workspace).await;
        Ok(ExitCode::SUCCESS)
    }

    /// Puts the shipped set into a data folder that is new, or the rest of it where that was interrupted.
    async fn demo(&self, workspace: &Arc<Workspace>) -> Result<()> {
        let Some(bundle) = Bundle::embedded()?.filter(|_| !self.no_demo) else {
            return Ok(());
        };
        let (data, version) = (workspace.store.data().display(), bundle.about.recipe.version);
        let is_wanted = match installed(workspace.store.data())? {
            None => is_new(workspace).await?,
            Some(mark) if mark.whole && mark.version < version => {
                note!(
                    "'{data}' has version {} of the demo; this program ships version {version}: saescope demo --add puts it beside",
                    mark.version
                );
                false
            }
            Some(mark) => !mark.whole,
        };
        if is_wanted {
            note!("putting the demo into '{data}'; --no-demo starts without");
            install(workspace, &bundle)
                .await
                .context("the demo could not be put into the data folder; --no-demo starts without")?;
        }
        Ok(())
    }

    /// # Errors
    /// A token that cannot be sent.
    fn access(&self) -> Result<Access> {
        let is_loopback = self.bind.ip().is_loopback();
        let token = match &self.token {
            Some(token) if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) => {
                let message = "cannot be sent; expected letters, digits and signs of ASCII, without blanks";
                return Err(ConfigError::new("token", message).into());
            }
            Some(token) => Some(token.clone()),
            // another name for a loopback address leads here from elsewhere
            None if is_loopback && self.hosts.is_empty() => None,
            None => Some(random_token()?),
        };
        let access = match token {
            None => Access::loopback(),
            Some(token) if is_loopback => Access::loopback().with_token(&token),
            Some(token) => Access::elsewhere(&token),
        };
        Ok(access.named(&self.hosts))
    }

    /// Says where the page is, and the token where it was made here.
    fn greet(&self, address: SocketAddr, access: &Access, data: &std::path::Path) -> Result<()> {
        say!(
            "saescope {} listens on http://{address}, data in {}",
            env!("CARGO_PKG_VERSION"),
            data.display()
        )?;
        if let (Some(token), None) = (access.token(), &self.token) {
            say!("changing anything needs the token {token}; the page asks for it")?;
        }
        if !site::is_built() {
            say!("this build has the API without the page; cargo serve builds both")?;
        }
        Ok(())
    }
}

/// Whether nobody has put anything into the data folder.
async fn is_new(workspace: &Workspace) -> Result<bool> {
    let store = &workspace.store;
    Ok(store.models().await?.is_empty() && store.corpora().await?.is_empty() && store.jobs().await?.is_empty())
}

/// Takes the data folder for this server: two of them would run each other's jobs, and pages would not say which.
///
/// # Errors
/// Another server has it, with its address.
fn only_server(data: &Path, address: SocketAddr) -> Result<File> {
    let path = data.join("server.lock");
    let open = || -> std::io::Result<Option<File>> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            // a file system without locks
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        write!(file, "http://{address} (process {})", std::process::id())?;
        Ok(Some(file))
    };
    let taken = open().with_context(|| format!("cannot write '{}'", path.display()))?;
    taken.with_context(|| {
        let other = std::fs::read_to_string(&path).unwrap_or_default();
        format!(
            "the data folder '{}' is served already, at {other}; open that page, stop that server, or give another folder with --data",
            data.display()
        )
    })
}

/// # Errors
/// An address that is in use or not this machine's, with what to do.
async fn listen(address: SocketAddr) -> Result<TcpListener> {
    use std::io::ErrorKind;
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
        .map_err(|error| {
            let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            match kind {
                Some(ErrorKind::AddrInUse) => error.context(
                    "the port is in use; stop what uses it, or give another address with --bind, such as 127.0.0.1:3001",
                ),
                Some(ErrorKind::PermissionDenied) => {
                    error.context("ports below 1024 need more rights; give another address with --bind")
                }
                _ => error.context("give an address of this machine with --bind"),
            }
        })
}

async fn until_down(mut shutdown: watch::Receiver<bool>) {
    // an error means that the sender is gone: then it is time, too
    let _ = shutdown.wait_for(|down| *down).await;
}

/// Waits for Ctrl-C or, where there is such a thing, SIGTERM.
pub async fn signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no random bytes for the token: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(bind: &str, token: Option<&str>) -> Serve {
        Serve {
            bind: bind.parse().unwrap(),
            token: token.map(String::from),
            hosts: Vec::new(),
            jobs: 1,
            no_demo: true,
        }
    }

    #[test]
    fn elsewhere_than_loopback_there_is_always_a_token() {
        for (given, length) in [(None, 32), (Some("secret"), 6)] {
            let access = serve("0.0.0.0:0", given).access().unwrap();
            assert_eq!(access.token().unwrap().len(), length);
        }
        assert!(
            serve("0.0.0.0:0", Some(""))
                .access()
                .unwrap_err()
                .to_string()
                .contains("token")
        );
    }

    #[test]
    fn on_loopback_there_is_a_token_where_one_is_given_or_others_come_by_another_name() {
        assert_eq!(serve("127.0.0.1:0", None).access().unwrap().token(), None);
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            assert_eq!(serve(bind, Some("secret")).access().unwrap().token(), Some("secret"));
        }
        let mut proxied = serve("127.0.0.1:0", None);
        proxied.hosts = vec!["saes.example.org".parse().unwrap()];
        assert_eq!(proxied.access().unwrap().token().unwrap().len(), 32);
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_the_option() {
        let first = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.local_addr().unwrap();
        let message = format!("{:#}", listen(address).await.unwrap_err());
        assert!(
            message.contains(&address.to_string()) && message.contains("--bind"),
            "{message}"
        );
    }
}
