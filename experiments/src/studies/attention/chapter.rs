//! What the heads look at: how far, how broadly, how differently.

use archaeo_models::NetworkSpec;
use archaeo_plot::{
    Axis, LineChart, LineSeries, MatrixChart, Scale, Scatter, ScatterSeries, Uncertainty, ValueFormat,
};
use archaeo_report::document::{
    Block, Column, Figure, Gallery, GalleryItem, Panel, Picture, PictureGrid, PictureRow, Section, Table,
    Text,
};
use archaeo_report::numbers::{Unit, counted};

use super::AttentionStudy;
use super::claims::{claims, even_distances};
use super::findings::{AttentionFindings, HeadAttention};
use super::method::definitions;
use super::table::{side_by_side, table};
use crate::findings::{ExplainedImage, HeadMaps, ImageShown, Investigation, LayerMaps};
use crate::report::Names;
use crate::report::charts::point;
use crate::report::names::{class_name, listed, sentence};
use crate::report::shown::{
    MADE_EARLIER, cells_of, heat_legend, in_lab, model_by_model, pictures, size, title, verdicts,
};
use crate::study::{Chapter, Study};
use crate::subjects::{ByModel, ModelName};

pub(super) fn chapter(
    findings: &ByModel<AttentionFindings>,
    investigation: &Investigation,
    names: &Names,
) -> Chapter {
    let side_by_side = || side_by_side(findings, names);
    let of_model = |found: &AttentionFindings, model| of_model(found, model, investigation, names);
    let blocks = model_by_model(findings, names, side_by_side, of_model);
    let section = Section { id: AttentionStudy::ID, title: AttentionStudy::TITLE, blocks };
    let mut chapter = Chapter::new(section, claims(findings, names));
    chapter.definitions = definitions(findings);
    chapter.limitations =
        vec!["Attention shows where information can flow, not what decided the answer.".into()];
    chapter.sample = findings.values().next().map(|found| ("attention statistics", found.n));
    let head = findings.values().flat_map(|found| &found.layers).flat_map(|layer| &layer.heads).next();
    chapter.intervals =
        head.map(|head| ("Attention statistics", head.distance.clone())).into_iter().collect();
    chapter
}

fn of_model(
    findings: &AttentionFindings,
    model: ModelName,
    investigation: &Investigation,
    names: &Names,
) -> Vec<Block> {
    let network = investigation.model(model).map(|model| &model.card.network);
    let windows = network.is_some_and(NetworkSpec::attends_within_windows);
    let images = counted(findings.n, "image");
    let without_rollout = network.is_some_and(|network| matches!(network, NetworkSpec::EfficientVit(_)));
    let rollouts = match without_rollout {
        true => Block::Paragraph(WITHOUT_ROLLOUT.into()),
        false => rollouts(findings, &investigation.data.classes, names),
    };
    vec![
        Block::Paragraph(
            format!(
                "Every layer of {} weighs every patch {} against every other, once a head. Averaged over {images} of {} \
                 × {} px. {}",
                names.the(model),
                if windows { "of a window of the image" } else { "of the image" },
                findings.image_size,
                findings.image_size,
                sentence(&findings.convention)
            )
            .into(),
        ),
        depth(findings),
        grids(findings, &images),
        head_maps(findings, &investigation.data.classes),
        rollouts,
        Block::Folded { title: "All heads in numbers".into(), table: table(findings) },
    ]
}

/// A row of small maps for each layer.
fn head_maps(findings: &AttentionFindings, classes: &[String]) -> Block {
    let Some(HeadMaps { image, layers }) = &findings.head_maps_shown else {
        return Block::Paragraph(MADE_EARLIER.into());
    };
    let heads = layers.iter().map(|layer| layer.heads.len()).max().unwrap_or(0);
    let row = |(layer, maps): (usize, &LayerMaps)| {
        let picture = |(head, path): (usize, &String)| {
            let alt = format!("Layer {}, head {}: attention over image {}", layer + 1, head + 1, image.index);
            let place = in_lab(image.index, "attention", None);
            Picture::new(path, alt).in_lab(format!("{place}&layer={}&head={}", layer + 1, head + 1))
        };
        PictureRow {
            name: (layer + 1).to_string(),
            pictures: maps.heads.iter().enumerate().map(picture).collect(),
        }
    };
    let mut grids: Vec<[usize; 2]> = layers.iter().map(|layer| layer.grid).collect();
    grids.dedup();
    let grids: Vec<String> = grids.into_iter().map(size).collect();
    let which = class_name(classes, image.label);
    let alone = PictureRow {
        name: format!("{which}: image {}, {}", image.index, image.identifier),
        pictures: vec![Picture::new(&image.picture, format!("Image {} of class {which}", image.index))],
    };
    let maps = PictureGrid {
        columns: Some(("Layer".into(), (1..=heads).map(|head| format!("Head {head}")).collect())),
        rows: layers.iter().enumerate().map(row).collect(),
        legend: Some(heat_legend("Weight on a patch")),
        kinds: Vec::new(),
    };
    Block::Figure(Figure {
        title: "Attention of every head for one image.".into(),
        caption: format!(
            "Layers from the input down. Bright patches receive most of the weight of what is read: {}. Each map has its own scale and \
             is drawn as it was computed, patch by patch and without interpolation: {} patches. A single head's map is attention, not an \
             explanation, and its faithfulness was not measured.",
            findings.read_out,
            listed(&grids)
        )
        .into(),
        panels: vec![
            Panel::Pictures(PictureGrid { columns: None, rows: vec![alone], legend: None, kinds: Vec::new() }),
            Panel::Pictures(maps),
        ],
        data: None,
    })
}

/// In place of rollouts.
const WITHOUT_ROLLOUT: &str = "Attention is not followed through the layers of this model: convolutions between them mix neighbouring \
                               tokens as well, so that attention multiplied does not say what reached which token.";

/// Images with the rollout of each.
fn rollouts(findings: &AttentionFindings, classes: &[String], names: &Names) -> Block {
    if findings.rollouts_shown.is_empty() {
        return Block::Paragraph(MADE_EARLIER.into());
    }
    let item = |shown: &ExplainedImage| {
        let ImageShown { index, identifier, label, .. } = &shown.image;
        GalleryItem {
            pictures: pictures(&shown.image, &shown.heatmaps, classes, names),
            group: 0,
            title: title(classes, *label, *index, identifier),
            verdicts: verdicts(&shown.predictions, *label, classes, names),
            lines: Vec::new(),
        }
    };
    Block::Gallery(Gallery {
        caption: Text::new().strong("Attention rollout.").plain(format!(
            " Attention followed from {} through all layers to the input: which patches the answer can draw on. Raw attention \
             is no explanation by itself; where the data knows its objects, the report scores rollout against them.{}",
            findings.read_out,
            cells_of(&findings.rollouts_shown, names)
        )),
        legend: Some(heat_legend("Rollout")),
        groups: vec![String::new()],
        items: findings.rollouts_shown.iter().map(item).collect(),
    })
}

/// Names of layers and heads, counted from 1.
fn numbered(n: usize) -> Vec<String> {
    (1..=n).map(|i| i.to_string()).collect()
}

/// The two charts over depth: how far heads look, and how much they differ.
fn depth(findings: &AttentionFindings) -> Block {
    let layers = || findings.layers.iter().enumerate().map(|(layer, found)| ((layer + 1) as f64, found));
    let heads: Vec<(f64, f64)> = layers()
        .flat_map(|(layer, found)| found.heads.iter().map(move |head| (layer, head.distance.value)))
        .filter(|(_, distance)| distance.is_finite())
        .collect();
    let means: Vec<(f64, f64)> = layers()
        .filter_map(|(layer, found)| Some((layer, found.mean_distance?)))
        .filter(|(_, mean)| mean.is_finite())
        .collect();
    let distance = Scatter {
        title: "Attention distance".into(),
        description: "Mean attention distance in pixels of every head against its layer".into(),
        x: Axis::new("layer", Scale::Count),
        y: Axis::new("mean attention distance (pixels)", Scale::Linear).including(0.0, 0.0),
        series: vec![
            ScatterSeries { name: "one head".into(), points: heads },
            ScatterSeries { name: "mean of the layer".into(), points: means },
        ],
        identity: false,
    };
    let diversity = LineChart {
        title: "Difference between heads".into(),
        description: "Mean Jensen-Shannon divergence between the heads of each layer".into(),
        x: Axis::new("layer", Scale::Count),
        y: Axis::new("Jensen-Shannon divergence (nats)", Scale::Linear).including(0.0, 0.0),
        series: vec![LineSeries {
            name: "mean over pairs".into(),
            points: layers().filter_map(|(layer, found)| point(layer, &found.diversity)).collect(),
        }],
        uncertainty: Uncertainty::Band,
    };
    let even = even_distances(findings).map_or_else(String::new, |even| {
        format!(" Attention spread evenly over all patches that may be attended to would lie at {even}.")
    });
    Block::Figure(Figure {
        title: "How far heads look, and how much they differ.".into(),
        caption: format!(
            "Attention distance: each dot is a head, at the distance in pixels from a patch to the patches it attends to, weighted by \
             attention, averaged over patches and {}.{even} Difference: the divergence between the attention of a layer's \
             heads, 0 where all look at the same patches; the band is the interval.",
            counted(findings.n, "image")
        )
        .into(),
        panels: vec![Panel::chart(&distance), Panel::chart(&diversity)],
        data: Some(Table {
            caption: "Each layer: mean distance over heads as a share of even attention's, and divergence between heads, nats."
                .into(),
            columns: vec![
                Column::words("Layer"),
                Column::numbers("Share of even distance"),
                Column::numbers("Divergence"),
            ],
            rows: layers()
                .map(|(layer, found)| {
                    let relative = found.relative_distance.as_ref();
                    vec![
                        Text::from(layer.to_string()),
                        relative.map_or("–".into(), |share| Unit::Percent.cell(share)),
                        Unit::Nats.cell(&found.diversity),
                    ]
                })
                .collect(),
        }),
    })
}

fn grid(
    findings: &AttentionFindings,
    title: &str,
    unit: &str,
    range: Option<(f64, f64)>,
    value: fn(&HeadAttention) -> f64,
) -> MatrixChart {
    let heads = findings.layers.iter().map(|layer| layer.heads.len()).max().unwrap_or(0);
    let values = findings.layers.iter().flat_map(|layer| {
        (0..heads).map(|head| layer.heads.get(head).map(value).filter(|value| value.is_finite()))
    });
    MatrixChart {
        title: title.into(),
        description: format!("{title} of every layer (rows) and head (columns)"),
        row_label: "layer".into(),
        column_label: "head".into(),
        value_label: unit.into(),
        rows: numbered(findings.layers.len()),
        columns: numbered(heads),
        values: values.collect(),
        format: if unit == "pixels" { ValueFormat::Decimals(1) } else { ValueFormat::Decimals(2) },
        range,
    }
}

fn grids(findings: &AttentionFindings, images: &str) -> Block {
    let distance = grid(findings, "Attention distance", "pixels", None, |head| head.distance.value);
    let entropy =
        grid(findings, "Normalised entropy", "0 one patch, 1 all alike", Some((0.0, 1.0)), |head| {
            head.normalised_entropy.value
        });
    Block::Figure(Figure {
        title: "Layers and heads at a glance.".into(),
        caption: format!(
            "How far each head looks, and how broadly: a head with low entropy looks at few patches. Means over \
             {images}; intervals are in the table at the end of the section."
        )
        .into(),
        panels: vec![Panel::chart(&distance), Panel::chart(&entropy)],
        data: None,
    })
}
