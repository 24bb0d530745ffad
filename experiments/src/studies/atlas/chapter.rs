//! All heads in one picture, and the criteria behind their labels.

use archaeo_analysis::attention::{HeadLabel, Measure};
use archaeo_report::document::{
    Block, Column, Figure, Kind, Panel, Picture, PictureGrid, PictureRow, Section, Table, Text,
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

/// Colours of roles in the order of [`HeadLabel::ALL`]: the muted scheme of Paul Tol, which colour-blind readers can tell apart.
const COLORS: [[u8; 3]; HeadLabel::ALL.len()] = [
    [0x99, 0x99, 0x33],
    [0xcc, 0x66, 0x77],
    [0x33, 0x22, 0x88],
    [0x11, 0x77, 0x33],
    [0x88, 0xcc, 0xee],
    [0xdd, 0xcc, 0x77],
    [0xaa, 0x44, 0x99],
    [0x44, 0xaa, 0x99],
    [0x88, 0x22, 0x55],
    [0xbb, 0xbb, 0xbb],
];

fn color(label: HeadLabel) -> [u8; 3] {
    let place = HeadLabel::ALL.iter().position(|known| *known == label);
    COLORS[place.expect("the list holds every label")]
}

fn of_model(found: &AtlasFindings) -> Vec<Block> {
    let picture = |of: &HeadRole| {
        let role = of.label.describe();
        let place = format!("Layer {}, head {}", of.layer, of.head);
        Picture::new(&of.picture, format!("{place}: {role}"))
            .labelled(format!("{}.{} {role}", of.layer, of.head))
            .framed(color(of.label))
    };
    let rows = found.heads.chunk_by(|a, b| a.layer == b.layer).map(|heads| PictureRow {
        name: heads[0].layer.to_string(),
        pictures: heads.iter().map(picture).collect(),
    });
    let most = found.heads.iter().map(|of| of.head).max().unwrap_or(0);
    let maps = PictureGrid {
        columns: Some(("Layer".into(), (1..=most).map(|head| format!("Head {head}")).collect())),
        rows: rows.collect(),
        legend: Some(heat_legend("Mean weight on a patch")),
        kinds: kinds(found),
    };
    let windows = match found.windows {
        true => {
            " Attention stays within windows here: distance, offsets and entropy are measured against what a window allows."
        }
        false => "",
    };
    vec![
        Block::Figure(Figure {
            title: "Every head and what it does.".into(),
            caption: format!(
                "Mean over {} of what each head sends to the tokens that are read, each map on its own scale. Below each map are its layer \
                 and head and its role, which also colours the line: the first in the order of the legend whose condition holds in both \
                 halves of the images.{windows}",
                counted(found.n, "image")
            )
            .into(),
            panels: vec![Panel::Pictures(maps)],
            data: None,
        }),
        Block::Folded { title: "All criteria in numbers".into(), table: table(found) },
    ]
}

/// The roles that heads have, in the order in which they are tried.
fn kinds(found: &AtlasFindings) -> Vec<Kind> {
    let kind = |label: HeadLabel| {
        let heads = found.heads.iter().filter(|of| of.label == label).count();
        let name = format!("{} ({heads}): weights {}", label.describe(), label.meaning());
        (heads > 0).then(|| Kind { name, color: color(label) })
    };
    HeadLabel::ALL.into_iter().filter_map(kind).collect()
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
