//! `archaeo study`: one question of an investigation, and which there are.

use anyhow::Result;
use archaeo_lab::{KnownStudy, Session, studies};

use super::excavate::{excavation, shard, shard_recorded, told};
use crate::cli::Study;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// One sentence; what was found until then is kept.
pub fn run(arguments: &Study, session: &Session, printer: &Printer) -> Result<()> {
    let Study { name, asked } = arguments;
    let Some(name) = name else { return printer.result(&studies(), |studies| list(studies)) };
    let excavation = excavation(asked, session)?;
    if let Some(shard) = shard(asked)? {
        return printer.result(&session.excavate_shard(&excavation, Some(name), shard)?, |recorded| {
            shard_recorded(recorded, &excavation)
        });
    }
    printer.result(&session.study(name, &excavation)?, |excavated| told(excavated, &excavation.out))
}

fn list(studies: &[KnownStudy]) -> String {
    let longest = studies.iter().map(|study| study.name.len()).max().unwrap_or(0);
    let line = |study: &KnownStudy| format!("{:longest$}  {}", study.name, study.question);
    studies.iter().map(line).collect::<Vec<_>>().join("\n")
}
