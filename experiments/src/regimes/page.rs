//! The page about regimes.

mod claims;
mod figures;

use std::path::Path;

use archaeo_report::document::{Block, Column, Document, Section, Table, Text};
use archaeo_report::evidence::SIGNIFICANCE;
use archaeo_report::numbers::{Unit, count, counted, duration, p_value, percent};
use archaeo_store::StoreError;

use super::conclusion::{NEAR_THE_END, advisable};
use super::{Regime, RegimeRun, Regimes};
use crate::report::names::listed;
use crate::report::write_document;

/// Writes `report.html`, `report.md` and the charts that the latter links to into `folder`.
///
/// # Errors
/// A folder that cannot be written.
pub fn write(regimes: &Regimes, folder: &Path) -> Result<(), StoreError> {
    write_document(&document(regimes), folder)
}

impl Regimes {
    /// The shares of the training images, ascending.
    fn shares(&self) -> Vec<f64> {
        let mut shares: Vec<f64> =
            self.regimes.iter().flat_map(|regime| regime.runs.iter().map(|run| run.share)).collect();
        shares.sort_by(f64::total_cmp);
        shares.dedup();
        shares
    }
}

impl Regime {
    /// Its training on most images.
    fn largest(&self) -> Option<&RegimeRun> {
        self.runs.last()
    }
}

/// For tests.
#[cfg(test)]
pub(super) fn claims_of(regimes: &Regimes) -> Vec<crate::report::Claim> {
    claims::claims(regimes)
}

fn document(regimes: &Regimes) -> Document {
    let Regimes { environment, data, n, split, .. } = regimes;
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
            blocks: vec![Block::Table(overview(regimes)), figures::curves(regimes)],
        },
    ];
    if regimes.shares().len() > 1 {
        let blocks = vec![figures::efficiency(regimes), Block::Table(by_share(regimes))];
        sections.push(Section { id: "efficiency", title: "With fewer images", blocks });
    }
    if regimes.regimes.len() > 1 {
        let blocks = vec![Block::Table(advice(regimes)), Block::Table(pairs(regimes))];
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
        blocks: vec![Block::Definitions(definitions(regimes))],
    });
    let shown = Path::new(data).file_name().map_or(data.clone(), |name| name.to_string_lossy().into_owned());
    Document {
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
            ("Classes".into(), count(regimes.classes).into()),
            ("Test images".into(), count(*n).into()),
        ],
        sections,
    }
}

fn overview(regimes: &Regimes) -> Table {
    let rows = regimes.regimes.iter().filter_map(|regime| {
        let run = regime.largest()?;
        let converged = run.converged();
        let seen = |images: f64| count(images.round() as usize);
        Some(vec![
            Text::from(regime.name.clone()),
            regime.kind.describe().into(),
            count(run.images).into(),
            count(run.history.len()).into(),
            duration(run.seconds()).into(),
            converged.map_or_else(|| "–".into(), |found| seen(found.images)).into(),
            converged.map_or_else(|| "–".into(), |found| duration(found.seconds)).into(),
            Unit::Percent.cell(&run.accuracy),
        ])
    });
    Table {
        caption: format!(
            "Each regime on the most training images. Converged: the first epoch at which validation accuracy is {} of its last value.",
            percent(NEAR_THE_END)
        )
        .into(),
        columns: vec![
            Column::words("Regime"),
            Column::prose("What it is"),
            Column::numbers("Training images"),
            Column::numbers("Epochs"),
            Column::numbers("Time"),
            Column::numbers("Images seen until converged"),
            Column::numbers("Time until then"),
            Column::numbers("Test accuracy"),
        ],
        rows: rows.collect(),
    }
}

fn by_share(regimes: &Regimes) -> Table {
    let shares = regimes.shares();
    let rows = regimes.regimes.iter().map(|regime| {
        let of_share = |share: &f64| {
            regime.on(*share).map_or_else(|| Text::from("–"), |run| Unit::Percent.cell(&run.accuracy))
        };
        std::iter::once(Text::from(regime.name.clone())).chain(shares.iter().map(of_share)).collect()
    });
    let images = |share: f64| {
        let mut runs = regimes.regimes.iter().flat_map(|regime| &regime.runs);
        runs.find(|run| run.share == share).map_or(0, |run| run.images)
    };
    let column =
        |share: &f64| Column::numbers(format!("{} ({})", percent(*share), counted(images(*share), "image")));
    Table {
        caption: "Test accuracy by share of the training images.".into(),
        columns: std::iter::once(Column::words("Regime")).chain(shares.iter().map(column)).collect(),
        rows: rows.collect(),
    }
}

fn advice(regimes: &Regimes) -> Table {
    let rows = regimes.shares().into_iter().map(|share| {
        let advised = advisable(&regimes.regimes, &regimes.pairs, share, SIGNIFICANCE);
        let in_words = |regime: &&Regime| {
            let seconds = regime.on(share).map_or(0.0, RegimeRun::seconds);
            format!("{} ({})", regime.name, duration(seconds))
        };
        vec![Text::from(percent(share)), listed(&advised.iter().map(in_words).collect::<Vec<_>>()).into()]
    });
    Table {
        caption: "For each share of the training images, the regimes that are not shown to be worse than the most accurate one (McNemar, \
                  adjusted), the quickest first."
            .into(),
        columns: vec![Column::words("Training images"), Column::prose("Regimes to choose from")],
        rows: rows.collect(),
    }
}

fn pairs(regimes: &Regimes) -> Table {
    let rows = regimes.pairs.iter().map(|pair| {
        vec![
            Text::from(pair.regimes[0].clone()),
            pair.regimes[1].clone().into(),
            percent(pair.share).into(),
            Unit::Points.cell(&pair.difference),
            p_value(pair.p_value).into(),
            p_value(pair.adjusted).into(),
        ]
    });
    Table {
        caption: "Every two regimes on the same test images: difference of accuracies in points, first less second, and McNemar's exact test, \
                  adjusted by Benjamini and Hochberg for all rows."
            .into(),
        columns: vec![
            Column::words("First"),
            Column::words("Second"),
            Column::numbers("Training images"),
            Column::numbers("Difference"),
            Column::numbers("Test"),
            Column::numbers("Adjusted"),
        ],
        rows: rows.collect(),
    }
}

fn definitions(regimes: &Regimes) -> Vec<(String, Text)> {
    let mut definitions: Vec<(String, Text)> = vec![
        (
            "Shares".into(),
            "Training images are drawn at random, each class in proportion, so that a smaller share is part of a larger one. Every training \
             has the epochs that its recipe names, whatever the share; a smaller share means fewer steps."
                .into(),
        ),
        (
            "Comparisons".into(),
            "All models of a page are scored on the same test images. Intervals are over test images; one training per regime and share \
             stands for all, so that they say nothing about other seeds."
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
