//! The numbers that decide whether a model can be trusted, as `evaluate` prints them.

use archaeo_analysis::statistics::{Estimate, Measured};
use archaeo_lab::Headlines;

/// Lines for a person.
pub fn lines(headlines: &Headlines) -> String {
    let trust = &headlines.trust;
    let name = |class| headlines.name(class);
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let interval = |estimate: &Estimate| match estimate.low.is_finite() {
        true => format!(
            "{}  (95 % interval {} to {})",
            percent(estimate.value),
            percent(estimate.low),
            percent(estimate.high)
        ),
        false => percent(estimate.value),
    };
    let measured = |measured: &Measured| match measured {
        Measured::Known(known) => interval(known),
        Measured::Undefined { undefined } => format!("none, because {undefined}"),
    };
    let mut lines = vec![
        format!("always `{}`  {}", name(trust.constant.class), percent(trust.constant.share)),
        format!("balanced accuracy  {}", measured(&trust.balanced)),
    ];
    if let Some(worst) = trust.classes.first() {
        let (class, n) = (name(worst.class), worst.accuracy.n);
        let taken = worst.taken_for.as_ref().map_or_else(String::new, |taken| {
            format!(", {} called `{}`", percent(taken.count as f64 / n as f64), name(taken.predicted))
        });
        lines.push(format!("worst class  `{class}` ({n} images)  {}{taken}", interval(&worst.accuracy)));
    }
    if let Some(binary) = &trust.binary {
        lines.push(format!("sensitivity for `{}`  {}", name(binary.positive), measured(&binary.sensitivity)));
        lines.push(format!("specificity  {}", measured(&binary.specificity)));
        lines.push(match &binary.auc {
            Measured::Known(auc) => {
                format!(
                    "area under the ROC curve  {:.4}  (95 % interval {:.4} to {:.4})",
                    auc.value, auc.low, auc.high
                )
            }
            Measured::Undefined { undefined } => {
                format!("area under the ROC curve  none, because {undefined}")
            }
        });
    }
    if trust.usual.share.value >= 1.0 {
        lines.push(format!("every answer is `{}`", name(trust.usual.class)));
    }
    lines.join("\n")
}
