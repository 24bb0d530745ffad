//! The errors that the models were most confident of: the gallery.

use archaeo_report::document::{Block, Gallery, GalleryItem, Text};
use archaeo_report::numbers::count;

use super::findings::{ErrorFindings, ErrorGroup};
use super::gallery::SHOWN;
use crate::findings::{ExplainedImage, ImageShown};
use crate::report::Names;
use crate::report::names::listed;
use crate::report::shown::{
    MADE_EARLIER, cells, heat_legend, looked_at, pictures, title, verdicts, who_errs,
};

/// Up to so many groups the caption says how many images of each are shown.
const FEW_GROUPS: usize = 7;

pub(super) fn gallery(findings: &ErrorFindings, classes: &[String], names: &Names) -> Block {
    let shown = || findings.groups.iter().flat_map(|found| &found.surest);
    if shown().next().is_none() && findings.groups.iter().any(|found| found.count > 0) {
        return Block::Paragraph(MADE_EARLIER.into());
    }
    let item = |group: usize, shown: &ExplainedImage| {
        let ImageShown { index, identifier, label, .. } = &shown.image;
        GalleryItem {
            pictures: pictures(&shown.image, &shown.heatmaps, classes, names),
            group,
            title: title(classes, *label, *index, identifier),
            verdicts: verdicts(&shown.predictions, *label, classes, names),
            lines: Vec::new(),
        }
    };
    let items = findings
        .groups
        .iter()
        .enumerate()
        .flat_map(|(group, found)| found.surest.iter().map(move |shown| item(group, shown)));
    let how_many = match findings.groups.len() {
        ..=FEW_GROUPS => {
            let each = findings.groups.iter().map(|group| how_many(group, names));
            listed(&each.collect::<Vec<_>>())
        }
        _ => format!("up to {SHOWN} of each group"),
    };
    let (several, answers, whom) = match names.models().len() {
        1 => ("", "the answer with its probability", "the model"),
        2 => {
            let several = "; where both models err, by the more confident of the two";
            (several, "both answers with their probability", "each model")
        }
        _ => {
            let several = "; where several models err, by the most confident of them";
            (several, "every answer with its probability", "each model")
        }
    };
    Block::Gallery(Gallery {
        caption: Text::new().strong("The most confident errors.").plain(format!(
            " The wrong answers with the largest probability, the largest first{several}: {how_many}. Each with its true class, \
             the image's number and name, {answers}, and what {whom} looked at: {}.{}",
            looked_at(names).join(", and "),
            cells(shown().map(|shown| &shown.heatmaps), names)
        )),
        legend: Some(heat_legend("Heatmaps")),
        groups: findings.groups.iter().map(|group| who_errs(&group.erring, names)).collect(),
        items: items.collect(),
    })
}

/// `18 of 238 that only the ViT has wrong`.
fn how_many(group: &ErrorGroup, names: &Names) -> String {
    let erring: Vec<String> = group.erring.iter().map(|model| names.the(*model)).collect();
    let whose = match (erring.len(), names.models().len()) {
        (1, 1) => format!("{} has", erring[0]),
        (1, _) => format!("only {} has", erring[0]),
        (some, all) if some == all => format!("{} have", names.all()),
        _ => format!("only {} have", listed(&erring)),
    };
    format!("{} of {} that {whose} wrong", group.surest.len(), count(group.count))
}
