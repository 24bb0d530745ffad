//! A figure of an investigation at the width of a journal's column.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::LabError;
use crate::paper::{Form, set};
use crate::session::Session;

/// Folder of the charts, within the run folder.
const CHARTS: &str = "charts";

/// Bytes of the longest chart that is read.
const LONGEST: u64 = 64 << 20;

/// A form of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureFormat {
    /// With text that stays text, and its fonts by name.
    Svg,
    /// With its fonts in it; set by Typst.
    Pdf,
    /// Drawn at 600 dots per inch by Typst.
    Png,
}

impl FigureFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Svg, Self::Pdf, Self::Png];

    /// The word that it is asked for by, which is the ending of its file.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Pdf => "pdf",
            Self::Png => "png",
        }
    }
}

/// A length on paper: a number with `in`, `cm`, `mm` or `pt`.
#[derive(Clone, Debug, PartialEq)]
pub struct Length(String);

impl Length {
    /// The length as it is written.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let units = ["in", "cm", "mm", "pt"];
        let number = units.iter().find_map(|unit| text.strip_suffix(unit));
        match number.and_then(|number| number.parse::<f64>().ok()) {
            Some(number) if number > 0.0 && number.is_finite() => Ok(Self(text.into())),
            _ => Err("a width is a number above 0 with in, cm, mm or pt, such as 3.25in".into()),
        }
    }
}

/// A figure that was written.
#[derive(Clone, Debug, Serialize)]
pub struct FigureFile {
    /// Its name.
    pub figure: String,
    /// The file.
    pub file: PathBuf,
}

impl Session {
    /// Names of the figures of an investigation: those of its charts, by chapter and number.
    ///
    /// # Errors
    /// A folder without charts.
    pub fn figures(&self, run: &Path) -> Result<Vec<String>, LabError> {
        let none = |_| LabError::NoFigures(run.to_owned());
        let entries = fs::read_dir(run.join(CHARTS)).map_err(none)?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let charts = paths.filter(|path| path.extension().is_some_and(|ending| ending == "svg"));
        let mut names: Vec<String> =
            charts.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        // `errors-2` before `errors-10`.
        names.sort_by_key(|name| match name.rsplit_once('-') {
            Some((chapter, number)) => (chapter.to_owned(), number.parse().unwrap_or(0)),
            None => (name.clone(), 0_u32),
        });
        Ok(names)
    }

    /// Writes a figure at a width, as `target` or next to where the command runs.
    ///
    /// # Errors
    /// A figure that is not there, a file that cannot be written, or a PDF or PNG without Typst.
    pub fn figure(
        &self,
        run: &Path,
        name: &str,
        width: &Length,
        format: FigureFormat,
        target: Option<&Path>,
    ) -> Result<FigureFile, LabError> {
        let names = self.figures(run)?;
        if !names.iter().any(|known| known == name) {
            return Err(LabError::Figure { name: name.into(), known: names.join(", ") });
        }
        let chart = run.join(CHARTS).join(format!("{name}.svg"));
        let svg = archaeo_store::read_text(&chart, LONGEST)
            .map_err(|source| LabError::Read { path: chart.clone(), source })?;
        let svg = at_width(&svg, &width.0);
        let usual = PathBuf::from(format!("{name}.{}", format.ending()));
        let file = target.map_or(usual, Path::to_owned);
        if format == FigureFormat::Svg {
            archaeo_store::write(&file, svg.as_bytes())?;
            return Ok(FigureFile { figure: name.into(), file });
        }
        let source = file.with_extension("figure.typ");
        let text = format!(
            "#set document(date: none)\n#set page(width: {width}, height: auto, margin: 0pt)\n#image(bytes({svg}), width: 100%)\n",
            width = width.0,
            svg = serde_json::to_string(&svg).expect("text is a string").replace("\\/", "/"),
        );
        archaeo_store::write(&source, text.as_bytes())?;
        let form = if format == FigureFormat::Png { Form::Png } else { Form::Pdf };
        let made = set(&source, form, &file);
        let _ = fs::remove_file(&source);
        made?;
        Ok(FigureFile { figure: name.into(), file })
    }
}

/// An `<svg>` element of that width; its height follows from its `viewBox`.
fn at_width(svg: &str, width: &str) -> String {
    let Some(end) = svg.find('>') else { return svg.to_owned() };
    let (head, rest) = svg.split_at(end);
    let mut head = head.to_owned();
    for name in [" width=\"", " height=\""] {
        if let Some(start) = head.find(name)
            && let Some(length) = head[start + name.len()..].find('"')
        {
            let put = if name.contains("width") { format!(" width=\"{width}\"") } else { String::new() };
            head.replace_range(start..=start + name.len() + length, &put);
        }
    }
    head + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_takes_the_width_and_keeps_its_box() {
        let svg = "<svg class=\"a\" width=\"460\" height=\"284\" viewBox=\"-10 -10 460 284\"><rect width=\"5\" height=\"6\"/></svg>";
        assert_eq!(
            at_width(svg, "3.25in"),
            "<svg class=\"a\" width=\"3.25in\" viewBox=\"-10 -10 460 284\"><rect width=\"5\" height=\"6\"/></svg>"
        );
    }

    #[test]
    fn a_width_has_a_unit() {
        assert_eq!(Length::parse("8.5cm").unwrap().0, "8.5cm");
        for wrong in ["3.25", "in", "-1in", "NaNcm", "3,25in", "3in) #panic("] {
            assert!(Length::parse(wrong).is_err(), "{wrong}");
        }
    }
}
