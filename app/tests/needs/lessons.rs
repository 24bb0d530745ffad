//! The lessons as a student meets them: written to a folder, the commands of the page typed, the notebook executed.

use std::path::Path;
use std::process::Command;

use crate::python;
use crate::support::{archaeo, succeed};

/// What the test needs and does not find.
pub fn lacks() -> Vec<&'static str> {
    match python(&["nbformat", "nbclient", "ipykernel", "matplotlib", "numpy"]) {
        Some(_) => Vec::new(),
        None => vec!["nbclient, matplotlib and numpy (scripts/setup)"],
    }
}

const EXECUTE: &str = "
import sys
import nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(notebook)
nbclient.NotebookClient(notebook, timeout=1800, startup_timeout=600, kernel_name='python3').execute()
";

/// Runs the commands of a lesson's page, then its notebook, in one folder: what the commands have trained is not trained again.
pub fn runs(number: usize) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(archaeo(["lesson", &number.to_string(), "--out"]).arg(folder));
    let page = std::fs::read_to_string(folder.join(format!("lesson-{number}.md"))).unwrap();
    let commands = commands(&page);
    assert!(commands.iter().any(|command| command.contains("archaeo ")), "lesson {number} has no command");
    let script = format!("set -euo pipefail\n{}", commands.concat());
    run(Command::new("bash").args(["-c", &script]), folder);
    let python = python(&["nbclient"]).unwrap();
    run(Command::new(python).args(["-c", EXECUTE, &format!("lesson-{number}.ipynb")]), folder);
}

/// The blocks of commands of a page.
fn commands(page: &str) -> Vec<&str> {
    page.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap_or_default()).collect()
}

/// Runs a program in a folder, with `archaeo` on its path.
fn run(command: &mut Command, folder: &Path) {
    let program = Path::new(env!("CARGO_BIN_EXE_archaeo"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let output = command.current_dir(folder).env("PATH", path).env("MPLBACKEND", "Agg").output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}
