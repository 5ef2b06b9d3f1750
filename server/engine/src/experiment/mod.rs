//! What is concluded from many dictionaries together, and what is asked of a model. Pure: numbers in, numbers out.

pub mod behaviour;
pub mod pareto;
