//! `archaeo init`: a configuration that the program has with it, as a file to change.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde_json::json;

use super::configs::BuiltIn;
use crate::cli::Init;
use crate::printer::Printer;
use archaeo_lab::check_destination;

/// Runs the command.
///
/// # Errors
/// A name that is not known; a file that is there already, without `--force`, or that cannot be written.
pub fn run(arguments: &Init, printer: &Printer) -> Result<()> {
    let config = BuiltIn::named(&arguments.name)?;
    let file = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.toml", config.name)));
    check_destination(&file, &[])?;
    ensure!(
        arguments.force || !file.exists(),
        "{} is there already; give another file with --out, or replace it with --force",
        file.display()
    );
    archaeo_store::write(&file, config.text.as_bytes())?;
    let next = next(config, &file.display().to_string());
    let result = json!({ "name": config.name, "file": file, "next": next });
    printer.result(&result, |_| {
        format!("{} holds the configuration `{}`; change it, then run `{next}`", file.display(), config.name)
    })
}

/// The command that takes the file.
fn next(config: &BuiltIn, file: &str) -> String {
    match config.command {
        "train" => format!("archaeo train --config {file} --out runs/{}", config.name),
        command => format!("archaeo {command} --config {file}"),
    }
}
