//! What do a model's features hold? Plain matrices in, plain numbers out; [`layers`] takes the matrices from a forward pass.
//!
//! | question | where |
//! |---|---|
//! | are the nearest images of the same class? | [`Neighbours`] |
//! | can a linear layer tell the classes apart, and from how many labels? | [`LinearProbe`], [`choose_probe`], [`few_shot()`] |
//! | do two layers, or two models, represent images alike? | [`linear_cka`], [`cka_estimate`], [`cka_null`] |
//! | what does the cloud of images look like? | [`pca()`], [`tsne()`] |
//! | can that picture be trusted? | [`picture_trust`] |

mod cka;
mod few_shot;
pub mod layers;
mod lbfgs;
mod linear_probe;
mod matrix;
mod neighbours;
mod pca;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trustworthiness;
mod tsne;

pub use cka::{CkaNull, Gram, cka_estimate, cka_null, linear_cka};
pub use few_shot::{FewShot, Labelled, SHOTS, few_shot};
pub use linear_probe::{ChosenProbe, LinearProbe, PENALTIES, choose_probe, choose_probe_of_few};
pub use matrix::Features;
pub use neighbours::{NEIGHBOURS, Neighbours, TEMPERATURE};
pub use pca::{Pca, pca};
pub use trustworthiness::{PictureTrust, TRUST_NEIGHBOURS, picture_trust};
pub use tsne::{PERPLEXITY, Tsne, tsne};
