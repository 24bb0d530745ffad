//! How far accuracy depends on the seed, and whether models differ by more than that.

use archaeo_analysis::statistics::{Measured, Welch};
use archaeo_report::Claim;
use archaeo_report::evidence::{Side, tested};
use archaeo_report::numbers::{Unit, cannot, counted, p_value, percent};

use super::findings::{OverSeeds, SeedsDifference, SeedsFindings};
use crate::report::Names;
use crate::report::names::capitalised;
use crate::subjects::ModelName;

pub(super) fn claims(findings: &SeedsFindings, names: &Names) -> Vec<Claim> {
    let of_model = findings.models.iter().map(|(name, over)| spread(name, over, findings, names));
    of_model.chain(findings.pairs.iter().map(|pair| compared(pair, findings, names))).collect()
}

fn claim(statement: String, evidence: String) -> Claim {
    Claim { section: "seeds", topic: "Seeds", statement, evidence }
}

fn spread(name: ModelName, over: &OverSeeds, findings: &SeedsFindings, names: &Names) -> Claim {
    let accuracies = over.runs.iter().map(|run| run.accuracy.value);
    let [lowest, highest] =
        [f64::min, f64::max].map(|pick| accuracies.clone().reduce(pick).unwrap_or(f64::NAN));
    let statement = format!(
        "From seed to seed, the accuracy of {} ranges from {} to {}, and two of its runs answer {} of the images differently.",
        names.the(name),
        percent(lowest),
        percent(highest),
        percent(over.disagreement.value)
    );
    let evidence = format!(
        "Over {} and {} of the {} split: mean accuracy {} over runs, standard deviation {}; disagreement of two runs {}. Every run \
         is right on {} of the images, and none on {}.",
        counted(over.runs.len(), "run"),
        counted(findings.n, "image"),
        findings.split,
        Unit::Percent.sentence(&over.accuracy),
        Unit::Points.value(over.deviation),
        Unit::Percent.sentence(&over.disagreement),
        percent(over.always_right.value),
        percent(over.always_wrong.value)
    );
    claim(statement, evidence)
}

fn compared(pair: &SeedsDifference, findings: &SeedsFindings, names: &Names) -> Claim {
    let [first, second] = pair.models.map(|name| names.the(name));
    let runs: Vec<String> = (pair.models.iter())
        .map(|name| format!("{} of {}", counted(findings.models[*name].runs.len(), "run"), names.the(*name)))
        .collect();
    let Measured::Known(Welch { difference, p_value: p }) = &pair.difference else {
        let reason = pair.difference.reason().unwrap_or_default();
        let what = format!("Whether {first} or {second} is more accurate over seeds");
        return claim(format!("{what} {}", cannot(reason)), format!("{}.", capitalised(&runs.join(", "))));
    };
    let more = |better: &str, worse: &str| format!("Over seeds, {better} is more accurate than {worse}.");
    let statement = match tested(difference, *p) {
        Side::Above => more(&first, &second),
        Side::Below => more(&second, &first),
        Side::Undecided => {
            format!("No difference in accuracy between {first} and {second} can be shown over seeds.")
        }
    };
    let evidence = format!(
        "{}: the difference of mean accuracies, first minus second, is {}; Welch's test over runs, {}. The null: both recipes have \
         the same mean accuracy over seeds.",
        capitalised(&runs.join(", ")),
        Unit::Points.sentence(difference),
        p_value(*p)
    );
    claim(statement, evidence)
}
