//! What attention heads do differently in another checkpoint of the same architecture, such as after training: image by image, and
//! over images.

use serde::{Deserialize, Serialize};

use super::{ObservedAttention, ObservedLayer};
use crate::attribution::Heatmap;
use crate::statistics::{
    DEFAULT_LEVEL, Estimate, Moments, Resampling, StatisticsError, benjamini_hochberg, sign_flip_test,
};

/// One head on one image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadBeforeAfter {
    /// Mean attention distance, pixels, before and after.
    pub distance: [f64; 2],
    /// Entropy, nats, before and after.
    pub entropy: [f64; 2],
    /// Jensen-Shannon divergence, nats, between the head's map before and after: what it sends to the tokens that are read, as shares.
    pub divergence: f64,
    /// The same between its map of this image and of another one, both before; `None` where there is no other.
    pub between: Option<f64>,
}

/// One head before and after, over images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadChange {
    /// Mean attention distance, pixels.
    pub distance: AttentionChange,
    /// Entropy, nats.
    pub entropy: AttentionChange,
    /// Jensen-Shannon divergence, nats, between the head's map of an image before and after: what it sends to the tokens that are
    /// read, as shares.
    pub map_divergence: Estimate,
    /// The same between maps of two different images before: how much the map depends on the image at all. `None` for one image.
    pub between_images: Option<Estimate>,
}

/// A statistic before and after, over the same images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttentionChange {
    /// Mean before.
    pub before: f64,
    /// Mean after.
    pub after: f64,
    /// Mean of after − before with the paired interval of the sign-flip test.
    pub difference: Estimate,
    /// Two-sided p-value of the paired sign-flip permutation test.
    pub p_value: f64,
    /// The same, adjusted by Benjamini and Hochberg for all heads and both statistics.
    pub adjusted: f64,
}

/// Compares two models on the same images, `[image][layer][head]`. `other` is, for each image, an image that the first model has
/// seen too, as what was observed of it and its place there. `None` where the models differ in layers, heads or grids.
pub fn heads_before_and_after<'a>(
    before: &'a ObservedAttention,
    after: &ObservedAttention,
    other: impl Fn(usize) -> Option<(&'a ObservedAttention, usize)>,
) -> Option<Vec<Vec<Vec<HeadBeforeAfter>>>> {
    let shape = |of: &ObservedAttention| -> Vec<_> {
        of.layers.iter().map(|layer| (layer.heads, layer.site.grid)).collect()
    };
    let on_image = |image: usize| {
        let layers = before.layers.iter().zip(&after.layers).enumerate();
        layers
            .map(|(place, (first, second))| {
                let head = |head: usize| {
                    let [b, a] = [first, second].map(|layer| &layer.statistics[image].heads[head]);
                    let other = other(image).map(|(seen, image)| (&seen.layers[place], image));
                    HeadBeforeAfter {
                        distance: [b.distance, a.distance],
                        entropy: [b.entropy, a.entropy],
                        divergence: between((first, image), (second, image), head),
                        between: other.map(|other| between((first, image), other, head)),
                    }
                };
                (0..first.heads).map(head).collect()
            })
            .collect()
    };
    (shape(before) == shape(after)).then(|| (0..before.images).map(on_image).collect())
}

/// Summarises images, `[image][layer][head]`, per layer and head.
///
/// # Errors
/// Fewer than two images.
pub fn head_changes(
    images: &[Vec<Vec<HeadBeforeAfter>>],
    resampling: &Resampling,
) -> Result<Vec<Vec<HeadChange>>, StatisticsError> {
    let layers = images.first().map_or(0, Vec::len);
    let mut changes = Vec::with_capacity(layers);
    for layer in 0..layers {
        let heads = (0..images[0][layer].len()).map(|head| {
            let of_images: Vec<&HeadBeforeAfter> = images.iter().map(|image| &image[layer][head]).collect();
            change_of(&of_images, resampling)
        });
        changes.push(heads.collect::<Result<Vec<_>, _>>()?);
    }
    let all = |changes: &Vec<Vec<HeadChange>>| -> Vec<f64> {
        let heads = changes.iter().flatten();
        heads.flat_map(|head| [head.distance.p_value, head.entropy.p_value]).collect()
    };
    let adjusted = benjamini_hochberg(&all(&changes))?;
    let both = changes.iter_mut().flatten().flat_map(|head| [&mut head.distance, &mut head.entropy]);
    both.zip(adjusted).for_each(|(change, adjusted)| change.adjusted = adjusted);
    Ok(changes)
}

fn change_of(images: &[&HeadBeforeAfter], resampling: &Resampling) -> Result<HeadChange, StatisticsError> {
    let change = |value: fn(&HeadBeforeAfter) -> [f64; 2]| {
        let [before, after] =
            [0, 1].map(|place| images.iter().map(|of| value(of)[place]).collect::<Vec<_>>());
        let test = sign_flip_test(&after, &before, resampling)?;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        Ok::<_, StatisticsError>(AttentionChange {
            before: mean(&before),
            after: mean(&after),
            difference: test.difference,
            p_value: test.p_value,
            adjusted: test.p_value,
        })
    };
    let (mut map, mut between) = (Moments::default(), Moments::default());
    for of in images {
        map.add(of.divergence);
        of.between.into_iter().for_each(|value| between.add(value));
    }
    Ok(HeadChange {
        distance: change(|of| of.distance)?,
        entropy: change(|of| of.entropy)?,
        map_divergence: map.estimate(DEFAULT_LEVEL)?,
        between_images: (between.n() > 0).then(|| between.estimate(DEFAULT_LEVEL)).transpose()?,
    })
}

/// Divergence between the maps of one head in two layers, each on an image.
fn between(first: (&ObservedLayer, usize), second: (&ObservedLayer, usize), head: usize) -> f64 {
    let [a, b] = [first, second].map(|(layer, image)| layer.readout_map(image, head));
    map_divergence(a, b)
}

/// Jensen-Shannon divergence in nats of two maps as shares; zero where one is empty.
fn map_divergence(first: &Heatmap, second: &Heatmap) -> f64 {
    let shares = |map: &Heatmap| -> Option<Vec<f64>> {
        let sum: f64 = map.values.iter().map(|value| f64::from(*value)).sum();
        (sum > 0.0).then(|| map.values.iter().map(|value| f64::from(*value) / sum).collect())
    };
    let (Some(p), Some(q)) = (shares(first), shares(second)) else { return 0.0 };
    let part = |a: f64, b: f64| if a > 0.0 { a * (2.0 * a / (a + b)).ln() } else { 0.0 };
    p.iter().zip(&q).map(|(p, q)| (part(*p, *q) + part(*q, *p)) / 2.0).sum::<f64>().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_share_no_patch_differ_by_ln_two_at_any_scale() {
        let map = |values: [f32; 4]| Heatmap::new(2, 2, values.to_vec());
        let (left, right) = (map([1.0, 0.0, 3.0, 0.0]), map([0.0, 0.2, 0.0, 0.1]));
        assert!((map_divergence(&left, &right) - 2f64.ln()).abs() < 1e-12);
        assert!(map_divergence(&left, &map([0.1, 0.0, 0.3, 0.0])) < 1e-7);
        assert_eq!(map_divergence(&left, &map([0.0; 4])), 0.0);
    }

    #[test]
    fn changes_are_means_over_images_and_paired() {
        let on_image = |shift: f64, between: Option<f64>| HeadBeforeAfter {
            distance: [10.0 * shift, 10.0 * shift + 2.0],
            entropy: [shift, shift],
            divergence: shift / 10.0,
            between,
        };
        let images: Vec<_> = (1..=8)
            .map(|image| vec![vec![on_image(f64::from(image), (image > 1).then_some(0.25))]])
            .collect();
        let changes = head_changes(&images, &Resampling::new(0)).unwrap();
        let HeadChange { distance, entropy, map_divergence, between_images } = &changes[0][0];
        assert_eq!((distance.before, distance.after, distance.difference.value), (45.0, 47.0, 2.0));
        // All eight differences have one sign: 2 of 2⁸ assignments of signs are as extreme.
        assert!((distance.p_value - 2.0 / 256.0).abs() < 1e-12, "{}", distance.p_value);
        assert_eq!((entropy.difference.value, entropy.p_value), (0.0, 1.0));
        // Of two tests, the smaller p-value is doubled.
        assert!((distance.adjusted - 4.0 / 256.0).abs() < 1e-12);
        assert!((map_divergence.value - 0.45).abs() < 1e-12);
        let between = between_images.as_ref().unwrap();
        assert_eq!((between.value, between.n), (0.25, 7));
        assert!(head_changes(&images[..1], &Resampling::new(0)).is_err());
    }
}
