//! `archaeo data`: what a data set consists of.

use std::path::Path;

use anyhow::Result;
use archaeo_experiments::data::{self, OpenOptions, Summary};
use archaeo_experiments::investigation::contact_sheet;

use super::{check_destination, verify};
use crate::cli::{Data, Global, USUAL_SHEET};
use crate::printer::{Printer, printable};

/// Runs the command.
///
/// # Errors
/// One sentence for data that cannot be used.
pub fn run(arguments: &Data, _: &Global, printer: &Printer) -> Result<()> {
    // The usual name is nobody's image, even among the data.
    let inputs =
        if arguments.sheet == Path::new(USUAL_SHEET) { vec![] } else { vec![Path::new(&arguments.source)] };
    check_destination(&arguments.sheet, &inputs)?;
    let options = OpenOptions { strict: arguments.strict, ..OpenOptions::default() };
    let mut dataset = data::open(&arguments.source, &options)?;
    verify(&mut dataset, &[], printer)?;
    let split = arguments.split.clone().unwrap_or_else(|| dataset.evaluation_split().to_owned());
    let sheet = contact_sheet(&dataset, &split, arguments.per_class.into(), dataset.classes.len())?;
    sheet.save_png(&arguments.sheet)?;
    printer.say(&format!("contact sheet of `{split}`: {}", arguments.sheet.display()));
    printer.result(&dataset.summary(), table)
}

/// Splits, then classes, as columns.
fn table(summary: &Summary) -> String {
    let mut lines = format!("{}: {} classes\n\n", summary.source, summary.classes.len());
    let widest =
        summary.classes.iter().map(|class| printable(class).chars().count()).max().unwrap_or(0).max(8);
    let row = |first: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>10}")).collect();
        format!("{first:<widest$}{cells}\n")
    };
    lines += &row("", summary.splits.keys().cloned().collect());
    for (label, class) in summary.classes.iter().enumerate() {
        lines += &row(
            &printable(class),
            summary.splits.values().map(|split| split.per_class[label].to_string()).collect(),
        );
    }
    lines += &row("images", summary.splits.values().map(|split| split.images.to_string()).collect());
    for (name, split) in &summary.splits {
        if let (Some(width), Some(height)) = (split.width, split.height) {
            lines += &format!(
                "\n{name}: {}×{} px in the median, from {}×{} to {}×{}",
                width.median, height.median, width.min, height.min, width.max, height.max
            );
        }
    }
    lines
}
