//! Damaged images: the chapter.

use archaeo_data::corruptions::Corruption;
use archaeo_plot::{Axis, LineChart, LineSeries, MatrixChart, Scale, Uncertainty, ValueFormat};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, counted, p_value};

use super::CorruptionsStudy;
use super::claims::{advice, claims, mean, severities};
use super::findings::{CorruptionFindings, CorruptionScores};
use crate::report::Names;
use crate::report::charts::point;
use crate::report::method::definition;
use crate::report::names::capitalised;
use crate::study::{Chapter, Study};
use crate::subjects::ModelName;

pub(super) fn chapter(findings: &CorruptionFindings, names: &Names) -> Chapter {
    let intro = format!(
        "Cameras, weather and files damage images without meaning harm. {} are damaged at the model's input size in each of {}, at \
         {}. Unlike an attack, damage does not look for what a model is weak at: an accuracy that holds here and falls under \
         attack is enough where nobody wants the model to err, and not where somebody does.",
        capitalised(&counted(findings.n, "image")),
        counted(corruptions(findings).len(), "way"),
        severities(findings)
    );
    let mut blocks = vec![Block::Paragraph(intro.into())];
    if findings.models.values().next().is_some() {
        blocks.push(Block::Table(overview(findings, names)));
        blocks.push(by_severity(findings, names));
        blocks.push(every_corruption(findings, names));
    }
    blocks.extend(pairs(findings, names));
    let section = Section { id: CorruptionsStudy::ID, title: CorruptionsStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = definitions();
    chapter.advice.extend(advice(findings, names));
    chapter.limitations = vec![
        "Damage is simulated: its severities are their authors' and stand for no frequency in the world.".into(),
        "Frost is drawn by this program, since the photographs of the original are not part of it, and cannot be compared with \
         published numbers."
            .into(),
    ];
    chapter.sample = Some(("damaged images", findings.n));
    let first = findings.models.values().next();
    chapter.intervals.extend(first.map(|scores| ("Accuracy on damaged images", scores.damaged.clone())));
    chapter.intervals.extend(
        findings.pairs.first().map(|of| ("What damage takes, compared", of.pair.lost.difference.clone())),
    );
    chapter
}

fn definitions() -> Vec<(String, Text)> {
    vec![
        definition(
            "Corruptions",
            "Noise, blur, weather and digital traces, computed with the constants of ImageNet-C or, for images of up to 64 pixels, of \
             CIFAR-10-C, each with five severities. Every image has random numbers of its own.",
            &[("Hendrycks and Dietterich, 2019", "https://arxiv.org/abs/1903.12261")],
        ),
        definition(
            "Mean corruption error",
            "For each corruption, the sum of a model's error over severities, divided by that of a baseline; the mean of these over \
             corruptions. The relative one subtracts from each error that on undamaged images. 100 % is the baseline itself. The interval \
             resamples images.",
            &[("Hendrycks and Dietterich, 2019", "https://arxiv.org/abs/1903.12261")],
        ),
    ]
}

fn corruptions(findings: &CorruptionFindings) -> Vec<Corruption> {
    let first = findings.models.values().next();
    first.map(|scores| scores.corruptions.iter().map(|of| of.corruption).collect()).unwrap_or_default()
}

fn overview(findings: &CorruptionFindings, names: &Names) -> Table {
    let row = |(model, scores): (ModelName, &CorruptionScores)| {
        let start = [
            names.bare(model).into(),
            Unit::Percent.cell(&scores.clean),
            Unit::Percent.cell(&scores.damaged),
        ];
        let by_severity = scores.by_severity.iter().map(|of| Unit::Percent.cell(of));
        start.into_iter().chain(by_severity).collect()
    };
    let columns = [Column::words("Model"), Column::numbers("Undamaged"), Column::numbers("Damaged")];
    let at = findings.severities.iter().map(|severity| Column::numbers(format!("Severity {severity}")));
    Table {
        caption: "Accuracy on the same images without and with damage: mean over all corruptions and severities, and at each severity."
            .into(),
        columns: columns.into_iter().chain(at).collect(),
        rows: findings.models.iter().map(row).collect(),
    }
}

fn by_severity(findings: &CorruptionFindings, names: &Names) -> Block {
    let series = findings.models.iter().map(|(model, scores)| {
        let clean = point(0.0, &scores.clean);
        let damaged = scores.by_severity.iter().zip(&findings.severities);
        let damaged = damaged.filter_map(|(of, &severity)| point(severity as f64, of));
        LineSeries { name: names.bare(model).into(), points: clean.into_iter().chain(damaged).collect() }
    });
    Block::Figure(Figure {
        title: "Accuracy against the severity of damage.".into(),
        caption: "Mean over corruptions; 0 is without damage. Bands are intervals.".into(),
        panels: vec![Panel::chart(&LineChart {
            title: "All corruptions".into(),
            description: "Mean accuracy on damaged images against severity".into(),
            x: Axis::new("severity", Scale::Linear),
            y: Axis::new("accuracy", Scale::Percent).including(0.0, 1.0),
            series: series.collect(),
            uncertainty: Uncertainty::Band,
        })],
        data: None,
    })
}

fn every_corruption(findings: &CorruptionFindings, names: &Names) -> Block {
    let chart = |(model, scores): (ModelName, &CorruptionScores)| MatrixChart {
        title: names.bare(model).into(),
        description: format!(
            "Accuracy of {} under each corruption (row) at each severity (column)",
            names.the(model)
        ),
        row_label: "corruption".into(),
        column_label: "severity".into(),
        value_label: "accuracy (%)".into(),
        rows: scores.corruptions.iter().map(|of| of.corruption.title()).collect(),
        columns: findings.severities.iter().map(ToString::to_string).collect(),
        values: scores
            .corruptions
            .iter()
            .flat_map(|of| of.accuracy.iter().map(|at| Some(at.value)))
            .collect(),
        format: ValueFormat::Percent(0),
        range: Some((0.0, 1.0)),
    };
    Block::Figure(Figure {
        title: "Accuracy under each corruption.".into(),
        caption: "Share of right answers at each severity, all on one scale.".into(),
        panels: findings.models.iter().map(|of| Panel::chart(&chart(of))).collect(),
        data: Some(numbers(findings, names)),
    })
}

fn numbers(findings: &CorruptionFindings, names: &Names) -> Table {
    let rows = findings.models.iter().flat_map(|(model, scores)| {
        scores.corruptions.iter().map(move |of| {
            let start = [
                names.bare(model).into(),
                of.corruption.title().into(),
                of.corruption.group().to_string().into(),
            ];
            start.into_iter().chain(of.accuracy.iter().map(|at| Unit::Percent.cell(at))).collect()
        })
    });
    let at = findings.severities.iter().map(|severity| Column::numbers(format!("Severity {severity}")));
    Table {
        caption: "Accuracy under each corruption.".into(),
        columns: ["Model", "Corruption", "Group"].map(Column::words).into_iter().chain(at).collect(),
        rows: rows.collect(),
    }
}

fn pairs(findings: &CorruptionFindings, names: &Names) -> Vec<Block> {
    if findings.pairs.is_empty() {
        return Vec::new();
    }
    let rows = findings.pairs.iter().map(|of| {
        let [first, second] = of.models.map(|model| Text::from(names.bare(model)));
        let pair = &of.pair;
        vec![
            first,
            second,
            Unit::Percent.cell(&pair.difference.difference),
            p_value(pair.difference.p_value).into(),
            Unit::Percent.cell(&pair.lost.difference),
            p_value(pair.lost.p_value).into(),
            Unit::Percent.measured(&pair.mce),
            Unit::Percent.measured(&pair.relative_mce),
        ]
    });
    let table = Table {
        caption: "Two models on the same damaged images: accuracy of the first less that of the second, what damage takes from the first \
                  less what it takes from the second, each with the p-value of a sign-flip test, and the mean corruption error of the \
                  second with the first as baseline."
            .into(),
        columns: vec![
            Column::words("First"),
            Column::words("Second"),
            Column::numbers("Accuracy"),
            Column::numbers("p"),
            Column::numbers("Taken"),
            Column::numbers("p"),
            Column::numbers("mCE"),
            Column::numbers("Relative mCE"),
        ],
        rows: rows.collect(),
    };
    let corruptions = corruptions(findings);
    let rows = findings.pairs.iter().flat_map(|of| {
        let named = of.models.map(|model| names.bare(model));
        corruptions.iter().zip(&of.pair.by_corruption).map(move |(corruption, test)| {
            let accuracy = |model: ModelName| {
                let scores = findings.models[model].corruptions.iter();
                scores.filter(|of| of.corruption == *corruption).map(mean).sum::<f64>()
            };
            let [first, second] = of.models.map(accuracy);
            let mut row: Vec<Text> = named.map(Text::from).into();
            row.push(corruption.title().into());
            row.extend([first, second].map(|value| Text::from(archaeo_report::numbers::percent(value))));
            row.push(Unit::Percent.cell(&test.difference));
            row.push(p_value(test.p_value).into());
            row
        })
    });
    let by_corruption = Table {
        caption: "Two models under each corruption, means over severities; p-values of sign-flip tests, adjusted over the corruptions of a \
                  pair (Benjamini-Hochberg)."
            .into(),
        columns: vec![
            Column::words("First"),
            Column::words("Second"),
            Column::words("Corruption"),
            Column::numbers("First, right"),
            Column::numbers("Second, right"),
            Column::numbers("Difference"),
            Column::numbers("Adjusted p"),
        ],
        rows: rows.collect(),
    };
    vec![
        Block::Table(table),
        Block::Folded { title: "Every corruption, compared".into(), table: by_corruption },
    ]
}
