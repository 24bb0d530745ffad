//! Who errs where: mistakes of the ViT alone, of the CNN alone, and of both.

use std::collections::BTreeMap;

use archaeo_analysis::answers::{confusions, error_groups};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Measured, answer_agreement, wilson};
use archaeo_plot::{Cell, SheetLayout, contact_sheet};

use super::pictures::panel;
use super::{Laboratory, StudyError};
use crate::findings::{ClassErrors, Confusion, ErrorFindings, ErrorGroup, ErrorGroupFindings, Role};
use archaeo_training::images::preprocess;

/// Confusions listed for each group.
const CONFUSIONS_LISTED: usize = 8;
/// Images shown of each group.
const IMAGES_SHOWN: usize = 18;

/// Sorts the mistakes on the main split.
///
/// # Errors
/// Data that cannot be read.
pub fn errors(lab: &Laboratory) -> Result<ErrorFindings, StudyError> {
    let (vit, cnn) = (lab.predicted(lab.main_split, Role::Vit)?, lab.predicted(lab.main_split, Role::Cnn)?);
    let (vit_answers, cnn_answers) = (vit.scores()?.predicted(), cnn.scores()?.predicted());
    let labels = &vit.labels;
    let sorted = error_groups(labels, &vit_answers, &cnn_answers);

    let mut groups = BTreeMap::new();
    for (group, members) in [
        (ErrorGroup::VitOnly, &sorted.only_first),
        (ErrorGroup::CnnOnly, &sorted.only_second),
        (ErrorGroup::Both, &sorted.both),
    ] {
        let (erring, answers) = match group {
            ErrorGroup::CnnOnly => (&cnn, &cnn_answers),
            ErrorGroup::VitOnly | ErrorGroup::Both => (&vit, &vit_answers),
        };
        let confidences = members.iter().map(|&image| erring.probabilities(image)[answers[image]]);
        let listed = confusions(members, labels, answers).into_iter().take(CONFUSIONS_LISTED);
        groups.insert(
            group,
            ErrorGroupFindings {
                count: members.len(),
                share: wilson(members.len(), labels.len(), DEFAULT_LEVEL)?,
                confusions: listed
                    .map(|(truth, predicted, count)| Confusion { truth, predicted, count })
                    .collect(),
                confidence: (!members.is_empty()).then(|| confidences.sum::<f64>() / members.len() as f64),
                picture: picture(lab, group, members, labels, [&vit_answers, &cnn_answers])?,
            },
        );
    }

    let same = sorted.same_wrong_class(&vit_answers, &cnn_answers);
    let agreeing = same.iter().filter(|&&same| same).count();
    let of_both = |all: &[usize]| sorted.both.iter().map(|&image| all[image]).collect::<Vec<usize>>();
    let [classes, first, second] = [labels, &vit_answers, &cnn_answers].map(|all| of_both(all));
    let same_answer = match vit.classes {
        ..=2 => Measured::undefined("with two classes there is only one wrong answer to give"),
        _ => Measured::of(answer_agreement(&classes, &first, &second, &lab.resampling()))?,
    };
    let by_class = sorted.by_class(labels, lab.dataset.classes.len()).into_iter().enumerate();
    Ok(ErrorFindings {
        n: labels.len(),
        groups,
        same_wrong_class: (!same.is_empty())
            .then(|| wilson(agreeing, same.len(), DEFAULT_LEVEL))
            .transpose()?,
        same_answer: Some(same_answer),
        by_class: by_class
            .map(|(class, counts)| ClassErrors {
                class,
                n: counts.images,
                vit_only: counts.only_first,
                cnn_only: counts.only_second,
                both: counts.both,
            })
            .collect(),
    })
}

/// Some images of a group, each with its truth and the wrong answers; `None` for an empty group.
fn picture(
    lab: &Laboratory,
    group: ErrorGroup,
    members: &[usize],
    labels: &[usize],
    [vit, cnn]: [&[usize]; 2],
) -> Result<Option<String>, StudyError> {
    if members.is_empty() {
        return Ok(None);
    }
    // Evenly over the group, so that no class that comes first fills the picture.
    let shown = members.len().min(IMAGES_SHOWN);
    let chosen: Vec<usize> = (0..shown).map(|i| members[i * members.len() / shown]).collect();
    let name = |class: usize| lab.dataset.classes[class].as_str();
    let mut cells = Vec::new();
    for (sample, image) in lab.split()?.batch(&chosen)?.iter().zip(chosen) {
        let answers = match group {
            ErrorGroup::VitOnly => name(vit[image]).to_owned(),
            ErrorGroup::CnnOnly => name(cnn[image]).to_owned(),
            ErrorGroup::Both if vit[image] == cnn[image] => format!("{}, both", name(vit[image])),
            ErrorGroup::Both => format!("{}\nand {}", name(vit[image]), name(cnn[image])),
        };
        let picture = panel(&preprocess(sample.image.clone(), &lab.vit.card().preprocessing))?;
        cells.push(Cell { picture, caption: format!("{}\nas {answers}", name(labels[image])) });
    }
    let file = match group {
        ErrorGroup::VitOnly => "errors-vit-only",
        ErrorGroup::CnnOnly => "errors-cnn-only",
        ErrorGroup::Both => "errors-both",
    };
    Ok(Some(lab.save(file, &contact_sheet(&cells, &SheetLayout::default())?)?))
}
