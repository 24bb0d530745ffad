//! `archaeo attack` with several models: what fools one and another, and one image for two.

use archaeo_analysis::statistics::{Estimate, Measured};
use archaeo_experiments::studies::findings::AttackComparison;
use archaeo_lab::{SagaFound, SagaPoint, TransferPoint, Transferred};

/// What is printed of a transfer matrix.
pub(super) fn transfer(result: &Transferred) -> String {
    let Transferred { models, attack, norm, n, clean, points, .. } = result;
    let width = models.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(8) + 2;
    let mut lines = format!("{attack} ({norm}) on {n} images; right without an attack: ");
    let shares = models.iter().zip(clean).map(|(name, of)| format!("{name} {}", with_interval(of)));
    lines += &(shares.collect::<Vec<_>>().join(", ") + "\n");
    for point in points {
        lines += &at_size(point, norm.suffix(), models, width);
    }
    lines
        + "fooled: of the images that both models classify correctly without an attack, in %\n\
             noise: of the same size, on the images that the model itself classifies correctly"
}

fn at_size(point: &TransferPoint, unit: &str, models: &[String], width: usize) -> String {
    let TransferPoint { epsilon, robust, matrix, pairs, .. } = point;
    let mut lines = format!("\nε = {epsilon}{unit}\n{:<width$}", "made for");
    lines += &models.iter().map(|name| format!("{name:>width$}")).collect::<String>();
    lines += "   (shown to)\n";
    for (source, of_source) in models.iter().zip(matrix.chunks(models.len())) {
        let cells = of_source.iter().map(|of| format!("{:>width$}", share(&of.fooled)));
        lines += &format!("{source:<width$}{}\n", cells.collect::<String>());
    }
    // Of each target, next to the attack on itself.
    let own = matrix.iter().step_by(models.len() + 1);
    let noise = own.map(|of| format!("{:>width$}", share(&of.by_noise)));
    lines += &format!("{:<width$}{}\n", "noise", noise.collect::<String>());
    let robust = models.iter().zip(robust).map(|(name, of)| format!("{name} {}", with_interval(of)));
    lines += &format!("robust, each attacked itself: {}\n", robust.collect::<Vec<_>>().join(", "));
    lines + &pairs.iter().map(of_pair).collect::<String>()
}

fn of_pair(of: &AttackComparison) -> String {
    let [first, second] = of.models;
    let mut line = format!(
        "{first} and {second}: only {first} robust on {}, only {second} on {} (p = {:.3})",
        of.robust.only_first, of.robust.only_second, of.robust.adjusted_p
    );
    if let Some(kept) = &of.kept {
        line += &format!(
            "; of {} right for both {first} keeps {:.1} %, {second} {:.1} % (p = {:.3})",
            kept.first.n,
            100.0 * kept.first.value,
            100.0 * kept.second.value,
            kept.adjusted_p
        );
    }
    line + "\n"
}

/// What is printed of SAGA.
pub(super) fn saga(result: &SagaFound) -> String {
    let SagaFound { models: [transformer, network], steps, n, both, points, .. } = result;
    let mut lines = format!(
        "SAGA with {steps} steps for {transformer} and {network}: {both} of {n} images are right for both without an attack\n"
    );
    for SagaPoint { epsilon, fooled: [first, second], fools_both, .. } in points {
        lines += &format!(
            "ε = {epsilon}/255: fools both on {} %, {transformer} on {} %, {network} on {} %\n",
            with_range(fools_both),
            with_range(first),
            with_range(second)
        );
    }
    lines + "fools: a share of the images that are right for both without an attack"
}

fn share(of: &Measured) -> String {
    of.known().map_or("–".into(), |of| format!("{:.1}", 100.0 * of.value))
}

fn with_range(of: &Measured) -> String {
    match of.known() {
        None => "–".into(),
        Some(of) => {
            let [value, low, high] = [of.value, of.low, of.high].map(|share| 100.0 * share);
            format!("{value:.1} ({low:.1} to {high:.1})")
        }
    }
}

fn with_interval(of: &Estimate) -> String {
    let [value, low, high] = [of.value, of.low, of.high].map(|share| 100.0 * share);
    format!("{value:.1} % ({low:.1} to {high:.1})")
}
