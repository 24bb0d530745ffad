//! `archaeo figure`.

use std::path::PathBuf;

use archaeo_lab::{FigureFormat, Length};
use clap::Args;

/// Arguments of `figure`.
#[derive(Debug, Args)]
#[command(
    long_about = "Writes a figure of an investigation at the width of a journal's column; without a name, lists the figures that there are.\n\n\
        An SVG keeps its text as text and names its fonts. PDF, with fonts in it, and PNG, at 600 dots per inch, are made by Typst: within \
        this program if it was built with the feature pdf, else by the program typst, which has to be on the PATH.",
    after_help = "`archaeo figure --help` shows all options, with examples.",
    after_long_help = "Examples:\n  archaeo figure --run archaeo-out\n  archaeo figure accuracy-1 --run archaeo-out --width 3.25in\n  \
        archaeo figure attacks-1 --run archaeo-out --width 8.5cm --format pdf"
)]
pub struct Figure {
    /// Which figure; without it, the figures are listed
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Folder of an investigation
    #[arg(long, value_name = "DIR", default_value = "archaeo-out")]
    pub run: PathBuf,
    /// How wide it is on paper
    #[arg(long, value_name = "LENGTH", value_parser = Length::parse, default_value = "3.25in")]
    pub width: Length,
    /// svg, pdf or png
    #[arg(long, value_name = "FORMAT", value_parser = format, default_value = "svg")]
    pub format: FigureFormat,
    /// File to write [default: NAME.FORMAT]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

fn format(word: &str) -> Result<FigureFormat, String> {
    let found = FigureFormat::ALL.into_iter().find(|format| format.ending() == word);
    found.ok_or_else(|| "the formats are svg, pdf and png".into())
}
