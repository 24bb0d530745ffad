//! The rules of the verdicts and the quantities behind them.

use archaeo_report::document::Text;

use super::claims::TOO_SURE;
use super::findings::{CONFIDENT, FEWEST_OF_CLASS, TrustFindings};
use super::verdict::{FEWEST_IMAGES, HALF, MOSTLY_ONE_CLASS, NEARLY_CONSTANT};
use crate::report::method::definition;

/// The rules of the verdicts, each threshold in them.
pub(super) fn definitions(found: &TrustFindings) -> Vec<(String, Text)> {
    let percent = |share: f64| format!("{:.0}\u{a0}%", 100.0 * share);
    let mut terms = vec![
        definition(
            "Can it be trusted?",
            &format!(
                "The first rule that holds decides. Fewer than {FEWEST_IMAGES} images: no verdict. Images of one class only: no \
                 verdict. One answer to every image, or to {} of them where less than {} are of that class: not to be trusted. Not \
                 shown to be right more often than always giving the most common class as the answer (paired interval of the \
                 difference, and exact McNemar p < 0.05): not to be trusted. A class with {FEWEST_OF_CLASS} or more images \
                 of which at most {} are right: not to be trusted on that class; one of which more are right, but whose interval, \
                 which holds for all classes at once, includes {}: not shown to be right more often than wrong on it. Else the model is said to be right \
                 as often as it is on images like these, which says nothing about other images.",
                percent(NEARLY_CONSTANT),
                percent(MOSTLY_ONE_CLASS),
                percent(HALF),
                percent(HALF)
            ),
            &[],
        ),
        definition(
            "Warnings",
            &format!(
                "A model that is shown to be more accurate on the split it was chosen on than on the main split (interval of the \
                 difference above zero), and one of whose answers with a probability of {} or more a larger share than {} is shown \
                 to be wrong.",
                percent(CONFIDENT),
                percent(TOO_SURE)
            ),
            &[],
        ),
        definition(
            "Balanced accuracy",
            "Mean over classes of the share of their images that is right; a model that always gives one answer has one divided by \
             the number of classes.",
            &[],
        ),
    ];
    if found.models.values().any(|trust| trust.binary.is_some()) {
        terms.push(definition(
            "Sensitivity, specificity, AUC",
            "Share of the images of the positive class that is right, share of the others that is right, and the probability that an \
             image of the positive class gets a higher probability of it than another image, equal ones counting half. Which class \
             is positive is read off names such as pneumonia, malignant, positive, abnormal, disease or 1, or of their absence such \
             as normal, benign, negative, healthy or 0; where they do not tell, it is the second.",
            &[],
        ));
    }
    terms
}
