//! An audit as a page to read.

use std::fmt::Write as _;

use archaeo_analysis::audit::Finding;
use archaeo_analysis::statistics::Estimate;

use super::{Audited, Measurement, Outcome};

/// A table of all numbers, then what each departure is.
pub(super) fn markdown(audited: &Audited) -> String {
    let Audited { model, data, n, labelled, .. } = audited;
    let (changed, measured) = audited.changed();
    let mut page = format!("# Departures from the papers: {model}\n\n");
    let answers = if *labelled { "" } else { " Its own answers are taken for right." };
    let _ = writeln!(
        page,
        "On {n} images of {data}.{answers} {changed} of {measured} departures change a conclusion. Intervals are 95 % bootstrap \
         intervals over images.\n"
    );
    page += "| departure | paper | popular code | difference | conclusions |\n|---|---:|---:|---:|---|\n";
    for Measurement { departure, outcome } in &audited.departures {
        let cells = match outcome {
            Outcome::Finding(finding) => row(finding),
            Outcome::NotMeasured(reason) => format!(" | | | not measured: {reason}"),
        };
        let _ = writeln!(page, "| `{}` | {cells} |", departure.id);
    }
    for Measurement { departure, outcome } in &audited.departures {
        let _ = write!(
            page,
            "\n## {}\n\n`{}`. The paper: {}. ({}.) Popular code: {}. ({}.) Measured: {}.\n",
            departure.title,
            departure.id,
            departure.paper,
            departure.source,
            departure.popular,
            departure.project,
            departure.measure
        );
        if let Outcome::Finding(finding) = outcome {
            page.push('\n');
            finding.details.iter().for_each(|detail| page += &format!("- {detail}\n"));
        }
    }
    page
}

fn row(finding: &Finding) -> String {
    let Finding { paper, popular, difference, conclusions, .. } = finding;
    let Estimate { value, low, high, .. } = difference;
    let answers: Vec<String> = conclusions
        .iter()
        .map(|conclusion| match conclusion.flips {
            true => format!("{} {} → **{}**", conclusion.question, conclusion.paper, conclusion.popular),
            false => format!("{} {}", conclusion.question, conclusion.paper),
        })
        .collect();
    let (paper, popular) = (paper.value, popular.value);
    format!("{paper:.4} | {popular:.4} | {value:+.4} ({low:+.4} to {high:+.4}) | {}", answers.join("<br>"))
}
