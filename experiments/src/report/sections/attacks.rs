//! Accuracy under attack.

use std::collections::BTreeMap;

use archaeo_plot::{Axis, LineChart, LineSeries, Scale, Uncertainty, line_chart};

use crate::findings::AttackFindings;

use super::super::charts::point;
use super::super::claims::{attacks, curve_of, halving_epsilon};
use super::super::document::{Block, Column, Figure, Panel, Section, Table, Text};
use super::super::names::{Names, ROLES};
use super::super::numbers::{Unit, counted, epsilon, short};

pub(super) fn section(findings: &AttackFindings, names: &Names) -> Section {
    let mut blocks = vec![curves(findings, names), settings(findings, names)];
    blocks.push(Block::Figure(Figure {
        title: "Attacked images.".into(),
        caption:
            "Clean image, perturbation (enlarged in strength to be seen) and attacked image, for both models."
                .into(),
        panels: vec![Panel::picture(&findings.examples, "Clean images, perturbations and attacked images")],
        data: None,
    }));
    Section { id: "attacks", title: "Under attack", blocks }
}

fn curves(findings: &AttackFindings, names: &Names) -> Block {
    let panel = |attack: &str| {
        let series = ROLES.iter().filter_map(|role| {
            let curve = curve_of(findings, attack, *role)?;
            let points = curve.points.iter().filter_map(|p| point(p.epsilon, &p.accuracy)).collect();
            Some(LineSeries { name: names.bare(*role).into(), points })
        });
        Panel::chart(line_chart(&LineChart {
            title: attack.into(),
            description: format!("Accuracy of each model under {attack} against the size of the attack"),
            x: Axis::new("ε (largest change of a channel value, 1/255)", Scale::Linear),
            y: Axis::new("accuracy", Scale::Percent).including(0.0, 1.0),
            series: series.collect(),
            uncertainty: Uncertainty::Band,
        }))
    };
    Block::Figure(Figure {
        title: "Accuracy against the size of the attack.".into(),
        caption: format!(
            "Accuracy on {} after each has been changed, within ε in every channel value, so that the model errs. Images are \
             rounded to 8 bits before they are judged. Bands are intervals.",
            counted(findings.n, "image")
        )
        .into(),
        panels: attacks(findings).into_iter().map(panel).collect(),
        data: Some(points(findings, names)),
    })
}

fn points(findings: &AttackFindings, names: &Names) -> Table {
    // Keyed by the bits of ε, which sort as the numbers do because ε is never negative.
    let mut epsilons: BTreeMap<u64, f64> = BTreeMap::new();
    for point in findings.curves.iter().flat_map(|curve| &curve.points) {
        epsilons.insert(point.epsilon.to_bits(), point.epsilon);
    }
    let mut columns = vec![Column::numbers("ε (1/255)")];
    columns.extend(
        findings
            .curves
            .iter()
            .map(|curve| Column::numbers(format!("{}, {}", curve.attack, names.bare(curve.role)))),
    );
    let rows = epsilons.values().map(|&epsilon| {
        let cells = findings.curves.iter().map(|curve| {
            let point = curve.points.iter().find(|point| point.epsilon == epsilon);
            point.map_or("–".into(), |point| Unit::Percent.cell(&point.accuracy))
        });
        std::iter::once(Text::from(short(epsilon))).chain(cells).collect()
    });
    Table { caption: "Accuracy at each size of attack.".into(), columns, rows: rows.collect() }
}

fn settings(findings: &AttackFindings, names: &Names) -> Block {
    let rows = findings.curves.iter().map(|curve| {
        let half = match halving_epsilon(curve) {
            Some(at) => epsilon((at * 100.0).round() / 100.0),
            None => "not within range".into(),
        };
        let (first, last) = (curve.points.first(), curve.points.last());
        vec![
            Text::from(curve.attack.clone()),
            names.bare(curve.role).into(),
            first.map_or("–".into(), |point| Unit::Percent.cell(&point.accuracy)),
            half.into(),
            last.map_or("–".into(), |point| Unit::Percent.cell(&point.accuracy)),
            last.map_or("–".into(), |point| epsilon(point.epsilon).into()),
            curve.settings.clone().into(),
        ]
    });
    Block::Table(Table {
        caption: "Each attack and model. Half: the ε at which accuracy has fallen to half its clean value, by linear \
                  interpolation."
            .into(),
        columns: vec![
            Column::words("Attack"),
            Column::words("Model"),
            Column::numbers("Clean"),
            Column::numbers("Half at ε"),
            Column::numbers("At the largest ε"),
            Column::numbers("Largest ε"),
            Column::prose("Settings"),
        ],
        rows: rows.collect(),
    })
}
