//! The report as a notebook, executed by Jupyter.

use std::process::Command;

use crate::python;
use crate::support::{archaeo, excavate, succeed};

/// What the test needs and does not find.
pub fn lacks() -> Vec<&'static str> {
    match python(&["nbformat", "nbclient", "ipykernel", "matplotlib"]) {
        Some(_) => Vec::new(),
        None => vec!["nbclient and matplotlib (scripts/setup)"],
    }
}

const EXECUTE: &str = "
import os, sys
import nbclient, nbformat
os.environ['MPLBACKEND'] = 'Agg'
notebook = nbformat.read('report.ipynb', as_version=4)
nbformat.validate(notebook)
nbclient.NotebookClient(notebook, timeout=600, kernel_name='python3').execute()
drawn = sum('draw(' in cell.source and cell.cell_type == 'code' for cell in notebook.cells) - 1
assert drawn > 10, drawn
";

pub fn the_notebook_runs() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    succeed(&mut excavate(&run));
    succeed(archaeo(["report"]).arg(&run).args(["--format", "ipynb"]));
    let python = python(&["nbclient"]).unwrap();
    let output = Command::new(python).args(["-c", EXECUTE]).current_dir(&run).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
