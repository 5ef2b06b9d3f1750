//! Stages with their names and times, so that a log says where the minutes went, once as they pass and once at its end.

use anyhow::Result;
use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// A stage that is over.
struct Stage {
    name: String,
    outcome: &'static str,
    seconds: f64,
}

static OVER: Mutex<Vec<Stage>> = Mutex::new(Vec::new());

/// Runs `work` and prints its name before and its time after.
pub fn stage<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("── {name}");
    let start = Instant::now();
    let done = work();
    let stage = Stage {
        name: name.to_owned(),
        outcome: if done.is_ok() { "done" } else { "failed" },
        seconds: start.elapsed().as_secs_f64(),
    };
    println!("── {name}: {} after {:.1} s", stage.outcome, stage.seconds);
    OVER.lock().unwrap_or_else(PoisonError::into_inner).push(stage);
    done
}

/// Prints the time of every stage and of all together, where there was one.
pub fn summary() {
    let stages = OVER.lock().unwrap_or_else(PoisonError::into_inner);
    if !stages.is_empty() {
        print!("{}", table(&stages));
    }
}

fn table(stages: &[Stage]) -> String {
    let mut table = String::new();
    for stage in stages {
        let failed = if stage.outcome == "done" { "" } else { " (failed)" };
        table += &format!("{:>8.1} s  {}{failed}\n", stage.seconds, stage.name);
    }
    let all: f64 = stages.iter().map(|stage| stage.seconds).sum();
    table + &format!("{all:>8.1} s  in all\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_where_the_minutes_went_and_what_failed() {
        let stage = |name: &str, outcome, seconds| Stage {
            name: name.to_owned(),
            outcome,
            seconds,
        };
        let stages = [stage("format", "done", 0.94), stage("tests", "failed", 601.0)];
        assert_eq!(
            table(&stages),
            "     0.9 s  format\n   601.0 s  tests (failed)\n   601.9 s  in all\n"
        );
    }
}
