//! `archaeo._archaeo`: what the Python package asks of the lab.
//!
//! Everything here hands over: arrays that NumPy holds go to a [`DirectModel`](archaeo_lab::direct::DirectModel) without a copy, and
//! what it answers becomes arrays that NumPy owns, again without one. Other threads of Python run while it works. The package
//! `archaeo` (`python/archaeo/`) says the rest in Python: what may be an image, what results look like.
//!
//! Memory is shared with Python by the macros of PyO3 alone: nothing here is `unsafe`.

#![cfg(feature = "extension")]

mod asked;
mod data;
mod errors;
mod excavate;
mod model;
mod object;
mod source;
mod study;

use pyo3::prelude::*;

/// The native module of the package `archaeo`.
#[pymodule]
mod _archaeo {
    #[pymodule_export]
    use super::data::{Data, open_data, read_picture};
    #[pymodule_export]
    use super::excavate::excavate;
    #[pymodule_export]
    use super::model::{Model, overlay, png};
    #[pymodule_export]
    use super::study::{known, study};

    use super::*;

    /// Runs a command line, whose first word is the program's name, and returns the exit status.
    #[pyfunction]
    fn run(py: Python, words: Vec<std::ffi::OsString>) -> u8 {
        py.detach(|| archaeo::run(words))
    }

    #[pymodule_init]
    fn init(module: &Bound<PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
