//! The server's workers: threads that take jobs from the registry, one at a time each.

use api::Progress;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::runtime::Handle;

use super::{
    execute::{Ended, execute},
    lease::LEASE,
};
use crate::workspace::Workspace;

/// How often a worker without a job asks for one.
const EVERY: Duration = Duration::from_millis(500);

/// How long it waits after the registry could not be asked: it may be on a full disk, where there is room soon.
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// Running workers.
pub struct Workers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `n` workers.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start(workspace: &Arc<Workspace>, n: usize) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = Handle::current();
        let threads = (0..n)
            .map(|i| {
                let (workspace, runtime, stop) = (workspace.clone(), runtime.clone(), stop.clone());
                // workers of one process are told apart: a lease has one owner
                let owner = workspace.owner(&if n == 1 {
                    "server".to_string()
                } else {
                    format!("server worker {i},")
                });
                thread::Builder::new()
                    .name(format!("worker-{i}"))
                    .spawn(move || work(&workspace, &runtime, &owner, &stop))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { stop, threads })
    }

    /// Tells the workers to checkpoint and release what they run, and waits until they have.
    pub async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let joined = tokio::task::spawn_blocking(move || {
            for worker in self.threads {
                worker.thread().unpark();
                if worker.join().is_err() {
                    tracing::error!("a worker ended by a panic");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("the workers could not be waited for");
        }
    }
}

fn work(workspace: &Workspace, runtime: &Handle, owner: &str, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        match runtime.block_on(workspace.store.claim(owner, LEASE)) {
            Ok(Some(job)) => {
                tracing::info!("job {} begins: {}", job.id, job.command);
                let ended = execute(workspace, runtime, &job, owner, stop, &|_: &Progress| {});
                match ended {
                    Ended::Failed(message) => tracing::error!("job {} failed: {message}", job.id),
                    ended => tracing::info!("job {} ended: {ended:?}", job.id),
                }
            }
            Ok(None) => thread::park_timeout(EVERY),
            Err(error) => {
                tracing::error!("cannot ask the registry for a job: {error}");
                thread::park_timeout(AFTER_ERROR);
            }
        }
    }
}
