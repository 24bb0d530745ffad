//! What attention heads do differently in another checkpoint of the same architecture, image by image.

use std::path::{Path, PathBuf};

use archaeo_analysis::attention::{
    DistanceConvention, HeadBeforeAfter, HeadChange, ObservedAttention, head_changes, heads_before_and_after,
    observe,
};
use archaeo_analysis::statistics::Resampling;
use archaeo_training::images::{Batch, Preprocessed};
use serde::Serialize;

use super::against_figures;
use crate::error::LabError;
use crate::figures::FigureFolder;
use crate::opened::Opened;
use crate::session::Session;

/// How two checkpoints are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct AgainstOptions {
    /// How the attention distance treats the class token.
    pub convention: DistanceConvention,
}

/// Attention of one checkpoint, and of another on the same images.
#[derive(Clone, Debug, Serialize)]
pub struct ComparedAttention {
    /// Name of the model before.
    pub before: String,
    /// Name of the model after.
    pub after: String,
    /// Images.
    pub n: usize,
    /// How the attention distance treats the class token.
    pub distance_convention: &'static str,
    /// The numbers of the layers, from 1.
    pub layers: Vec<usize>,
    /// For each layer, one entry per head.
    pub heads: Vec<Vec<HeadChange>>,
    /// Files of the figures; none where no folder was given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<PathBuf>,
}

impl Session {
    /// Compares two checkpoints of one architecture, `before` and `after`, on the images of the first. With `folder`, writes two
    /// figures there: the maps of two images side by side, and how far the map of every head moved.
    ///
    /// # Errors
    /// Models whose attention has not the same layers, heads and grids; data that cannot be read; fewer than two images; figures that
    /// cannot be written.
    pub fn attention_against(
        &self,
        before: &Opened,
        after: &Opened,
        options: AgainstOptions,
        folder: Option<&Path>,
    ) -> Result<ComparedAttention, LabError> {
        before.require_attention()?;
        after.require_attention()?;
        let inputs = [before.subject.inputs(), after.subject.inputs()].concat();
        let figures = folder.map(|folder| FigureFolder::new(folder, &against_figures::FIGURES, &inputs));
        let mut figures = figures.transpose()?;
        let models = [&before.model, &after.model];
        let Opened { indices, device, .. } = before;
        if indices.len() < 2 {
            return Err(LabError::Against("a comparison takes 2 images or more; raise --limit".into()));
        }
        let split = before.split()?;
        let work = self.counting("both models", indices.len());
        let mut found: Vec<Vec<Vec<HeadBeforeAfter>>> = Vec::with_capacity(indices.len());
        let mut previous: Option<ObservedAttention> = None;
        for batch in indices.chunks(before.batch_size()) {
            let of = |model: &archaeo_models::Classifier| {
                let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
                let pixels = Batch::load(&images, batch, 0)?.tensor(device);
                Ok::<_, LabError>(observe(model, pixels, options.convention, false, None)?.0)
            };
            let [first, second] = [of(models[0])?, of(models[1])?];
            if !(first.is_finite() && second.is_finite()) {
                return Err(LabError::Against(
                    "attention weights are not finite; `archaeo attention` on each checkpoint says where"
                        .into(),
                ));
            }
            // Each image is held against the one before it.
            let earlier = |image: usize| match image {
                0 => previous.as_ref().map(|seen| (seen, seen.images - 1)),
                _ => Some((&first, image - 1)),
            };
            let Some(of_batch) = heads_before_and_after(&first, &second, earlier) else {
                let [a, b] = models.map(|model| &model.card().name);
                let reason = format!(
                    "{a} and {b} have not the same layers, heads and patches; --against takes another checkpoint of one architecture"
                );
                return Err(LabError::Against(reason));
            };
            found.extend(of_batch);
            previous = Some(first);
            work.advance(batch.len());
        }
        let heads = head_changes(&found, &Resampling::new(self.seed()))?;
        let mut compared = ComparedAttention {
            before: models[0].card().name.clone(),
            after: models[1].card().name.clone(),
            n: indices.len(),
            distance_convention: options.convention.describe(),
            layers: (1..=heads.len()).collect(),
            heads,
            pictures: Vec::new(),
        };
        if let Some(figures) = &mut figures {
            against_figures::write(&compared, before, after, figures)?;
        }
        compared.pictures = figures.map(FigureFolder::written).unwrap_or_default();
        Ok(compared)
    }
}
