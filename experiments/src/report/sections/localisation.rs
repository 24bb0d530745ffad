//! Explanations against the true object mask.

use archaeo_analysis::statistics::Estimate;
use archaeo_plot::{Axis, DotIntervalChart, DotRow, Scale, dot_interval_chart};

use crate::findings::{LocalisationFindings, LocalisationScore};

use super::super::charts::{NEUTRAL_SERIES, measure, series_of};
use super::super::document::{Block, Column, Figure, Panel, Section, Table, Text};
use super::super::names::Names;
use super::super::numbers::{Unit, counted};

pub(super) fn section(findings: &LocalisationFindings, names: &Names) -> Section {
    let intro = format!(
        "This data knows which pixels belong to the object, so that heatmaps can be scored against the truth. Over {} the \
         object covers {} of the image.",
        counted(findings.n, "image"),
        Unit::Percent.sentence(&findings.object_share)
    );
    let blocks = vec![Block::Paragraph(intro.into()), charts(findings, names), table(findings, names)];
    Section { id: "localisation", title: "Explanations against the truth", blocks }
}

fn label(score: &LocalisationScore, names: &Names) -> String {
    score.role.map_or_else(|| score.method.clone(), |role| format!("{}, {}", score.method, names.bare(role)))
}

fn charts(findings: &LocalisationFindings, names: &Names) -> Block {
    let chart = |title: &str, value: Axis, of: fn(&LocalisationScore) -> &Estimate| {
        let rows = findings.methods.iter().filter_map(|score| {
            let series = score.role.map_or(NEUTRAL_SERIES, series_of);
            Some(DotRow { label: label(score, names), measure: measure(of(score))?, series })
        });
        let share = findings.object_share.value;
        Panel::chart(dot_interval_chart(&DotIntervalChart {
            title: title.into(),
            description: format!("{title} of every heatmap with its interval"),
            value,
            rows: rows.collect(),
            reference: share.is_finite().then(|| (share, "object's share".into())),
        }))
    };
    Block::Figure(Figure {
        title: "How well each heatmap finds the object.".into(),
        caption: "Pointing game: how often the hottest pixel lies on the object. Mass: how much of the heatmap's sum does. The \
                  dashed line is the share of the image that the object covers. Grey are the baselines: a random heatmap knows \
                  nothing, one that always marks the centre knows only where objects tend to be. Lines are intervals."
            .into(),
        panels: vec![
            chart("Pointing game", Axis::new("share of images", Scale::Percent), |score| &score.pointing),
            chart("Mass on the object", Axis::new("share of the mass", Scale::Percent), |score| &score.mass),
        ],
        data: None,
    })
}

fn table(findings: &LocalisationFindings, names: &Names) -> Block {
    let rows = findings.methods.iter().map(|score| {
        vec![
            Text::from(score.method.clone()),
            score.role.map_or("baseline".into(), |role| names.bare(role).into()),
            Unit::Percent.cell(&score.pointing),
            Unit::Percent.cell(&score.mass),
            score.mass_over_random.as_ref().map_or("–".into(), |gain| Unit::Points.cell(gain)),
        ]
    });
    Block::Table(Table {
        caption: "Heatmaps against the object mask. Gain: mass on the object minus that of the random heatmap on the same \
                  images, in points."
            .into(),
        columns: vec![
            Column::words("Heatmap"),
            Column::words("Model"),
            Column::numbers("Pointing game"),
            Column::numbers("Mass on object"),
            Column::numbers("Gain over random"),
        ],
        rows: rows.collect(),
    })
}
