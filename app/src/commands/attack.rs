//! `archaeo attack`: how often a model is right before an attack and under it, and whether what attacks find is all there is.

use std::path::PathBuf;

use anyhow::Result;
use archaeo_analysis::attacks::doctor::Health;
use archaeo_lab::{AttackAsked, AttackQuestion, Attacked, Diagnosed, Opened, Point, Purpose, Session};

use super::{attack_minimal, attack_several};
use crate::cli::Attack;
use crate::printer::{Printer, broken};

/// Runs the command.
///
/// # Errors
/// An option that the question does not take, a size that is no size, or data that cannot be read.
pub fn run(arguments: &Attack, session: &Session, printer: &Printer) -> Result<()> {
    let question = asked(arguments).question()?;
    let opened = session.open(arguments.subject.asked(), Purpose::Score)?;
    match question {
        AttackQuestion::Doctor(options) => printer.result(&session.doctor(&opened, &options)?, diagnosis),
        AttackQuestion::Minimal(options, sizes, entry) => {
            let result = session.minimal(&opened, &options)?;
            if let Some(entry) = entry {
                entry.write_minimal(&opened, &result)?;
            }
            printer.result(&result, |result| attack_minimal::lines(result, &sizes))
        }
        AttackQuestion::Transfer(options) => {
            let others = others(arguments, session)?;
            let result = session.attack_transfer(&together(&opened, &others), &options)?;
            printer.result(&result, attack_several::transfer)
        }
        AttackQuestion::Saga(options) => {
            let others = others(arguments, session)?;
            let result = session.saga(&together(&opened, &others), &options)?;
            printer.result(&result, attack_several::saga)
        }
        AttackQuestion::Attack(options, entry) => {
            let result = session.attack(&opened, &options)?;
            if let Some(entry) = entry {
                entry.write(&opened, &result)?;
            }
            printer.result(&result, lines)
        }
    }
}

fn asked(arguments: &Attack) -> AttackAsked {
    AttackAsked {
        attack: arguments.attack.clone(),
        norm: arguments.norm,
        sizes: arguments.epsilon.clone(),
        steps: arguments.steps.map(usize::from),
        restarts: arguments.restarts.map(usize::from),
        loss: arguments.loss,
        cutoff: arguments.cutoff,
        target: arguments.target.clone(),
        save: arguments.save.clone(),
        out: arguments.out.clone(),
        export: arguments.subject.about.export.clone(),
        robustbench: arguments.robustbench_json.clone(),
        others: arguments.add.len(),
    }
}

/// The models of `--add`, on the same images.
fn others(arguments: &Attack, session: &Session) -> Result<Vec<(String, Opened)>> {
    let subject = arguments.subject.asked();
    let open = |(name, weights): &(String, PathBuf)| {
        Ok((name.clone(), session.open(subject.with_weights(weights), Purpose::Score)?))
    };
    arguments.add.iter().map(open).collect()
}

/// All models, the first under the name that its checkpoint gives it.
fn together<'a>(opened: &'a Opened, others: &'a [(String, Opened)]) -> Vec<(String, &'a Opened)> {
    let first = (opened.model.card().name.clone(), opened);
    std::iter::once(first).chain(others.iter().map(|(name, opened)| (name.clone(), opened))).collect()
}

fn diagnosis(result: &Diagnosed) -> String {
    let Diagnosed { model, epsilon, n, examined, verdict, checks, .. } = result;
    let mut lines =
        format!("{model} at ε = {epsilon}/255: {examined} of {n} images are right without an attack\n");
    for check in checks {
        let [value, low, high] = [check.found.value, check.found.low, check.found.high].map(|x| 100.0 * x);
        lines += &format!("{:<12} {}\n", called(check.verdict), check.question);
        let number = format!("{value:.1} % ({low:.1} to {high:.1}) {}. {}", check.measures, check.why);
        lines += &indented(&number);
    }
    lines
        + match verdict {
            None => "There is nothing to examine.",
            Some(Health::Pass) => {
                "No sign of an illusion: attacks on this model measure its robustness, or its lack of it."
            }
            Some(Health::Fail) => {
                "This robustness may be an illusion: accuracy under attack says little of this model."
            }
            Some(Health::CannotTell) => {
                "No sign of an illusion, but there are too few images to rule it out."
            }
        }
}

fn called(health: Health) -> &'static str {
    match health {
        Health::Pass => "pass",
        Health::Fail => "FAIL",
        Health::CannotTell => "cannot tell",
    }
}

/// Below the questions.
fn indented(text: &str) -> String {
    broken(text, 66).lines().map(|line| format!("{:13}{}\n", "", line.trim_start())).collect()
}

fn lines(result: &Attacked) -> String {
    let Attacked { model, attack, norm, n, points, target, distances, .. } = result;
    let unit = norm.suffix();
    let mut lines = format!("{model} under {attack} ({norm}) on {n} images");
    if let Some(target) = target {
        lines += &format!(", toward {target}");
    }
    lines.push('\n');
    for Point { epsilon, accuracy, interval: [low, high], zero_gradient, fooled, .. } in points {
        let [value, low, high] = [accuracy, low, high].map(|x| 100.0 * x);
        let size = format!("{epsilon}{unit}");
        lines += &format!("ε = {size:<8} robust accuracy {value:6.2} %  ({low:.1} to {high:.1})\n");
        if target.is_some() && *epsilon > 0.0 {
            let taken = fooled.map_or(0, |fooled| fooled.n);
            lines += &format!("             taken for the target: {taken} of those that were right\n");
        }
        if *zero_gradient > 0.0 {
            lines += &format!(
                "             no gradient on {:.1} % of the images: robustness there may be an illusion\n",
                100.0 * zero_gradient
            );
        }
    }
    if let Some(median) = distances.as_deref().and_then(median) {
        lines += &format!("smallest perturbation, median over images: {median:.3}{unit}\n");
    }
    lines + "robust: correctly classified before the attack and under it"
}

/// The median of the distances, where half of the images have one.
fn median(distances: &[Option<f64>]) -> Option<f64> {
    let mut sorted: Vec<f64> = distances.iter().map(|distance| distance.unwrap_or(f64::INFINITY)).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => (sorted.get(middle.wrapping_sub(1))? + sorted.get(middle)?) / 2.0,
        _ => *sorted.get(middle)?,
    };
    median.is_finite().then_some(median)
}
