//! experiments.

pub mod augment;
pub mod data;
#[cfg(test)]
mod fixture;
pub mod random;
