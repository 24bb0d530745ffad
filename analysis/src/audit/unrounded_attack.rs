//! Adversarial examples that no file can hold.

use super::pgd_trace::{PgdDeparture, most_stay, robust};
use super::{Conclusion, DepartureInfo, Finding, Record};
use crate::statistics::{Resampling, Result as Counted};

/// Attacks are evaluated on 32-bit pixels.
pub(super) static UNROUNDED_ATTACK: PgdDeparture = PgdDeparture {
    info: DepartureInfo {
        id: "unrounded-attack",
        title: "rounding of adversarial examples to 8 bits",
        paper: "an adversarial example is an image: it is rounded to 8 bits inside the ball and tested again",
        source: "Carlini and Wagner, 2017, arXiv 1608.04644, on discretisation",
        popular: "the 32-bit pixels of the attack are tested as they are",
        project: "attack libraries that return 32-bit pixels, such as torchattacks",
        measure: "robust accuracy under PGD in L∞ of 0.5/255, best iterate",
    },
    conclude,
};

fn conclude(records: &[Record], resampling: &Resampling) -> Counted<Finding> {
    let [rounded, plain] = [1, 3].map(|place| robust(records, place));
    let mut finding = Finding::of_means(&rounded, &plain, resampling)?;
    let question = "does it stay right on most images?";
    finding.conclusions.push(Conclusion::new(question, most_stay(&rounded), most_stay(&plain)));
    let gone = rounded.iter().zip(&plain).filter(|(rounded, plain)| rounded > plain).count();
    finding.details.push(format!("{gone} images are fooled before rounding alone"));
    Ok(finding)
}
