//! How often each model is right, on every split and for every class.

use archaeo_analysis::statistics::Measured;
use archaeo_plot::{Axis, BarChart, BarSeries, DotIntervalChart, DotRow, Scale};

use crate::findings::{AccuracyFindings, Investigation, Role, SplitAccuracy};

use super::super::charts::{measure, series_of};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use super::super::names::{Names, ROLES, class_name};
use archaeo_report::numbers::{Unit, cannot, count, counted, p_value, percent};
use super::confusion;

/// Above this many classes a bar for each is more than a page should hold.
const MOST_CHARTED_CLASSES: usize = 30;

pub(super) fn section(findings: &AccuracyFindings, investigation: &Investigation, names: &Names) -> Section {
    let classes = &investigation.data.classes;
    let mut blocks = vec![scores(findings, names), split_chart(findings, names)];
    if let Some(main) = findings.splits.iter().find(|split| split.split == findings.main_split) {
        blocks.push(contingency(main, names));
    }
    blocks.push(per_class(findings, classes, names));
    blocks.extend(confusion::blocks(findings, classes, names));
    Section { id: "accuracy", title: "Accuracy", blocks }
}

fn scores(findings: &AccuracyFindings, names: &Names) -> Block {
    let rows = findings.splits.iter().flat_map(|split| {
        ROLES.into_iter().filter_map(|role| {
            let scores = split.models.get(&role)?;
            Some(vec![
                split.split.clone().into(),
                names.bare(role).into(),
                count(split.n).into(),
                Unit::Percent.cell(&scores.top1),
                scores.top5.as_ref().map_or("–".into(), |top5| Unit::Percent.cell(top5)),
                Unit::Nats.cell(&scores.nll),
                Unit::Percent.cell(&scores.ece),
                scores.ece_by_chance.map_or("–".into(), |chance| percent(chance).into()),
            ])
        })
    });
    Block::Table(Table {
        caption: "Scores of each model on each split, with intervals in brackets. NLL: mean negative log-likelihood of \
                  the true class, in nats. ECE: expected calibration error, the mean gap between the probability of the answer \
                  given (top label) and accuracy, next to what a perfectly calibrated model would show by chance; lower is better \
                  for all."
            .into(),
        columns: vec![
            Column::words("Split"),
            Column::words("Model"),
            Column::numbers("Images"),
            Column::numbers("Top-1"),
            Column::numbers("Top-5"),
            Column::numbers("NLL"),
            Column::numbers("ECE"),
            Column::numbers("ECE by chance"),
        ],
        rows: rows.collect(),
    })
}

fn split_chart(findings: &AccuracyFindings, names: &Names) -> Block {
    let rows = findings.splits.iter().flat_map(|split| {
        ROLES.into_iter().filter_map(|role| {
            let measure = measure(&split.models.get(&role)?.top1)?;
            let label = format!("{}, {}", split.split, names.bare(role));
            Some(DotRow { label, measure, series: series_of(role) })
        })
    });
    let accuracy = DotIntervalChart {
        title: "Top-1 accuracy".into(),
        description: "Accuracy of each model on each split with its interval".into(),
        value: Axis::new("accuracy", Scale::Percent),
        rows: rows.collect(),
        reference: None,
    };
    let differences = findings.splits.iter().filter_map(|split| {
        let measure = measure(&split.pair.difference)?;
        Some(DotRow { label: split.split.clone(), measure, series: 2 })
    });
    let difference = DotIntervalChart {
        title: format!("Difference {} − {}", names.bare(Role::Vit), names.bare(Role::Cnn)),
        description: "Difference in accuracy on each split with its interval".into(),
        value: Axis::new("difference in accuracy", Scale::Percent),
        rows: differences.collect(),
        reference: Some((0.0, "no difference".into())),
    };
    Block::Figure(Figure {
        title: "Accuracy on each split.".into(),
        caption: "Dots are estimates, lines their intervals. The difference is paired, image by image: an interval that does \
                  not cross zero shows one model ahead."
            .into(),
        panels: vec![
            Panel::chart(&accuracy),
            Panel::chart(&difference),
        ],
        data: None,
    })
}

fn contingency(main: &SplitAccuracy, names: &Names) -> Block {
    let pair = &main.pair;
    let (vit, cnn) = (names.bare(Role::Vit), names.bare(Role::Cnn));
    let row = |name: String, right: usize, wrong: usize| {
        vec![Text::from(name), count(right).into(), count(wrong).into()]
    };
    Block::Table(Table {
        caption: format!(
            "Both models on the same {} of the {} split. McNemar's exact test looks only at the images on which they \
             disagree: {}. Error consistency κ {}.",
            counted(main.n, "image"),
            main.split,
            p_value(pair.mcnemar_p),
            match &pair.kappa {
                Measured::Known(kappa) => format!("= {}", Unit::Coefficient.sentence(kappa)),
                Measured::Undefined { undefined } => cannot(undefined),
            }
        )
        .into(),
        columns: vec![Column::words("Model"), Column::numbers(format!("{cnn} right")), Column::numbers(format!("{cnn} wrong"))],
        rows: vec![
            row(format!("{vit} right"), pair.both_right, pair.only_vit_right),
            row(format!("{vit} wrong"), pair.only_cnn_right, pair.both_wrong),
        ],
    })
}

fn per_class(findings: &AccuracyFindings, classes: &[String], names: &Names) -> Block {
    let accuracy = |role: &Role, class: usize| findings.per_class.get(role)?.get(class)?.as_ref();
    // A data set may show few of the classes that its labels are indices into.
    let shown: Vec<usize> = (0..classes.len())
        .filter(|&class| ROLES.iter().any(|role| accuracy(role, class).is_some()))
        .collect();
    let rows = shown.iter().map(|&class| {
        let cells = ROLES
            .iter()
            .map(|role| accuracy(role, class).map_or("–".into(), |estimate| Unit::Percent.cell(estimate)));
        std::iter::once(class_name(classes, class).into()).chain(cells).collect()
    });
    let mut columns = vec![Column::words("Class")];
    columns.extend(ROLES.iter().map(|role| Column::numbers(names.bare(*role))));
    let table = Table {
        caption: format!("Accuracy of each class on the {} split.", findings.main_split).into(),
        columns,
        rows: rows.collect(),
    };
    if shown.len() > MOST_CHARTED_CLASSES {
        return Block::Folded {
            title: format!("Accuracy of each of {}", counted(shown.len(), "class")),
            table,
        };
    }
    let series = ROLES.iter().filter_map(|role| {
        findings.per_class.get(role)?;
        let bars = shown.iter().map(|&class| accuracy(role, class).and_then(measure)).collect();
        Some(BarSeries { name: names.bare(*role).into(), bars })
    });
    let chart = BarChart {
        title: "Accuracy by class".into(),
        description: "One bar a model for every class, with intervals".into(),
        value: Axis::new("accuracy", Scale::Percent).including(0.0, 1.0),
        categories: shown.iter().map(|&class| class_name(classes, class)).collect(),
        series: series.collect(),
    };
    Block::Figure(Figure {
        title: "Accuracy by class.".into(),
        caption: format!(
            "Share of the images of each class of the {} split that are correctly classified; whiskers are intervals, wide \
             where a class has few images.",
            findings.main_split
        )
        .into(),
        panels: vec![Panel::chart(&chart)],
        data: Some(table),
    })
}
