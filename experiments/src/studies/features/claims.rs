//! What the features of each model hold, and which model's hold more or the same.

use archaeo_report::Claim;
use archaeo_report::evidence::{Side, apart, tested};
use archaeo_report::numbers::{Unit, cannot, counted, p_value, percent};

use archaeo_analysis::statistics::{Estimate, Measured, SIGNIFICANCE};

use super::FeaturesStudy;
use super::findings::{CkaMap, FeaturePair, FeaturesFindings, ImageRoles, Learned, PairedScore};
use crate::report::Names;
use crate::report::names::capitalised;
use crate::study::Study;
use crate::subjects::ModelName;

pub(super) fn claims(findings: &FeaturesFindings, names: &Names) -> Vec<Claim> {
    let Some(roles) = &findings.roles else { return Vec::new() };
    let of_model = findings
        .models
        .iter()
        .filter_map(|(name, model)| Some(holds(name, model.learned.as_ref()?, roles, names)));
    let pairs = findings.pairs.iter().map(|pair| better(pair, roles, names));
    let alike = findings.cka.iter().filter(|map| map.models[0] != map.models[1]);
    of_model.chain(pairs).chain(alike.map(|map| similar(map, names))).collect()
}

fn claim(topic: &'static str, statement: String, evidence: String) -> Claim {
    Claim { section: FeaturesStudy::ID, topic, statement, evidence }
}

fn holds(name: ModelName, found: &Learned, roles: &ImageRoles, names: &Names) -> Claim {
    let accuracy = &found.probe.accuracy;
    let guess = Estimate { value: found.usual, low: found.usual, high: found.usual, ..accuracy.clone() };
    let statement = match apart(accuracy, &guess) {
        Side::Above => format!(
            "A linear layer reads the right class from the features of {} on {} of the images.",
            names.the(name),
            percent(accuracy.value)
        ),
        Side::Below | Side::Undecided => format!(
            "That the features of {} say anything of the class cannot be shown: a linear layer does no better than a guess.",
            names.the(name)
        ),
    };
    let neighbours = found.neighbours.last().map_or_else(String::new, |score| {
        format!(
            "; the vote of the {} nearest images is right on {}",
            score.k,
            Unit::Percent.brief(&score.score)
        )
    });
    let evidence = format!(
        "Linear probe of {}, scored on {}: {}{neighbours}. The most common class alone has {}.",
        counted(roles.training.n + roles.validation.n, "image"),
        counted(roles.test.n, "image"),
        Unit::Percent.sentence(accuracy),
        percent(found.usual)
    );
    claim("Features", statement, evidence)
}

fn better(pair: &FeaturePair, roles: &ImageRoles, names: &Names) -> Claim {
    let [first, second] = pair.models.map(|name| names.the(name));
    let PairedScore { difference, only_first, only_second, adjusted_p } = &pair.probe;
    let more = |better: &str, worse: &str| {
        format!(
            "The features of {better} tell the classes apart better than those of {worse}, to a linear layer."
        )
    };
    let statement = match tested(difference, *adjusted_p) {
        Side::Above => more(&first, &second),
        Side::Below => more(&second, &first),
        Side::Undecided => {
            format!(
                "No difference between what a linear layer reads from {first} and from {second} can be shown."
            )
        }
    };
    let evidence = format!(
        "Linear probes on the same {}: difference of accuracies, first minus second, {}; {only_first} images that only {first} has \
         right and {only_second} that only {second} has; exact McNemar test, {} (adjusted over pairs and scores). By the vote of \
         neighbours the difference is {}, {}.",
        counted(roles.test.n, "image"),
        Unit::Points.sentence(difference),
        p_value(*adjusted_p),
        Unit::Points.brief(&pair.neighbours.difference),
        p_value(pair.neighbours.adjusted_p)
    );
    claim("Features compared", statement, evidence)
}

fn similar(map: &CkaMap, names: &Names) -> Claim {
    let [first, second] = map.models.map(|name| names.the(name));
    let (Measured::Known(cka), Some(null), Some(p)) = (&map.features, &map.null, map.adjusted_p) else {
        let reason = map.features.reason().unwrap_or("one of the representations is the same for all images");
        let what = format!("How similar the features of {first} and {second} are {}", cannot(reason));
        return claim("Similarity", format!("{what}."), String::new());
    };
    let statement = match p < SIGNIFICANCE {
        true => format!(
            "The features of {first} and {second} have a CKA of {} on the same images, more than on unrelated ones.",
            Unit::Coefficient.value(cka.value)
        ),
        false => format!("That the features of {first} and {second} are similar at all cannot be shown."),
    };
    let evidence = capitalised(&format!(
        "unbiased linear CKA of what the heads read, on {}: {}; with the images of one model in {} random orders {} on average and \
         {} at most; {} (adjusted over pairs).",
        counted(map.n, "image"),
        Unit::Coefficient.sentence(cka),
        null.orders,
        Unit::Coefficient.value(null.mean),
        Unit::Coefficient.value(null.largest),
        p_value(p)
    ));
    claim("Similarity", statement, evidence)
}
