//! Maps of several models on the same few images in one figure: a row for each model, a column for each layer, and rollout.

use archaeo_analysis::attention::{DistanceConvention, observe};
use archaeo_analysis::attribution::{Attribution, Heatmap, Rollout};
use archaeo_models::Classifier;
use archaeo_plot::{Bars, Colormap, Figure, Grid, Heat, Image, Panel};
use archaeo_random::spread;
use archaeo_training::images::{Batch, Preprocessed};

use crate::error::LabError;
use crate::figures::{OPACITY, grey, largest};
use crate::opened::Opened;

/// Images whose maps are shown, of different classes where there are some.
const SHOWN: usize = 2;

/// CSS pixels of the longer side of a map.
const SIDE: usize = 88;

/// What the colours stand for.
const UNIT: &str = "times the even share";

/// The maps of several models.
pub(super) struct Strip {
    indices: Vec<usize>,
    names: Vec<String>,
    pictures: Vec<Image>,
    greys: Vec<Image>,
    rows: Vec<Row>,
}

/// The maps of one model.
struct Row {
    title: String,
    note: String,
    /// Whether rollout comes last.
    rollout: bool,
    /// Of each image: each layer, and rollout where it applies.
    maps: Vec<Vec<Heatmap>>,
}

impl Strip {
    /// Chooses the images.
    pub fn of(opened: &Opened) -> Result<Self, LabError> {
        let split = opened.split()?;
        let mut indices = spread(&split.labels(), &opened.indices, SHOWN);
        indices.sort_unstable();
        let images = Preprocessed { split, preprocessing: &opened.model.card().preprocessing };
        let pictures = Batch::load(&images, &indices, 0)?.images;
        Ok(Self {
            names: indices.iter().map(|&index| split.identifier(index)).collect(),
            greys: pictures.iter().map(grey).collect(),
            pictures,
            indices,
            rows: Vec::new(),
        })
    }

    /// Adds the maps of a model: what the read tokens receive from the patches in each layer, mean over heads, and rollout where it
    /// applies, each over the share that a patch has when all have the same.
    pub fn add(
        &mut self,
        title: String,
        note: String,
        model: &Classifier,
        opened: &Opened,
    ) -> Result<(), LabError> {
        let images = Preprocessed { split: opened.split()?, preprocessing: &model.card().preprocessing };
        let pixels = Batch::load(&images, &self.indices, 0)?.tensor(&opened.device);
        let (seen, _) = observe(model, pixels, DistanceConvention::default(), true, None)?;
        let rollout = Rollout::USUAL.applies(model).holds();
        let rollouts = if rollout { seen.rollout() } else { Vec::new() };
        let of_image = |image: usize| {
            let layers = seen.layers.iter().map(|layer| layer.mean_readout_map(image));
            layers.chain(rollouts.get(image).cloned()).map(|map| map.over_even()).collect()
        };
        let maps = (0..seen.images).map(of_image).collect();
        self.rows.push(Row { title, note, rollout, maps });
        Ok(())
    }

    /// All maps on one scale, image by image.
    pub fn figure(&self, title: String, lines: Vec<String>) -> Result<Figure<'_>, LabError> {
        let all = self.rows.iter().flat_map(|row| row.maps.iter().flatten());
        let values: Vec<f32> = all.flat_map(|map| map.values.iter().copied()).collect();
        let range = [0.0, largest(values)];
        let mut panels = Vec::new();
        for (image, (picture, grey)) in self.pictures.iter().zip(&self.greys).enumerate() {
            for row in &self.rows {
                let (title, note) = (row.title.clone(), row.note.clone());
                panels.push(Panel { title, note, picture, heat: None, axes: None });
                let maps = &row.maps[image];
                for (number, map) in (1..).zip(maps) {
                    let grid = Grid::new(&map.values, map.height, map.width)?;
                    let heat = Heat { grid, colormap: Colormap::Inferno, range, opacity: OPACITY };
                    let title = match row.rollout && number == maps.len() {
                        true => "rollout".to_owned(),
                        false => format!("layer {number}"),
                    };
                    panels.push(Panel {
                        title,
                        note: String::new(),
                        picture: grey,
                        heat: Some(heat),
                        axes: None,
                    });
                }
            }
        }
        let columns = panels.len() / (self.rows.len() * self.pictures.len()).max(1);
        let images = format!(
            "On {}: attention of the read tokens to each patch, mean over heads",
            self.names.join(" and ")
        );
        let lines = lines.into_iter().chain([images]).collect();
        Ok(Figure { title, lines, panels, columns, side: SIDE, bars: Bars::Shared(UNIT.into()) })
    }
}
