//! A model's features of every image of a split: the input of its head and, where asked for, those of every layer.

use archaeo_analysis::features::Features;
use archaeo_analysis::features::layers::{LayerFeatures, layer_features, pooled_features};
use archaeo_data::DataError;
use archaeo_models::Classifier;
use burn::module::Module;
use burn::tensor::Device;

use crate::finite::{AnswersError, NotFinite, first_not_finite};
use crate::images::{Batch, ImageSource, load_ahead};

/// Features of images, in the order of their source.
#[derive(Clone, Debug)]
pub struct Extracted {
    /// What the head reads.
    pub pooled: Features,
    /// Every layer from the input; empty where they were not asked for.
    pub layers: Vec<LayerFeatures>,
    /// Label of each image.
    pub labels: Vec<usize>,
}

impl Extracted {
    /// Those of some images, in the order of `images`.
    pub fn select(&self, images: &[usize]) -> Self {
        Self {
            pooled: self.pooled.select(images),
            layers: self.layers.iter().map(|layer| layer.select(images)).collect(),
            labels: images.iter().map(|&image| self.labels[image]).collect(),
        }
    }

    /// Appends those of further images.
    ///
    /// # Panics
    /// Features of another model.
    pub fn append(&mut self, other: Self) {
        self.pooled = self.pooled.followed_by(&other.pooled);
        self.layers = self.layers.iter().zip(&other.layers).map(|(own, new)| own.followed_by(new)).collect();
        self.labels.extend(other.labels);
    }
}

/// Which features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What the head reads.
    Pooled,
    /// Those of every layer too, from the same passes.
    Layers,
}

/// Runs `model` over all images of `source`, `batch_size` at a time, decoding ahead. `progress` receives the number of images done and
/// says whether to go on; where it does not, the result is `None`.
///
/// # Errors
/// An image that cannot be decoded.
///
/// # Panics
/// A source without images.
pub fn extract(
    model: &Classifier,
    source: &dyn ImageSource,
    depth: Depth,
    batch_size: usize,
    device: &Device,
    progress: &mut dyn FnMut(usize) -> bool,
) -> Result<Option<Extracted>, DataError> {
    assert!(!source.is_empty(), "features are of images");
    let model = model.valid();
    let device = device.clone().inner();
    let mut pieces: Vec<Extracted> = Vec::new();
    let mut done = 0;
    let finished = std::thread::scope(|scope| {
        for batch in load_ahead(scope, source, (0..source.len()).collect(), batch_size, 0) {
            let batch = batch?;
            let images = batch.tensor(&device);
            let (pooled, layers) = match depth {
                Depth::Pooled => (pooled_features(&model, images), Vec::new()),
                Depth::Layers => layer_features(&model, images),
            };
            done += batch.labels.len();
            pieces.push(Extracted { pooled, layers, labels: batch.labels });
            if !progress(done) {
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    Ok(finished.then(|| joined(pieces)))
}

/// All pieces in one, neighbours first, so that nothing is copied more often than their number has digits.
fn joined(mut pieces: Vec<Extracted>) -> Extracted {
    while pieces.len() > 1 {
        let mut next = Vec::with_capacity(pieces.len().div_ceil(2));
        let mut rest = pieces.into_iter();
        while let Some(mut piece) = rest.next() {
            if let Some(second) = rest.next() {
                piece.append(second);
            }
            next.push(piece);
        }
        pieces = next;
    }
    pieces.pop().expect("a source has images")
}

/// Refuses features that are not finite; `name` returns the name of the image at a position.
///
/// # Errors
/// The first image with such features, with the place in the model where they begin.
pub fn check(
    model: &Classifier,
    extracted: &Extracted,
    source: &dyn ImageSource,
    name: impl Fn(usize) -> String,
    device: &Device,
) -> Result<(), AnswersError> {
    let layers =
        extracted.layers.iter().flat_map(|layer| [Some(&layer.patch_mean), layer.class_token.as_ref()]);
    let all = layers.flatten().chain([&extracted.pooled]);
    let first = all.filter_map(|features| first_not_finite(features.values(), features.width())).min();
    let Some(position) = first else { return Ok(()) };
    let image = Batch::load(source, &[position], 0)?.tensor(&device.clone().inner());
    Err(NotFinite::traced(&model.valid(), &name(position), image).into())
}

#[cfg(test)]
mod tests {
    use archaeo_data::{OpenOptions, open};
    use archaeo_models::{ModelCard, NetworkSpec, Pass, Preprocessing};

    use super::*;
    use crate::images::Preprocessed;

    #[test]
    fn features_come_in_order_whatever_the_batch_and_stop_on_request() {
        let sherds = open("sherds:train=8,test=11,size=16", &OpenOptions::default()).unwrap();
        let (split, device) = (sherds.split("test").unwrap(), Device::flex());
        for kind in ["vit_micro", "resnet_micro"] {
            let card = ModelCard {
                name: kind.into(),
                network: NetworkSpec::named(kind, 10, 16).unwrap(),
                preprocessing: Preprocessing::plain(16),
                classes: sherds.classes.clone(),
            };
            let model = Classifier::new(card, 3, &device).unwrap();
            let source = Preprocessed { split, preprocessing: &model.card().preprocessing };
            let with = |batch, progress: &mut dyn FnMut(usize) -> bool| {
                extract(&model, &source, Depth::Layers, batch, &device, progress).unwrap()
            };
            let all = with(11, &mut |_| true).unwrap();
            let mut seen = Vec::new();
            let pieces = with(2, &mut |done| {
                seen.push(done);
                true
            });
            let pieces = pieces.unwrap();
            assert_eq!(seen, [2, 4, 6, 8, 10, 11]);
            assert_eq!((&pieces.pooled, &pieces.labels), (&all.pooled, &split.labels()));
            assert!(pieces.layers.len() > 1 && pieces.layers.len() == all.layers.len());
            for (of_pieces, of_all) in pieces.layers.iter().zip(&all.layers) {
                assert_eq!(
                    (&of_pieces.patch_mean, &of_pieces.class_token),
                    (&of_all.patch_mean, &of_all.class_token)
                );
            }
            let image = Batch::load(&source, &[7], 0).unwrap().tensor(&device);
            let alone = model.features(image, &mut Pass::evaluate(&mut ())).into_data();
            assert_eq!(all.pooled.row(7), alone.try_into_vec::<f32>().unwrap());
            assert!(with(4, &mut |done| done < 8).is_none());
            assert!(check(&model, &all, &source, |_| String::new(), &device).is_ok());
        }
    }
}
