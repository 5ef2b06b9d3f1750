//! What the requests, the jobs and the commands of one process share: the data folder, the models in memory, the threads.

use anyhow::{Context as _, Result};
use engine::train::Device;
use std::{path::Path, sync::Arc};
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
    /// What jobs compute on.
    pub device: Arc<dyn Device>,
}

impl Workspace {
    /// Opens the data folder, which is made if it is not there.
    ///
    /// # Errors
    /// What [`Store::open`] refuses, or a system without threads.
    pub async fn open(data: &Path, n_threads: usize, device: Arc<dyn Device>) -> Result<Self> {
        Ok(Self {
            store: Store::open(data).await?,
            models: ModelCache::new(cache_budget_bytes()),
            short: ShortPool::new(N_SHORT_THREADS.min(n_threads))?,
            n_threads,
            device,
        })
    }

    /// Who runs a job, for people: the program's part, its process, its machine, and what it computes on unless that is the
    /// processor.
    pub fn owner(&self, part: &str) -> String {
        let who = format!("{part} {} on {}", std::process::id(), host());
        match self.device.name() {
            "cpu" => who,
            device => format!("{who}, {device}"),
        }
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

/// Bytes of model weights that stay in memory while no one uses them: half of what this process can have, 4 GiB where that is unknown.
fn cache_budget_bytes() -> u64 {
    const UNKNOWN: u64 = 4 << 30;
    Memory::total().map_or(UNKNOWN, |total| total / 2)
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map_or_else(|| "this machine".into(), |name| name.trim().to_string())
}
