//! All heads in one picture, and the criteria behind their labels.

use archaeo_analysis::attention::Measure;
use archaeo_report::document::{
    Block, Column, Figure, Panel, Picture, PictureGrid, PictureRow, Section, Table, Text,
};
use archaeo_report::numbers::counted;

use super::AtlasStudy;
use super::claims::claims;
use super::findings::{AtlasFindings, HeadRole};
use crate::report::Names;
use crate::report::shown::{heat_legend, model_by_model};
use crate::study::{Chapter, Study};
use crate::subjects::ByModel;

pub(super) fn chapter(findings: &ByModel<AtlasFindings>, names: &Names) -> Chapter {
    let side_by_side = || side_by_side(findings, names);
    let blocks = model_by_model(findings, names, side_by_side, |found, _| of_model(found));
    let section = Section { id: AtlasStudy::ID, title: AtlasStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.limitations =
        vec!["A head's label says what its weights follow, not what the model needs it for.".into()];
    chapter.sample = findings.values().next().map(|found| ("head atlas", found.n));
    chapter
}

fn side_by_side(findings: &ByModel<AtlasFindings>, names: &Names) -> Table {
    Table {
        caption: "Heads with a role that both halves of the images confirm, and how many have one with shuffled heads.".into(),
        columns: vec![
            Column::words("Model"),
            Column::numbers("Heads"),
            Column::numbers("With a role"),
            Column::numbers("Shuffled"),
        ],
        rows: findings
            .iter()
            .map(|(model, found)| {
                vec![
                    Text::from(names.bare(model)),
                    found.roles.heads.to_string().into(),
                    found.roles.confirmed.to_string().into(),
                    format!("{:.1}", found.roles.shuffled).into(),
                ]
            })
            .collect(),
    }
}

fn of_model(found: &AtlasFindings) -> Vec<Block> {
    let rows = found.heads.chunk_by(|a, b| a.layer == b.layer).map(|heads| PictureRow {
        name: format!(
            "{}: {}",
            heads[0].layer,
            heads.iter().map(|of| of.label.describe()).collect::<Vec<_>>().join(", ")
        ),
        pictures: heads
            .iter()
            .map(|of| {
                let alt = format!("Layer {}, head {}: {}", of.layer, of.head, of.label.describe());
                Picture::new(&of.picture, alt)
            })
            .collect(),
    });
    let most = found.heads.iter().map(|of| of.head).max().unwrap_or(0);
    let maps = PictureGrid {
        columns: Some(("Layer".into(), (1..=most).map(|head| format!("Head {head}")).collect())),
        rows: rows.collect(),
        legend: Some(heat_legend("Mean weight on a patch")),
    };
    vec![
        Block::Figure(Figure {
            title: "Every head and what it does.".into(),
            caption: format!(
                "Mean over {} of what each head sends to the tokens that are read, each map on its own scale; next to the \
                 layer, the labels of its heads from the left. A label needs its condition to hold in both halves of the images.",
                counted(found.n, "image")
            )
            .into(),
            panels: vec![Panel::Pictures(maps)],
            data: None,
        }),
        Block::Folded { title: "All criteria in numbers".into(), table: table(found) },
    ]
}

fn table(found: &AtlasFindings) -> Table {
    let names =
        ["Positional", "Distance", "Sink", "Edge", "Orientation", "Colour", "Object", "Entropy", "Class"];
    let heads = ["Layer and head", "Role"].map(Column::words);
    let number = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
    let row = |of: &HeadRole| {
        let criteria = |half: &archaeo_analysis::attention::HeadHalf| -> [Measure; 9] {
            let c = half.criteria;
            [
                c.positional,
                c.distance,
                c.sink,
                c.edge,
                c.orientation,
                c.colour,
                c.object,
                c.entropy,
                half.class,
            ]
        };
        let pairs = criteria(&of.first).into_iter().zip(criteria(&of.second));
        let cells = pairs.map(|(first, second)| {
            format!(
                "{} ({}), {} ({})",
                number(first.value),
                number(first.null),
                number(second.value),
                number(second.null)
            )
            .into()
        });
        [format!("{}, {}", of.layer, of.head).into(), of.label.describe().into()]
            .into_iter()
            .chain(cells)
            .collect()
    };
    Table {
        caption: "Criteria on the first and the second half of the images, each with its null in brackets."
            .into(),
        columns: heads.into_iter().chain(names.map(Column::numbers)).collect(),
        rows: found.heads.iter().map(row).collect(),
    }
}
