//! The pictures of features: clouds of all models on one page, similarity of layers, curves, and similar images.

use archaeo_analysis::features::layers::Pooling;
use archaeo_analysis::statistics::Estimate;
use archaeo_data::Dataset;
use archaeo_experiments::findings::{Cloud, ImageRoles, Learned, Retrieved};
use archaeo_experiments::subjects::ModelName;
use archaeo_plot::{
    Axes, Axis, Bars, Chart, CloudFigure, Colormap, Figure, Grid, Heat, Image, LineChart, LineSeries, Panel,
    Point, Scale, Uncertainty, Width, svg_file, to_png,
};

use super::FeaturesFound;
use crate::error::LabError;
use crate::opened::Opened;

/// CSS pixels of a cloud's side.
const CLOUD: usize = 420;

/// The same of a map of layers.
const MAP: usize = 260;

/// The same of a similar image.
const NEAR: usize = 96;

type Files = Vec<(String, Vec<u8>)>;

/// Names and contents of the files.
pub(super) fn pictures(
    result: &FeaturesFound,
    opened: &Opened,
    roles: Option<&ImageRoles>,
) -> Result<Files, LabError> {
    let mut files = Vec::new();
    if let Some(figure) = clouds(result) {
        files.push(("clouds.png".to_owned(), to_png(&figure.to_image()?)?));
        files.push(("clouds.svg".to_owned(), figure.to_svg()?.into_bytes()));
    }
    files.extend(similarity(result)?);
    let charts = [("layers.svg", layers(result)), ("few-shot.svg", few_shot(result))];
    for (name, chart) in charts {
        if let Some(chart) = chart {
            files.push((name.to_owned(), svg_file(&chart.draw(Width::Wide)?).into_bytes()));
        }
    }
    if let Some(roles) = roles {
        for (place, (model, found)) in learned(result).enumerate() {
            files.extend(retrieved(result, &opened.dataset, roles, (place, model), &found.retrieved)?);
        }
    }
    Ok(files)
}

fn learned(result: &FeaturesFound) -> impl Iterator<Item = (ModelName, &Learned)> {
    result.found.models.iter().filter_map(|(name, model)| Some((name, model.learned.as_ref()?)))
}

fn clouds(result: &FeaturesFound) -> Option<CloudFigure> {
    let mut clouds = Vec::new();
    let mut points = 0;
    for (name, model) in result.found.models.iter() {
        let Some(picture) = &model.picture else { continue };
        points = picture.tsne.points.len();
        let explained = format!(
            "{:.0} % and {:.0} % of the variance; ",
            100.0 * picture.explained[0],
            100.0 * picture.explained[1]
        );
        for (kind, cloud, note) in [("t-SNE", &picture.tsne, ""), ("PCA", &picture.pca, explained.as_str())] {
            let Cloud { trust, points } = cloud;
            clouds.push(archaeo_plot::Cloud {
                title: format!("{name}: {kind}"),
                note: format!(
                    "{note}trustworthiness {:.3}, continuity {:.3}",
                    trust.trustworthiness, trust.continuity
                ),
                points: points.iter().map(|point| point.map(f64::from)).collect(),
                groups: picture.labels.clone(),
            });
        }
    }
    let labelled = result
        .found
        .models
        .values()
        .any(|model| model.picture.as_ref().is_some_and(|p| !p.labels.is_empty()));
    (!clouds.is_empty()).then(|| CloudFigure {
        title: format!("Features on {} images of {}/{}", points, result.data, result.split),
        lines: vec![
            "Each point is an image, by what the model's head reads; colour and shape are its class. A picture is not evidence: \
             trustworthiness and continuity (12 neighbours) say how far neighbours in it are neighbours."
                .into(),
        ],
        clouds,
        columns: 2,
        side: CLOUD,
        groups: if labelled { result.found.classes.clone() } else { Vec::new() },
    })
}

fn similarity(result: &FeaturesFound) -> Result<Files, LabError> {
    let Some(first) = result.found.cka.first() else { return Ok(Vec::new()) };
    let blanks: Vec<Image> = (result.found.cka.iter())
        .map(|map| Image::filled(map.columns.len(), map.rows.len(), [255; 3]))
        .collect();
    let values: Vec<Vec<f32>> = (result.found.cka.iter())
        .map(|map| map.values.iter().map(|value| value.unwrap_or(0.0) as f32).collect())
        .collect();
    let mut panels = Vec::new();
    for ((map, values), blank) in result.found.cka.iter().zip(&values).zip(&blanks) {
        let [rows, columns] = map.models;
        let last = match map.features.known() {
            Some(Estimate { value, low, high, .. }) => {
                format!("what the heads read: {value:.2} ({low:.2} to {high:.2})")
            }
            None => String::new(),
        };
        let short = |names: &[String]| names.iter().map(|name| short(name)).collect();
        panels.push(Panel {
            axes: Some(Axes { rows: short(&map.rows), columns: short(&map.columns) }),
            title: if rows == columns {
                rows.to_string()
            } else {
                format!("{rows} (down), {columns} (across)")
            },
            note: last,
            picture: blank,
            heat: Some(Heat {
                grid: Grid::new(values, map.rows.len(), map.columns.len())?,
                colormap: Colormap::Viridis,
                range: [0.0, 1.0],
                opacity: 1.0,
            }),
        });
    }
    let figure = Figure {
        title: format!("Similarity of layers on {} images of {}/{}", first.n, result.data, result.split),
        lines: vec![
            "Unbiased linear CKA of the mean of the patches, from the input (top left) to the last block, and of what the head reads (last \
             row and column); 1 is the same up to rotation and scale"
                .into(),
        ],
        columns: result.found.models.len().min(panels.len()),
        panels,
        side: MAP,
        bars: Bars::Shared("CKA".into()),
    };
    Ok(vec![
        ("cka.png".into(), to_png(&figure.to_image()?)?),
        ("cka.svg".into(), figure.to_svg()?.into_bytes()),
    ])
}

/// Name of a layer for the edge of a map: `3` for block 3 of a transformer, `2.1` for stage 2 block 1, `head` for what the head reads.
fn short(layer: &str) -> String {
    match layer {
        "features" => "head".into(),
        _ => layer.replace("stage ", "").replace(" block ", ".").replace("block ", ""),
    }
}

/// A curve for everything that is read, in the order of the layers.
fn layers(result: &FeaturesFound) -> Option<LineChart> {
    let several = learned(result).count() > 1;
    let mut series = Vec::new();
    for (name, found) in learned(result) {
        let mut layers: Vec<&str> = found.layers.iter().map(|score| score.layer.as_str()).collect();
        layers.dedup();
        for pooling in [Pooling::ClassToken, Pooling::PatchMean, Pooling::Both] {
            if several && pooling != Pooling::PatchMean {
                continue;
            }
            let of_pooling = found.layers.iter().filter(|score| score.pooling == pooling);
            let points: Vec<Point> = of_pooling
                .map(|score| {
                    let place = layers.iter().position(|layer| *layer == score.layer).unwrap_or(0);
                    point(place as f64 / (layers.len() - 1).max(1) as f64, &score.accuracy)
                })
                .collect();
            if !points.is_empty() {
                let name = if several { name.to_string() } else { pooling.title().into() };
                series.push(LineSeries { name, points });
            }
        }
    }
    (!series.is_empty()).then(|| LineChart {
        title: match several {
            true => "A linear probe of each layer, mean of the patches".into(),
            false => "A linear probe of each layer".into(),
        },
        description: "Accuracy of a linear probe by depth, from the input to the last block".into(),
        x: Axis::new("depth (share of the blocks)", Scale::Percent),
        y: Axis::new("accuracy", Scale::Percent),
        series,
        uncertainty: Uncertainty::Band,
    })
}

fn few_shot(result: &FeaturesFound) -> Option<LineChart> {
    let series: Vec<LineSeries> = learned(result)
        .filter(|(_, found)| found.few_shot.len() > 1)
        .map(|(name, found)| LineSeries {
            name: name.to_string(),
            points: found.few_shot.iter().map(|few| point(few.shots as f64, &few.accuracy)).collect(),
        })
        .collect();
    (!series.is_empty()).then(|| LineChart {
        title: "A linear probe of a few images per class".into(),
        description: "Accuracy of a linear probe by the number of labelled images per class, mean over draws"
            .into(),
        x: Axis::new("labelled images per class", Scale::Log10),
        y: Axis::new("accuracy", Scale::Percent),
        series,
        uncertainty: Uncertainty::Whiskers,
    })
}

fn point(x: f64, estimate: &Estimate) -> Point {
    let known = estimate.low.is_finite() && estimate.high.is_finite();
    Point { x, y: estimate.value, interval: known.then_some((estimate.low, estimate.high)) }
}

/// A row for each image: itself, and the most similar ones.
fn retrieved(
    result: &FeaturesFound,
    dataset: &Dataset,
    roles: &ImageRoles,
    (place, model): (usize, ModelName),
    rows: &[Retrieved],
) -> Result<Files, LabError> {
    let Some(columns) = rows.iter().map(|row| 1 + row.nearest.len()).max() else { return Ok(Vec::new()) };
    let class = |label: usize| dataset.classes[label].clone();
    let mut shown: Vec<(Image, String, String)> = Vec::new();
    for row in rows {
        let query = dataset.split(&roles.test.split)?.load(roles.test.images[row.query])?.image;
        shown.push((query, class(row.label), "the image".into()));
        for near in &row.nearest {
            let image = dataset.split(&near.split)?.load(near.index)?.image;
            let note = format!("{}{:.2}", if near.label == row.label { "" } else { "✗ " }, near.similarity);
            shown.push((image, class(near.label), note));
        }
        shown.resize_with(shown.len().next_multiple_of(columns), || {
            (Image::filled(1, 1, [255; 3]), String::new(), String::new())
        });
    }
    let panels = shown.iter().map(|(picture, title, note)| Panel {
        axes: None,
        title: title.clone(),
        note: note.clone(),
        picture,
        heat: None,
    });
    let figure = Figure {
        title: format!("{model}: images that its features take for alike"),
        lines: vec![format!(
            "Left: a test image of {}; right: the most similar images to learn from with the cosine of the angle between the features; ✗ is \
             another class",
            result.data
        )],
        panels: panels.collect(),
        columns,
        side: NEAR,
        bars: Bars::Each,
    };
    let name = format!("similar-{}", place + 1);
    Ok(vec![
        (format!("{name}.png"), to_png(&figure.to_image()?)?),
        (format!("{name}.svg"), figure.to_svg()?.into_bytes()),
    ])
}
