//! The command line, as a user and a script meet it.

mod attacked;
mod bad_input;
mod baselines;
mod corpus;
mod damage;
mod deaths;
mod demo;
mod derive;
mod exchange;
mod full_disk;
mod help;
mod hub;
mod hub_dictionaries;
mod killed;
mod known;
mod line;
mod loopback;
mod pipe;
mod pretrain;
mod questions;
mod shared;
mod storyworld;
mod sweep;
