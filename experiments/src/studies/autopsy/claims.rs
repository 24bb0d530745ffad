//! Which parts carry an attack.

use archaeo_analysis::statistics::{Better, SIGNIFICANCE};
use archaeo_report::Claim;
use archaeo_report::evidence::{Side, side};
use archaeo_report::numbers::{Unit, counted, decimal, epsilon, p_value, percent};

use super::AutopsyStudy;
use super::findings::{AutopsyFindings, Dissection, Given, SelectedPart};
use crate::report::Names;
use crate::study::Study;
use crate::subjects::ModelName;

/// Whether a part restores the answer: its share is above 0, and above that of an unrelated image.
pub(super) fn verdict(given: &Given) -> Better {
    let test = &given.over_unrelated;
    let share = given.share.known().map_or(Side::Undecided, |share| side(share, 0.0));
    match (share, Better::of(&test.difference, test.p_value)) {
        (Side::Above, Better::Yes) => Better::Yes,
        (Side::Below, Better::No) => Better::No,
        _ => Better::CannotBeTold,
    }
}

pub(super) fn claims(findings: &AutopsyFindings, names: &Names) -> Vec<Claim> {
    let found = findings.models.iter().filter_map(|(model, of)| Some((model, of.fooled, of.found.as_ref()?)));
    found.map(|(model, fooled, of)| of_model(findings, model, fooled, of, names)).collect()
}

/// `head 3 of layer 2`, `block 4`.
fn called(part: &SelectedPart) -> String {
    match part.head {
        Some(head) => format!("head {head} of layer {}", part.layer + 1),
        None => format!("the branch of block {}", part.layer + 1),
    }
}

fn of_model(
    findings: &AutopsyFindings,
    model: ModelName,
    fooled: usize,
    of: &Dissection,
    names: &Names,
) -> Claim {
    let the = names.the(model);
    let (kind, all): (&str, Vec<&Given>) = match of.heads.is_empty() {
        false => ("head", of.heads.iter().map(|head| &head.given).collect()),
        true => ("block", of.layers.iter().map(|layer| &layer.given).collect()),
    };
    let restoring = all.iter().filter(|given| verdict(given) == Better::Yes).count();
    let statement = match restoring {
        0 => format!("No single {kind} of {the} is shown to carry the attack."),
        _ => format!(
            "{restoring} of the {} of {the} {} shown to carry the attack: taken from the clean image, each alone gives back part of \
             the answer.",
            counted(all.len(), kind),
            if restoring == 1 { "is" } else { "are" }
        ),
    };
    let selected = of.selected.as_ref().and_then(|part| {
        let share = part.given.share.known()?;
        let unrelated = part.given.unrelated.known().map_or_else(|| "n/a".into(), |value| percent(*value));
        Some(format!(
            " Of one half of the images {} restores most; on the rest it gives back {} of the margin, from an unrelated image {} \
             ({}).",
            called(part),
            Unit::Percent.sentence(share),
            unrelated,
            p_value(part.given.over_unrelated.p_value)
        ))
    });
    let evidence = format!(
        "PGD at ε = {} on {} that it fools: the margin between the class and the attack's answer falls from {} to {} logits. A {kind} \
         carries the attack when its output for the clean image restores more than 0 of that and more than the null, its output for an \
         unrelated clean image (sign-flip permutation test, adjusted over all parts, p\u{a0}<\u{a0}{SIGNIFICANCE}).{}",
        epsilon(findings.epsilon),
        counted(fooled, "image"),
        decimal(of.margins[0].value, 2),
        decimal(of.margins[1].value, 2),
        selected.unwrap_or_default()
    );
    Claim { section: AutopsyStudy::ID, topic: "Anatomy of an attack", statement, evidence }
}
