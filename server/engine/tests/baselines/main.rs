//! Fitting baselines: against what numpy, scipy and scikit-learn make of the definitions (`tests/golden/baselines.py`), and laws.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod golden;
mod ica;
mod laws;
mod nmf;
mod workplace;
