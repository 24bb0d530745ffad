//! `archaeo attack --attack minimal`: how far each image is from a wrong answer.

use archaeo_analysis::statistics::Estimate;
use archaeo_lab::{Minimal, MinimalNorm};

/// What is printed of it, with the curve at these sizes, or at the norm's usual ones.
pub(super) fn lines(result: &Minimal, sizes: &[f64]) -> String {
    let Minimal { model, target, n, correct, accuracy, norms, pictures, .. } = result;
    let [value, low, high] = [accuracy.value, accuracy.low, accuracy.high].map(|share| 100.0 * share);
    let mut lines = format!("{model} on {n} images: {correct} right, {value:.2} % ({low:.1} to {high:.1})");
    if let Some(target) = target {
        lines += &format!("; toward {target}");
    }
    lines.push('\n');
    for of in norms {
        lines += &of_norm(of, *correct, sizes);
    }
    for picture in pictures {
        lines += &format!("wrote {}\n", picture.display());
    }
    lines
        + "median: smallest perturbation of the images that are right, before rounding to 8 bits; never fooled counts as infinite\n\
             robust: right, and no smaller perturbation was found"
}

fn of_norm(of: &MinimalNorm, correct: usize, sizes: &[f64]) -> String {
    let MinimalNorm { norm, attacks, median, fooled, curve, .. } = of;
    let unit = norm.suffix();
    let mut lines = format!("{norm}: median {}; {fooled} of {correct} are fooled\n", estimate(median, unit));
    for attack in attacks {
        lines += &format!(
            "  {:<8} median {}, fools {}, the smallest on {}\n",
            attack.title,
            number(attack.median.value, unit),
            attack.fooled,
            attack.nearest
        );
        if attack.zero_gradient > 0.0 {
            lines += &format!(
                "           no gradient on {:.1} % of the images: robustness there may be an illusion\n",
                100.0 * attack.zero_gradient
            );
        }
    }
    let usual = norm.usual();
    let sizes = if sizes.is_empty() { &usual } else { sizes };
    for size in sizes {
        let place = curve.partition_point(|point| point.at <= *size);
        let Some(point) = place.checked_sub(1).map(|place| &curve[place]) else { continue };
        let [value, low, high] =
            [point.share, point.interval[0], point.interval[1]].map(|share| 100.0 * share);
        let size = format!("{size}{unit}");
        lines += &format!("  ε = {size:<8} robust accuracy {value:6.2} %  ({low:.1} to {high:.1})\n");
    }
    lines
}

fn estimate(of: &Estimate, unit: &str) -> String {
    match of.low.is_nan() {
        true => number(of.value, unit),
        false => {
            format!("{} ({} to {})", number(of.value, unit), number(of.low, unit), number(of.high, unit))
        }
    }
}

fn number(value: f64, unit: &str) -> String {
    match value {
        value if value.is_nan() => "–".into(),
        value if value.is_infinite() => "∞".into(),
        value if value >= 100.0 => format!("{value:.0}{unit}"),
        value => format!("{value:.3}{unit}"),
    }
}
