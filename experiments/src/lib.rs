//! Data sets, training, run folders, studies and the report.

pub mod augment;
pub mod data;
pub mod evaluate;
pub mod findings;
#[cfg(test)]
mod fixture;
pub mod images;
pub mod random;
pub mod run_folder;
pub mod tensorboard;
pub mod train;
