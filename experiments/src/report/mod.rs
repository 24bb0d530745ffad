//! The report of an investigation: one HTML page, one Markdown file and one for paper that say the same.
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
mod recommendations;
mod related;
pub(crate) mod shown;

use std::path::{Component, Path, PathBuf};

use archaeo_report::document::{Block, Document, Part, Section};
pub use archaeo_report::latex::FILE as TABLES;
pub use archaeo_report::notebook::FILE as NOTEBOOK;
pub use archaeo_report::typst::Detail;
use archaeo_report::{bibliography, latex, notebook, typst};
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

/// The report of an investigation, ready to be written in any form into its folder, from which pictures are read. Each file appears whole or
/// not at all, and a picture that is missing is named in the report instead.
#[derive(Debug)]
pub struct Report(Document);

impl Report {
    /// Puts the report together, once for all forms.
    ///
    /// # Errors
    /// Findings of another version.
    pub fn of(investigation: &Investigation) -> Result<Self, ReportError> {
        document(investigation).map(Self)
    }

    /// Writes `report.html`, `report.md` with the charts that it links to, and `report.typ` with what it shows.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ReportError> {
        Ok(write_document(&self.0, folder)?)
    }

    /// Writes [`typst::FILE`] and [`typst::DATA`] alone, with as much of the report as `detail` says.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write_paper(&self, folder: &Path, detail: Detail) -> Result<(), ReportError> {
        Ok(write_paper(&self.0, folder, detail)?)
    }

    /// Writes the report's tables in LaTeX, as [`latex::FILE`].
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write_tables(&self, folder: &Path) -> Result<(), ReportError> {
        Ok(archaeo_store::write(&folder.join(latex::FILE), latex::tables(&self.0).as_bytes())?)
    }

    /// Writes the report as a Jupyter notebook, [`notebook::FILE`], which draws its charts again from their numbers.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write_notebook(&self, folder: &Path) -> Result<(), ReportError> {
        Ok(archaeo_store::write(&folder.join(notebook::FILE), notebook_text(&self.0).as_bytes())?)
    }
}

/// A file of the report.
pub(crate) struct Rendered {
    /// Its path within the run folder.
    pub file: String,
    /// What it may hold: the report on paper has several extents.
    pub texts: Vec<String>,
}

/// Every file that a report may have, except the PDF. Pictures are read from the run folder, and nothing is written.
///
/// # Errors
/// Findings of another version.
pub(crate) fn rendered(investigation: &Investigation, folder: &Path) -> Result<Vec<Rendered>, ReportError> {
    let document = document(investigation)?;
    let one = |(file, text): (String, String)| Rendered { file, texts: vec![text] };
    let mut rendered: Vec<Rendered> = files(&document, folder).into_iter().map(one).collect();
    for detail in [Detail::default(), Detail::Summary, Detail::Appendix] {
        for (file, text) in paper(&document, folder, detail) {
            match rendered.iter_mut().find(|of| of.file == file) {
                Some(known) => known.texts.push(text),
                None => rendered.push(one((file.into(), text))),
            }
        }
    }
    rendered.push(one((latex::FILE.into(), latex::tables(&document))));
    rendered.push(one((notebook::FILE.into(), notebook_text(&document))));
    Ok(rendered)
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

/// Writes a document as `report.html`, `report.md` with the charts that it links to, and `report.typ` with what it shows; pictures are
/// those of `folder`.
pub(crate) fn write_document(document: &Document, folder: &Path) -> Result<(), StoreError> {
    for (path, contents) in files(document, folder) {
        let path = folder.join(path);
        // Folders within the run folder are made, that one itself is not.
        if let Some(parent) = path.parent().filter(|&parent| parent != folder && !parent.exists()) {
            std::fs::create_dir_all(parent).map_err(StoreError::io("make the folder", parent))?;
        }
        archaeo_store::write(&path, contents.as_bytes())?;
    }
    write_paper(document, folder, Detail::default())
}

/// What Typst sets the report from, a fixed text and what it shows, and what the report refers to.
fn paper(document: &Document, folder: &Path, detail: Detail) -> [(&'static str, String); 3] {
    let data = typst::data(document, detail, &|path| inside(folder, path).is_some_and(|path| path.is_file()));
    let data = serde_json::to_string_pretty(&data).expect("plain data") + "\n";
    [
        (typst::DATA, data),
        (bibliography::FILE, bibliography::bibtex(document)),
        (typst::FILE, typst::TEMPLATE.to_owned()),
    ]
}

fn write_paper(document: &Document, folder: &Path, detail: Detail) -> Result<(), StoreError> {
    paper(document, folder, detail)
        .iter()
        .try_for_each(|(file, text)| archaeo_store::write(&folder.join(file), text.as_bytes()))
}

fn notebook_text(document: &Document) -> String {
    serde_json::to_string_pretty(&notebook::notebook(document)).expect("plain data") + "\n"
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

/// The chapter of one study as a page of its own, with its claims first; `pictures` as for [`html`]. `None` where it has not run.
///
/// # Errors
/// Findings of another version.
pub fn chapter_html(
    investigation: &Investigation,
    study: &str,
    pictures: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Option<String>, ReportError> {
    let chapters = chapters(investigation, &Names::of(investigation))?;
    let chapter = chapters.into_iter().find(|(found, _)| found.id() == study);
    Ok(chapter.map(|(_, Chapter { section, claims, .. })| {
        let document = Document {
            kind: "a study",
            title: section.title.into(),
            lead: overview::title(investigation).into(),
            facts: Vec::new(),
            sections: vec![summary(claims), section],
            parts: Vec::new(),
        };
        archaeo_report::html::page(&document, pictures)
    }))
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
    let related = related::section(investigation, &chapters, &names);
    let recommendations = recommendations::section(investigation, &chapters, &names);
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
    sections.push(self::summary(summary));
    sections.extend(recommendations);
    sections.extend([data::section(investigation), models::section(investigation, &names)]);
    sections.append(&mut told);
    sections.extend(related);
    sections.extend([method, limitations, provenance]);
    let parts = parts(&sections);
    Ok(Document { kind: "report of an investigation", title, lead, facts, sections, parts })
}

/// The chapters in the order of a technical report.
fn parts(sections: &[Section]) -> Vec<Part> {
    let told = |wanted: &dyn Fn(&dyn AnyStudy) -> bool| -> Vec<&'static str> {
        let ids = sections.iter().map(|section| section.id);
        ids.filter(|id| STUDIES.iter().any(|study| study.id() == *id && wanted(*study))).collect()
    };
    let mut opening = told(&|study| study.opens());
    opening.push("glance");
    let part = |title: &'static str, sections: Vec<&'static str>| Part { title, sections };
    vec![
        part("In short", opening),
        part("Data and models", vec!["data", "models"]),
        part("Related methods", vec!["related"]),
        part("Results", told(&|study| !study.opens() && !study.is_about_failure())),
        part("Failure analysis", told(&|study| !study.opens() && study.is_about_failure())),
        part("Insights", vec!["summary"]),
        part("Recommendations", vec!["recommendations"]),
        part("Methods", vec!["method"]),
        part("Limitations", vec!["limitations"]),
        part("Reproducibility", vec!["provenance"]),
    ]
}

fn summary(claims: Vec<Claim>) -> Section {
    let block = if claims.is_empty() {
        Block::Paragraph("No study has finished yet.".into())
    } else {
        Block::Claims(claims)
    };
    Section { id: "summary", title: "What was found", blocks: vec![block] }
}

fn picture(folder: &Path, path: &str) -> Option<Vec<u8>> {
    archaeo_store::read(&inside(folder, path)?).ok()
}

/// Findings may come from anywhere; a picture's path must not lead out of the run folder.
fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    inside.then(|| folder.join(path))
}

#[cfg(test)]
pub(crate) mod tests;
