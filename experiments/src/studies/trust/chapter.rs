//! The first section: verdicts, and the few numbers behind them side by side.

use archaeo_analysis::statistics::Measured;
use archaeo_report::document::{Block, Column, Section, Table, Text};
use archaeo_report::numbers::{Unit, count, counted, percent};

use super::TrustStudy;
use super::claims::claims;
use super::definitions::definitions;
use super::findings::{BinaryScores, CONFIDENT, Trust, TrustFindings};
use crate::findings::Investigation;
use crate::report::Names;
use crate::report::names::quoted;
use crate::study::{Chapter, Study};
use crate::subjects::ModelName;

pub(super) fn chapter(findings: &TrustFindings, investigation: &Investigation, names: &Names) -> Chapter {
    let section = Section {
        id: "trust",
        title: TrustStudy::TITLE,
        blocks: vec![headlines(findings, &investigation.data.classes, names)],
    };
    let mut chapter = Chapter::new(section, claims(findings, investigation, names));
    chapter.definitions = definitions(findings);
    if let Some(trust) = findings.models.values().next() {
        chapter.facts.push(("Most common class alone".into(), percent(trust.constant.share).into()));
        let intervals = &mut chapter.intervals;
        intervals.extend(trust.balanced.known().map(|balanced| ("Balanced accuracy", balanced.clone())));
        intervals.extend(trust.classes.first().map(|worst| ("Worst class", worst.accuracy.clone())));
        let gap = trust.gap.known().map(|gap| gap.difference.clone());
        intervals.extend(gap.map(|gap| ("Accuracy lost since selection", gap)));
        let auc = trust.binary.as_ref().and_then(|binary| binary.auc.known());
        intervals.extend(auc.map(|auc| ("AUC", auc.clone())));
    }
    chapter
}

fn headlines(findings: &TrustFindings, classes: &[String], names: &Names) -> Block {
    let models: Vec<(ModelName, &Trust)> = findings.models.iter().collect();
    let row = |name: String, cell: &dyn Fn(&Trust) -> Text| -> Vec<Text> {
        std::iter::once(name.into()).chain(models.iter().map(|(_, trust)| cell(trust))).collect()
    };
    let (percent, points) = (Unit::Percent, Unit::Points);
    let sure = format!("{:.0}\u{a0}%", 100.0 * CONFIDENT);
    let first = models.first().map(|(_, trust)| *trust);
    let constant = first.map_or_else(String::new, |trust| quoted(classes, trust.constant.class));
    let mut rows = vec![
        row("Accuracy".into(), &|trust| percent.cell(&trust.accuracy)),
        row(format!("Always answering {constant}"), &|trust| percent.value(trust.constant.share).into()),
        row("Better than that by, points".into(), &|trust| points.cell(&trust.constant.gain)),
        row("Balanced accuracy".into(), &|trust| percent.measured(&trust.balanced)),
        row("Worst class".into(), &|trust| match trust.classes.first() {
            None => "–".into(),
            Some(worst) => {
                let name =
                    format!("{}, {}: ", quoted(classes, worst.class), counted(worst.accuracy.n, "image"));
                Text::from(name).and(percent.cell(&worst.accuracy))
            }
        }),
        row("Most frequent answer".into(), &|trust| {
            let usual = &trust.usual;
            Text::from(format!("{}: ", quoted(classes, usual.class)))
                .and(percent.cell(&usual.share))
                .plain(format!(", true of {}", percent.value(usual.truth)))
        }),
    ];
    if let Some(binary) = first.and_then(|trust| trust.binary.as_ref()) {
        let of = |trust: &Trust, which: fn(&BinaryScores) -> &Measured, unit: Unit| {
            trust.binary.as_ref().map_or_else(Text::new, |binary| unit.measured(which(binary)))
        };
        let positive = quoted(classes, binary.positive);
        rows.extend([
            row(format!("Sensitivity for {positive}"), &|trust| {
                of(trust, |scores| &scores.sensitivity, percent)
            }),
            row(format!("Specificity for {positive}"), &|trust| {
                of(trust, |scores| &scores.specificity, percent)
            }),
            row("Area under the ROC curve".into(), &|trust| {
                of(trust, |scores| &scores.auc, Unit::Coefficient)
            }),
        ]);
    }
    let gap = first.and_then(|trust| trust.gap.known());
    let chosen = gap.map_or("the selection split", |gap| gap.split.as_str());
    rows.extend([
        row(format!("Accuracy on {chosen}"), &|trust| match &trust.gap {
            Measured::Known(gap) => percent.cell(&gap.accuracy),
            Measured::Undefined { undefined } => format!("none: {undefined}").into(),
        }),
        row("Better there than here by, points".into(), &|trust| {
            trust.gap.known().map_or("–".into(), |gap| points.cell(&gap.difference))
        }),
        row("Errors".into(), &|trust| count(trust.confident.errors).into()),
        row(format!("Errors given {sure} or more"), &|trust| {
            let found = &trust.confident;
            let share = match &found.share_of_errors {
                Measured::Known(share) => Text::from(": ").and(percent.cell(share)).plain(" of all"),
                Measured::Undefined { .. } => Text::new(),
            };
            Text::from(count(found.confident_errors)).and(share)
        }),
        row(format!("Wrong among answers given {sure} or more"), &|trust| match &trust.confident.wrong {
            Measured::Known(wrong) => percent.cell(wrong).plain(format!(" of {}", count(wrong.n))),
            Measured::Undefined { undefined } => format!("none: {undefined}").into(),
        }),
    ]);
    let n = first.map_or(0, |trust| trust.n);
    let mut columns = vec![Column::words("")];
    columns.extend(models.iter().map(|(name, _)| Column::prose(names.bare(*name))));
    Block::Table(Table {
        caption: format!(
            "The numbers to know first, on the {} of the {} split, with 95\u{a0}% intervals in brackets. The worst class is the one \
             that comes out worst here; its interval holds for all classes at once.",
            counted(n, "image"),
            findings.split
        )
        .into(),
        columns,
        rows,
    })
}
