//! Curves of trainings.

use archaeo_analysis::attention::{AttentionChange, HeadChange};
use archaeo_plot::{Axis, LineChart, LineSeries, MatrixChart, Point, Scale, Uncertainty, ValueFormat};
use archaeo_report::document::{Block, Column, Figure, Panel, Table, Text};
use archaeo_report::numbers::{Unit, p_value};

use super::super::{AttentionShift, LayerShift, RegimeRun, RegimesCompared};
use crate::report::charts::{bare_point, point};

/// Validation accuracy against images seen and against seconds.
pub(crate) fn curves(regimes: &RegimesCompared) -> Block {
    let series = |of_run: &dyn Fn(&RegimeRun) -> Vec<Point>| -> Vec<LineSeries> {
        let runs = regimes.regimes.iter().filter_map(|regime| Some((regime, regime.largest()?)));
        runs.map(|(regime, run)| LineSeries { name: regime.name.clone(), points: of_run(run) }).collect()
    };
    let by_images = |run: &RegimeRun| -> Vec<Point> {
        let points =
            run.history.iter().map(|epoch| bare_point(run.images_seen(epoch), epoch.validation_accuracy));
        points.flatten().collect()
    };
    let by_seconds = |run: &RegimeRun| -> Vec<Point> {
        let mut seconds = 0.0;
        let points = run.history.iter().map(|epoch| {
            seconds += epoch.seconds;
            bare_point(seconds, epoch.validation_accuracy)
        });
        points.flatten().collect()
    };
    let chart = |title: &str, x: Axis, series: Vec<LineSeries>| {
        Panel::chart(&LineChart {
            title: title.into(),
            description: format!("{title}, one curve per regime"),
            x,
            y: Axis::new("validation accuracy", Scale::Percent).including(0.0, 1.0),
            series,
            uncertainty: Uncertainty::Band,
        })
    };
    Block::Figure(Figure {
        title: "Training.".into(),
        caption: "Validation accuracy after each epoch, on the most training images, against images seen and against time on this machine."
            .into(),
        panels: vec![
            chart("By images seen", Axis::new("images seen", Scale::Linear), series(&by_images)),
            chart("By time", Axis::new("seconds", Scale::Log10), series(&by_seconds)),
        ],
        data: None,
    })
}

/// Test accuracy against the number of training images.
pub(crate) fn efficiency(regimes: &RegimesCompared) -> Block {
    let series = regimes.regimes.iter().map(|regime| LineSeries {
        name: regime.name.clone(),
        points: regime.runs.iter().filter_map(|run| point(run.images as f64, &run.accuracy)).collect(),
    });
    let chart = LineChart {
        title: "Test accuracy".into(),
        description: "Test accuracy against the number of training images, one curve per regime".into(),
        x: Axis::new("training images", Scale::Log10),
        y: Axis::new("accuracy", Scale::Percent).including(0.0, 1.0),
        series: series.collect(),
        uncertainty: Uncertainty::Whiskers,
    };
    Block::Figure(Figure {
        title: "Data efficiency.".into(),
        caption: "Each point is one training; whiskers are 95 % intervals over test images.".into(),
        panels: vec![Panel::chart(&chart)],
        data: None,
    })
}

/// Distance, entropy and divergence by layer.
pub(crate) fn attention(regimes: &RegimesCompared) -> Vec<Block> {
    let of_layers =
        |name: String, layers: &[LayerShift], value: &dyn Fn(&LayerShift) -> Option<f64>| LineSeries {
            name,
            points: layers.iter().filter_map(|layer| bare_point(layer.layer as f64, value(layer)?)).collect(),
        };
    let mut blocks = Vec::new();
    for shift in &regimes.attention {
        let layers = &shift.layers;
        let both = |value: fn(&LayerShift) -> [f64; 2]| -> Vec<LineSeries> {
            vec![
                of_layers("before".into(), layers, &|layer| Some(value(layer)[0])),
                of_layers("after".into(), layers, &|layer| Some(value(layer)[1])),
            ]
        };
        let chart = |title: &str, label: &str, series: Vec<LineSeries>| {
            Panel::chart(&LineChart {
                title: title.into(),
                description: format!("{title} by layer, before and after training"),
                x: Axis::new("layer", Scale::Count),
                y: Axis::new(label, Scale::Linear).including(0.0, 0.0),
                series,
                uncertainty: Uncertainty::Band,
            })
        };
        let divergence = vec![
            of_layers("before, after".into(), layers, &|layer| Some(layer.divergence)),
            of_layers("two images".into(), layers, &|layer| layer.between_images),
        ];
        blocks.push(Block::Figure(Figure {
            title: format!("Attention of {}.", shift.regime),
            caption: format!("Mean over heads and {} images, before and after training.", shift.n).into(),
            panels: vec![
                chart("Attention distance", "pixels", both(|layer| layer.distance)),
                chart("Entropy", "nats", both(|layer| layer.entropy)),
                chart("Divergence of maps", "nats", divergence),
            ],
            data: Some(table(layers)),
        }));
        blocks.extend(heads(shift));
    }
    blocks
}

/// Heads that are listed: those whose maps changed most.
const LISTED: usize = 12;

/// How far the map of every head moved, and the heads that changed most.
fn heads(shift: &AttentionShift) -> Option<Block> {
    let width = shift.layers.iter().map(|layer| layer.heads.len()).max().filter(|width| *width > 0)?;
    let cell = |layer: &LayerShift, head: usize| layer.heads.get(head).map(|head| head.map_divergence.value);
    let title = format!("How far the map of every head of {} moved", shift.regime);
    let chart = MatrixChart {
        description: format!("{title}: Jensen-Shannon divergence by layer and head"),
        title,
        row_label: "layer".into(),
        column_label: "head".into(),
        value_label: "divergence, nats".into(),
        rows: shift.layers.iter().map(|layer| layer.layer.to_string()).collect(),
        columns: (1..=width).map(|head| head.to_string()).collect(),
        values: (shift.layers.iter())
            .flat_map(|layer| (0..width).map(move |head| cell(layer, head)))
            .collect(),
        format: ValueFormat::Decimals(2),
        range: None,
    };
    Some(Block::Figure(Figure {
        title: format!("Heads of {}.", shift.regime),
        caption: format!(
            "Mean divergence between a head's maps of {} images before and after training; at most ln 2 = 0.69.",
            shift.n
        )
        .into(),
        panels: vec![Panel::chart(&chart)],
        data: Some(most_changed(shift)),
    }))
}

fn most_changed(shift: &AttentionShift) -> Table {
    let mut heads: Vec<(usize, usize, &HeadChange)> = (shift.layers.iter())
        .flat_map(|layer| (1..).zip(&layer.heads).map(move |(head, found)| (layer.layer, head, found)))
        .collect();
    heads.sort_by(|a, b| b.2.map_divergence.value.total_cmp(&a.2.map_divergence.value));
    let change = |unit: Unit, change: &AttentionChange| -> [Text; 3] {
        [unit.bare(change.before).into(), unit.bare(change.after).into(), p_value(change.adjusted).into()]
    };
    let rows = heads.into_iter().take(LISTED).map(|(layer, head, found)| {
        [
            vec![
                Text::from(layer.to_string()),
                head.to_string().into(),
                Unit::Nats.cell(&found.map_divergence),
            ],
            change(Unit::Pixels, &found.distance).into(),
            change(Unit::Nats, &found.entropy).into(),
        ]
        .concat()
    });
    Table {
        caption: "The heads whose maps changed most. p: paired sign-flip test of the change, adjusted by Benjamini and Hochberg for all \
                  heads and both statistics."
            .into(),
        columns: ["Layer", "Head"]
            .map(Column::words)
            .into_iter()
            .chain(
                ["Divergence, nats", "Distance before, px", "after", "p", "Entropy before, nats", "after", "p"]
                    .map(Column::numbers),
            )
            .collect(),
        rows: rows.collect(),
    }
}

fn table(layers: &[LayerShift]) -> Table {
    let rows = layers.iter().map(|layer| {
        vec![
            Text::from(layer.layer.to_string()),
            Unit::Pixels.bare(layer.distance[0]).into(),
            Unit::Pixels.bare(layer.distance[1]).into(),
            Unit::Nats.bare(layer.entropy[0]).into(),
            Unit::Nats.bare(layer.entropy[1]).into(),
            Unit::Nats.bare(layer.divergence).into(),
            layer.between_images.map_or("–".into(), |between| Unit::Nats.bare(between)).into(),
        ]
    });
    Table {
        caption: "By layer.".into(),
        columns: vec![
            Column::words("Layer"),
            Column::numbers("Distance before, px"),
            Column::numbers("after"),
            Column::numbers("Entropy before, nats"),
            Column::numbers("after"),
            Column::numbers("Divergence, nats"),
            Column::numbers("Between images"),
        ],
        rows: rows.collect(),
    }
}
