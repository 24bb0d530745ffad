//! Where a method or an attack comes from.

use serde::Serialize;

/// A publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Paper {
    /// Authors and year, as `Selvaraju et al., 2017`.
    pub citation: &'static str,
    /// Where it can be read.
    pub url: &'static str,
}
