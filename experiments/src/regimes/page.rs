//! The page about regimes.

mod answers;
pub(crate) mod claims;
pub(crate) mod figures;
pub(crate) mod tables;

use std::path::Path;

use archaeo_report::document::{Block, Document, Section, Text};
use archaeo_report::numbers::{count, counted, percent};
use archaeo_store::StoreError;

use super::conclusion::NEAR_THE_END;
use super::{Regimes, RegimesCompared};
use crate::report::names::listed;
use crate::report::write_document;

/// Writes `report.html`, `report.md` and the charts that the latter links to into `folder`.
///
/// # Errors
/// A folder that cannot be written.
pub fn write(regimes: &Regimes, folder: &Path) -> Result<(), StoreError> {
    write_document(&document(regimes), folder)
}

fn document(regimes: &Regimes) -> Document {
    let Regimes { environment, data, n, split, classes, compared: regimes } = regimes;
    let names: Vec<String> = regimes.regimes.iter().map(|regime| regime.name.clone()).collect();
    let mut sections = vec![
        Section {
            id: "summary",
            title: "What was found",
            blocks: vec![Block::Claims(claims::claims(regimes))],
        },
        Section {
            id: "regimes",
            title: "Regimes",
            blocks: vec![Block::Table(tables::overview(regimes)), figures::curves(regimes)],
        },
    ];
    if regimes.shares().len() > 1 {
        let blocks = vec![figures::efficiency(regimes), Block::Table(tables::by_share(regimes))];
        sections.push(Section { id: "efficiency", title: "With fewer images", blocks });
    }
    if regimes.regimes.len() > 1 {
        let blocks = vec![Block::Table(tables::advice(regimes)), Block::Table(tables::pairs(regimes))];
        sections.push(Section { id: "advice", title: "Which regime when", blocks });
    }
    if !regimes.attention.is_empty() {
        sections.push(Section {
            id: "attention",
            title: "Attention before and after",
            blocks: figures::attention(regimes),
        });
    }
    sections.push(Section {
        id: "method",
        title: "Method",
        blocks: vec![Block::Definitions([shares()].into_iter().chain(definitions(regimes)).collect())],
    });
    let shown = Path::new(data).file_name().map_or(data.clone(), |name| name.to_string_lossy().into_owned());
    Document {
        kind: "ways of training, compared",
        title: format!("{} on {shown}", listed(&names)),
        lead: format!(
            "Ways of training, scored on the same {} of the {split} split; version {} (commit {}).",
            counted(*n, "image"),
            environment.version,
            environment.commit
        )
        .into(),
        facts: vec![
            ("Regimes".into(), count(names.len()).into()),
            ("Classes".into(), count(*classes).into()),
            ("Test images".into(), count(*n).into()),
        ],
        parts: Vec::new(),
        sections,
    }
}

fn shares() -> (String, Text) {
    (
        "Shares".into(),
        "Training images are drawn at random, each class in proportion, so that a smaller share is part of a larger one. Every training \
         has the epochs of its recipe; where a share is below a quarter, an epoch goes through its images several times, so that each \
         training sees at least a quarter of the images that one on all of them sees."
            .into(),
    )
}

/// What the quantities are.
pub(crate) fn definitions(regimes: &RegimesCompared) -> Vec<(String, Text)> {
    let mut definitions: Vec<(String, Text)> = vec![
        (
            "Comparisons of regimes".into(),
            "All models are scored on the same test images. Intervals are over test images; one training per regime and share \
             stands for all, so that they say nothing about other seeds."
                .into(),
        ),
        (
            "Convergence".into(),
            format!(
                "The first epoch at which validation accuracy is {} of its last value: images seen and time until then.",
                percent(NEAR_THE_END)
            )
            .into(),
        ),
        (
            "Images seen".into(),
            "Training images until an epoch's end, each as often as it was seen. Times include the validation after each epoch, but not the one \
             pass that computes the features of a frozen backbone."
                .into(),
        ),
    ];
    if !regimes.attention.is_empty() {
        definitions.push((
            "Attention before and after".into(),
            "Mean over heads and images of distance and entropy, and the Jensen-Shannon divergence between a head's map of an image before \
             and after training; its yardstick is the divergence between maps of two different images before."
                .into(),
        ));
    }
    definitions
}
