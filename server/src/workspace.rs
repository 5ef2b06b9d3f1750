//! What the requests, the jobs and the commands of one process share: the data folder, the models in memory, the threads.

use anyhow::{Context as _, Result};
use std::path::Path;
use store::Store;

use crate::{cache::ModelCache, memory::Memory, short::ShortPool};

/// Threads for short work: enough to answer, too few to slow the jobs down.
const N_SHORT_THREADS: usize = 2;

/// A data folder, opened.
pub struct Workspace {
    /// The registry and the artifacts.
    pub store: Store,
    /// The language models in memory.
    pub models: ModelCache,
    /// Threads for short work.
    pub short: ShortPool,
    /// Threads of a job.
    pub n_threads: usize,
}

impl Workspace {
    /// Opens the data folder, which is made if it is not there.
    ///
    /// # Errors
    /// What [`Store::open`] refuses, or a system without threads.
    pub async fn open(data: &Path, n_threads: usize) -> Result<Self> {
        Ok(Self {
            store: Store::open(data).await?,
            models: ModelCache::new(cache_budget_bytes()),
            short: ShortPool::new(N_SHORT_THREADS.min(n_threads))?,
            n_threads,
        })
    }

    /// A pool of threads for one job.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn job_pool(&self) -> Result<rayon::ThreadPool> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.n_threads)
            .thread_name(|i| format!("job-{i}"))
            .build()
            .with_context(|| format!("cannot start {} threads", self.n_threads))
    }
}

/// Bytes of model weights that stay in memory while no one uses them: half of the machine's memory, 4 GiB where that is unknown.
fn cache_budget_bytes() -> u64 {
    const UNKNOWN: u64 = 4 << 30;
    Memory::of_this_machine().map_or(UNKNOWN, |memory| memory.total / 2)
}

/// Who runs a job, for people: the program's part, its process and its machine.
pub fn owner(part: &str) -> String {
    format!("{part} {} on {}", std::process::id(), host())
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map_or_else(|| "this machine".into(), |name| name.trim().to_string())
}
