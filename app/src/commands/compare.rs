//! `archaeo compare`: ways of training, next to one another.

use anyhow::Result;
use archaeo_lab::{Comparison, Init, LabError, Regimes, Session};

use super::configs::BuiltIn;
use crate::cli::Compare;
use crate::interrupt;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// One sentence; every finished epoch is kept.
pub fn run(arguments: &Compare, session: &Session, printer: &Printer) -> Result<()> {
    let Compare { config, init, model, data, set, out, strict } = arguments;
    let comparison = Comparison {
        config: BuiltIn::or_file(config),
        set,
        init: init.as_deref().map(|weights| Init { weights, model: model.as_deref() }),
        data: data.as_deref(),
        out,
        strict: *strict,
    };
    let found = session.compare(&comparison);
    if let Err(LabError::Interrupted) = &found {
        interrupt::keeps(format!(
            "every finished epoch is kept in {}; run the same command again to go on from there",
            out.display()
        ));
    }
    printer.result(&found?, |found| {
        let folder = out.display();
        lines(found) + &format!("\nreport.html, report.md and regimes.json are in {folder}\n")
    })
}

fn lines(found: &Regimes) -> String {
    let mut lines = format!("accuracy on {} images of {}\n\n", found.n, found.split);
    lines += &format!(
        "{:<16} {:>8} {:>7} {:>9}  {:<16} {:>9}\n",
        "", "images", "epochs", "correct", "interval", "seconds"
    );
    for regime in &found.compared.regimes {
        for run in &regime.runs {
            let accuracy = &run.accuracy;
            lines += &format!(
                "{:<16} {:>8} {:>7} {:>7.1} %  {:<16} {:>9.1}\n",
                regime.name,
                run.images,
                run.history.len(),
                100.0 * accuracy.value,
                format!("{:.1} to {:.1}", 100.0 * accuracy.low, 100.0 * accuracy.high),
                run.seconds(),
            );
        }
    }
    if !found.compared.pairs.is_empty() {
        lines += &format!(
            "\n{:<34} {:>7} {:>8}  {:<16} {:>8}\n",
            "differences in points", "images", "", "interval", "adjusted"
        );
    }
    for pair in &found.compared.pairs {
        let difference = &pair.difference;
        lines += &format!(
            "{:<34} {:>5.0} % {:>+8.1}  {:<16} {:>8.4}\n",
            format!("{} less {}", pair.regimes[0], pair.regimes[1]),
            100.0 * pair.share,
            100.0 * difference.value,
            format!("{:+.1} to {:+.1}", 100.0 * difference.low, 100.0 * difference.high),
            pair.adjusted,
        );
    }
    lines
}
