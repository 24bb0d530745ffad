//! Sources of Typst become files, by the program `typst` on the PATH, which reads nothing outside the source's folder.

mod program;

use std::path::Path;

use crate::error::LabError;

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
