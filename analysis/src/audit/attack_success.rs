//! Success of an attack counted over images that were wrong before.

use super::finding::column;
use super::pgd_trace::PgdDeparture;
use super::{Conclusion, DepartureInfo, Finding, Record};
use crate::statistics::{Resampling, Result as Counted};

/// The attack's success is counted over all images.
pub(super) static ATTACK_SUCCESS: PgdDeparture = PgdDeparture {
    info: DepartureInfo {
        id: "attack-success",
        title: "the images that an attack's success is counted over",
        paper: "among the images that the model answers correctly, the share whose answer the attack changes",
        source: "AttackBench (Cinà et al., 2025)",
        popular: "the share of all images with a wrong answer under the attack, those included that were wrong without it",
        project: "common attack scripts: one minus the accuracy under attack",
        measure: "success rate of PGD in L∞ of 0.5/255, best iterate, before rounding",
    },
    conclude,
};

fn conclude(records: &[Record], resampling: &Resampling) -> Counted<Finding> {
    let (correct, fooled) = (column(records, 0), column(records, 3));
    let among_correct = |images: &[usize]| {
        let right: f64 = images.iter().map(|&image| correct[image]).sum();
        images.iter().map(|&image| correct[image] * fooled[image]).sum::<f64>() / right
    };
    let over_all = |images: &[usize]| {
        let wrong = |&image: &usize| if correct[image] == 1.0 { fooled[image] } else { 1.0 };
        images.iter().map(wrong).sum::<f64>() / images.len() as f64
    };
    let n = records.len();
    let bootstrap = |of: &dyn Fn(&[usize]) -> f64| resampling.bootstrap("a success rate", n, of);
    let [paper, popular] = [bootstrap(&among_correct)?, bootstrap(&over_all)?];
    let difference = bootstrap(&|images| over_all(images) - among_correct(images))?;
    let percent = |estimate: &crate::statistics::Estimate| format!("{:.0} %", 100.0 * estimate.value);
    let question = "how often does the attack succeed?";
    let conclusions = vec![Conclusion::new(question, percent(&paper), percent(&popular))];
    let wrong = correct.iter().filter(|correct| **correct == 0.0).count();
    let details = vec![format!("{wrong} of {n} images are wrong before the attack")];
    Ok(Finding { paper, popular, difference, conclusions, details })
}
