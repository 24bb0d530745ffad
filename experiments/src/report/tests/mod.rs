//! Tests of the report on findings made up for them.

pub(crate) mod pictures;
pub(crate) mod synthetic;
