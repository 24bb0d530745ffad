//! Statistics of heads and heatmaps in a file.

use std::iter::repeat_n;
use std::path::Path;

use archaeo_analysis::attribution::{Heatmap, MethodInfo};
use archaeo_store::arrays::{Column, Export, NamedArray, Table};

use super::Attended;
use crate::error::LabError;
use crate::opened::Opened;

/// The statistics of every head, and what is known of the images.
pub(super) fn write(path: &Path, opened: &Opened, attended: &Attended) -> Result<(), LabError> {
    let Attended { layers, statistics, .. } = attended;
    let distance = statistics.get("attention_distance").map_or(&[][..], Vec::as_slice);
    let heads: Vec<usize> = distance.iter().map(Vec::len).collect();
    let most = heads.iter().copied().max().unwrap_or(0);
    let places =
        || layers.iter().zip(&heads).flat_map(|(&layer, &heads)| (1..=heads).map(move |head| (layer, head)));
    let column =
        |number: fn((usize, usize)) -> usize| Column::indices(&places().map(number).collect::<Vec<_>>());
    let mut table =
        Table::default().with("layer", column(|(layer, _)| layer)).with("head", column(|(_, head)| head));
    let mut arrays: Vec<NamedArray> =
        attended.heatmaps.iter().zip(&attended.maps).map(|(method, maps)| array(method, maps)).collect();
    if opened.dataset.has_labels() {
        arrays.push(NamedArray::indices("labels", &opened.labels()?));
    }
    for (name, values) in statistics.present() {
        // Stages of a Swin Transformer differ in their number of heads.
        let padded = values.iter().flat_map(|heads| {
            heads.iter().map(|&value| value as f32).chain(repeat_n(f32::NAN, most - heads.len()))
        });
        arrays.push(NamedArray::floats(name, &[values.len(), most], padded.collect()));
        table = table.with(name, Column::Numbers(values.iter().flatten().copied().collect()));
    }
    let notes = [("distance", attended.distance_convention), ("model", &attended.model)];
    let notes = notes.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    Ok(Export { arrays, images: opened.images()?, table, notes }.write(path)?)
}

/// Heatmaps of one method and size, `(n, rows, columns)`, under the method's name.
fn array(method: &MethodInfo, heatmaps: &[Heatmap]) -> NamedArray {
    let [rows, columns] = heatmaps.first().map_or([0, 0], |heatmap| [heatmap.height, heatmap.width]);
    let values = heatmaps.iter().flat_map(|heatmap| heatmap.values.iter().copied()).collect();
    NamedArray::floats(&method.id.replace('-', "_"), &[heatmaps.len(), rows, columns], values)
}
