//! `archaeo data`: what a data set consists of.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use archaeo_data::{OpenOptions, SplitSummary, Summary};
use archaeo_lab::{Session, check_destination};

use crate::cli::Data;
use crate::interrupt;
use crate::printer::Printer;

/// Up to this many classes each has a row.
const MOST_ROWS: usize = 40;

/// Classes that are named at either end where there are more.
const EXTREMES: usize = 5;

/// Runs the command.
///
/// # Errors
/// One sentence for data that cannot be used.
pub fn run(arguments: &Data, session: &Session, printer: &Printer) -> Result<()> {
    if let Some(sheet) = &arguments.sheet {
        check_destination(sheet, &[Path::new(&arguments.source)])?;
    }
    let options = OpenOptions { strict: arguments.strict, ..OpenOptions::default() };
    let mut dataset = session.open_data(&arguments.source, &options)?;
    session.verify(&mut dataset, &[])?;
    if let Some(file) = &arguments.sheet {
        let split = arguments.split.clone().unwrap_or_else(|| dataset.evaluation_split().to_owned());
        let shown = session.contact_sheet(&dataset, &split, arguments.per_class.into(), file)?;
        interrupt::keeps("the contact sheet is kept; run the same command again for the rest");
        session.note(format!("the contact sheet of `{split}` is {}", file.display()));
        let present = dataset.split(&split)?.labels().into_iter().collect::<BTreeSet<_>>().len();
        if shown < present {
            let more = if arguments.per_class > 1 { "; a smaller --per-class shows more" } else { "" };
            session.note(format!(
                "the sheet shows the first {shown} of the {present} classes with images, as many as fit{more}"
            ));
        }
    }
    printer.result(&session.summary(&dataset), table)
}

/// Classes as rows and splits as columns, or a summary of the classes where they are many; then the sizes.
fn table(summary: &Summary) -> String {
    let mut lines = format!("{}: {} classes\n\n", summary.source, summary.classes.len());
    lines += &match summary.classes.len() {
        0..=MOST_ROWS => every_class(summary),
        _ => extremes(summary),
    };
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

fn row(widest: usize, first: &str, cells: impl Iterator<Item = String>) -> String {
    let cells: String = cells.map(|cell| format!("{cell:>10}")).collect();
    format!("{first:<widest$}{cells}\n")
}

fn every_class(summary: &Summary) -> String {
    let widest = summary.classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).max(8);
    let mut lines = row(widest, "", summary.splits.keys().cloned());
    for (label, class) in summary.classes.iter().enumerate() {
        lines += &row(widest, class, summary.splits.values().map(|split| split.per_class[label].to_string()));
    }
    lines + &row(widest, "images", summary.splits.values().map(|split| split.images.to_string()))
}

/// How many images the classes have, and which have the most and the fewest.
fn extremes(summary: &Summary) -> String {
    let widest = "classes with images".len() + 2;
    let counts = |split: &SplitSummary| {
        let mut counts: Vec<usize> = split.per_class.iter().copied().filter(|&count| count > 0).collect();
        counts.sort_unstable();
        counts
    };
    let each = |title: &str, of: &dyn Fn(&SplitSummary) -> usize| {
        row(widest, title, summary.splits.values().map(|split| of(split).to_string()))
    };
    let mut lines = row(widest, "", summary.splits.keys().cloned());
    lines += &each("images", &|split| split.images);
    lines += &each("classes with images", &|split| counts(split).len());
    lines += &each("classes with none", &|split| split.per_class.len() - counts(split).len());
    lines += &each("fewest per class", &|split| counts(split).first().copied().unwrap_or(0));
    lines +=
        &each("median per class", &|split| counts(split).get(counts(split).len() / 2).copied().unwrap_or(0));
    lines += &each("most per class", &|split| counts(split).last().copied().unwrap_or(0));
    for (name, split) in &summary.splits {
        let mut classes: Vec<(usize, &str)> = split
            .per_class
            .iter()
            .zip(&summary.classes)
            .filter(|(count, _)| **count > 0)
            .map(|(count, class)| (*count, class.as_str()))
            .collect();
        // Equals stay in the order of the classes.
        classes.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let list = |classes: &[(usize, &str)]| {
            classes.iter().map(|(count, class)| format!("{class} ({count})")).collect::<Vec<_>>().join(", ")
        };
        let shown = EXTREMES.min(classes.len());
        lines += &format!("\n{name}: the largest classes are {}", list(&classes[..shown]));
        lines += &format!("\n{name}: the smallest classes are {}", list(&classes[classes.len() - shown..]));
    }
    lines + "\n"
}
