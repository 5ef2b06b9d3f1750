//! Short work for the page (reading a model's facts, counting a corpus, measuring a few contexts) on threads of its own,
//! so that it neither waits behind a job nor blocks the server's.

use anyhow::{Context as _, Result, anyhow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::oneshot;

/// A pool of threads for short work.
pub struct ShortPool {
    pool: rayon::ThreadPool,
}

impl ShortPool {
    /// A pool of `n_threads`.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new(n_threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads.max(1))
            .thread_name(|i| format!("short-{i}"))
            .build()
            .context("cannot start the threads for short work")?;
        Ok(Self { pool })
    }

    /// Runs `work` on the pool; parallel iterators inside it use the pool too.
    ///
    /// # Errors
    /// What `work` returns; a panic in it becomes an error, because it must not take the server with it.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.pool.spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(anyhow!(panic_message(&*panic))));
            let _ = sender.send(result); // whoever asked may have gone away
        });
        receiver.await.context("the threads for short work have ended")?
    }
}

/// What a panic said.
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.unwrap_or_else(|| "without a message".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_on_the_pool_and_a_panic_is_an_error() {
        let pool = ShortPool::new(1).unwrap();
        let name = pool
            .run(|| Ok(std::thread::current().name().map(String::from)))
            .await
            .unwrap();
        assert_eq!(name.as_deref(), Some("short-0"));
        let error = pool.run::<()>(|| panic!("no {}", "luck")).await.unwrap_err();
        assert_eq!(error.to_string(), "panicked: no luck");
        assert_eq!(pool.run(|| Ok(2)).await.unwrap(), 2, "the pool works on");
    }
}
