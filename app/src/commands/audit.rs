//! `archaeo audit`: what popular implementations would say in place of the papers.

use anyhow::Result;
use archaeo_analysis::audit::{DepartureInfo, Finding};
use archaeo_lab::{AuditOptions, Audited, Measurement, Outcome, Session};

use crate::cli::Audit;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A departure that is not known, a model without a head, images that cannot be read, or a folder that cannot be written.
pub fn run(arguments: &Audit, session: &Session, printer: &Printer) -> Result<()> {
    let Audit { images, departures, out, subject } = arguments;
    let mut asked = subject.asked();
    asked.limit = asked.limit.or(Some(*images));
    let opened = session.open_for_audit(asked)?;
    let options = AuditOptions { departures: departures.clone() };
    printer.result(&session.audit(&opened, &options, out.as_deref())?, |audited| {
        let mut lines = lines(audited);
        if let Some(folder) = out {
            lines += &format!("audit.json and audit.md are in {}\n", folder.display());
        }
        lines
    })
}

fn lines(audited: &Audited) -> String {
    let Audited { model, data, n, read_out, labelled, departures, .. } = audited;
    let mut lines = format!("{model} on {n} images of {data}");
    if let Some(read_out) = read_out {
        lines += &format!("; its head reads {read_out}");
    }
    lines += if *labelled { "\n" } else { "; its own answers are taken for right\n" };
    lines += "the difference is the popular number minus the paper's, with its 95 % interval over images\n";
    for Measurement { departure, outcome } in departures {
        lines += &match outcome {
            Outcome::Finding(finding) => found(departure, finding),
            Outcome::NotMeasured(reason) => {
                format!("\n{}: {}\n  not measured: {reason}\n", departure.id, departure.title)
            }
        };
    }
    let (changed, measured) = audited.changed();
    lines + &format!("\n{changed} of {measured} departures change a conclusion\n")
}

fn found(departure: &DepartureInfo, finding: &Finding) -> String {
    let DepartureInfo { id, title, paper, source, popular, project, measure } = departure;
    let difference = &finding.difference;
    let mut lines = format!(
        "\n{id}: {title}\n  the paper    {paper} ({source})\n  popular code {popular} ({project})\n  {measure}:\n    \
         paper {:.4}, popular {:.4}, difference {:+.4} ({:+.4} to {:+.4})\n",
        finding.paper.value, finding.popular.value, difference.value, difference.low, difference.high
    );
    finding.details.iter().for_each(|detail| lines += &format!("    {detail}\n"));
    for conclusion in finding.conclusions.iter().filter(|conclusion| conclusion.flips) {
        let (question, paper, popular) = (&conclusion.question, &conclusion.paper, &conclusion.popular);
        lines += &format!("  changes: {question} {paper} by the paper, {popular} by popular code\n");
    }
    if !finding.flips() {
        lines += "  no conclusion changes here\n";
    }
    lines
}
