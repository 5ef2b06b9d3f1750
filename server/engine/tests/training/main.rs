//! Training and measuring dictionaries: against what torch makes of the definitions (`tests/golden/training.py`), and laws.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod buffer;
mod clean_model;
mod convention_laws;
mod core_metrics;
mod course;
mod defaults;
mod findings;
mod fitted_runs;
mod golden;
mod kind_laws;
mod kind_runs;
mod kinds;
mod laws;
mod left_out;
mod matched;
mod metrics;
mod origins;
mod posthoc;
mod pursuit_laws;
mod runs;
mod sites;
mod torch;
mod transcoders;
mod workplace;
