//! Shape against texture.

use archaeo_plot::{Axis, DotIntervalChart, DotRow, Scale, dot_interval_chart};

use crate::findings::ShapeBiasFindings;

use super::super::charts::{measure, series_of};
use super::super::document::{Block, Column, Figure, Panel, Section, Table, Text};
use super::super::names::{Names, ROLES};
use super::super::numbers::{Unit, count, counted};

pub(super) fn section(findings: &ShapeBiasFindings, names: &Names) -> Section {
    Section {
        id: "shape-bias",
        title: "Shape or texture",
        blocks: vec![chart(findings, names), table(findings, names)],
    }
}

fn chart(findings: &ShapeBiasFindings, names: &Names) -> Block {
    let rows = ROLES.iter().filter_map(|role| {
        let found = findings.models.get(role)?;
        Some(DotRow {
            label: names.bare(*role).into(),
            measure: measure(&found.bias)?,
            series: series_of(*role),
        })
    });
    let chart = DotIntervalChart {
        title: "Shape bias".into(),
        description: "Share of shape decisions among shape and texture decisions of each model".into(),
        value: Axis::new("0 % texture decides, 100 % shape decides", Scale::Percent).including(0.0, 1.0),
        rows: rows.collect(),
        reference: Some((0.5, "indifferent".into())),
    };
    Block::Figure(Figure {
        title: "Which cue decides.".into(),
        caption: format!(
            "On {} the shape is of one class and the texture of another. Shown is how often the shape's class is named, among \
             answers that name either. Lines are intervals.",
            counted(findings.n, "image")
        )
        .into(),
        panels: vec![Panel::chart(dot_interval_chart(&chart))],
        data: None,
    })
}

fn table(findings: &ShapeBiasFindings, names: &Names) -> Block {
    let rows = ROLES.iter().filter_map(|role| {
        let found = findings.models.get(role)?;
        Some(vec![
            Text::from(names.bare(*role)),
            count(found.shape).into(),
            count(found.texture).into(),
            count(found.other).into(),
            Unit::Percent.cell(&found.bias),
        ])
    });
    Block::Table(Table {
        caption: "Decisions on images with conflicting cues.".into(),
        columns: vec![
            Column::words("Model"),
            Column::numbers("Shape's class"),
            Column::numbers("Texture's class"),
            Column::numbers("A third class"),
            Column::numbers("Shape bias"),
        ],
        rows: rows.collect(),
    })
}
