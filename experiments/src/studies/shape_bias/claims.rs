//! Which cue decides when shape and texture disagree.

use archaeo_analysis::statistics::{Estimate, Measured};

use crate::findings::{Role, ShapeBias, ShapeBiasFindings};

use archaeo_report::evidence::{Side, tested};
use super::super::names::{Names, ROLES, listed};
use archaeo_report::numbers::{Unit, counted, p_value, percent};
use super::Claim;

/// The label is the shape: a perfect model has a shape bias of 100 %, and 50 % is where nothing turns. What has a zero is how
/// much oftener the texture's class is named than by a model that takes no notice of textures.
pub(super) fn claims(findings: &ShapeBiasFindings, names: &Names) -> Vec<Claim> {
    if findings.models.is_empty() {
        return Vec::new();
    }
    vec![texture(findings, names), shape(findings, names)]
}

/// Where the texture's class is named relative to a model that takes no notice; `None` where that cannot be told.
fn sway(found: &ShapeBias) -> Option<Side> {
    let following = found.texture_following.known()?;
    Some(tested(&following.excess, following.p_value))
}

fn texture(findings: &ShapeBiasFindings, names: &Names) -> Claim {
    let models = || ROLES.iter().filter_map(|role| Some((*role, findings.models.get(role)?)));
    let on = |wanted: Option<Side>| -> Vec<String> {
        models().filter(|(_, found)| sway(found) == wanted).map(|(role, _)| names.the(role)).collect()
    };
    let mut parts = Vec::new();
    for side in [Some(Side::Above), Some(Side::Below), Some(Side::Undecided), None] {
        let subjects = on(side);
        if subjects.is_empty() {
            continue;
        }
        let models = listed(&subjects);
        parts.push(match side {
            Some(Side::Above) => format!("texture sways {models}"),
            Some(Side::Below) => {
                let verb = if subjects.len() == 1 { "names" } else { "name" };
                format!("{models} {verb} the texture's class less often than without any notice of textures")
            }
            Some(Side::Undecided) => {
                format!("no influence of texture on the answers of {models} can be shown")
            }
            None => format!("whether texture sways {models} cannot be computed"),
        });
    }
    let statement = format!("{}.", parts.join("; "));
    let numbers: Vec<String> = models()
        .map(|(role, found)| {
            let bare = names.bare(role);
            match &found.texture_following {
                Measured::Known(following) => format!(
                    "the {bare} names the texture's class on {} of the images, against {} if it took no notice of textures \
                     (difference {}, {})",
                    percent(following.observed.value),
                    percent(following.expected),
                    Unit::Points.sentence(&following.excess),
                    p_value(following.p_value)
                ),
                Measured::Undefined { undefined } => format!("for the {bare} there is no number, because {undefined}"),
            }
        })
        .collect();
    let mut evidence =
        format!("Over {} with conflicting cues, {}.", counted(findings.n, "image"), numbers.join("; "));
    let gains: Vec<String> = models()
        .filter_map(|(role, found)| {
            Some(format!("{} {}", names.bare(role), Unit::Points.sentence(found.aligned_gain.as_ref()?)))
        })
        .collect();
    if !gains.is_empty() {
        evidence += &format!(
            " Accuracy with the class's own texture minus accuracy with another's: {}; 0 would be no influence.",
            gains.join(", ")
        );
    }
    if let Some(correlation) = &findings.training_correlation {
        evidence += &format!(
            " In the training split {} of the textures are their class's own.",
            percent(correlation.value)
        );
    }
    Claim { section: "shape-bias", topic: "Texture", statement, evidence }
}

fn shape(findings: &ShapeBiasFindings, names: &Names) -> Claim {
    let (vit, cnn) = (names.the(Role::Vit), names.the(Role::Cnn));
    let (statement, comparison) = match &findings.difference {
        Measured::Known(test) => {
            let statement = match tested(&test.difference, test.p_value) {
                Side::Above => format!("{vit} keeps to the shape more than {cnn} does."),
                Side::Below => format!("{cnn} keeps to the shape more than {vit} does."),
                Side::Undecided => {
                    format!("It cannot be told which of {vit} and {cnn} keeps to the shape more.")
                }
            };
            let comparison = format!(
                "; difference on the same images {}, {}",
                Unit::Points.sentence(&test.difference),
                p_value(test.p_value)
            );
            (statement, comparison)
        }
        Measured::Undefined { undefined } => (
            format!(
                "Which of {vit} and {cnn} keeps to the shape more cannot be computed, because {undefined}."
            ),
            String::new(),
        ),
    };
    let biases: Vec<String> = ROLES
        .iter()
        .filter_map(|role| {
            let bias: &Measured<Estimate> = &findings.models.get(role)?.bias;
            Some(match bias {
                Measured::Known(bias) => format!("{} {}", names.bare(*role), Unit::Percent.sentence(bias)),
                Measured::Undefined { undefined } => {
                    format!("{}: none, because {undefined}", names.bare(*role))
                }
            })
        })
        .collect();
    Claim {
        section: "shape-bias",
        topic: "Shape or texture",
        statement,
        evidence: format!(
            "Shape decisions among decisions for shape or texture: {}{comparison}. The label is the shape, so that 100\u{a0}% is \
             right and 50\u{a0}% no point of indifference; the figure compares models trained on the same data, not with models of \
             photographs.",
            biases.join(", "),
        ),
    }
}
