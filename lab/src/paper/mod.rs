//! Sources of Typst become files: by the compiler within the program where it has one (the Cargo feature `pdf`), else by the program
//! `typst` on the PATH. Either reads nothing outside the source's folder.

#[cfg(feature = "pdf")]
mod compiler;
// With the compiler, the tests alone ask the program.
#[cfg(any(test, not(feature = "pdf")))]
mod program;

use std::path::Path;

use crate::error::LabError;

#[cfg(feature = "pdf")]
use compiler::made;
#[cfg(not(feature = "pdf"))]
use program::made;

/// Dots per inch of a picture, as journals ask for line art.
const DOTS_PER_INCH: u16 = 600;

/// What a source becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Pages with their fonts in them.
    Pdf,
    /// The first page at [`DOTS_PER_INCH`].
    Png,
}

/// Sets a source, as a file that appears whole or not at all.
///
/// # Errors
/// A source that is not set, no Typst to set it, or a file that cannot be written.
pub(crate) fn set(source: &Path, form: Form, target: &Path) -> Result<(), LabError> {
    let bytes = made(source, form)?;
    Ok(archaeo_store::write(target, &bytes)?)
}
