//! `archaeo attack`: how often a model is right before an attack and under it, and whether what attacks find is all there is.

use anyhow::{Result, bail};
use archaeo_analysis::attacks::doctor::Health;
use archaeo_lab::{
    AttackOptions, Attacked, DOCTOR, Diagnosed, DoctorOptions, LabError, MINIMAL, Point, Purpose,
    RobustBench, Session,
};

use super::attack_minimal;
use crate::cli::Attack;
use crate::printer::{Printer, broken};

/// Runs the command.
///
/// # Errors
/// A size that is no size, or data that cannot be read.
pub fn run(arguments: &Attack, session: &Session, printer: &Printer) -> Result<()> {
    if arguments.attack == MINIMAL {
        return attack_minimal::run(arguments, session, printer);
    }
    let Attack {
        attack,
        norm,
        epsilon,
        steps,
        restarts,
        loss,
        cutoff,
        target,
        save,
        out,
        robustbench_json,
        subject,
    } = arguments;
    if attack == DOCTOR {
        let chosen = [("--norm", norm.is_some()), ("--restarts", *restarts != 1), ("--loss", loss.is_some())];
        let chosen = chosen.into_iter().chain([
            ("--target", target.is_some()),
            ("--save", save.is_some()),
            ("--out", out.is_some()),
            ("--cutoff", cutoff.is_some()),
            ("--robustbench-json", robustbench_json.is_some()),
        ]);
        if let Some((option, _)) = chosen.into_iter().find(|(_, chosen)| *chosen) {
            return Err(LabError::DoctorOption { option }.into());
        }
        let options = DoctorOptions::parse(epsilon, steps.map(usize::from))?;
        let opened = session.open(subject.asked(), Purpose::Score)?;
        return printer.result(&session.doctor(&opened, &options)?, diagnosis);
    }
    if out.is_some() {
        bail!("--out is for the curves of --attack {MINIMAL}");
    }
    let options = AttackOptions {
        steps: steps.map(usize::from),
        restarts: usize::from(*restarts),
        loss: *loss,
        cutoff: *cutoff,
        target: target.clone(),
        save: save.clone(),
        ..AttackOptions::parse(attack, *norm, epsilon)?
    };
    options.check()?;
    let entry = robustbench_json.as_deref().map(|file| RobustBench::new(file, &options.sizes)).transpose()?;
    let opened = session.open(subject.asked(), Purpose::Score)?;
    let result = session.attack(&opened, &options)?;
    if let Some(entry) = entry {
        entry.write(&opened, &result)?;
    }
    printer.result(&result, lines)
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
