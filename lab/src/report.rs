//! The report of an investigation, written again: as a page, as Markdown, or on paper.

use std::path::Path;

use archaeo_experiments::investigation::{report_again, seal_again};
use archaeo_experiments::report::{Detail, NOTEBOOK, TABLES};
use serde::Serialize;

use crate::error::LabError;
use crate::paper::{Form, set};
use crate::session::Session;

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// One page that holds everything.
    Html,
    /// Markdown, with links to charts and pictures.
    Markdown,
    /// What Typst sets a report for paper from.
    Typst,
    /// On paper.
    Pdf,
    /// Its tables in LaTeX, for a paper.
    Latex,
    /// A Jupyter notebook that draws its charts again.
    Notebook,
}

impl ReportFormat {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Html, Self::Markdown, Self::Typst, Self::Pdf, Self::Latex, Self::Notebook];

    /// The word that it is asked for by, which is the ending of its file.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "md",
            Self::Typst => "typ",
            Self::Pdf => "pdf",
            Self::Latex => "tex",
            Self::Notebook => "ipynb",
        }
    }
}

/// The written reports of an investigation.
#[derive(Clone, Debug, Serialize)]
pub struct ReportFiles {
    /// The page.
    pub html: String,
    /// The Markdown.
    pub markdown: String,
    /// What the report on paper is set from.
    pub typst: String,
    /// The report on paper, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pdf: Option<String>,
    /// The tables in LaTeX, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latex: Option<String>,
    /// The notebook, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notebook: Option<String>,
}

impl Session {
    /// Writes the report of an investigation again, under another title where one is given. With [`ReportFormat::Pdf`], Typst sets what is
    /// for paper, of which `detail` says how much.
    ///
    /// # Errors
    /// A folder without an investigation, or a PDF without Typst.
    pub fn report_again(
        &self,
        folder: &Path,
        title: Option<&str>,
        format: ReportFormat,
        detail: Detail,
    ) -> Result<ReportFiles, LabError> {
        let stage = self.stage("writing the report");
        let (investigation, report) = report_again(folder, title)?;
        if detail != Detail::default() {
            report.write_paper(folder, detail)?;
        }
        match format {
            ReportFormat::Latex => report.write_tables(folder)?,
            ReportFormat::Notebook => report.write_notebook(folder)?,
            _ => {}
        }
        drop(stage);
        let path = |ending: &str| folder.join(format!("report.{ending}"));
        let pdf = match format {
            ReportFormat::Pdf => {
                let _stage = self.stage("setting the PDF");
                set(&path("typ"), Form::Pdf, &path("pdf"))?;
                Some(path("pdf").display().to_string())
            }
            _ => None,
        };
        // Last, so that it knows of every form.
        seal_again(folder, &investigation, self.environment().build())?;
        let only =
            |of: ReportFormat, file: &str| (format == of).then(|| folder.join(file).display().to_string());
        let latex = only(ReportFormat::Latex, TABLES);
        let notebook = only(ReportFormat::Notebook, NOTEBOOK);
        let shown = |ending: &str| path(ending).display().to_string();
        Ok(ReportFiles {
            html: shown("html"),
            markdown: shown("md"),
            typst: shown("typ"),
            pdf,
            latex,
            notebook,
        })
    }
}
