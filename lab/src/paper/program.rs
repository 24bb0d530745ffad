//! The program `typst`.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{DOTS_PER_INCH, Form};
use crate::error::LabError;

/// What a source becomes.
#[cfg_attr(feature = "pdf", expect(dead_code, reason = "the compiler is in the program"))]
pub(super) fn made(source: &Path, form: Form) -> Result<Vec<u8>, LabError> {
    made_by("typst", source, form)
}

fn made_by(program: &str, source: &Path, form: Form) -> Result<Vec<u8>, LabError> {
    let failed = |said: String| LabError::Typst { file: source.to_owned(), said };
    let mut command = Command::new(program);
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

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program in a folder of its own, which does what the script says.
    fn program(script: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("typst");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let name = path.to_str().unwrap().to_owned();
        (folder, name)
    }

    #[test]
    fn the_program_is_asked_for_pages_or_a_picture() {
        let (_folder, typst) = program("echo \"$@\"");
        let said = |form| String::from_utf8(made_by(&typst, Path::new("a.typ"), form).unwrap()).unwrap();
        assert_eq!(said(Form::Pdf), "compile --format pdf a.typ -\n");
        assert_eq!(said(Form::Png), "compile --format png --pages 1 --ppi 600 a.typ -\n");
    }

    #[test]
    fn its_first_words_say_what_is_wrong() {
        let (_folder, typst) = program("echo half; echo >&2; echo 'error: unknown variable' >&2; exit 1");
        let error = made_by(&typst, Path::new("a.typ"), Form::Pdf).unwrap_err();
        assert!(error.to_string().contains("error: unknown variable"), "{error}");
        let (_folder, typst) = program("exit 3");
        let error = made_by(&typst, Path::new("a.typ"), Form::Pdf).unwrap_err();
        assert!(error.to_string().contains("it says nothing"), "{error}");
    }

    #[test]
    fn without_the_program_a_sentence_says_how_to_get_it() {
        let error = made_by("/nowhere/typst", Path::new("a.typ"), Form::Pdf).unwrap_err();
        assert!(matches!(error, LabError::NoTypst(_)), "{error}");
    }
}
