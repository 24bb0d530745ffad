//! What perturbation metrics share: pixels are altered in the order of a heatmap, and the model is asked after every tenth of them.

use archaeo_random::keyed_rng;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use rayon::prelude::*;

use super::Score;
use crate::Keys;
use crate::attribution::{Evidence, Heatmap};
use crate::statistics::{first_largest, softmax};
use crate::tensors::{per_image, values};

/// Shares of the places at which the model is asked.
pub(super) const TENTHS: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// The same with nothing and everything.
pub(super) const TENTHS_AND_ENDS: [f64; 11] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// Images that are answered in one pass.
const AT_ONCE: usize = 64;

/// A model as a perturbation sees it: images, and logits of altered ones.
pub(super) trait Answers {
    /// Rows and columns of pixels.
    fn size(&self) -> [usize; 2];

    /// The images, each `(3, height, width)` in [0, 1].
    fn originals(&self) -> Vec<Vec<f32>>;

    /// Logits of altered images, one row for each.
    fn logits(&self, images: Vec<Vec<f32>>) -> Vec<Vec<f32>>;
}

impl Answers for Evidence<'_> {
    fn size(&self) -> [usize; 2] {
        let [_, _, height, width] = self.images().dims();
        [height, width]
    }

    fn originals(&self) -> Vec<Vec<f32>> {
        let pixels = values(self.images().clone());
        per_image(&pixels, self.images().dims()[0]).map(<[f32]>::to_vec).collect()
    }

    fn logits(&self, images: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        let [height, width] = self.size();
        let answer = |chunk: &[Vec<f32>]| {
            let data = TensorData::new(chunk.concat(), [chunk.len(), 3, height, width]);
            let logits = values(self.pass_of(Tensor::from_data(data, &self.images().device()), &mut ()));
            per_image(&logits, chunk.len()).map(<[f32]>::to_vec).collect::<Vec<_>>()
        };
        images.chunks(AT_ONCE).flat_map(answer).collect()
    }
}

/// Heatmaps, and whose they are.
pub(super) struct Explained<'a> {
    pub keys: Keys<'a>,
    /// The class of each image.
    pub targets: &'a [usize],
    /// `[method][image]`
    pub heatmaps: &'a [Vec<Heatmap>],
}

/// An image, and the order in which its pixels are altered.
pub(super) struct Alteration<'a> {
    /// `(3, height, width)`
    pub original: &'a [f32],
    pub size: [usize; 2],
    /// Every pixel once.
    pub order: &'a [usize],
    /// How many of them are altered in each variant, ascending.
    pub counts: &'a [usize],
    pub seed: u64,
    pub image: u64,
}

/// One way to alter pixels, and what is then asked of the model.
pub(super) struct Perturbation<'a> {
    /// The variants of an image, one for each count.
    pub altered: &'a (dyn Fn(&Alteration) -> Vec<Vec<f32>> + Sync),
    /// Whether the least relevant pixels are altered first.
    pub least_first: bool,
    /// Whether the model is asked before the first pixel and after the last, too.
    pub ends: bool,
    /// What is read from the logits.
    pub read: fn(&[f32], usize) -> f64,
}

impl Perturbation<'_> {
    /// The curve of every heatmap `[method][image]`, and the area under it: the mean height by the trapezoidal rule.
    pub fn scores(&self, model: &dyn Answers, explained: &Explained) -> Vec<Vec<Score>> {
        let Explained { keys, targets, heatmaps } = *explained;
        let size @ [height, width] = model.size();
        let counts = TENTHS.map(|share| (share * (height * width) as f64).round() as usize);
        let mut scores: Vec<Vec<Score>> = vec![Vec::new(); heatmaps.len()];
        for (row, original) in model.originals().into_iter().enumerate() {
            let (seed, image) = (keys.seed, keys.images[row]);
            let ordered = |heatmap: &Heatmap| {
                let mut order = descending(&heatmap.resized(height, width), seed, image);
                if self.least_first {
                    order.reverse();
                }
                order
            };
            let orders: Vec<Vec<usize>> = heatmaps.par_iter().map(|maps| ordered(&maps[row])).collect();
            let of_order = |order: &Vec<usize>, counts: &[usize]| {
                (self.altered)(&Alteration { original: &original, size, order, counts, seed, image })
            };
            let mut images: Vec<Vec<f32>> =
                orders.par_iter().flat_map_iter(|order| of_order(order, &counts)).collect();
            if let (true, Some(order)) = (self.ends, orders.first()) {
                images.extend(of_order(order, &[0, height * width]));
            }
            let read = |logits: Vec<f32>| (self.read)(&logits, targets[row]);
            let answers: Vec<f64> = model.logits(images).into_iter().map(read).collect();
            let (curves, ends) = answers.split_at(TENTHS.len() * orders.len());
            for (scores, curve) in scores.iter_mut().zip(curves.chunks_exact(TENTHS.len())) {
                let curve = match ends {
                    [first, last] => [&[*first], curve, &[*last]].concat(),
                    _ => curve.to_vec(),
                };
                scores.push(Score { value: Some(mean_height(&curve)), curve });
            }
        }
        scores
    }
}

/// Places from the largest value to the smallest; equal ones in an order drawn for the image.
pub(super) fn descending(heatmap: &Heatmap, seed: u64, image: u64) -> Vec<usize> {
    let mut rng = keyed_rng(seed, "order of equal places", image, 0);
    // Adding 0 makes −0 and 0 equal.
    let drawn = heatmap.values.iter().map(|value| (value + 0.0, rng.random::<u64>())).enumerate();
    let mut places: Vec<(usize, (f32, u64))> = drawn.collect();
    places.sort_by(|(_, (a, first)), (_, (b, second))| b.total_cmp(a).then(first.cmp(second)));
    places.into_iter().map(|(place, _)| place).collect()
}

/// Area under points at equal distances, divided by their span.
pub(super) fn mean_height(curve: &[f64]) -> f64 {
    let areas: f64 = curve.windows(2).map(|ends| (ends[0] + ends[1]) / 2.0).sum();
    areas / (curve.len() - 1) as f64
}

/// Softmax of the logits.
pub(super) fn probability(logits: &[f32], class: usize) -> f64 {
    softmax(logits)[class]
}

/// 1 where the class has the largest logit, else 0.
pub(super) fn kept(logits: &[f32], class: usize) -> f64 {
    f64::from(u8::from(first_largest(logits) == class))
}

/// The original with the first pixels of the order replaced by those of another image.
pub(super) fn replaced(alteration: &Alteration, with: impl Fn(usize, usize) -> f32) -> Vec<Vec<f32>> {
    let plane = alteration.size[0] * alteration.size[1];
    let mut image = alteration.original.to_vec();
    let mut done = 0;
    let mut variant = |&count: &usize| {
        for &pixel in &alteration.order[done..count] {
            (0..3).for_each(|channel| image[channel * plane + pixel] = with(channel, pixel));
        }
        done = count;
        image.clone()
    };
    alteration.counts.iter().map(&mut variant).collect()
}
