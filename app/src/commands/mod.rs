//! One command, one file; what several of them need is here.

pub mod ablate;
pub mod attack;
pub mod attention;
pub mod data;
pub mod evaluate;
pub mod excavate;
pub mod export;
pub mod models;
pub mod report;
pub mod train;

mod checkpoint;
mod classes;
mod subject;
mod trust;
mod zero_shot;

use std::path::Path;

use anyhow::ensure;
use archaeo_experiments::data::Dataset;
use archaeo_experiments::run_folder::Environment;

use crate::cli::Global;
use crate::printer::Printer;

/// Where and with what this process runs, for run folders.
pub fn environment(global: &Global) -> Environment {
    let command = std::env::args().collect::<Vec<_>>().join(" ");
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("ARCHAEO_COMMIT"));
    Environment::here(version, commit, &command, &global.device, rayon::current_num_threads())
}

/// Refuses a file that could not be written once the work is done.
///
/// # Errors
/// A folder in the file's place, or no folder to put it in.
pub fn check_destination(file: &Path) -> anyhow::Result<()> {
    ensure!(!file.is_dir(), "{} is a folder; name a file in it to write to", file.display());
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(
        folder.is_dir(),
        "cannot write {}: there is no folder {}; create it first",
        file.display(),
        folder.display()
    );
    Ok(())
}

/// Decodes every image once, and says which were left out.
///
/// # Errors
/// As [`Dataset::verify`].
pub fn verify(dataset: &mut Dataset, splits: &[&str], printer: &Printer) -> anyhow::Result<()> {
    let skipped = dataset.verify(splits)?;
    let skipped: Vec<_> = skipped.into_iter().map(|image| (image.identifier, image.reason)).collect();
    say_skipped(&skipped, printer);
    for note in &dataset.notes {
        printer.say(note);
    }
    Ok(())
}

/// Skipped images that are named; the rest is counted.
const MOST_NAMED: usize = 20;

/// Says which images were left out, and why.
fn say_skipped(skipped: &[(String, String)], printer: &Printer) {
    for (image, reason) in skipped.iter().take(MOST_NAMED) {
        printer.say(&format!("skipped {image}: {reason}"));
    }
    if skipped.len() > MOST_NAMED {
        printer.say(&format!("skipped {} more", skipped.len() - MOST_NAMED));
    }
    if !skipped.is_empty() {
        printer.say(&format!("{} image(s) could not be used and were left out", skipped.len()));
    }
}
