//! `archaeo attack`: how often a model is right before an attack and under it.

use anyhow::Result;
use archaeo_analysis::attacks::Norm;
use archaeo_lab::{AttackOptions, Attacked, Point, Purpose, Session};

use crate::cli::Attack;
use crate::printer::Printer;

/// Runs the command.
///
/// # Errors
/// A size that is no size, or data that cannot be read.
pub fn run(arguments: &Attack, session: &Session, printer: &Printer) -> Result<()> {
    let Attack { attack, epsilon, steps, subject } = arguments;
    let options = AttackOptions::parse(attack, epsilon, (*steps).into())?;
    let opened = session.open(subject.asked(), Purpose::Score)?;
    printer.result(&session.attack(&opened, &options)?, lines)
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
