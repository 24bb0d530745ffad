//! Shape against texture.

use std::collections::BTreeSet;

use archaeo_analysis::statistics::Measured;
use archaeo_plot::{Axis, DotIntervalChart, DotRow, Scale};
use archaeo_report::document::{Block, Column, Figure, Panel, Section, Table, Text};
use archaeo_report::numbers::{Unit, count, counted, p_value, percent};

use super::ShapeBiasStudy;
use super::claims::{advice, claims};
use super::findings::ShapeBiasFindings;
use crate::findings::Investigation;
use crate::report::Names;
use crate::report::charts::measure;
use crate::report::method::definition;
use crate::study::{Chapter, Study};

pub(super) fn chapter(findings: &ShapeBiasFindings, _: &Investigation, names: &Names) -> Chapter {
    let section = Section {
        id: "shape-bias",
        title: ShapeBiasStudy::TITLE,
        blocks: [chart(findings, names), table(findings, names), following(findings, names)]
            .into_iter()
            .chain(accuracy(findings, names))
            .collect(),
    };
    let mut chapter = Chapter::new(section, claims(findings, names));
    let compared = match findings.pairs.is_empty() {
        true => "",
        false => " Two models are compared by exchanging their answers at random image by image.",
    };
    chapter.definitions.push(definition(
        "Shape bias",
        &format!(
            "On images whose shape and texture belong to different classes: shape decisions over shape and texture \
             decisions. The label is the shape, so that 50 % is not neutral. Influence of the texture: how often its class is named, \
             minus how often it would be if the model's answers were permuted among the images of a shape (permutation \
             test).{compared}"
        ),
        &[("Geirhos et al., 2019", "https://arxiv.org/abs/1811.12231")],
    ));
    chapter.advice.extend(advice(findings, names));
    let bias = findings.models.values().find_map(|found| found.bias.known());
    chapter.intervals.extend(bias.map(|bias| ("Shape bias", bias.clone())));
    chapter
}

fn following(findings: &ShapeBiasFindings, names: &Names) -> Block {
    let rows = findings.models.iter().map(|(name, found)| {
        let name = Text::from(names.bare(name));
        match &found.texture_following {
            Measured::Known(found) => vec![
                name,
                Unit::Percent.cell(&found.observed),
                percent(found.expected).into(),
                Unit::Points.cell(&found.excess),
                p_value(found.p_value).into(),
            ],
            Measured::Undefined { undefined } => {
                vec![name, undefined.clone().into(), "–".into(), "–".into(), "–".into()]
            }
        }
    });
    Block::Table(Table {
        caption: "How often the texture's class is named, and how often it would be by a model with the same answers to each shape \
                  that takes no notice of textures (its answers permuted within the shape); the difference is in points, and 0 \
                  means no influence."
            .into(),
        columns: vec![
            Column::words("Model"),
            Column::numbers("Texture's class named"),
            Column::numbers("Without notice"),
            Column::numbers("Difference"),
            Column::numbers("p"),
        ],
        rows: rows.collect(),
    })
}

/// Accuracy on each split that sets the texture in another way, and what the class's own texture is worth.
fn accuracy(findings: &ShapeBiasFindings, names: &Names) -> Option<Block> {
    let splits: BTreeSet<&String> =
        findings.models.values().flat_map(|found| found.accuracy.keys()).collect();
    if splits.is_empty() {
        return None;
    }
    let rows = findings.models.iter().map(|(name, found)| {
        let mut row = vec![Text::from(names.bare(name))];
        let of_split = |split: &&String| found.accuracy.get(*split);
        row.extend(
            splits
                .iter()
                .map(of_split)
                .map(|share| share.map_or("–".into(), |share| Unit::Percent.cell(share))),
        );
        row.push(found.aligned_gain.as_ref().map_or("–".into(), |gain| Unit::Points.cell(gain)));
        row
    });
    let mut columns = vec![Column::words("Model")];
    columns.extend(splits.iter().map(|split| Column::numbers(split.as_str())));
    columns.push(Column::numbers("aligned minus conflict"));
    let correlation = findings.training_correlation.as_ref().map_or_else(String::new, |share| {
        format!(
            " In the training split the texture is the class's own on {} of the images.",
            Unit::Percent.sentence(share)
        )
    });
    Some(Block::Table(Table {
        caption: format!(
            "Accuracy where the texture is the class's own (aligned), independent of it (test) or another's (conflict); the \
             difference, in points, is what the texture moves.{correlation}"
        )
        .into(),
        columns,
        rows: rows.collect(),
    }))
}

fn chart(findings: &ShapeBiasFindings, names: &Names) -> Block {
    let rows = findings.models.iter().filter_map(|(name, found)| {
        Some(DotRow {
            label: names.bare(name).into(),
            measure: measure(found.bias.known()?)?,
            series: names.series(name),
        })
    });
    let chart = DotIntervalChart {
        title: "Shape bias".into(),
        description: "Share of shape decisions among shape and texture decisions of each model".into(),
        value: Axis::new("0 % texture decides, 100 % shape decides", Scale::Percent).including(0.0, 1.0),
        rows: rows.collect(),
        reference: None,
    };
    Block::Figure(Figure {
        title: "Which cue decides.".into(),
        caption: format!(
            "On {} the shape is of one class and the texture of another. Shown is how often the shape's class is named, among \
             answers that name either. The label is the shape: 100 % is right, and 50 % is not a neutral value, for a model \
             that takes no notice of textures names a texture's class only by mistake. Lines are intervals. It can be compared with \
             models trained on the same data, and with the same model's accuracy where textures agree with the class or are \
             independent of it; not with figures for models of photographs.",
            counted(findings.n, "image")
        )
        .into(),
        panels: vec![Panel::chart(&chart)],
        data: None,
    })
}

fn table(findings: &ShapeBiasFindings, names: &Names) -> Block {
    let rows = findings.models.iter().map(|(name, found)| {
        vec![
            Text::from(names.bare(name)),
            count(found.shape).into(),
            count(found.texture).into(),
            count(found.other).into(),
            match &found.bias {
                Measured::Known(bias) => Unit::Percent.cell(bias),
                Measured::Undefined { undefined } => undefined.clone().into(),
            },
        ]
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
