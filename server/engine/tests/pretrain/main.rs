//! Pretraining against torch (golden files written by `tests/golden/pretraining.py`) and against laws.
#![allow(clippy::unwrap_used, reason = "a test may stop at a surprise")]

// weight gradients of every family: finite differences, torch, any number of threads
mod gradients;
// the folder that is written
mod folder;
// whole runs: interruptions, threads, bad ends
mod runs;
// ten optimiser steps
mod steps;
// the tokenizer that is trained on the text
mod tokenizer;
mod workplace;
