//! Subjects, studies, their findings and chapters, and the investigation.

pub mod advice;
pub mod card;
pub mod classes;
pub mod custody;
pub mod findings;
pub mod investigation;
pub mod options;
pub mod painter;
pub mod predictions;
pub mod profile;
pub mod regimes;
pub mod report;
pub mod scene;
pub mod shard;
pub mod studies;
pub mod study;
pub mod subjects;
pub mod units;
