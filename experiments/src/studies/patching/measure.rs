//! Drawing pairs of images that differ in one factor, and measuring what each part of a model carries of the difference.

use std::collections::BTreeMap;

use archaeo_analysis::AnalysisError;
use archaeo_analysis::ablation::{Patched, Receivers, TokenGroup};
use archaeo_data::Mask;
use archaeo_data::sherds::{Change, Drawn, FactorKind, Shape, Sherds, SherdsSplit, Texture};
use archaeo_models::{Classifier, TokenSite};
use archaeo_random::{Draw, keyed_rng};
use archaeo_training::images::{preprocess, preprocess_mask, to_tensor};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::findings::{PatchedTokens, SceneFactor};
use crate::studies::causal::measure::inwards;

/// How far the object is moved, as a share of the image's side.
const MOVED: f32 = 1.0 / 8.0;

/// How far the object is turned, in degrees.
const TURNED: f32 = 20.0;

/// One model and the generator of its images.
pub(super) struct Laboratory<'a> {
    pub(super) model: &'a Classifier,
    pub(super) sherds: &'a Sherds,
    pub(super) split: SherdsSplit,
    /// The output that stands for each shape.
    pub(super) outputs: BTreeMap<Shape, usize>,
    /// Groups of tokens that the model has.
    pub(super) tokens: Vec<PatchedTokens>,
    pub(super) seed: u64,
    pub(super) device: &'a Device,
}

/// What is recorded of one image and its pairs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PatchingRecord {
    /// Number of heads of each layer.
    pub(super) heads: Vec<usize>,
    /// One entry per factor, in the order of [`SceneFactor::ALL`].
    pub(super) pairs: Vec<PairRecord>,
}

/// What is recorded of one pair.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PairRecord {
    /// The logit difference of the image less that of its counterpart.
    pub(super) change: f64,
    /// Whether the model gives the two different answers.
    pub(super) other_answer: bool,
    /// The logit difference of the image less that with one part's activation from its counterpart, and from an unrelated image: of
    /// every layer and head, then of every layer and group of tokens.
    pub(super) parts: Vec<[f64; 2]>,
}

/// Two outputs: the logit difference is the logit of the first less that of the second.
type Outputs = [usize; 2];

impl Laboratory<'_> {
    /// Measures every factor on some images of the split, each with an unrelated one.
    ///
    /// # Errors
    /// A model without attention, or a logit that is not finite.
    pub(super) fn measure(
        &self,
        indices: &[usize],
        unrelated: &[usize],
    ) -> Result<Vec<PatchingRecord>, AnalysisError> {
        let own: Vec<Drawn> =
            indices.iter().map(|&index| self.sherds.draw_changed(self.split, index, &[])).collect();
        let others: Vec<Drawn> =
            unrelated.iter().map(|&index| self.sherds.draw_changed(self.split, index, &[])).collect();
        let receivers = Receivers::record(self.model, self.tensor(&own))?;
        let classes = self.model.card().classes.len();
        let before: Vec<&[f32]> = receivers.logits.chunks_exact(classes).collect();
        let groups: Vec<TokenGroup> = self.tokens.iter().map(|tokens| tokens.group()).collect();
        let heads = receivers.heads_per_layer();
        let mut records: Vec<PatchingRecord> =
            indices.iter().map(|_| PatchingRecord { heads: heads.clone(), pairs: Vec::new() }).collect();
        for factor in SceneFactor::ALL {
            let changed = self.changed(factor, indices, &own);
            // The object's patches are those of either image.
            let objects: Vec<Vec<bool>> =
                own.iter().zip(&changed).map(|(a, b)| self.in_either(&a.mask, &b.mask)).collect();
            let size = self.model.card().preprocessing.image_size;
            let marked = |image: usize, site: &TokenSite| covered(&objects[image], size, site.grid);
            let patched = receivers.patched(self.tensor(&changed), &groups, &marked)?;
            let null = self.tensor(&self.changed(factor, unrelated, &others));
            let null = receivers.patched(null, &groups, &marked)?;
            for (image, record) in records.iter_mut().enumerate() {
                let [first, second] = self.outputs(factor, indices[image], before[image]);
                let difference = |logits: &[f32]| {
                    let of_image = &logits[image * classes..][..classes];
                    f64::from(of_image[first]) - f64::from(of_image[second])
                };
                let whole = difference(&receivers.logits);
                let effects = |patched: &Patched| -> Vec<f64> {
                    let parts = patched.heads.iter().chain(&patched.layers).flatten();
                    parts.map(|logits| whole - difference(logits)).collect()
                };
                let named = [before[image], &patched.donors[image * classes..][..classes]].map(largest);
                record.pairs.push(PairRecord {
                    change: whole - difference(&patched.donors),
                    other_answer: named[0] != named[1],
                    parts: effects(&patched).into_iter().zip(effects(&null)).map(|(a, b)| [a, b]).collect(),
                });
            }
        }
        Ok(records)
    }

    /// Each image with a factor changed.
    fn changed(&self, factor: SceneFactor, indices: &[usize], own: &[Drawn]) -> Vec<Drawn> {
        let draw = |(&index, own): (&usize, &Drawn)| {
            self.sherds.draw_changed(self.split, index, &self.changes(factor, index, &own.mask))
        };
        indices.iter().zip(own).map(draw).collect()
    }

    fn changes(&self, factor: SceneFactor, index: usize, object: &Mask) -> Vec<Change> {
        match factor {
            SceneFactor::Shape => vec![Change::Shape(self.shapes(index)[1])],
            SceneFactor::Texture => vec![Change::Texture(self.textures(index)[1])],
            SceneFactor::Place => vec![inwards(object, MOVED)],
            SceneFactor::Rotation => vec![Change::Rotated(TURNED)],
            SceneFactor::Occluders => {
                let factors = self.sherds.factors(self.split, index).into_iter();
                let occluders = factors.filter(|factor| factor.kind == FactorKind::Occluder);
                occluders.map(|occluder| occluder.removal).collect()
            }
        }
    }

    /// An image's own shape and that of its counterpart.
    fn shapes(&self, index: usize) -> [Shape; 2] {
        let own = Sherds::label(index);
        [own, self.another("another shape", own, index)].map(|place| Shape::ALL[place])
    }

    /// An image's own texture and that of its counterpart.
    fn textures(&self, index: usize) -> [Texture; 2] {
        let own = self.sherds.texture(self.split, index);
        let place = Texture::ALL.iter().position(|texture| *texture == own).expect("one of all");
        [own, Texture::ALL[self.another("another texture", place, index)]]
    }

    fn another(&self, stream: &str, own: usize, index: usize) -> usize {
        let mut rng = keyed_rng(self.seed, stream, index as u64, 0);
        (own + 1 + rng.below(Shape::ALL.len() - 1)) % Shape::ALL.len()
    }

    /// Whose logits are compared: of another shape, the two shapes' classes; of another texture, the classes that the two textures
    /// follow in training; of everything else, the image's class and the largest of the others.
    fn outputs(&self, factor: SceneFactor, index: usize, logits: &[f32]) -> Outputs {
        let of_shape = |shape: Shape| self.outputs[&shape];
        match factor {
            SceneFactor::Shape => self.shapes(index).map(of_shape),
            SceneFactor::Texture => self.textures(index).map(|texture| {
                let place = Texture::ALL.iter().position(|known| *known == texture).expect("one of all");
                of_shape(Shape::ALL[place])
            }),
            _ => {
                let own = of_shape(Shape::ALL[Sherds::label(index)]);
                let mut others = logits.to_vec();
                others[own] = f32::NEG_INFINITY;
                [own, largest(&others)]
            }
        }
    }

    fn tensor(&self, drawn: &[Drawn]) -> Tensor<4> {
        let fitted = |drawn: &Drawn| preprocess(drawn.image.clone(), &self.model.card().preprocessing);
        to_tensor(&drawn.iter().map(fitted).collect::<Vec<_>>(), self.device)
    }

    /// Pixels of the model's input in either mask.
    fn in_either(&self, first: &Mask, second: &Mask) -> Vec<bool> {
        let inside = first.inside.iter().zip(&second.inside).map(|(a, b)| *a || *b).collect();
        let either = Mask { width: first.width, height: first.height, inside };
        preprocess_mask(&either, &self.model.card().preprocessing)
    }
}

/// Which patches of a grid have a pixel inside.
fn covered(inside: &[bool], size: usize, [rows, columns]: [usize; 2]) -> Vec<bool> {
    let mut covered = vec![false; rows * columns];
    for (at, _) in inside.iter().enumerate().filter(|(_, inside)| **inside) {
        let (y, x) = (at / size, at % size);
        covered[(y * rows / size) * columns + x * columns / size] = true;
    }
    covered
}

/// The place of the largest, the first among equals.
fn largest(logits: &[f32]) -> usize {
    (0..logits.len()).rev().max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_of_the_object_where_one_of_its_pixels_is() {
        let mut inside = vec![false; 36];
        (inside[0], inside[6 * 3 + 4]) = (true, true);
        let expected = [true, false, false, false, false, true, false, false, false];
        assert_eq!(covered(&inside, 6, [3, 3]), expected);
        assert_eq!(covered(&inside, 6, [1, 2]), [true, true]);
        assert_eq!((largest(&[1.0, 3.0, 3.0]), largest(&[2.0])), (1, 0));
    }
}
