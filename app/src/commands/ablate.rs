//! `archaeo ablate`: what each attention head of a transformer is worth.

use anyhow::Result;
use archaeo_experiments::findings::HeadFindings;
use archaeo_lab::{Purpose, Session};

use crate::cli::Ablate;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A model without attention, or data that cannot be read.
pub fn run(arguments: &Ablate, session: &Session, printer: &Printer) -> Result<()> {
    let opened = session.open(arguments.subject.asked(), Purpose::Score)?;
    printer.result(&session.ablate(&opened)?, |result| table(&result.findings))
}

fn table(findings: &HeadFindings) -> String {
    let HeadFindings { n, baseline, ranking, gradient_agreement, .. } = findings;
    let mut lines =
        format!("accuracy {:.2} % on {n} images with every head in place\n\n", 100.0 * baseline.value);
    lines += "              loss increase when replaced by          accuracy    gradient\n";
    lines += "layer head     mean (95 % interval)     zero  another's   lost     importance   adjusted p\n";
    for head in ranking {
        lines += &format!(
            "{:>5} {:>4}  {:>7.4} ({:>7.4} to {:>7.4}) {:>7.4} {:>7.4}  {:>6.2} %   {:>9.5}   {:>9.3e}\n",
            head.layer + 1,
            head.head + 1,
            head.mean.value,
            head.mean.low,
            head.mean.high,
            head.zero.value,
            head.resample.value,
            100.0 * head.accuracy_drop.value,
            head.gradient.value,
            head.adjusted_p
        );
    }
    lines
        + "\nlayers and heads are numbered from 1\n"
        + &match gradient_agreement {
            Some(agreement) => {
                format!("rank correlation of gradient importance with mean ablation: {:.2}", agreement.value)
            }
            None => "rank correlation of gradient importance with mean ablation: undefined".into(),
        }
}
