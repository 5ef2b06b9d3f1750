//! Stages with their names and times, so that a log says where the minutes went.

use anyhow::Result;
use std::time::Instant;

/// Runs `work` and prints its name before and its time after.
pub fn stage<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("── {name}");
    let start = Instant::now();
    let done = work();
    let outcome = if done.is_ok() { "done" } else { "failed" };
    println!("── {name}: {outcome} after {:.1} s", start.elapsed().as_secs_f64());
    done
}
