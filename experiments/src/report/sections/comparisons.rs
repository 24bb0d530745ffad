//! The two models' explanations side by side, image by image.

use archaeo_analysis::statistics::Measured;
use archaeo_plot::{Axis, Histogram, HistogramGroup, Scale};

use crate::findings::{Comparison, ComparisonFindings, ImageShown, Investigation, Role};

use archaeo_report::document::{Block, Figure, Gallery, GalleryItem, Panel, Section};
use super::super::names::{Names, ROLES, class_name};
use archaeo_report::numbers::{Unit, counted, decimal};
use super::super::shown::{cells, heat_legend, pictures, title, verdicts};

pub(super) fn section(
    findings: &ComparisonFindings,
    investigation: &Investigation,
    names: &Names,
) -> Section {
    let classes = &investigation.data.classes;
    let items = findings.items.iter().map(|item| gallery_item(item, classes, names));
    let mut blocks = vec![agreement(findings)];
    blocks.push(Block::Gallery(Gallery {
        caption: format!(
            "{}: {}. Each shows the image, the rollout of {}, which belongs to no class, and the Grad-CAM of {} for the class \
             that it named.{} Agreement is the rank correlation of the two heatmaps over the patches: 1 the same order, 0 no \
             relation, −1 the reverse.",
            counted(findings.items.len(), "comparison"),
            findings.selection.trim_end_matches('.'),
            names.the(Role::Vit),
            names.the(Role::Cnn),
            cells(findings.items.iter().map(|item| &item.heatmaps), names)
        )
        .into(),
        legend: Some(heat_legend("Heatmaps")),
        groups: vec![
            "Both right".into(),
            format!("Only {} wrong", names.bare(Role::Vit)),
            format!("Only {} wrong", names.bare(Role::Cnn)),
            "Both wrong".into(),
        ],
        items: items.collect(),
    }));
    Section { id: "comparisons", title: "Explanations compared", blocks }
}

fn wrong(item: &Comparison, role: Role) -> bool {
    item.predictions.get(&role).is_some_and(|(class, _)| *class != item.label)
}

fn gallery_item(item: &Comparison, classes: &[String], names: &Names) -> GalleryItem {
    let group = match (wrong(item, Role::Vit), wrong(item, Role::Cnn)) {
        (false, false) => 0,
        (true, false) => 1,
        (false, true) => 2,
        (true, true) => 3,
    };
    let mut lines = Vec::new();
    let explained = ROLES.iter().filter_map(|role| item.explains.get(role).copied().flatten());
    let different = |class: &usize| item.predictions.values().any(|(named, _)| named != class);
    if let Some(class) = explained.into_iter().find(different) {
        lines.push(
            format!(
                "The models name different classes; Grad-CAM explains {}, rollout no class in particular",
                class_name(classes, class)
            )
            .into(),
        );
    }
    let agreement = match &item.agreement {
        Measured::Known(agreement) => format!("Agreement {}", Unit::Coefficient.value(*agreement)),
        Measured::Undefined { undefined } => format!("Agreement cannot be computed, because {undefined}"),
    };
    lines.push(agreement.into());
    let image = ImageShown {
        index: item.index,
        identifier: item.identifier.clone(),
        label: item.label,
        picture: item.picture.clone(),
    };
    GalleryItem {
        pictures: pictures(&image, &item.heatmaps, classes, names),
        group,
        title: title(classes, item.label, item.index, &item.identifier),
        verdicts: verdicts(&item.predictions, item.label, classes, names),
        lines,
    }
}

/// What heatmaps of different images share.
fn null(findings: &ComparisonFindings) -> String {
    let Measured::Known(found) = &findings.agreement else { return String::new() };
    let pairing = &found.pairing;
    format!(
        " Agreement has to be held against that of heatmaps of different images, which is {} on average, for both models may mark \
         the same places whatever the image shows: the mean is {} above it.",
        Unit::Coefficient.value(pairing.apart.value),
        Unit::Coefficient.sentence(&pairing.difference)
    )
}

fn left_out(findings: &ComparisonFindings) -> String {
    match findings.constant {
        0 => String::new(),
        n => format!(" Left out, because a heatmap is constant: {}.", counted(n, "image")),
    }
}

fn agreement(findings: &ComparisonFindings) -> Block {
    let known = findings.items.iter().filter_map(|item| item.agreement.known().copied());
    let values: Vec<f64> = known.filter(|agreement| agreement.is_finite()).collect();
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let quantile =
        |share: f64| sorted.get(((sorted.len().max(1) - 1) as f64 * share).round() as usize).copied();
    let spread = match (quantile(0.5), quantile(0.25), quantile(0.75)) {
        (Some(median), Some(lower), Some(upper)) => format!(
            " The median is {}, the middle half lies between {} and {}.",
            decimal(median, 2),
            decimal(lower, 2),
            decimal(upper, 2)
        ),
        _ => String::new(),
    };
    let chart = Histogram {
        title: "Agreement of the two explanations".into(),
        description: "How many images have which rank correlation between rollout and Grad-CAM".into(),
        x: Axis::new("rank correlation of rollout and Grad-CAM", Scale::Linear).including(-1.0, 1.0),
        bins: 20,
        groups: vec![HistogramGroup { name: "images".into(), values }],
    };
    Block::Figure(Figure {
        title: "Do both look at the same places?".into(),
        caption: format!(
            "Rank correlation of the heatmaps for {}.{spread}{}{}",
            counted(sorted.len(), "image"),
            null(findings),
            left_out(findings)
        )
        .into(),
        panels: vec![Panel::chart(&chart)],
        data: None,
    })
}
