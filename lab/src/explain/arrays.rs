//! Heatmaps in a file.

use std::path::Path;

use archaeo_models::check_memory;
use archaeo_store::arrays::{Column, Export, NamedArray, Table};

use super::{Exhibit, Explained, ExplainedImage};
use crate::error::LabError;

/// The heatmaps of all images, method by method.
pub(super) struct Gathered {
    images: usize,
    methods: Vec<Vec<f32>>,
}

impl Gathered {
    pub fn new(images: usize, methods: usize) -> Self {
        Self { images, methods: vec![Vec::new(); methods] }
    }

    pub fn add(&mut self, exhibits: &[Exhibit]) -> Result<(), LabError> {
        if self.methods.iter().all(Vec::is_empty)
            && let Some(first) = exhibits.first()
        {
            let values: usize = first.heatmaps.iter().map(|map| map.values.len()).sum();
            let bytes = (self.images * values * size_of::<f32>()) as f64;
            check_memory(bytes).map_err(|reason| LabError::Arrays { images: self.images, reason })?;
        }
        for exhibit in exhibits {
            for (all, map) in self.methods.iter_mut().zip(&exhibit.heatmaps) {
                all.extend(&map.values);
            }
        }
        Ok(())
    }

    /// One array `(n, rows, columns)` for each method under its ID with underscores; `targets` and `predicted`, where the model has
    /// classes. A table has a row for each image.
    pub fn write(self, path: &Path, explained: &Explained) -> Result<(), LabError> {
        let Explained { model, methods, images, .. } = explained;
        let mut arrays = Vec::new();
        for (method, values) in methods.iter().zip(self.methods) {
            let [rows, columns] = images.first().map_or([0, 0], |image| {
                let range = &image.heatmaps[method.id];
                [range.rows, range.columns]
            });
            arrays.push(NamedArray::floats(
                &method.id.replace('-', "_"),
                &[images.len(), rows, columns],
                values,
            ));
        }
        let text = |of: &dyn Fn(&ExplainedImage) -> String| Column::Text(images.iter().map(of).collect());
        let mut table = Table::default()
            .with("image", text(&|image| image.image.clone()))
            .with("source", text(&|image| image.source.clone()));
        let targets: Option<Vec<usize>> =
            images.iter().map(|image| Some(image.target.as_ref()?.class)).collect();
        if let Some(targets) = targets {
            let predicted: Vec<usize> = images.iter().map(|image| image.predictions[0].class).collect();
            arrays.push(NamedArray::indices("targets", &targets));
            arrays.push(NamedArray::indices("predicted", &predicted));
            let probability = images.iter().map(|image| image.predictions[0].probability).collect();
            let name = |image: &ExplainedImage| {
                image.target.as_ref().map_or_else(String::new, |target| target.name.clone())
            };
            table = table
                .with("target", Column::indices(&targets))
                .with("target_name", text(&name))
                .with("predicted", Column::indices(&predicted))
                .with("predicted_name", text(&|image| image.predictions[0].name.clone()))
                .with("probability", Column::Numbers(probability));
        }
        let names = images.iter().map(|image| image.image.clone()).collect();
        let notes = vec![("model".to_owned(), model.clone())];
        Ok(Export { arrays, images: names, table, notes }.write(path)?)
    }
}
