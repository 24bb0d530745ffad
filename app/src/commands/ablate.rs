//! `archaeo ablate`: what each attention head and each layer of a model is worth.

use anyhow::Result;
use archaeo_analysis::ablation::{Branch, RemovalPoint};
use archaeo_analysis::statistics::{Estimate, SignFlipTest};
use archaeo_experiments::findings::{
    BranchAblation, HeadAblation, HeadFindings, HeadPair, PruningCurve, Together,
};
use archaeo_lab::{AblationOptions, Purpose, Session};

use crate::cli::Ablate;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A model without what is asked about, or data that cannot be read.
pub fn run(arguments: &Ablate, session: &Session, printer: &Printer) -> Result<()> {
    let options = AblationOptions {
        only: arguments.only.clone(),
        removal: arguments.removal,
        curve: arguments.curve,
        pairs: arguments.pairs.map_or(0, usize::from),
        mlp: arguments.mlp,
        layers: arguments.layers,
    };
    let opened = session.open(arguments.subject.asked(), Purpose::Score)?;
    printer.result(&session.ablate(&opened, &options)?, |result| text(&result.findings))
}

fn text(findings: &HeadFindings) -> String {
    let HeadFindings { n, baseline, ranking, gradient_agreement, together, .. } = findings;
    let whole = if ranking.is_empty() { "everything" } else { "every head" };
    let mut text = format!("accuracy {:.2} % on {n} images with {whole} in place\n", 100.0 * baseline.value);
    if !ranking.is_empty() {
        text += &heads(ranking);
        text += "\nlayers and heads are numbered from 1\n";
        text += findings.removal.map_or("", removal);
        text += &match gradient_agreement {
            Some(agreement) => {
                format!(
                    "rank correlation of gradient importance with mean ablation: {:.2}\n",
                    agreement.value
                )
            }
            None => "rank correlation of gradient importance with mean ablation: undefined\n".into(),
        };
    }
    match together {
        Some(together) => text + &several(together),
        None => text,
    }
}

/// Where heads of a cascade were taken away.
fn removal(point: RemovalPoint) -> &'static str {
    match point {
        RemovalPoint::Output => {
            "heads form a cascade: without a head's output, the inputs of the later heads of its layer change\n"
        }
        RemovalPoint::Contribution => {
            "heads form a cascade: taken away is what a head adds, while the later heads of its layer still read its output\n"
        }
    }
}

fn heads(ranking: &[HeadAblation]) -> String {
    let mut lines =
        "\n              loss increase when replaced by          accuracy    gradient\n".to_owned();
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
}

fn several(together: &Together) -> String {
    let Together { n, chosen_on, curve, pairs, branches } = together;
    let mut text = match chosen_on {
        0 => String::new(),
        _ => format!("\nwhat follows is of {n} images; {chosen_on} others order the heads\n"),
    };
    text += &curve.as_ref().map_or_else(String::new, pruning);
    if !branches.is_empty() {
        text += &layers(branches);
    }
    if !pairs.is_empty() {
        text += &interactions(pairs);
    }
    text
}

fn pruning(curve: &PruningCurve) -> String {
    let mut lines = "\naccuracy in % without so many heads (95 % interval)\n".to_owned();
    lines += "heads   most important first  least important first  largest gradient first  random\n";
    for (point, removed) in curve.removed.iter().enumerate() {
        let cell = |of: &[Estimate]| {
            let Estimate { value, low, high, .. } = of[point];
            format!("{:>6.2} ({:>6.2} to {:>6.2})", 100.0 * value, 100.0 * low, 100.0 * high)
        };
        let random =
            curve.random.get(point).map_or_else(String::new, |of| format!("{:>6.2}", 100.0 * of.mean));
        let [most, least, gradient] =
            [&curve.most_first, &curve.least_first, &curve.gradient_first].map(|of| cell(of));
        lines += &format!("{removed:>5}  {most}  {least}  {gradient}  {random}\n");
    }
    let tests = [
        ("most important first", &curve.most_against_random),
        ("least important first", &curve.least_against_random),
        ("largest gradient first", &curve.gradient_against_random),
    ];
    for (order, test) in tests {
        if let Some(SignFlipTest { difference, p_value }) = test {
            lines += &format!(
                "{order}, mean over the curve less that of {} random orders: {:.2} points ({:.2} to {:.2}), p = {p_value:.3e}\n",
                curve.random_orders,
                100.0 * difference.value,
                100.0 * difference.low,
                100.0 * difference.high
            );
        }
    }
    lines
}

fn layers(branches: &[BranchAblation]) -> String {
    let mut lines = "\n                 loss increase when replaced by    accuracy\n".to_owned();
    lines += "layer  branch     mean (95 % interval)     zero     lost     adjusted p\n";
    for of in branches {
        let branch = match of.branch {
            Branch::Attention => "attention",
            Branch::Mlp => "MLP",
            Branch::Layer => "whole",
        };
        lines += &format!(
            "{:>5}  {branch:<9} {:>7.4} ({:>7.4} to {:>7.4}) {:>7.4}  {:>6.2} %   {:>9.3e}\n",
            of.layer + 1,
            of.mean.value,
            of.mean.low,
            of.mean.high,
            of.zero.value,
            100.0 * of.accuracy_drop.value,
            of.adjusted_p
        );
    }
    lines
}

fn interactions(pairs: &[HeadPair]) -> String {
    let mut lines = "\nloss increase without two heads (layer.head)\n".to_owned();
    lines += "heads             both   sum of each   interaction (95 % interval)     adjusted p\n";
    for pair in pairs {
        lines += &format!(
            "{:<6} {:<6} {:>9.4}     {:>9.4}   {:>7.4} ({:>7.4} to {:>7.4})      {:>9.3e}\n",
            pair.first.to_string(),
            pair.second.to_string(),
            pair.both,
            pair.apart,
            pair.interaction.value,
            pair.interaction.low,
            pair.interaction.high,
            pair.adjusted_p
        );
    }
    lines
}
