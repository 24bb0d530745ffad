//! `archaeo man`: manual pages, made of the same sentences as `--help`.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use archaeo_lab::check_destination;
use clap::{Command, CommandFactory};
use clap_mangen::Man as Page;
use serde_json::json;

use crate::cli::{Cli, Man, PROGRAM};
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A folder that cannot be written to.
pub fn run(arguments: &Man, printer: &Printer) -> Result<()> {
    let mut program = in_full(Cli::command());
    // Gives the commands their full names and the options of every command.
    program.build();
    let Some(folder) = &arguments.folder else {
        return printer.raw(&page(&program)?);
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut written = Vec::new();
    write(&program, folder, &mut written)?;
    let result = json!({ "folder": folder, "pages": written });
    printer.result(&result, |_| {
        let first = folder.join(format!("{PROGRAM}.1"));
        format!(
            "{} manual pages are in {}; read one with `man {}`",
            written.len(),
            folder.display(),
            first.display()
        )
    })
}

/// With what a summary leaves out.
fn in_full(command: Command) -> Command {
    command.mut_args(|argument| argument.hide_short_help(false)).mut_subcommands(in_full)
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Page::new(command.clone()).render(&mut page)?;
    Ok(page)
}

/// The page of a command and those of the commands below it.
fn write(command: &Command, folder: &Path, written: &mut Vec<String>) -> Result<()> {
    let page = Page::new(command.clone());
    let name = page.get_filename();
    let file = folder.join(&name);
    check_destination(&file, &[])?;
    archaeo_store::write(&file, &self::page(command)?)?;
    written.push(name);
    let below = command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
    below.into_iter().try_for_each(|below| write(below, folder, written))
}
