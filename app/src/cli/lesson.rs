//! `lesson`: the course.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `lesson`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  archaeo lesson --list
  archaeo lesson 1
  archaeo lesson 6 --out week-6
  archaeo lesson 1 --check answers/

`archaeo lesson --help` shows all options.")]
pub struct Lesson {
    /// Which lesson, from 1 to 8; without it, all are listed
    #[arg(value_name = "N")]
    pub number: Option<usize>,
    /// List all lessons
    #[arg(long, conflicts_with_all = ["number", "out", "check"])]
    pub list: bool,
    /// Write its notebook, page, models and answer templates
    #[arg(
        long,
        value_name = "DIR",
        requires = "number",
        long_help = "Folder for the lesson: the notebook, the same lesson as a page of commands, two small models, and a template for \
                     each answer. What is there already stays as it is."
    )]
    pub out: Option<PathBuf>,
    /// Check the answers in this folder
    #[arg(
        long,
        value_name = "DIR",
        requires = "number",
        conflicts_with = "out",
        long_help = "Check the answers in this folder: arrays as .npy, .safetensors or nested lists in .json, numbers as .json. Says one \
                     sentence per exercise; the exit status is 0 when all answers are right."
    )]
    pub check: Option<PathBuf>,
}
