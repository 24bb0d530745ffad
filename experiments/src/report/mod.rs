//! The report of an investigation: one HTML page and one Markdown file that say the same.
//!
//! Every study brings its own chapter; what stands here is folded from them and from what is known of data, models and the run.
//! Nothing is measured here, no study is named, and nothing is read but the findings and the pictures that they name.

pub(crate) mod charts;
mod data;
mod limitations;
pub(crate) mod method;
mod models;
pub(crate) mod names;
mod overview;
mod provenance;
pub(crate) mod shown;

use std::path::{Component, Path};

use archaeo_report::document::{Block, Document, Section};
use archaeo_store::StoreError;

use crate::findings::Investigation;
use crate::studies::STUDIES;
use crate::study::{AnyStudy, Chapter};

pub use archaeo_report::Claim;
pub use names::Names;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The report cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Findings that another version made.
    #[error(
        "the findings of `{study}` are not as this version writes them ({reason}); run the investigation again"
    )]
    Findings {
        /// Which study's.
        study: &'static str,
        /// What does not fit.
        reason: String,
    },
}

/// Writes `report.html`, `report.md` and the charts that the latter links to into `folder`, from which the pictures are read. Each
/// file appears whole or not at all.
///
/// # Errors
/// The folder cannot be written, or findings of another version. A picture that is missing is named in the report instead.
pub fn render(investigation: &Investigation, folder: &Path) -> Result<(), ReportError> {
    Ok(write_document(&document(investigation)?, folder)?)
}

/// The files of the report, by their paths within the run folder, from which the pictures are read. Nothing is written.
///
/// # Errors
/// Findings of another version.
pub fn rendered(investigation: &Investigation, folder: &Path) -> Result<Vec<(String, String)>, ReportError> {
    Ok(files(&document(investigation)?, folder))
}

/// A document as `report.html`, the charts that `report.md` links to, and `report.md`.
fn files(document: &Document, folder: &Path) -> Vec<(String, String)> {
    let page = archaeo_report::html::page(document, &|path| picture(folder, path));
    let markdown = archaeo_report::markdown::page(document);
    let mut files = vec![("report.html".to_owned(), page)];
    files.extend(markdown.charts);
    files.push(("report.md".to_owned(), markdown.text));
    files
}

/// Writes a document as `report.html`, `report.md` and the charts that the latter links to; pictures are those of `folder`.
pub(crate) fn write_document(document: &Document, folder: &Path) -> Result<(), StoreError> {
    for (path, contents) in files(document, folder) {
        let path = folder.join(path);
        if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
            std::fs::create_dir_all(parent).map_err(StoreError::io("make the folder", parent))?;
        }
        archaeo_store::write(&path, contents.as_bytes())?;
    }
    Ok(())
}

/// The report as one self-contained page; `pictures` gives the bytes of a picture by its path within the run folder.
///
/// # Errors
/// Findings of another version.
pub fn html(
    investigation: &Investigation,
    pictures: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<String, ReportError> {
    Ok(archaeo_report::html::page(&document(investigation)?, pictures))
}

/// The report as Markdown, with pictures and charts as links relative to the run folder.
///
/// # Errors
/// Findings of another version.
pub fn markdown(investigation: &Investigation) -> Result<String, ReportError> {
    Ok(archaeo_report::markdown::page(&document(investigation)?).text)
}

/// What was found, in words.
#[derive(Debug)]
pub struct Told {
    /// What opens the report: whether the models can be trusted.
    pub opening: Vec<Claim>,
    /// The summary.
    pub summary: Vec<Claim>,
}

/// Everything that the finished studies allow to be said, in the order of the report.
///
/// # Errors
/// Findings of another version.
pub fn told(investigation: &Investigation) -> Result<Told, ReportError> {
    let mut told = Told { opening: Vec::new(), summary: Vec::new() };
    for (study, chapter) in chapters(investigation, &Names::of(investigation))? {
        let claims = if study.opens() { &mut told.opening } else { &mut told.summary };
        claims.extend(chapter.claims);
    }
    Ok(told)
}

/// The chapters of the studies that have run.
fn chapters(
    investigation: &Investigation,
    names: &Names,
) -> Result<Vec<(&'static dyn AnyStudy, Chapter)>, ReportError> {
    let mut chapters = Vec::new();
    for &study in STUDIES {
        let chapter = study.chapter(investigation, names);
        let chapter = chapter
            .map_err(|error| ReportError::Findings { study: study.id(), reason: error.to_string() })?;
        if let Some(mut chapter) = chapter {
            // A sentence begins with a capital, even where it begins with the name of a method.
            for claim in &mut chapter.claims {
                claim.statement = names::capitalised(&claim.statement);
            }
            chapters.push((study, chapter));
        }
    }
    Ok(chapters)
}

/// The whole report.
fn document(investigation: &Investigation) -> Result<Document, ReportError> {
    let names = Names::of(investigation);
    let mut chapters = chapters(investigation, &names)?;
    let title = overview::title(investigation);
    let lead = overview::lead(investigation, &names, &chapters);
    let facts = overview::facts(investigation, &chapters);
    let method = method::section(&chapters);
    let limitations = limitations::section(investigation, &chapters);
    let provenance = provenance::section(investigation, &chapters);

    let pictures: Vec<Block> =
        chapters.iter_mut().filter_map(|(_, chapter)| chapter.frontispiece.take()).collect();
    let (mut opening, mut summary, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for (study, chapter) in &mut chapters {
        let mut section = std::mem::replace(&mut chapter.section, Section::empty());
        match study.opens() {
            true => {
                section.blocks.insert(0, Block::Claims(std::mem::take(&mut chapter.claims)));
                opening.push(section);
            }
            false => {
                summary.append(&mut chapter.claims);
                told.push(section);
            }
        }
    }
    // Whether a model can be trusted comes before everything else.
    if !pictures.is_empty() {
        opening.push(Section { id: "glance", title: "At a glance", blocks: pictures });
    }
    let mut sections = opening;
    sections.extend([
        self::summary(summary),
        data::section(investigation),
        models::section(investigation, &names),
    ]);
    sections.append(&mut told);
    sections.extend([method, limitations, provenance]);
    Ok(Document { kind: "report of an investigation", title, lead, facts, sections })
}

fn summary(claims: Vec<Claim>) -> Section {
    let block = if claims.is_empty() {
        Block::Paragraph("No study has finished yet.".into())
    } else {
        Block::Claims(claims)
    };
    Section { id: "summary", title: "What was found", blocks: vec![block] }
}

/// Findings may come from anywhere; a picture's path must not lead out of the run folder.
fn picture(folder: &Path, path: &str) -> Option<Vec<u8>> {
    let path = Path::new(path);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    inside.then(|| archaeo_store::read(&folder.join(path)).ok()).flatten()
}

#[cfg(test)]
pub(crate) mod tests;
