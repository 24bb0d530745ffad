//! analysis.

pub mod statistics;
