//! Randomness as an argument.
//!
//! Every random number comes from a generator keyed by its purpose: a seed, a named stream, an image and a step. Nothing is
//! drawn from a shared generator, so results depend neither on the order of the work, nor on the batch an image sits in, nor on
//! the number of threads.

mod keyed;
mod sample;

pub use keyed::{keyed_rng, standard_normal};
pub use sample::{Draw, nested_share, spread, stratified};
