//! The device's computation against the engine's own, and against torch, on candle's processor kernels: the same code that runs
//! on a GPU.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

// what torch computed, and the config and the texts that the engine's tests start from
#[path = "../../../engine/tests/training/golden.rs"]
#[allow(dead_code, reason = "the engine's tests use the rest")]
mod golden;
#[path = "../../../engine/tests/training/workplace.rs"]
#[allow(dead_code, reason = "the engine's tests use the rest")]
mod workplace;

mod metrics;
mod passes;
mod runs;
mod steps;
