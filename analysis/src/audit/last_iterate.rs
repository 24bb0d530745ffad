//! The last iterate of PGD in place of the best.

use super::pgd_trace::{PgdDeparture, most_stay, robust};
use super::{Conclusion, DepartureInfo, Finding, Record};
use crate::statistics::{Resampling, Result as Counted};

/// Only the last iterate counts.
pub(super) static LAST_ITERATE: PgdDeparture = PgdDeparture {
    info: DepartureInfo {
        id: "last-iterate",
        title: "which iterate of PGD counts",
        paper: "an image is robust if no image met in the ball fools the model; the best one met counts",
        source: "Madry et al., 2018, equation 2.1: the maximum over the ball; AttackBench (Cinà et al., 2025)",
        popular: "only the image after the last step is tested",
        project: "torchattacks and most training loops",
        measure: "robust accuracy under PGD in L∞ of 0.5/255, before rounding",
    },
    conclude,
};

fn conclude(records: &[Record], resampling: &Resampling) -> Counted<Finding> {
    let [best, last] = [3, 2].map(|place| robust(records, place));
    let mut finding = Finding::of_means(&best, &last, resampling)?;
    let question = "does it stay right on most images?";
    finding.conclusions.push(Conclusion::new(question, most_stay(&best), most_stay(&last)));
    let lost = best.iter().zip(&last).filter(|(best, last)| best != last).count();
    finding.details.push(format!("{lost} images were fooled on the way and are not by the last step"));
    Ok(finding)
}
