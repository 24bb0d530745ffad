//! `archaeo attack`: how often a model is right before an attack and under it, and whether what attacks find is all there is.

use anyhow::Result;
use archaeo_analysis::attacks::Norm;
use archaeo_analysis::attacks::doctor::Health;
use archaeo_lab::{AttackOptions, Attacked, DOCTOR, Diagnosed, Point, Purpose, Session};

use crate::cli::Attack;
use crate::printer::{Printer, broken};

/// Runs the command.
///
/// # Errors
/// A size that is no size, or data that cannot be read.
pub fn run(arguments: &Attack, session: &Session, printer: &Printer) -> Result<()> {
    let Attack { attack, epsilon, steps, subject } = arguments;
    let options = AttackOptions::parse(attack, epsilon, (*steps).into())?;
    let opened = session.open(subject.asked(), Purpose::Score)?;
    match attack == DOCTOR {
        true => printer.result(&session.doctor(&opened, &options)?, diagnosis),
        false => printer.result(&session.attack(&opened, &options)?, lines),
    }
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
            Some(Health::CannotTell) => "No sign of an illusion, but there are too few images to rule it out.",
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
    let Attacked { model, attack, norm, n, points, .. } = result;
    let unit = if *norm == Norm::L2 { "" } else { "/255" };
    let mut lines = format!("{model} under {attack} ({norm}) on {n} images\n");
    for Point { epsilon, accuracy, interval: [low, high], zero_gradient, .. } in points {
        let [value, low, high] = [accuracy, low, high].map(|x| 100.0 * x);
        let size = format!("{epsilon}{unit}");
        lines += &format!("ε = {size:<8} robust accuracy {value:6.2} %  ({low:.1} to {high:.1})\n");
        if *zero_gradient > 0.0 {
            lines += &format!(
                "             no gradient on {:.1} % of the images: robustness there may be an illusion\n",
                100.0 * zero_gradient
            );
        }
    }
    lines + "robust: correctly classified before the attack and under it"
}
