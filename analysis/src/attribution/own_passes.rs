//! Passes that one method alone has a use for: over other images than the batch's, or through a part of the model.

use archaeo_models::{Pass, Probe, Tokens};
use archaeo_ops::in_pool;
use burn::tensor::{Tensor, TensorData};

use super::Evidence;
use crate::attention::target_score;
use crate::probes::Tap;
use crate::tensors::{per_image, values};

/// Images that are answered in one pass, where a method alters each image many times.
const VARIANTS_AT_ONCE: usize = 64;

impl Evidence<'_> {
    /// The gradients of each image's logit of its class at other `images` than the batch's, of its shape.
    ///
    /// # Panics
    /// If `targets` does not name a class for each image.
    pub(super) fn gradients_at(&self, images: Tensor<4>, targets: &[usize]) -> Tensor<4> {
        let (pixels, images) = Tap::new(images);
        let gradients = target_score(self.pass_of(images, &mut ()), targets).backward();
        pixels.gradient(&gradients)
    }

    /// Each image's logit of its class, of other `images` than the batch's.
    ///
    /// # Panics
    /// If `targets` does not name a class for each image.
    pub(super) fn target_logits(&self, images: Tensor<4>, targets: &[usize]) -> Vec<f32> {
        let logits = self.pass_of(images, &mut ());
        assert_eq!(logits.dims()[0], targets.len(), "one class is needed for each image");
        let classes = logits.dims()[1];
        values(logits).chunks_exact(classes).zip(targets).map(|(row, &class)| row[class]).collect()
    }

    /// The logits of every image in each of `variants` altered forms, `[image][variant][class]`:
    /// `alter(image, variant, pixels)` alters the image at that position of the batch, `(3, height, width)`.
    pub(super) fn logits_of_variants(
        &self,
        variants: usize,
        alter: impl Fn(usize, usize, &mut [f32]),
    ) -> Vec<Vec<Vec<f32>>> {
        let all: Vec<usize> = (0..self.images().dims()[0]).collect();
        self.logits_of_variants_of(&all, variants, alter)
    }

    /// As [`Evidence::logits_of_variants`], of the images at some positions of the batch alone.
    pub(super) fn logits_of_variants_of(
        &self,
        images: &[usize],
        variants: usize,
        alter: impl Fn(usize, usize, &mut [f32]),
    ) -> Vec<Vec<Vec<f32>>> {
        let [batch, colours, height, width] = self.images().dims();
        let pixels = values(self.images().clone());
        let originals: Vec<&[f32]> = per_image(&pixels, batch).collect();
        let pairs: Vec<(usize, usize)> =
            (0..images.len()).flat_map(|row| (0..variants).map(move |variant| (row, variant))).collect();
        let mut answers: Vec<Vec<Vec<f32>>> = vec![Vec::with_capacity(variants); images.len()];
        for chunk in pairs.chunks(VARIANTS_AT_ONCE) {
            let mut altered = Vec::with_capacity(chunk.len() * colours * height * width);
            for &(row, variant) in chunk {
                let start = altered.len();
                altered.extend_from_slice(originals[images[row]]);
                alter(images[row], variant, &mut altered[start..]);
            }
            let data = TensorData::new(altered, [chunk.len(), colours, height, width]);
            let logits = values(self.pass_of(Tensor::from_data(data, &self.images().device()), &mut ()));
            for (answer, &(row, _)) in per_image(&logits, chunk.len()).zip(chunk) {
                answers[row].push(answer.to_vec());
            }
        }
        answers
    }

    /// What the head says if it reads the stream after the block counted `layer` from 0, that block alone watched by `probe`.
    pub(super) fn answer_after_block(&self, layer: usize, probe: &mut (dyn Probe + Send)) -> Tensor<2> {
        let stream = self.stream().expect("asked of a model with one stream");
        let (model, values, grid) = (self.model(), stream.tokens[layer].clone(), stream.grid);
        in_pool(|| {
            let transformer = model.network.transformer().expect("a model with a stream has blocks");
            let mut pass = Pass::evaluate(probe).in_precision(model.precision());
            let tokens = transformer.block(layer, Tokens { values, grid }, &mut pass);
            model.head(transformer.pool(tokens, &mut pass))
        })
    }
}
