//! A job's lease: renewed beside the work, so that a long step does not lose the job, and with it the job's progress told
//! and the user's wish to stop heard.

use api::{JobId, Progress};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use store::{Heartbeat, Store};
use tokio::{runtime::Handle, task::JoinHandle};

/// How long a job stays its owner's without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(30);

/// How often the lease is renewed and progress told.
const EVERY: Duration = Duration::from_millis(1500);

/// Why a job should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Its user asked for it.
    Cancelled,
    /// Someone else has it: nothing more may be written.
    Lost,
}

#[derive(Default)]
struct Shared {
    progress: Mutex<Progress>,
    cancelled: AtomicBool,
    lost: AtomicBool,
}

/// A job's lease, renewed until it is dropped.
pub struct Lease {
    shared: Arc<Shared>,
    beating: JoinHandle<()>,
}

impl Lease {
    /// Renews the lease of `owner` on the job `id` from now on.
    pub fn hold(store: Store, runtime: &Handle, id: JobId, owner: String) -> Self {
        let shared = Arc::new(Shared::default());
        let beating = runtime.spawn(beat(store, id, owner, shared.clone()));
        Self { shared, beating }
    }

    /// Notes how far the job is.
    pub fn set(&self, progress: Progress) {
        *self.shared.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// Why the job should stop, if it should.
    pub fn stop_reason(&self) -> Option<StopReason> {
        if self.shared.lost.load(Ordering::Relaxed) {
            Some(StopReason::Lost)
        } else if self.shared.cancelled.load(Ordering::Relaxed) {
            Some(StopReason::Cancelled)
        } else {
            None
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

async fn beat(store: Store, id: JobId, owner: String, shared: Arc<Shared>) {
    let mut renewed = Instant::now();
    loop {
        let progress = shared.progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match store.heartbeat(id, &owner, &progress, LEASE).await {
            Ok(Heartbeat::Go) => renewed = Instant::now(),
            Ok(Heartbeat::Cancel) => {
                renewed = Instant::now();
                shared.cancelled.store(true, Ordering::Relaxed);
            }
            Ok(Heartbeat::Lost) => return shared.lost.store(true, Ordering::Relaxed),
            Err(error) if renewed.elapsed() < LEASE => tracing::warn!("job {id}: the lease could not be renewed yet: {error}"),
            Err(error) => {
                tracing::error!("job {id}: the lease ran out: {error}");
                return shared.lost.store(true, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
