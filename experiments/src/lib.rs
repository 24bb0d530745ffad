//! Data sets, training, run folders, studies and the report.

pub mod evaluate;
pub mod findings;
pub mod images;
pub mod run_folder;
pub mod tensorboard;
pub mod train;
