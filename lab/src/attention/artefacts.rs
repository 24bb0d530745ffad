//! Artefact tokens of a model on some images, and what becomes of its answers without them.

use archaeo_analysis::attention::{Replacement, TokenNorms};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Estimate, wilson};
use archaeo_models::Pass;
use archaeo_training::images::{Batch, Preprocessed};
use serde::Serialize;

use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;

/// Images that are looked at for artefact tokens, at most.
const IMAGES: usize = 128;

/// Artefact tokens (Darcet et al., 2024): patch tokens of outlying norm.
#[derive(Clone, Debug, Serialize)]
pub struct ArtefactsFound {
    /// In words.
    pub summary: String,
    /// Images looked at.
    pub n: usize,
    /// Layers with artefact tokens, from 1; empty without any.
    pub layers: Vec<usize>,
    /// Of the layer that has most: its number, the norm that separates them, the median norm of all patches, of the artefacts, and
    /// the mean number of artefacts per image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clearest: Option<ClearestLayer>,
    /// Share of images whose answer stays when the tokens are replaced by the mean of the image's other patches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answers_kept: Option<Estimate>,
}

/// The layer with most artefact tokens.
#[derive(Clone, Debug, Serialize)]
pub struct ClearestLayer {
    /// From 1.
    pub layer: usize,
    /// Norms above this are artefacts.
    pub threshold: f64,
    /// Median norm of all patches.
    pub median: f64,
    /// Median norm of the artefacts.
    pub artefact_median: f64,
    /// Mean over images.
    pub per_image: f64,
    /// How often each patch is one, in reading order.
    pub places: Vec<f64>,
}

impl Session {
    /// Finds artefact tokens on up to 128 of the images, and compares answers with and without them.
    pub(super) fn artefacts(
        &self,
        opened: &Opened,
    ) -> Result<(ArtefactsFound, Option<Replacement>), LabError> {
        let Opened { model, indices, device, .. } = opened;
        let images = Preprocessed { split: opened.split()?, preprocessing: &model.card().preprocessing };
        let looked_at = &indices[..indices.len().min(IMAGES)];
        let mut norms = TokenNorms::default();
        let work = self.counting("artefact tokens", looked_at.len());
        for batch in looked_at.chunks(opened.batch_size()) {
            norms.add(model, Batch::load(&images, batch, 0)?.tensor(device))?;
            work.advance(batch.len());
        }
        drop(work);
        let n = looked_at.len();
        let Some(found) = norms.artefacts() else {
            let summary = format!(
                "no layer has artefact tokens: the norms of its patch tokens have no gap ({n} images)"
            );
            return Ok((
                ArtefactsFound { summary, n, layers: Vec::new(), clearest: None, answers_kept: None },
                None,
            ));
        };
        let replacement = found.replacement();
        let mut kept = 0;
        for batch in looked_at.chunks(opened.batch_size()) {
            let pixels = Batch::load(&images, batch, 0)?.tensor(device);
            let answers = |probe: &mut (dyn archaeo_models::Probe + Send)| {
                let logits =
                    archaeo_ops::in_pool(|| model.logits(pixels.clone(), &mut Pass::evaluate(probe)));
                logits.argmax(1).into_data()
            };
            let (plain, without) = (answers(&mut ()), answers(&mut replacement.clone()));
            let pairs = plain.iter::<i64>().zip(without.iter::<i64>());
            kept += pairs.filter(|(plain, without)| plain == without).count();
        }
        let layers =
            found.layers.iter().zip(1..).filter_map(|(layer, number)| layer.as_ref().map(|_| number));
        let layers: Vec<usize> = layers.collect();
        let (layer, clearest) = found.clearest();
        let per_image = clearest.share * clearest.places.len() as f64;
        let answers_kept = wilson(kept, n, DEFAULT_LEVEL)?;
        let summary = format!(
            "artefact tokens appear in layer {}; in layer {}, {per_image:.1} patches per image have a norm above {:.1} (median of all \
             {:.1}, of these {:.1}); replaced by the mean of the other patches, {:.1} % of the answers stay ({n} images)",
            layers[0],
            layer + 1,
            clearest.threshold,
            clearest.median,
            clearest.artefact_median,
            100.0 * answers_kept.value
        );
        let clearest = ClearestLayer {
            layer: layer + 1,
            threshold: clearest.threshold,
            median: clearest.median,
            artefact_median: clearest.artefact_median,
            per_image,
            places: clearest.places.clone(),
        };
        let found =
            ArtefactsFound { summary, n, layers, clearest: Some(clearest), answers_kept: Some(answers_kept) };
        Ok((found, Some(replacement)))
    }
}
