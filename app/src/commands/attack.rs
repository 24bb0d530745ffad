//! `archaeo attack`: how often a model is right before an attack and under it.

use anyhow::Result;
use archaeo_lab::{AttackOptions, Attacked, Point, Purpose, Session};

use crate::cli::Attack;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A size that is no size, or data that cannot be read.
pub fn run(arguments: &Attack, session: &Session, printer: &Printer) -> Result<()> {
    let Attack { attack, norm, epsilon, steps, restarts, loss, target, save, subject } = arguments;
    let options = AttackOptions {
        steps: steps.map(usize::from),
        restarts: usize::from(*restarts),
        loss: *loss,
        target: target.clone(),
        save: save.clone(),
        ..AttackOptions::parse(attack, *norm, epsilon)?
    };
    options.check()?;
    let opened = session.open(subject.asked(), Purpose::Score)?;
    printer.result(&session.attack(&opened, &options)?, lines)
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
