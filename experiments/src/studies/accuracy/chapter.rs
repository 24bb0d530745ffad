//! How often each model is right, on every split and for every class.

use archaeo_analysis::statistics::Measured;
use archaeo_plot::{Axis, BarChart, BarSeries, DotIntervalChart, DotRow, Scale};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, cannot, count, counted, p_value, percent};

use super::AccuracyStudy;
use super::claims::{advice, claims};
use super::confusion;
use super::definitions::definitions;
use super::findings::{AccuracyFindings, PairComparison, SplitAccuracy};
use crate::findings::Investigation;
use crate::report::Names;
use crate::report::charts::measure;
use crate::report::names::class_name;
use crate::study::{Chapter, Study};
use crate::subjects::ModelName;

/// Above this many classes a bar for each is more than a page should hold.
const MOST_CHARTED_CLASSES: usize = 30;

/// Above this many pairs of models each has a row instead of a table.
const MOST_TABLES: usize = 3;

pub(super) fn chapter(findings: &AccuracyFindings, investigation: &Investigation, names: &Names) -> Chapter {
    let classes = &investigation.data.classes;
    let mut blocks = vec![scores(findings, names), split_chart(findings, names)];
    let main = findings.splits.iter().find(|split| split.split == findings.main_split);
    if let Some(main) = main {
        match main.pairs.len() {
            ..=MOST_TABLES => blocks.extend(main.pairs.iter().map(|pair| contingency(main, pair, names))),
            _ => blocks.push(pairs(main, names)),
        }
    }
    blocks.push(per_class(findings, classes, names));
    blocks.extend(confusion::blocks(findings, classes, names));
    let section = Section { id: "accuracy", title: AccuracyStudy::TITLE, blocks };

    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = definitions(names);
    chapter.advice.extend(advice(findings, names));
    if let Some(main) = main {
        for (name, scores) in main.models.iter() {
            chapter.facts.push((format!("{} accuracy", names.bare(name)), Unit::Percent.cell(&scores.top1)));
        }
        chapter.facts.push((format!("Images in {}", main.split), count(main.n).into()));
    }
    if let Some(split) = findings.splits.first() {
        if let Some(scores) = split.models.values().next() {
            chapter.intervals.extend([
                ("Accuracy", scores.top1.clone()),
                ("NLL", scores.nll.clone()),
                ("ECE", scores.ece.clone()),
            ]);
        }
        if let Some(pair) = split.pairs.first() {
            chapter.intervals.push(("Difference in accuracy", pair.difference.clone()));
            chapter.intervals.extend(pair.kappa.known().map(|kappa| ("Error consistency κ", kappa.clone())));
        }
    }
    chapter
}

fn scores(findings: &AccuracyFindings, names: &Names) -> Block {
    let rows = findings.splits.iter().flat_map(|split| {
        split.models.iter().map(|(name, scores)| {
            vec![
                split.split.clone().into(),
                names.bare(name).into(),
                count(split.n).into(),
                Unit::Percent.cell(&scores.top1),
                scores.top5.as_ref().map_or("–".into(), |top5| Unit::Percent.cell(top5)),
                Unit::Nats.cell(&scores.nll),
                Unit::Percent.cell(&scores.ece),
                scores.ece_by_chance.map_or("–".into(), |chance| percent(chance).into()),
            ]
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
        split.models.iter().filter_map(|(name, scores)| {
            let label = format!("{}, {}", split.split, names.bare(name));
            Some(DotRow { label, measure: measure(&scores.top1)?, series: names.series(name) })
        })
    });
    let accuracy = DotIntervalChart {
        title: "Top-1 accuracy".into(),
        description: "Accuracy of each model on each split with its interval".into(),
        value: Axis::new("accuracy", Scale::Percent),
        rows: rows.collect(),
        reference: None,
    };
    let mut panels = vec![Panel::chart(&accuracy)];
    panels.extend(names.pairs().into_iter().map(|pair| Panel::chart(&differences(findings, pair, names))));
    let paired = match panels.len() {
        1 => "",
        _ => {
            " The difference is paired, image by image: an interval that does not cross zero shows one model ahead."
        }
    };
    Block::Figure(Figure {
        title: "Accuracy on each split.".into(),
        caption: format!("Dots are estimates, lines their intervals.{paired}").into(),
        panels,
        data: None,
    })
}

fn differences(findings: &AccuracyFindings, models: [ModelName; 2], names: &Names) -> DotIntervalChart {
    let rows = findings.splits.iter().filter_map(|split| {
        let pair = split.pairs.iter().find(|pair| pair.models == models)?;
        Some(DotRow { label: split.split.clone(), measure: measure(&pair.difference)?, series: 2 })
    });
    DotIntervalChart {
        title: format!("Difference {} − {}", names.bare(models[0]), names.bare(models[1])),
        description: "Difference in accuracy on each split with its interval".into(),
        value: Axis::new("difference in accuracy", Scale::Percent),
        rows: rows.collect(),
        reference: Some((0.0, "no difference".into())),
    }
}

fn contingency(main: &SplitAccuracy, pair: &PairComparison, names: &Names) -> Block {
    let [first, second] = pair.models.map(|name| names.bare(name));
    let row = |name: String, right: usize, wrong: usize| {
        vec![Text::from(name), count(right).into(), count(wrong).into()]
    };
    let subject = match main.pairs.len() {
        1 => "Both models".to_owned(),
        _ => format!("{first} and {second}"),
    };
    Block::Table(Table {
        caption: format!(
            "{subject} on the same {} of the {} split. McNemar's exact test looks only at the images on which they \
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
        columns: vec![
            Column::words("Model"),
            Column::numbers(format!("{second} right")),
            Column::numbers(format!("{second} wrong")),
        ],
        rows: vec![
            row(format!("{first} right"), pair.both_right, pair.only_first_right),
            row(format!("{first} wrong"), pair.only_second_right, pair.both_wrong),
        ],
    })
}

/// Every pair in a row, where a table for each would be too many.
fn pairs(main: &SplitAccuracy, names: &Names) -> Block {
    let rows = main.pairs.iter().map(|pair| {
        let [first, second] = pair.models.map(|name| names.bare(name));
        vec![
            Text::from(format!("{first} − {second}")),
            Unit::Points.cell(&pair.difference),
            p_value(pair.mcnemar_p).into(),
            count(pair.only_first_right).into(),
            count(pair.only_second_right).into(),
            Unit::Coefficient.measured(&pair.kappa),
        ]
    });
    Block::Table(Table {
        caption: format!(
            "Every two models on the same {} of the {} split: difference in accuracy, exact McNemar test (not corrected for the number \
             of pairs), images that one of them alone has right, error consistency κ.",
            counted(main.n, "image"),
            main.split
        )
        .into(),
        columns: vec![
            Column::words("Models"),
            Column::numbers("Difference, points"),
            Column::numbers("p"),
            Column::numbers("Only the first right"),
            Column::numbers("Only the second right"),
            Column::numbers("κ"),
        ],
        rows: rows.collect(),
    })
}

fn per_class(findings: &AccuracyFindings, classes: &[String], names: &Names) -> Block {
    let accuracy = |name: ModelName, class: usize| findings.per_class.get(name)?.get(class)?.as_ref();
    let models: Vec<ModelName> = findings.per_class.names().collect();
    // A data set may show few of the classes that its labels are indices into.
    let shown: Vec<usize> = (0..classes.len())
        .filter(|&class| models.iter().any(|name| accuracy(*name, class).is_some()))
        .collect();
    let rows = shown.iter().map(|&class| {
        let cells = models
            .iter()
            .map(|name| accuracy(*name, class).map_or("–".into(), |estimate| Unit::Percent.cell(estimate)));
        std::iter::once(class_name(classes, class).into()).chain(cells).collect()
    });
    let mut columns = vec![Column::words("Class")];
    columns.extend(models.iter().map(|name| Column::numbers(names.bare(*name))));
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
    let series = models.iter().map(|name| {
        let bars = shown.iter().map(|&class| accuracy(*name, class).and_then(measure)).collect();
        BarSeries { name: names.bare(*name).into(), bars }
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
