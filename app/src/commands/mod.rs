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
mod outputs;
mod subject;
mod trust;
mod zero_shot;

use archaeo_experiments::data::Dataset;
use archaeo_experiments::run_folder::Environment;

use crate::cli::Global;
use crate::printer::Printer;

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
