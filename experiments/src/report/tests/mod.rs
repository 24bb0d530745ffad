//! Tests of the report on findings made up for them.

mod page;
pub(crate) mod pictures;
mod recommendations;
mod shown;
pub(crate) mod synthetic;
mod variants;

use std::path::Path;

use super::{Claim, Report, ReportError};
use crate::findings::Investigation;

/// Writes the report into a folder.
pub(crate) fn render(found: &Investigation, folder: &Path) -> Result<(), ReportError> {
    Report::of(found)?.write(folder)
}

/// [`super::html`] of findings of this version.
pub(crate) fn html(found: &Investigation, pictures: &dyn Fn(&str) -> Option<Vec<u8>>) -> String {
    super::html(found, pictures).expect("findings of this version")
}

/// [`super::markdown`] of findings of this version.
pub(crate) fn markdown(found: &Investigation) -> String {
    super::markdown(found).expect("findings of this version")
}

/// Every claim, in the order of the report.
pub(crate) fn claims(found: &Investigation) -> Vec<Claim> {
    let told = super::told(found).expect("findings of this version");
    told.opening.into_iter().chain(told.summary).collect()
}
