//! Data sets, training, run folders, studies and the report.

pub mod augment;
pub mod classes;
pub mod data;
pub mod epsilon;
pub mod evaluate;
pub mod export;
pub mod findings;
pub mod finite;
#[cfg(test)]
mod fixture;
pub mod images;
pub mod investigation;
mod precision;
pub mod predictions;
pub mod random;
pub mod report;
pub mod run_folder;
pub mod studies;
pub mod tensorboard;
pub mod train;
