//! What a model answers: logits, features, attention.

use std::ops::Range;

use archaeo_analysis::Keys;
use archaeo_analysis::answers::logits;
use archaeo_analysis::attention::{AttentionMaps, LayerMaps};
use archaeo_analysis::attribution::Evidence;
use archaeo_models::{Pass, check_memory};
use archaeo_ops::in_pool;
use archaeo_training::finite::first_not_finite;

use super::pixels::values;
use super::{AT_ONCE, DirectError, DirectModel, FEW_AT_ONCE, Pixels};
use crate::session::Session;

/// One row of numbers per image.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// `(images, width)`, row by row.
    pub values: Vec<f32>,
    /// Numbers in a row.
    pub width: usize,
}

/// The attention of all layers and heads in one piece.
#[derive(Clone, Debug, PartialEq)]
pub struct WholeAttention {
    /// Images, layers, heads, tokens that ask, tokens that are looked at.
    pub shape: [usize; 5],
    /// In that order, row by row.
    pub values: Vec<f32>,
    /// Rows and columns of the patches.
    pub grid: [usize; 2],
    /// Tokens before the first patch.
    pub prefix: usize,
}

impl DirectModel {
    /// Logits, one row per image.
    ///
    /// # Errors
    /// A model without a head, answers that are not finite, an interruption.
    pub fn logits(&self, session: &Session, pixels: Pixels) -> Result<Rows, DirectError> {
        let width = self.require_classes()?;
        let work = session.counting(&self.card().name, pixels.count());
        let mut found = Vec::with_capacity(pixels.count() * width);
        for range in pixels.batches(AT_ONCE) {
            session.go_on()?;
            found.extend(logits(&self.classifier, self.tensor(pixels, range.clone())));
            work.advance(range.len());
        }
        self.check_finite(&found, width, 0)?;
        Ok(Rows { values: found, width })
    }

    /// What the head reads, or would read, of each image: one row per image ([`Classifier::features`](archaeo_models::Classifier::features)).
    ///
    /// # Errors
    /// Features that are not finite, an interruption.
    pub fn features(&self, session: &Session, pixels: Pixels) -> Result<Rows, DirectError> {
        let width = self.classifier.feature_dim();
        let work = session.counting(&self.card().name, pixels.count());
        let mut found = Vec::with_capacity(pixels.count() * width);
        for range in pixels.batches(AT_ONCE) {
            session.go_on()?;
            let images = self.tensor(pixels, range.clone());
            let features = in_pool(|| self.classifier.features(images, &mut Pass::evaluate(&mut ())));
            found.extend(values(features));
            work.advance(range.len());
        }
        self.check_finite(&found, width, 0)?;
        Ok(Rows { values: found, width })
    }

    /// The attention weights of every layer, as each layer has them: within windows where it attends within windows.
    ///
    /// # Errors
    /// A model without attention, weights that would not fit into memory or are not finite, an interruption.
    pub fn attention_by_layer(
        &self,
        session: &Session,
        pixels: Pixels,
    ) -> Result<AttentionMaps, DirectError> {
        let mut all: Option<AttentionMaps> = None;
        self.each_attention(session, pixels, |_, maps| match &mut all {
            None => all = Some(maps),
            Some(all) => {
                all.images += maps.images;
                for (own, further) in all.layers.iter_mut().zip(maps.layers) {
                    own.values.extend(further.values);
                }
            }
        })?;
        Ok(all.expect("there is an image"))
    }

    /// The attention weights of every layer in one array. Rows are the tokens that ask, and sum to 1; prefix tokens come first, then
    /// patches in reading order.
    ///
    /// # Errors
    /// As [`DirectModel::attention_by_layer`]; a model whose layers do not share heads and tokens.
    pub fn attention(&self, session: &Session, pixels: Pixels) -> Result<WholeAttention, DirectError> {
        let mut whole: Option<WholeAttention> = None;
        let mut refused = false;
        self.each_attention(session, pixels, |range, maps| {
            let first = &maps.layers[0];
            let alike = |layer: &LayerMaps| {
                layer.site.window.is_none()
                    && (layer.heads, layer.places, layer.windows) == (first.heads, first.places, 1)
            };
            refused |= !maps.layers.iter().all(alike);
            if refused {
                return;
            }
            let of_layer = first.heads * first.places * first.places;
            let shape = [pixels.count(), maps.layers.len(), first.heads, first.places, first.places];
            let whole = whole.get_or_insert_with(|| WholeAttention {
                shape,
                values: vec![0.0; shape.iter().product()],
                grid: first.site.grid,
                prefix: first.site.prefix.count(),
            });
            for (number, layer) in maps.layers.iter().enumerate() {
                for (image, weights) in range.clone().zip(layer.values.chunks_exact(of_layer)) {
                    let at = (image * maps.layers.len() + number) * of_layer;
                    whole.values[at..at + of_layer].copy_from_slice(weights);
                }
            }
        })?;
        match whole.filter(|_| !refused) {
            Some(whole) => Ok(whole),
            None => Err(DirectError::NotWhole { model: self.card().name.clone() }),
        }
    }

    /// Hands over the attention of one batch after another.
    pub(super) fn each_attention(
        &self,
        session: &Session,
        pixels: Pixels,
        mut each: impl FnMut(Range<usize>, AttentionMaps),
    ) -> Result<(), DirectError> {
        self.require_attention()?;
        self.each_evidence(session, &self.card().name, pixels, |range, evidence| {
            let maps = evidence.attention()?.clone();
            if range.start == 0 {
                let one: usize = maps.layers.iter().map(|layer| layer.values.len() / maps.images).sum();
                let bytes = (one * size_of::<f32>()) as f64 * pixels.count() as f64;
                check_memory(bytes)
                    .map_err(|reason| DirectError::Attention { images: pixels.count(), reason })?;
            }
            for layer in &maps.layers {
                self.check_finite(&layer.values, layer.values.len() / maps.images, range.start)?;
            }
            each(range, maps);
            Ok(())
        })
    }

    /// Hands over the evidence of one batch after another, whose keys are the places of its images; `title` is what progress names.
    pub(super) fn each_evidence(
        &self,
        session: &Session,
        title: &str,
        pixels: Pixels,
        mut each: impl FnMut(Range<usize>, &Evidence) -> Result<(), DirectError>,
    ) -> Result<(), DirectError> {
        let work = session.counting(title, pixels.count());
        for range in pixels.batches(FEW_AT_ONCE) {
            session.go_on()?;
            let keys: Vec<u64> = range.clone().map(|image| image as u64).collect();
            let images = self.tensor(pixels, range.clone());
            let keys = Keys { seed: session.seed(), images: &keys };
            each(range.clone(), &Evidence::new(&self.classifier, images, keys))?;
            work.advance(range.len());
        }
        Ok(())
    }

    /// Refuses rows of which one is not finite; `first` is the number of the first row's image.
    pub(super) fn check_finite(&self, values: &[f32], width: usize, first: usize) -> Result<(), DirectError> {
        match first_not_finite(values, width) {
            None => Ok(()),
            Some(row) => Err(DirectError::NotFinite { model: self.card().name.clone(), image: first + row }),
        }
    }
}
