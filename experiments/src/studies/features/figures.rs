//! Curves over depth and over labels, clouds of points, similarity of layers, and images that features take for alike.

use archaeo_analysis::features::layers::Pooling;
use archaeo_plot::{
    Axis, LineChart, LineSeries, MatrixChart, Scale, Scatter, ScatterSeries, Uncertainty, ValueFormat,
};
use archaeo_report::document::{Block, Column, Figure, Panel, Picture, PictureGrid, PictureRow, Table, Text};
use archaeo_report::numbers::{Unit, counted, decimal, percent};

use super::chapter::learned;
use super::findings::{CkaMap, Cloud, FeaturesFindings, LayerScore, Learned};
use crate::report::Names;
use crate::report::charts::point;
use crate::report::names::{capitalised, class_name};
use crate::subjects::ModelName;

/// Above this many classes, points of a picture are not told apart by their class.
const MOST_COLOURED: usize = 24;

/// One curve per model where there are several, and else one for each thing that is read.
pub(super) fn layers(findings: &FeaturesFindings, names: &Names) -> Option<Block> {
    let several = learned(findings).count() > 1;
    let depth = |scores: &[LayerScore], layer: &str| {
        let mut layers: Vec<&str> = scores.iter().map(|score| score.layer.as_str()).collect();
        layers.dedup();
        let place = layers.iter().position(|known| *known == layer).unwrap_or(0);
        place as f64 / (layers.len() - 1).max(1) as f64
    };
    let curve = |name: String, scores: &[LayerScore], pooling: Pooling| LineSeries {
        name,
        points: (scores.iter().filter(|score| score.pooling == pooling))
            .filter_map(|score| point(depth(scores, &score.layer), &score.accuracy))
            .collect(),
    };
    let series: Vec<LineSeries> = learned(findings)
        .flat_map(|(name, found)| {
            let poolings: &[Pooling] = match several {
                true => &[Pooling::PatchMean],
                false => &[Pooling::ClassToken, Pooling::PatchMean, Pooling::Both],
            };
            let called = |pooling: Pooling| match several {
                true => names.bare(name).to_owned(),
                false => pooling.title().to_owned(),
            };
            poolings
                .iter()
                .map(move |&pooling| curve(called(pooling), &found.layers, pooling))
                .collect::<Vec<_>>()
        })
        .filter(|series| !series.points.is_empty())
        .collect();
    if series.is_empty() {
        return None;
    }
    let chart = LineChart {
        title: "What a linear layer reads from each layer".into(),
        description: "Accuracy of a linear probe of each layer, from the input to the last block".into(),
        x: Axis::new("depth (share of the blocks)", Scale::Percent),
        y: Axis::new("accuracy", Scale::Percent),
        series,
        uncertainty: Uncertainty::Band,
    };
    let rows = learned(findings).flat_map(|(name, found)| {
        found.layers.iter().map(move |score| {
            vec![
                Text::from(names.bare(name)),
                score.layer.clone().into(),
                score.pooling.title().into(),
                Unit::Percent.cell(&score.accuracy),
            ]
        })
    });
    let data = Table {
        caption: "Accuracy of a linear probe of each layer.".into(),
        columns: ["Model", "Layer", "Reads"]
            .map(Column::words)
            .into_iter()
            .chain([Column::numbers("Accuracy")])
            .collect(),
        rows: rows.collect(),
    };
    Some(Block::Figure(Figure {
        title: "Linear probes by depth.".into(),
        caption: "Each point is a probe of one layer, of the mean of its patches or of what the curve says; bands are intervals over \
                  test images. A class that can be read early needs no deep features."
            .into(),
        panels: vec![Panel::chart(&chart)],
        data: Some(data),
    }))
}

pub(super) fn few_shot(findings: &FeaturesFindings, names: &Names) -> Option<Block> {
    let curves: Vec<(ModelName, &Learned)> =
        learned(findings).filter(|(_, found)| found.few_shot.len() > 1).collect();
    if curves.is_empty() {
        return None;
    }
    let series = curves.iter().map(|(name, found)| LineSeries {
        name: names.bare(*name).into(),
        points: found.few_shot.iter().filter_map(|few| point(few.shots as f64, &few.accuracy)).collect(),
    });
    let chart = LineChart {
        title: "Accuracy from a few labels".into(),
        description: "Accuracy of a linear probe by the number of labelled images per class".into(),
        x: Axis::new("labelled images per class", Scale::Log10),
        y: Axis::new("accuracy", Scale::Percent),
        series: series.collect(),
        uncertainty: Uncertainty::Whiskers,
    };
    let rows = curves.iter().flat_map(|(name, found)| {
        found.few_shot.iter().map(|few| {
            vec![
                Text::from(names.bare(*name)),
                few.shots.to_string().into(),
                Unit::Percent.cell(&few.accuracy),
                few.deviation.map_or("–".into(), |deviation| Unit::Points.bare(deviation).into()),
            ]
        })
    });
    let draws = curves[0].1.few_shot[0].accuracy.n;
    let data = Table {
        caption: "Accuracy of few-shot probes; the standard deviation over draws is in points.".into(),
        columns: [Column::words("Model")]
            .into_iter()
            .chain(["Per class", "Accuracy", "Standard deviation"].map(Column::numbers))
            .collect(),
        rows: rows.collect(),
    };
    Some(Block::Figure(Figure {
        title: "Linear probes of a few images.".into(),
        caption: format!(
            "Means over {} of the images of each class; whiskers are Student's t intervals over draws. The validation images choose the \
             penalty.",
            counted(draws, "draw")
        )
        .into(),
        panels: vec![Panel::chart(&chart)],
        data: Some(data),
    }))
}

pub(super) fn clouds(findings: &FeaturesFindings, names: &Names) -> Option<Block> {
    let panels: Vec<Panel> = findings
        .models
        .iter()
        .filter_map(|(name, model)| Some((name, model.picture.as_ref()?)))
        .flat_map(|(name, picture)| {
            let called = capitalised(&names.the(name));
            let axes = ["first component", "second component"];
            [
                cloud(
                    &format!("{called}: t-SNE"),
                    &picture.tsne,
                    &picture.labels,
                    ["", ""],
                    &findings.classes,
                ),
                cloud(
                    &format!("{called}: principal components"),
                    &picture.pca,
                    &picture.labels,
                    axes,
                    &findings.classes,
                ),
            ]
        })
        .collect();
    let first = findings.models.values().find_map(|model| model.picture.as_ref())?;
    let explained: Vec<String> = findings
        .models
        .iter()
        .filter_map(|(name, model)| Some((name, model.picture.as_ref()?)))
        .map(|(name, picture)| {
            format!("{} for {}", percent(picture.explained[0] + picture.explained[1]), names.the(name))
        })
        .collect();
    Some(Block::Figure(Figure {
        title: "Test images as points.".into(),
        caption: format!(
            "{} by what the head reads; colour and shape are the class. t-SNE with perplexity {} from a start at the principal \
             components, which hold {} of the variance. A picture is not evidence: each has its trustworthiness and continuity for {} \
             neighbours in its title.",
            capitalised(&counted(first.tsne.points.len(), "image")),
            decimal(first.perplexity, 0),
            explained.join(", "),
            first.tsne.trust.k
        )
        .into(),
        panels,
        data: None,
    }))
}

fn cloud(title: &str, cloud: &Cloud, labels: &[usize], axes: [&str; 2], classes: &[String]) -> Panel {
    let point = |[x, y]: [f32; 2]| (f64::from(x), f64::from(y));
    let coloured = !labels.is_empty() && classes.len() <= MOST_COLOURED;
    let series = match coloured {
        false => {
            vec![ScatterSeries {
                name: "images".into(),
                points: cloud.points.iter().copied().map(point).collect(),
            }]
        }
        true => (0..classes.len())
            .map(|class| ScatterSeries {
                name: class_name(classes, class),
                points: (cloud.points.iter().zip(labels).filter(|(_, label)| **label == class))
                    .map(|(at, _)| point(*at))
                    .collect(),
            })
            .filter(|series| !series.points.is_empty())
            .collect(),
    };
    let trust = cloud.trust;
    Panel::chart(&Scatter {
        title: format!(
            "{title} (trust {}, continuity {})",
            decimal(trust.trustworthiness, 3),
            decimal(trust.continuity, 3)
        ),
        description: format!("{title} of {}", counted(cloud.points.len(), "image")),
        x: Axis::new(axes[0], Scale::Linear),
        y: Axis::new(axes[1], Scale::Linear),
        series,
        identity: false,
    })
}

pub(super) fn similarity(findings: &FeaturesFindings, names: &Names) -> Option<Block> {
    let n = findings.cka.first()?.n;
    Some(Block::Figure(Figure {
        title: "Similarity of layers.".into(),
        caption: format!(
            "Unbiased linear CKA of the mean of the patches of every two layers, and of what the heads read (the last row and column), on \
             {}. 1: the same up to a rotation and a scale; 0: unrelated. An empty cell: the layer is the same for all images.",
            counted(n, "test image")
        )
        .into(),
        panels: findings.cka.iter().map(|map| matrix(map, names)).collect(),
        data: None,
    }))
}

fn matrix(map: &CkaMap, names: &Names) -> Panel {
    let [first, second] = map.models.map(|name| names.the(name));
    let title = match map.models[0] == map.models[1] {
        true => format!("Layers of {first}"),
        false => format!("Layers of {first} and of {second}"),
    };
    Panel::chart(&MatrixChart {
        description: format!("{title}: CKA of every two"),
        title,
        row_label: names.bare(map.models[0]).into(),
        column_label: names.bare(map.models[1]).into(),
        value_label: "CKA".into(),
        rows: map.rows.clone(),
        columns: map.columns.clone(),
        values: map.values.clone(),
        format: ValueFormat::Decimals(2),
        range: Some((0.0, 1.0)),
    })
}

pub(super) fn retrieved(findings: &FeaturesFindings, names: &Names) -> Option<Block> {
    let rows: Vec<PictureRow> = learned(findings)
        .flat_map(|(model, found)| found.retrieved.iter().map(move |row| (model, row)))
        .filter(|(_, row)| !row.picture.is_empty())
        .map(|(model, row)| {
            let class = |label: usize| class_name(&findings.classes, label);
            let query = Picture::new(&row.picture, format!("A test image of class {}", class(row.label)));
            let near = row.nearest.iter().map(|near| {
                let alt = format!("A similar image of class {}", class(near.label));
                Picture::new(&near.picture, alt).labelled(format!(
                    "{} {}",
                    class(near.label),
                    decimal(f64::from(near.similarity), 2)
                ))
            });
            PictureRow {
                name: names.bare(model).into(),
                pictures: [query.labelled(class(row.label))].into_iter().chain(near).collect(),
            }
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    Some(Block::Figure(Figure {
        title: "Images that features take for alike.".into(),
        caption: "A test image first, then the most similar of the images to learn from, each with its class and the cosine of the \
                  angle between their features."
            .into(),
        panels: vec![Panel::Pictures(PictureGrid { columns: None, rows, legend: None, kinds: Vec::new() })],
        data: None,
    }))
}
