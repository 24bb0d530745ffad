//! Tests of the report on findings made up for them.

mod claims;
mod numbers;
mod page;
mod pictures;
mod shown;
mod synthetic;
mod trust;
mod variants;
