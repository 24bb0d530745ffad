//! Which cue decides when shape and texture disagree.

use archaeo_analysis::statistics::Measured;
use archaeo_report::Claim;
use archaeo_report::evidence::{Side, tested};
use archaeo_report::numbers::{Unit, counted, p_value, percent};

use super::findings::{ShapeBias, ShapeBiasDifference, ShapeBiasFindings};
use crate::advice::{Advice, Choice};
use crate::report::Names;
use crate::report::names::{capitalised, listed};

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

/// Whom to choose where textures may mislead; `None` of a model alone.
pub(super) fn advice(findings: &ShapeBiasFindings, names: &Names) -> Option<Advice> {
    if findings.pairs.is_empty() {
        return None;
    }
    let ahead = findings.pairs.iter().map(|pair| {
        let (test, [first, second]) = (pair.difference.known()?, pair.models);
        match tested(&test.difference, test.p_value) {
            Side::Above => Some([first, second]),
            Side::Below => Some([second, first]),
            Side::Undecided => None,
        }
    });
    let choice = Choice::first(&names.models(), ahead);
    let biases = findings.models.iter().filter_map(|(model, found)| {
        Some(format!("{} {}", names.bare(model), Unit::Percent.brief(found.bias.known()?)))
    });
    let biases: Vec<String> = biases.collect();
    let difference = match &findings.pairs[..] {
        [only] => only.difference.known().map(|test| {
            let [first, second] = only.models.map(|model| names.bare(model));
            format!(
                "; the difference {first} − {second} is {}, {}",
                Unit::Points.sentence(&test.difference),
                p_value(test.p_value)
            )
        }),
        _ => None,
    };
    Some(Advice {
        decides: "textures may mislead and the shape counts".into(),
        choice,
        evidence: format!("Shape bias {}{}.", biases.join(", "), difference.unwrap_or_default()),
    })
}

fn texture(findings: &ShapeBiasFindings, names: &Names) -> Claim {
    let models = || findings.models.iter();
    let on = |wanted: Option<Side>| -> Vec<String> {
        models().filter(|(_, found)| sway(found) == wanted).map(|(name, _)| names.the(name)).collect()
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
    let statement = capitalised(&format!("{}.", parts.join("; ")));
    let numbers: Vec<String> = models()
        .map(|(name, found)| {
            let the = names.the(name);
            match &found.texture_following {
                Measured::Known(following) => format!(
                    "{the} names the texture's class on {} of the images, against {} if it took no notice of textures \
                     (difference {}, {})",
                    percent(following.observed.value),
                    percent(following.expected),
                    Unit::Points.sentence(&following.excess),
                    p_value(following.p_value)
                ),
                Measured::Undefined { undefined } => format!("for {the} there is no number, because {undefined}"),
            }
        })
        .collect();
    let mut evidence =
        format!("Over {} with conflicting cues, {}.", counted(findings.n, "image"), numbers.join("; "));
    let gains: Vec<String> = models()
        .filter_map(|(name, found)| {
            Some(format!("{} {}", names.bare(name), Unit::Points.sentence(found.aligned_gain.as_ref()?)))
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

/// Which of two models keeps to the shape more, and the test that says so.
fn compared(pair: &ShapeBiasDifference, names: &Names) -> (String, String) {
    let [first, second] = pair.models.map(|name| names.the(name));
    match &pair.difference {
        Measured::Known(test) => {
            let statement = match tested(&test.difference, test.p_value) {
                Side::Above => capitalised(&format!("{first} keeps to the shape more than {second} does.")),
                Side::Below => capitalised(&format!("{second} keeps to the shape more than {first} does.")),
                Side::Undecided => {
                    format!("It cannot be told which of {first} and {second} keeps to the shape more.")
                }
            };
            let comparison =
                format!("{}, {}", Unit::Points.sentence(&test.difference), p_value(test.p_value));
            (statement, comparison)
        }
        Measured::Undefined { undefined } => (
            format!(
                "Which of {first} and {second} keeps to the shape more cannot be computed, because {undefined}."
            ),
            String::new(),
        ),
    }
}

/// What decides for a model that there is none to compare with.
fn alone(findings: &ShapeBiasFindings, names: &Names) -> String {
    let each = findings.models.iter().map(|(name, found)| match &found.bias {
        Measured::Known(bias) => format!(
            "where {} decides for either cue, it is the shape in {} of its decisions",
            names.the(name),
            percent(bias.value)
        ),
        Measured::Undefined { .. } => format!("{} never decides for either cue", names.the(name)),
    });
    capitalised(&format!("{}.", each.collect::<Vec<_>>().join("; ")))
}

fn shape(findings: &ShapeBiasFindings, names: &Names) -> Claim {
    let biases: Vec<String> = findings
        .models
        .iter()
        .map(|(name, found)| match &found.bias {
            Measured::Known(bias) => format!("{} {}", names.bare(name), Unit::Percent.sentence(bias)),
            Measured::Undefined { undefined } => format!("{}: none, because {undefined}", names.bare(name)),
        })
        .collect();
    let (statement, comparison) = match &findings.pairs[..] {
        [] => (alone(findings, names), String::new()),
        [pair] => {
            let (statement, test) = compared(pair, names);
            let test = match test.is_empty() {
                true => String::new(),
                false => format!("; difference on the same images {test}"),
            };
            (statement, test)
        }
        pairs => {
            let told: Vec<(String, String)> = pairs.iter().map(|pair| compared(pair, names)).collect();
            let statement =
                told.iter().map(|(statement, _)| statement.as_str()).collect::<Vec<_>>().join(" ");
            let tests =
                pairs.iter().zip(&told).filter(|(_, (_, test))| !test.is_empty()).map(|(pair, (_, test))| {
                    let [first, second] = pair.models.map(|name| names.bare(name));
                    format!("{first} − {second} {test}")
                });
            (statement, format!("; differences on the same images: {}", tests.collect::<Vec<_>>().join("; ")))
        }
    };
    Claim {
        section: "shape-bias",
        topic: "Shape or texture",
        statement,
        evidence: format!(
            "Shape decisions among decisions for shape or texture: {}{comparison}. The label is the shape, so that 100\u{a0}% is \
             right and 50\u{a0}% not a neutral value; the figure compares models trained on the same data, not with models of \
             photographs.",
            biases.join(", "),
        ),
    }
}
