//! The program `typst`.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{DOTS_PER_INCH, Form};
use crate::error::LabError;

/// The program.
const TYPST: &str = "typst";

/// What a source becomes.
pub(super) fn made(source: &Path, form: Form) -> Result<Vec<u8>, LabError> {
    let failed = |said: String| LabError::Typst { file: source.to_owned(), said };
    let mut command = Command::new(TYPST);
    command.arg("compile");
    match form {
        Form::Pdf => command.args(["--format", "pdf"]),
        Form::Png => command.args(["--format", "png", "--pages", "1", "--ppi", &DOTS_PER_INCH.to_string()]),
    };
    // `-` is its standard output.
    let ran = command.args([source, Path::new("-")]).stdin(Stdio::null()).output();
    let output = ran.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => LabError::NoTypst(source.to_owned()),
        _ => failed(error.to_string()),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
        return Err(failed(said.trim().to_owned()));
    }
    Ok(output.stdout)
}
