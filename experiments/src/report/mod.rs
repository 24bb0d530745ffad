//! The report of an investigation: one HTML page and one Markdown file that say the same.
//!
//! [`claims`] turns findings into sentences, `sections` into a document of text, tables and figures, and
//! [`html()`] and [`markdown()`] print it. Nothing is measured here and nothing is read but the findings and the pictures
//! that they name.

mod charts;
mod claims;
mod document;
mod evidence;
mod html;
mod markdown;
mod names;
mod numbers;
mod sections;
#[cfg(test)]
mod tests;

use std::path::{Component, Path};

use crate::findings::Investigation;

pub use claims::{Claim, claims};

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The report cannot be written.
    #[error(transparent)]
    Store(#[from] archaeo_store::StoreError),
}

/// Writes `report.html` and `report.md` into `folder`, from which the pictures are read. Each file appears whole or not
/// at all.
///
/// # Errors
/// The folder cannot be written. A picture that is missing is named in the report instead.
pub fn render(investigation: &Investigation, folder: &Path) -> Result<(), ReportError> {
    let pictures = |path: &str| picture(folder, path);
    archaeo_store::write(&folder.join("report.html"), html(investigation, &pictures).as_bytes())?;
    archaeo_store::write(&folder.join("report.md"), markdown(investigation).as_bytes())?;
    Ok(())
}

/// The report as one self-contained page; `pictures` gives the bytes of a picture by its path within the run folder.
pub fn html(investigation: &Investigation, pictures: &dyn Fn(&str) -> Option<Vec<u8>>) -> String {
    html::page(&sections::document(investigation), pictures)
}

/// The report as Markdown, with pictures as links relative to the run folder.
pub fn markdown(investigation: &Investigation) -> String {
    markdown::page(&sections::document(investigation))
}

/// Findings may come from anywhere; a picture's path must not lead out of the run folder.
fn picture(folder: &Path, path: &str) -> Option<Vec<u8>> {
    let path = Path::new(path);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    inside.then(|| archaeo_store::read(&folder.join(path)).ok()).flatten()
}
