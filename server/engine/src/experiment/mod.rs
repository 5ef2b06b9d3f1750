//! What is concluded from many dictionaries together. Pure: numbers in, numbers out.

pub mod pareto;
