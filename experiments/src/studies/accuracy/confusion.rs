//! Which class is taken for which: a matrix where it can be read, otherwise the most common confusions.

use archaeo_plot::{MatrixChart, ValueFormat};
use archaeo_report::document::{Block, Column, Figure, Panel, Table, Text};
use archaeo_report::numbers::{count, percent};

use super::findings::AccuracyFindings;
use crate::report::Names;
use crate::report::names::{class_name, class_names};

/// Above this many classes a matrix can no longer be read.
const MOST_CLASSES_IN_MATRIX: usize = 30;

/// Rows of the table of confusions.
const MOST_CONFUSIONS: usize = 15;

pub(super) fn blocks(findings: &AccuracyFindings, classes: &[String], names: &Names) -> Vec<Block> {
    let table = top_confusions(findings, classes, names);
    if classes.len() > MOST_CLASSES_IN_MATRIX {
        return table.map(Block::Table).into_iter().collect();
    }
    let panels: Vec<Panel> = findings
        .confusion
        .iter()
        .map(|(name, counts)| Panel::chart(&matrix(names.bare(name), counts, classes)))
        .collect();
    if panels.is_empty() {
        return Vec::new();
    }
    vec![Block::Figure(Figure {
        title: "Confusions.".into(),
        caption: format!(
            "Each row holds the images of one true class of the {} split; the numbers are the percentage of them named as \
             the column's class. The diagonal is what is right.",
            findings.main_split
        )
        .into(),
        panels,
        data: table,
    })]
}

fn matrix(model: &str, counts: &[Vec<usize>], classes: &[String]) -> MatrixChart {
    let share = |truth: usize, predicted: usize| {
        let row = counts.get(truth)?;
        let total: usize = row.iter().sum();
        (total > 0).then(|| row.get(predicted).map(|n| *n as f64 / total as f64)).flatten()
    };
    let all = 0..classes.len();
    MatrixChart {
        title: model.into(),
        description: format!("Confusion matrix of the {model}: share of each true class named as each class"),
        row_label: "true class".into(),
        column_label: "named as".into(),
        value_label: "% of the true class".into(),
        rows: class_names(classes),
        columns: class_names(classes),
        values: all
            .clone()
            .flat_map(|truth| all.clone().map(move |predicted| share(truth, predicted)))
            .collect(),
        format: ValueFormat::Percent(0),
        range: Some((0.0, 1.0)),
    }
}

/// `None` if no model confuses anything.
fn top_confusions(findings: &AccuracyFindings, classes: &[String], names: &Names) -> Option<Table> {
    let mut confusions = Vec::new();
    for (name, counts) in findings.confusion.iter() {
        for (truth, row) in counts.iter().enumerate() {
            let of_class: usize = row.iter().sum();
            let wrong = row.iter().enumerate().filter(|(predicted, n)| *predicted != truth && **n > 0);
            confusions.extend(wrong.map(|(predicted, n)| (*n, name, truth, predicted, of_class)));
        }
    }
    if confusions.is_empty() {
        return None;
    }
    // The most frequent first; the sort is stable, so that equals stay in the order of model and class.
    confusions.sort_by_key(|(n, ..)| std::cmp::Reverse(*n));
    let rows = confusions.iter().take(MOST_CONFUSIONS).map(|(n, name, truth, predicted, of_class)| {
        vec![
            Text::from(names.bare(*name)),
            class_name(classes, *truth).into(),
            class_name(classes, *predicted).into(),
            count(*n).into(),
            percent(*n as f64 / *of_class as f64).into(),
        ]
    });
    Some(Table {
        caption: format!("Most common confusions on the {} split.", findings.main_split).into(),
        columns: vec![
            Column::words("Model"),
            Column::words("True class"),
            Column::words("Named as"),
            Column::numbers("Images"),
            Column::numbers("Share of the class"),
        ],
        rows: rows.collect(),
    })
}
