//! One command, one file; what several of them need is here.

pub mod ablate;
pub mod attack;
pub mod attention;
pub mod completions;
pub mod configs;
pub mod data;
pub mod evaluate;
pub mod excavate;
pub mod export;
pub mod init;
pub mod man;
pub mod models;
pub mod report;
pub mod train;

mod checkpoint;
mod classes;
mod outputs;
mod subject;
mod trust;
mod zero_shot;

use std::collections::BTreeMap;

use archaeo_data::Dataset;
use archaeo_experiments::scene::Progress;
use archaeo_store::run_folder::Environment;

use crate::cli::Global;
use crate::printer::Printer;
use crate::progress::{Bars, stage};

pub use outputs::{check_destination, check_inputs};

/// Bytes of the longest list of names or of templates that is read.
const LONGEST_LIST: u64 = 16 << 20;

/// Where and with what this process runs, for run folders.
pub fn environment(global: &Global) -> Environment {
    // Names of files need not be UTF-8; for the record they are as they can be shown.
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let command = words.join(" ");
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("ARCHAEO_COMMIT"));
    Environment::here(version, commit, &command, &global.device, rayon::current_num_threads())
}

/// What it takes to find and list the images of a source, shown while it lasts.
pub fn reading_data<T>(open: impl FnOnce() -> T) -> T {
    let _stage = stage("reading the data");
    open()
}

/// Decodes every image once, and says which were left out.
///
/// # Errors
/// As [`Dataset::verify`].
pub fn verify(dataset: &mut Dataset, splits: &[&str], printer: &Printer) -> anyhow::Result<()> {
    let bars = Bars::default();
    bars.begin("checking images", dataset.images_to_verify(splits));
    let skipped = dataset.verify_watched(splits, &|images| bars.advance(images))?;
    bars.finish();
    let skipped: Vec<_> = skipped.into_iter().map(|image| (image.identifier, image.reason)).collect();
    say_skipped(&skipped, printer);
    for note in &dataset.notes {
        printer.note(note);
    }
    Ok(())
}

/// Skipped images that are named; the rest is counted.
const MOST_NAMED: usize = 20;

/// Reasons that are named; the rest is counted.
const MOST_REASONS: usize = 3;

/// Why images were left out, the most common reasons first.
fn reasons(skipped: &[(String, String)]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    skipped.iter().for_each(|(_, reason)| *counts.entry(reason).or_default() += 1);
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named: Vec<String> =
        counts.iter().take(MOST_REASONS).map(|(reason, count)| format!("{count} × {reason}")).collect();
    let more: usize = counts.iter().skip(MOST_REASONS).map(|(_, count)| count).sum();
    match more {
        0 => named.join(", "),
        more => format!("{}, {more} for other reasons", named.join(", ")),
    }
}

/// Says which images were left out, and why.
fn say_skipped(skipped: &[(String, String)], printer: &Printer) {
    for (image, reason) in skipped.iter().take(MOST_NAMED) {
        printer.warning(format!("skipped {image}: {reason}"));
    }
    if let Some(rest) = skipped.get(MOST_NAMED..).filter(|rest| !rest.is_empty()) {
        printer.warning(format!("skipped {} more: {}", rest.len(), reasons(rest)));
    }
    if !skipped.is_empty() {
        printer.warning(format!("{} image(s) could not be used and were left out", skipped.len()));
    }
}
