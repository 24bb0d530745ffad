//! The two models' explanations side by side, image by image.

use archaeo_plot::{Axis, Histogram, HistogramGroup, Scale, histogram};

use crate::findings::{Comparison, ComparisonFindings, Investigation, Role};

use super::super::document::{Block, Figure, Gallery, GalleryItem, Panel, Section, Text};
use super::super::names::{Names, ROLES, class_name};
use super::super::numbers::{Unit, counted, decimal};

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
            "{}: {}. Each row shows the image, the rollout of {} and the Grad-CAM of {} for the class it named. \
             Agreement is the rank correlation of the two heatmaps over the patches: 1 the same order, 0 no relation, −1 the \
             reverse.",
            counted(findings.items.len(), "comparison"),
            findings.selection.trim_end_matches('.'),
            names.the(Role::Vit),
            names.the(Role::Cnn)
        )
        .into(),
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
    let truth = class_name(classes, item.label);
    let group = match (wrong(item, Role::Vit), wrong(item, Role::Cnn)) {
        (false, false) => 0,
        (true, false) => 1,
        (false, true) => 2,
        (true, true) => 3,
    };
    let answers = ROLES.iter().filter_map(|role| {
        let (class, probability) = item.predictions.get(role)?;
        let mark = if *class == item.label { "✓" } else { "✗" };
        let text = Text::from(format!("{mark} {}: ", names.bare(*role)))
            .strong(class_name(classes, *class))
            .plain(format!(" {}", Unit::Percent.value(*probability)));
        Some(text)
    });
    let mut lines: Vec<Text> = answers.collect();
    lines.push(
        Text::from(format!("Agreement {}", Unit::Coefficient.value(item.agreement)))
            .plain(" · ")
            .code(item.identifier.clone()),
    );
    GalleryItem {
        path: item.picture.clone(),
        alt: format!(
            "Image {} of class {truth}: input, {} rollout, Grad-CAM",
            item.index,
            names.bare(Role::Vit)
        ),
        group,
        title: Text::new().strong(truth),
        lines,
    }
}

fn agreement(findings: &ComparisonFindings) -> Block {
    let values: Vec<f64> =
        findings.items.iter().map(|item| item.agreement).filter(|a| a.is_finite()).collect();
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
        caption: format!("Rank correlation of the heatmaps for {}.{spread}", counted(sorted.len(), "image"))
            .into(),
        panels: vec![Panel::chart(histogram(&chart))],
        data: None,
    })
}
