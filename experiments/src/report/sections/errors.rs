//! Who errs where: errors of the ViT alone, of the CNN alone, of both.

use archaeo_analysis::statistics::Measured;
use archaeo_plot::{Axis, BarChart, BarSeries, Measure, Scale};

use crate::findings::{
    ClassErrors, ErrorFindings, ErrorGroup, ExplainedImage, ImageShown, Investigation, Role,
};

use super::super::charts::measure;
use archaeo_report::document::{Block, Column, Figure, Gallery, GalleryItem, Panel, Section, Table, Text};
use super::super::names::{Names, class_name, listed};
use archaeo_report::numbers::{Unit, count, counted, percent};
use super::super::shown::{MADE_EARLIER, cells, heat_legend, pictures, title, verdicts};

/// Classes in the chart; those with most errors come first, and all are in the table.
const MOST_CHARTED_CLASSES: usize = 20;

/// Confusions listed for each group.
const MOST_CONFUSIONS: usize = 5;

pub(super) fn section(findings: &ErrorFindings, investigation: &Investigation, names: &Names) -> Section {
    let classes = &investigation.data.classes;
    let mut blocks = vec![groups(findings, classes, names), by_class(findings, classes, names)];
    blocks.push(gallery(findings, classes, names));
    Section { id: "errors", title: "Errors", blocks }
}

fn group_name(group: ErrorGroup, names: &Names) -> String {
    match group {
        ErrorGroup::VitOnly => format!("Only {} wrong", names.bare(Role::Vit)),
        ErrorGroup::CnnOnly => format!("Only {} wrong", names.bare(Role::Cnn)),
        ErrorGroup::Both => "Both wrong".into(),
    }
}

fn groups(findings: &ErrorFindings, classes: &[String], names: &Names) -> Block {
    let rows = findings.groups.iter().map(|(group, found)| {
        let confusions = found.confusions.iter().take(MOST_CONFUSIONS).map(|confusion| {
            let (truth, predicted) =
                (class_name(classes, confusion.truth), class_name(classes, confusion.predicted));
            format!("{truth} → {predicted} ({})", count(confusion.count))
        });
        vec![
            Text::from(group_name(*group, names)),
            count(found.count).into(),
            Unit::Percent.cell(&found.share),
            found.confidence.map_or("–".into(), |confidence| percent(confidence).into()),
            confusions.collect::<Vec<_>>().join(", ").into(),
        ]
    });
    let mut caption = format!(
        "Errors among {}. Confidence: mean probability given to the wrong answer (of {} where both err); confusions: \
         true class → answer, with how often.",
        counted(findings.n, "image"),
        names.the(Role::Vit)
    );
    if let Some(same) = &findings.same_wrong_class {
        caption += &format!(
            " Of {} that both have wrong, {} get the same wrong answer from both.",
            counted(same.n, "image"),
            Unit::Percent.sentence(same)
        );
    }
    if let Some(Measured::Known(found)) = &findings.same_answer {
        caption += &format!(
            " Independent models with the same confusions would agree on {} of the {} that can be compared.",
            percent(found.expected),
            count(found.observed.n)
        );
    }
    Block::Table(Table {
        caption: caption.into(),
        columns: vec![
            Column::words("Group"),
            Column::numbers("Images"),
            Column::numbers("Share of all"),
            Column::numbers("Confidence"),
            Column::prose("Most common confusions"),
        ],
        rows: rows.collect(),
    })
}

fn by_class(findings: &ErrorFindings, classes: &[String], names: &Names) -> Block {
    let mut ordered: Vec<&ClassErrors> = findings.by_class.iter().collect();
    ordered.sort_by_key(|errors| {
        (std::cmp::Reverse(errors.vit_only + errors.cnn_only + errors.both), errors.class)
    });
    let shown = &ordered[..ordered.len().min(MOST_CHARTED_CLASSES)];
    let series = |group: ErrorGroup, of: fn(&ClassErrors) -> usize| {
        let all = findings.groups.get(&group).and_then(|found| measure(&found.share));
        let each = shown.iter().map(|errors| {
            (errors.n > 0).then(|| Measure { value: of(errors) as f64 / errors.n as f64, interval: None })
        });
        BarSeries { name: group_name(group, names), bars: std::iter::once(all).chain(each).collect() }
    };
    let names_of_shown = shown.iter().map(|errors| class_name(classes, errors.class));
    let chart = BarChart {
        title: "Who is wrong".into(),
        description: format!(
            "Share of all images, and of each class, that only {}, only {}, or both have wrong",
            names.the(Role::Vit),
            names.the(Role::Cnn)
        ),
        value: Axis::new("share of the images", Scale::Percent),
        categories: std::iter::once("All images".into()).chain(names_of_shown).collect(),
        series: vec![
            series(ErrorGroup::VitOnly, |errors| errors.vit_only),
            series(ErrorGroup::CnnOnly, |errors| errors.cnn_only),
            series(ErrorGroup::Both, |errors| errors.both),
        ],
    };
    let rows = ordered.iter().map(|errors| {
        vec![
            Text::from(class_name(classes, errors.class)),
            count(errors.n).into(),
            count(errors.vit_only).into(),
            count(errors.cnn_only).into(),
            count(errors.both).into(),
        ]
    });
    let which = if ordered.len() > shown.len() {
        format!("The {} classes with most errors of {}.", shown.len(), ordered.len())
    } else {
        "All classes, those with most errors first.".into()
    };
    Block::Figure(Figure {
        title: "Who is wrong, and where.".into(),
        caption: format!(
            "Share of all images, with intervals, and of the images of each class, in each group. {which}"
        )
        .into(),
        panels: vec![Panel::chart(&chart)],
        data: Some(Table {
            caption: "Errors of each class.".into(),
            columns: vec![
                Column::words("Class"),
                Column::numbers("Images"),
                Column::numbers(group_name(ErrorGroup::VitOnly, names)),
                Column::numbers(group_name(ErrorGroup::CnnOnly, names)),
                Column::numbers(group_name(ErrorGroup::Both, names)),
            ],
            rows: rows.collect(),
        }),
    })
}

/// The errors that the models were most confident of.
fn gallery(findings: &ErrorFindings, classes: &[String], names: &Names) -> Block {
    let shown = || findings.groups.values().flat_map(|found| &found.surest);
    if shown().next().is_none() && findings.groups.values().any(|found| found.count > 0) {
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
        .values()
        .enumerate()
        .flat_map(|(group, found)| found.surest.iter().map(move |shown| item(group, shown)));
    let how_many = findings.groups.iter().map(|(group, found)| {
        let whose = match group {
            ErrorGroup::VitOnly => format!("only {} has", names.the(Role::Vit)),
            ErrorGroup::CnnOnly => format!("only {} has", names.the(Role::Cnn)),
            ErrorGroup::Both => "both models have".into(),
        };
        format!("{} of {} that {whose} wrong", found.surest.len(), count(found.count))
    });
    Block::Gallery(Gallery {
        caption: Text::new().strong("The most confident errors.").plain(format!(
            " The wrong answers with the largest probability, the largest first; where both models err, by the more confident of the two: {}. \
             Each with its true class, the image's number and name, both answers with their probability, and what each model looked \
             at: the rollout of {}, which belongs to no class, and the Grad-CAM of {} for the class that it named.{}",
            listed(&how_many.collect::<Vec<_>>()),
            names.the(Role::Vit),
            names.the(Role::Cnn),
            cells(shown().map(|shown| &shown.heatmaps), names)
        )),
        legend: Some(heat_legend("Heatmaps")),
        groups: findings.groups.keys().map(|group| group_name(*group, names)).collect(),
        items: items.collect(),
    })
}
