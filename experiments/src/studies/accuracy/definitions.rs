//! What the scores are, and where they come from.

use archaeo_report::document::Text;

use crate::report::Names;
use crate::report::method::definition;

pub(super) fn definitions(names: &Names) -> Vec<(String, Text)> {
    let mut terms = Vec::new();
    if !names.pairs().is_empty() {
        terms.extend([
            definition(
                "McNemar's test",
                "Exact two-sided binomial test on the images that one model has right and the other wrong (McNemar, 1947).",
                &[],
            ),
            definition(
                "Error consistency κ",
                "Observed agreement in being right or wrong, corrected for the agreement expected of independent models of \
                 the same accuracies: 0 independent, 1 the same errors.",
                &[("Geirhos et al., 2020", "https://arxiv.org/abs/2006.16736")],
            ),
        ]);
    }
    terms.push(definition(
        "Expected calibration error",
        "Mean absolute gap between the probability of the answer given (top label) and accuracy over 15 bins of equally many \
         images; images of one probability count with their common accuracy. It never falls quite to zero in a finite \
         sample: by chance, a perfectly calibrated model with the same probabilities shows the error that simulated answers \
         have on average, each right with the probability it states. The probabilities of the other classes are not judged.",
        &[("Guo et al., 2017", "https://arxiv.org/abs/1706.04599")],
    ));
    terms
}
