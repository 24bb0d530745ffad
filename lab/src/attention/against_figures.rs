//! What two checkpoints do differently, as figures: maps of the same images, and how far the map of every head moved.

use archaeo_analysis::statistics::Estimate;
use archaeo_plot::{Axes, Bars, Colormap, Figure, Grid, Heat, Image, Panel};

use super::strip::Strip;
use super::{ComparedAttention, HeadChange};
use crate::error::LabError;
use crate::figures::FigureFolder;
use crate::opened::Opened;

/// The figures, each as PNG and as SVG.
pub(super) const FIGURES: [&str; 2] = ["against-maps", "against-heads"];

/// CSS pixels of the longer side of the layers and heads.
const SIDE: usize = 320;

/// Writes both figures.
pub(super) fn write(
    compared: &ComparedAttention,
    before: &Opened,
    after: &Opened,
    figures: &mut FigureFolder,
) -> Result<(), LabError> {
    let mut strip = Strip::of(before)?;
    let mut lines = Vec::new();
    for (title, opened) in [("before", before), ("after", after)] {
        lines.push(format!("{title}: {}", opened.subject.model.weights.display()));
        strip.add(title.into(), String::new(), &opened.model, before)?;
    }
    let title = format!("{} before, {} after", compared.before, compared.after);
    figures.write(FIGURES[0], &strip.figure(title, lines)?)?;

    let changed = Divergences::of(&compared.heads, |head| Some(&head.map_divergence));
    let between = Divergences::of(&compared.heads, |head| head.between_images.as_ref());
    let grids: Vec<(&str, &Divergences)> = [("before to after", &changed), ("two images, before", &between)]
        .into_iter()
        .filter_map(|(title, found)| Some((title, found.as_ref()?)))
        .collect();
    figures.write(FIGURES[1], &heads(compared, &grids)?)
}

/// Layers and heads on one scale.
fn heads<'a>(
    compared: &ComparedAttention,
    grids: &[(&str, &'a Divergences)],
) -> Result<Figure<'a>, LabError> {
    let highest = grids.iter().flat_map(|(_, found)| found.values.iter().copied()).fold(0.0, f32::max);
    let panel = |(title, found): &(&str, &'a Divergences)| -> Result<Panel<'a>, LabError> {
        let grid = Grid::new(&found.values, found.layers, found.columns)?;
        let heat = Heat { grid, colormap: Colormap::Viridis, range: [0.0, highest], opacity: 1.0 };
        let (title, note) = ((*title).into(), "rows: layers, columns: heads".into());
        Ok(Panel { title, note, picture: &found.paper, heat: Some(heat), axes: Some(found.axes.clone()) })
    };
    Ok(Figure {
        title: format!("How far the map of every head moved, {} images", compared.n),
        lines: vec![
            format!("{} before, {} after", compared.before, compared.after),
            "Jensen-Shannon divergence of what a head sends to the read tokens; at most ln 2 = 0.69".into(),
        ],
        panels: grids.iter().map(panel).collect::<Result<_, _>>()?,
        columns: grids.len(),
        side: SIDE,
        bars: Bars::Shared("nats".into()),
    })
}

/// One number per head as a grid with a row for each layer.
struct Divergences {
    layers: usize,
    columns: usize,
    values: Vec<f32>,
    axes: Axes,
    /// What lies below the colours, with the shape of the grid.
    paper: Image,
}

impl Divergences {
    /// Where layers differ in their number of heads, as in a Swin Transformer, each of the fewer heads is wider.
    fn of(heads: &[Vec<HeadChange>], number: fn(&HeadChange) -> Option<&Estimate>) -> Option<Self> {
        let columns = heads.iter().map(Vec::len).max()?;
        let alike = heads.iter().all(|layer| layer.len() == columns);
        let mut values = Vec::with_capacity(heads.len() * columns);
        for layer in heads {
            for column in 0..columns {
                values.push(number(layer.get(column * layer.len() / columns)?)?.value as f32);
            }
        }
        let numbers = |count: usize| (1..=count).map(|number| number.to_string()).collect();
        let axes =
            Axes { rows: numbers(heads.len()), columns: if alike { numbers(columns) } else { Vec::new() } };
        let paper = Image::filled(columns, heads.len(), [255; 3]);
        Some(Self { layers: heads.len(), columns, values, axes, paper })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::AttentionChange;

    #[test]
    fn a_layer_of_fewer_heads_has_wider_ones() {
        let estimate = |value| Estimate::of_one(value, 0.95);
        let change = AttentionChange {
            before: 0.0,
            after: 0.0,
            difference: estimate(0.0),
            p_value: 1.0,
            adjusted: 1.0,
        };
        let head = |value| HeadChange {
            distance: change.clone(),
            entropy: change.clone(),
            map_divergence: estimate(value),
            between_images: None,
        };
        let heads = [vec![head(0.1), head(0.2)], [0.3, 0.4, 0.5, 0.6].map(head).to_vec()];
        let found = Divergences::of(&heads, |head| Some(&head.map_divergence)).unwrap();
        assert_eq!(found.values, [0.1, 0.1, 0.2, 0.2, 0.3, 0.4, 0.5, 0.6]);
        assert_eq!((found.axes.rows.len(), found.axes.columns.len()), (2, 0));
        assert!(Divergences::of(&heads, |head| head.between_images.as_ref()).is_none());
    }
}
