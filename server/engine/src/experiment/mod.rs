//! What is concluded from many dictionaries together, and what is asked of a model. Pure: numbers in, numbers out.

mod assignment;
mod at_equal;
pub mod behaviour;
pub mod pareto;
pub mod ranking;
pub mod similarity;
