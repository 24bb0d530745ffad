//! Data sets, training, run folders, studies and the report.

pub mod findings;
pub mod report;
