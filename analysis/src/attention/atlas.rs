//! Head atlas: what a head does, by measured criteria, each next to the same number of a shuffled null.
//!
//! Criteria are means over images of one half of a sample; a label is given only where both halves satisfy its condition
//! ([`label`]). Within a window only what its tokens may attend to counts.

use archaeo_random::keyed_rng;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{AttentionMaps, Group, LayerMaps, patch_distances};
use crate::attribution::Heatmap;

/// A head's criteria on one image or averaged over images; a criterion that an image does not have (a flat image has no edges, an
/// image without a mask no object) is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadCriteria {
    /// Share of the variance of the weights between patches that the relative offset of query and key explains.
    pub positional: Measure,
    /// Attention distance relative to even attention's.
    pub distance: Measure,
    /// Weight that patches give to prefix tokens; the null is their share of the tokens.
    pub sink: Measure,
    /// Correlation of the weight that each patch receives with the image's gradient there.
    pub edge: Measure,
    /// The same with the gradient across columns minus that across rows: positive for vertical edges.
    pub orientation: Measure,
    /// Correlation of weights and likeness of colour, both beyond what the relative offset explains.
    pub colour: Measure,
    /// Share of what is read in the object's mask; the null is the mask's share of the image.
    pub object: Measure,
    /// Normalised entropy; 1 for even attention.
    pub entropy: Measure,
}

/// A number and that of its shuffled null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// `None` where it is not defined.
    pub value: Option<f64>,
    /// With the image's patches permuted, or as the criterion says.
    pub null: Option<f64>,
}

/// One head on one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadOnImage {
    /// The criteria.
    pub criteria: HeadCriteria,
    /// The strongest relative offset from query to key, in rows and columns.
    pub offset: [i64; 2],
    /// Which ninth of the image holds the largest value of what is read.
    pub ninth: usize,
}

/// What an image shows on a grid of patches.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchContent {
    /// Mean gradient magnitude of each patch.
    pub gradient: Vec<f64>,
    /// Mean gradient across columns minus that across rows.
    pub orientation: Vec<f64>,
    /// Mean red, green and blue.
    pub colour: Vec<[f64; 3]>,
    /// Share of each patch that is the object; `None` without a mask.
    pub object: Option<Vec<f64>>,
}

impl PatchContent {
    /// Of planes of red, green and blue, `(3, height, width)`, with a mask of the same size where there is one.
    pub fn of(
        image: &[f32],
        [height, width]: [usize; 2],
        mask: Option<&[bool]>,
        [rows, columns]: [usize; 2],
    ) -> Self {
        let grey = |y: usize, x: usize| -> f64 {
            (0..3).map(|channel| f64::from(image[(channel * height + y) * width + x])).sum::<f64>() / 3.0
        };
        let patches = rows * columns;
        let mut found = Self {
            gradient: vec![0.0; patches],
            orientation: vec![0.0; patches],
            colour: vec![[0.0; 3]; patches],
            object: mask.map(|_| vec![0.0; patches]),
        };
        let mut counts = vec![0.0; patches];
        for y in 0..height {
            for x in 0..width {
                let patch = y * rows / height * columns + x * columns / width;
                counts[patch] += 1.0;
                let across = grey(y, (x + 1).min(width - 1)) - grey(y, x.saturating_sub(1));
                let down = grey((y + 1).min(height - 1), x) - grey(y.saturating_sub(1), x);
                found.gradient[patch] += across.hypot(down);
                found.orientation[patch] += across.abs() - down.abs();
                for channel in 0..3 {
                    found.colour[patch][channel] += f64::from(image[(channel * height + y) * width + x]);
                }
                if let (Some(object), Some(mask)) = (&mut found.object, mask) {
                    object[patch] += f64::from(u8::from(mask[y * width + x]));
                }
            }
        }
        for (patch, count) in counts.into_iter().enumerate() {
            found.gradient[patch] /= count;
            found.orientation[patch] /= count;
            found.colour[patch].iter_mut().for_each(|sum| *sum /= count);
            found.object.iter_mut().for_each(|object| object[patch] /= count);
        }
        found
    }

    /// The same patches elsewhere.
    fn permuted(&self, order: &[usize]) -> Self {
        let of = |values: &[f64]| order.iter().map(|&from| values[from]).collect();
        Self {
            gradient: of(&self.gradient),
            orientation: of(&self.orientation),
            colour: order.iter().map(|&from| self.colour[from]).collect(),
            object: self.object.as_deref().map(of),
        }
    }
}

/// Every head of a layer on every image, `(images, heads)`. `contents` are on the layer's grid, one per image; `key` is the seed and
/// the number of each image, which key the nulls' permutations.
pub fn heads_on_images(
    maps: &AttentionMaps,
    layer: usize,
    contents: &[PatchContent],
    (seed, images): (u64, &[u64]),
) -> Vec<Vec<HeadOnImage>> {
    let of_layer = &maps.layers[layer];
    let groups = of_layer.groups();
    let places: Vec<(usize, usize)> =
        (0..maps.images).flat_map(|image| (0..of_layer.heads).map(move |head| (image, head))).collect();
    let one = |&(image, head): &(usize, usize)| {
        let view = View { maps: of_layer, groups: &groups, image, head, image_size: maps.image_size };
        let patches = contents[image].gradient.len();
        let mut order: Vec<usize> = (0..patches).collect();
        order.shuffle(&mut keyed_rng(seed, "head atlas", images[image], layer as u64));
        view.measure(&contents[image], &order, &maps.readout_map(layer, image, head))
    };
    let all: Vec<HeadOnImage> = places.par_iter().map(one).collect();
    all.chunks(of_layer.heads.max(1)).map(<[HeadOnImage]>::to_vec).collect()
}

struct View<'a> {
    maps: &'a LayerMaps,
    groups: &'a [Group],
    image: usize,
    head: usize,
    image_size: [usize; 2],
}

/// Weights between the patches of one group, with the relative offset of each pair.
struct Block {
    patches: Vec<usize>,
    /// `(patches, patches)`, rows summing to one where they have any weight.
    weights: Vec<f64>,
    distances: Vec<f64>,
}

impl View<'_> {
    fn measure(&self, content: &PatchContent, order: &[usize], read: &Heatmap) -> HeadOnImage {
        let prefix = self.maps.site.prefix.count();
        let [_, columns] = self.maps.site.grid;
        let (mut sink, mut entropy, mut queries) = (0.0, 0.0, 0.0);
        let mut blocks = Vec::new();
        for group in self.groups {
            let before = group.tokens.iter().take_while(|token| **token < prefix).count();
            let patches: Vec<usize> = group.tokens[before..].iter().map(|token| token - prefix).collect();
            let mut weights = Vec::with_capacity(patches.len() * patches.len());
            for query in before..group.tokens.len() {
                let row = self.maps.weights(self.image, self.head, group, query);
                sink += row[..before].iter().sum::<f64>();
                if row.len() > 1 {
                    let sum: f64 = row.iter().filter(|a| **a > 0.0).map(|a| a * a.ln()).sum();
                    entropy -= sum / (row.len() as f64).ln();
                }
                queries += 1.0;
                let sum: f64 = row[before..].iter().sum();
                weights.extend(row[before..].iter().map(|weight| if sum > 0.0 { weight / sum } else { 0.0 }));
            }
            let distances = patch_distances(&patches, self.maps.site.grid, self.image_size);
            blocks.push(Block { patches, weights, distances });
        }
        let shuffled: Vec<Block> = blocks.iter().map(|block| block.shuffled(order)).collect();
        let place = |patch: usize| [(patch / columns) as i64, (patch % columns) as i64];
        let (own, other) = (Offsets::of(&blocks, place), Offsets::of(&shuffled, place));
        let even: f64 = blocks.iter().map(Block::even_distance).sum();
        let far =
            |blocks: &[Block]| (even > 0.0).then(|| blocks.iter().map(Block::distance).sum::<f64>() / even);
        let received = received(&blocks, content.gradient.len());
        let moved = content.permuted(order);
        let tokens = self.maps.tokens() as f64;
        let mass = |content: &PatchContent| {
            let object = content.object.as_ref()?;
            let total: f64 = read.values.iter().map(|value| f64::from(*value)).sum();
            let inside: f64 =
                read.values.iter().zip(object).map(|(value, share)| f64::from(*value) * share).sum();
            (total > 0.0).then(|| inside / total)
        };
        let area = content.object.as_ref().map(|object| object.iter().sum::<f64>() / object.len() as f64);
        let measure = |value, null| Measure { value, null };
        let criteria = HeadCriteria {
            positional: measure(own.explained, other.explained),
            distance: measure(far(&blocks), far(&shuffled)),
            sink: measure((prefix > 0).then(|| sink / queries), (prefix > 0).then(|| prefix as f64 / tokens)),
            edge: measure(pearson(&received, &content.gradient), pearson(&received, &moved.gradient)),
            orientation: measure(
                pearson(&received, &content.orientation),
                pearson(&received, &moved.orientation),
            ),
            colour: measure(
                own.with_colour(&blocks, content, place),
                own.with_colour(&blocks, &moved, place),
            ),
            object: measure(mass(content), area),
            entropy: measure(Some(entropy / queries), Some(1.0)),
        };
        HeadOnImage { criteria, offset: own.strongest, ninth: ninth(read) }
    }
}

impl Block {
    /// Keys of the block elsewhere: their order within the block is that of `order`.
    fn shuffled(&self, order: &[usize]) -> Self {
        let n = self.patches.len();
        let mut ranked: Vec<usize> = (0..n).collect();
        ranked.sort_by_key(|&place| order[self.patches[place]]);
        let weights = (0..n)
            .flat_map(|query| ranked.iter().map(move |&key| (query, key)))
            .map(|(query, key)| self.weights[query * n + key]);
        Self { weights: weights.collect(), patches: self.patches.clone(), distances: self.distances.clone() }
    }

    fn distance(&self) -> f64 {
        self.weights.iter().zip(&self.distances).map(|(weight, distance)| weight * distance).sum()
    }

    fn even_distance(&self) -> f64 {
        self.distances.iter().sum::<f64>() / self.patches.len().max(1) as f64
    }

    /// Pairs of patches with their weight.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        let n = self.patches.len();
        self.weights
            .iter()
            .enumerate()
            .map(move |(place, &weight)| (self.patches[place / n], self.patches[place % n], weight))
    }
}

/// Mean weight for each relative offset.
struct Offsets {
    means: std::collections::BTreeMap<[i64; 2], f64>,
    explained: Option<f64>,
    strongest: [i64; 2],
}

impl Offsets {
    fn of(blocks: &[Block], place: impl Fn(usize) -> [i64; 2]) -> Self {
        let mut sums = std::collections::BTreeMap::<[i64; 2], (f64, f64)>::new();
        let (mut n, mut total, mut squares) = (0.0, 0.0, 0.0);
        for (from, to, weight) in blocks.iter().flat_map(Block::pairs) {
            let (from, to) = (place(from), place(to));
            let sum = sums.entry([to[0] - from[0], to[1] - from[1]]).or_default();
            *sum = (sum.0 + 1.0, sum.1 + weight);
            n += 1.0;
            total += weight;
            squares += weight * weight;
        }
        let mean = total / n;
        let variance = squares - n * mean * mean;
        let between: f64 = sums.values().map(|(n, sum)| n * (sum / n - mean).powi(2)).sum();
        // Rounding alone is no variance.
        let explained = (variance > 1e-9 * squares).then(|| (between / variance).clamp(0.0, 1.0));
        // An offset that few pairs have says little: the strongest is the one with most weight in all.
        let strongest =
            sums.iter().max_by(|a, b| a.1.1.total_cmp(&b.1.1)).map_or([0, 0], |(offset, _)| *offset);
        Self {
            means: sums.into_iter().map(|(offset, (n, sum))| (offset, sum / n)).collect(),
            explained,
            strongest,
        }
    }

    /// Correlation of weights and likeness of colour, each without its mean at the same offset.
    fn with_colour(
        &self,
        blocks: &[Block],
        content: &PatchContent,
        place: impl Fn(usize) -> [i64; 2],
    ) -> Option<f64> {
        let likeness = |from: usize, to: usize| -> f64 {
            let [a, b] = [content.colour[from], content.colour[to]];
            -a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        let offset = |from: usize, to: usize| {
            let (from, to) = (place(from), place(to));
            [to[0] - from[0], to[1] - from[1]]
        };
        let mut alike = std::collections::BTreeMap::<[i64; 2], (f64, f64)>::new();
        for (from, to, _) in blocks.iter().flat_map(Block::pairs) {
            let sum = alike.entry(offset(from, to)).or_default();
            *sum = (sum.0 + 1.0, sum.1 + likeness(from, to));
        }
        let (mut weights, mut colours) = (Vec::new(), Vec::new());
        for (from, to, weight) in blocks.iter().flat_map(Block::pairs) {
            let offset = offset(from, to);
            let (n, sum) = alike[&offset];
            weights.push(weight - self.means[&offset]);
            colours.push(likeness(from, to) - sum / n);
        }
        pearson(&weights, &colours)
    }
}

/// Mean weight that each patch receives from the patches.
fn received(blocks: &[Block], patches: usize) -> Vec<f64> {
    let mut sums = vec![0.0; patches];
    blocks.iter().flat_map(Block::pairs).for_each(|(_, to, weight)| sums[to] += weight);
    sums
}

/// Pearson's correlation; `None` where one of the two does not vary.
fn pearson(first: &[f64], second: &[f64]) -> Option<f64> {
    let n = first.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (a, b) = (mean(first), mean(second));
    let (mut product, mut squares) = (0.0, [0.0; 2]);
    for (x, y) in first.iter().zip(second) {
        product += (x - a) * (y - b);
        squares[0] += (x - a).powi(2);
        squares[1] += (y - b).powi(2);
    }
    let floor = |mean: f64| 1e-18 * n * mean.abs().max(1e-6).powi(2);
    (squares[0] > floor(a) && squares[1] > floor(b)).then(|| product / (squares[0] * squares[1]).sqrt())
}

fn ninth(map: &Heatmap) -> usize {
    let largest =
        (0..map.values.len()).max_by(|a, b| map.values[*a].total_cmp(&map.values[*b]).then(b.cmp(a)));
    let place = largest.unwrap_or(0);
    let third = |at: usize, length: usize| (at * 3 / length.max(1)).min(2);
    3 * third(place / map.width.max(1), map.height) + third(place % map.width.max(1), map.width)
}

/// What a head does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadLabel {
    /// Weights are nearly all alike.
    Uniform,
    /// Most weight goes to prefix tokens.
    Sink,
    /// Weights follow the relative offset.
    Positional,
    /// What is read lies on the object.
    Object,
    /// Patches with edges receive more.
    Edge,
    /// Patches of one colour attend to one another.
    Colour,
    /// Where it looks tells the class.
    ClassSelective,
    /// It looks near by.
    Local,
    /// It looks as far as even attention, or farther.
    Global,
    /// None of these in both halves.
    Unexplained,
}

impl HeadLabel {
    /// In a word or two.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Sink => "sink",
            Self::Positional => "positional",
            Self::Object => "object",
            Self::Edge => "edge",
            Self::Colour => "colour",
            Self::ClassSelective => "class-selective",
            Self::Local => "local",
            Self::Global => "global",
            Self::Unexplained => "unexplained",
        }
    }
}

/// One half of the images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadHalf {
    /// Means over the half's images.
    pub criteria: HeadCriteria,
    /// Mutual information in nats of the ninth of the image that is read most and the class; the null has the classes permuted.
    pub class: Measure,
}

impl HeadHalf {
    /// Of one head on some images and their classes.
    pub fn of(images: &[&HeadOnImage], classes: &[usize], seed: u64) -> Self {
        let mean = |of: fn(&HeadCriteria) -> Measure| {
            let over = |part: fn(&Measure) -> Option<f64>| {
                let values: Vec<f64> = images.iter().filter_map(|image| part(&of(&image.criteria))).collect();
                (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
            };
            Measure { value: over(|measure| measure.value), null: over(|measure| measure.null) }
        };
        let criteria = HeadCriteria {
            positional: mean(|c| c.positional),
            distance: mean(|c| c.distance),
            sink: mean(|c| c.sink),
            edge: mean(|c| c.edge),
            orientation: mean(|c| c.orientation),
            colour: mean(|c| c.colour),
            object: mean(|c| c.object),
            entropy: mean(|c| c.entropy),
        };
        let ninths: Vec<usize> = images.iter().map(|image| image.ninth).collect();
        let mut permuted = classes.to_vec();
        let draws: u64 = 20;
        let null = (0..draws).map(|draw| {
            permuted.shuffle(&mut keyed_rng(seed, "head atlas classes", draw, 0));
            mutual_information(&ninths, &permuted)
        });
        let null = null.sum::<f64>() / draws as f64;
        Self {
            criteria,
            class: Measure { value: Some(mutual_information(&ninths, classes)), null: Some(null) },
        }
    }

    fn satisfies(&self, label: HeadLabel) -> bool {
        let HeadCriteria { positional, distance, sink, edge, colour, object, entropy, .. } = self.criteria;
        let beyond = |measure: Measure, least: f64, times: f64| match (measure.value, measure.null) {
            (Some(value), Some(null)) => value >= least && value >= times * null.abs(),
            _ => false,
        };
        let far = distance.value;
        match label {
            HeadLabel::Uniform => entropy.value.is_some_and(|entropy| entropy >= 0.97),
            HeadLabel::Sink => beyond(sink, 0.5, 2.0),
            HeadLabel::Positional => beyond(positional, 0.3, 2.0),
            HeadLabel::Object => beyond(object, 0.0, 1.5),
            HeadLabel::Edge => beyond(edge, 0.3, 2.0),
            HeadLabel::Colour => beyond(colour, 0.2, 2.0),
            HeadLabel::ClassSelective => beyond(self.class, 0.1, 2.0),
            HeadLabel::Local => far.is_some_and(|far| far <= 0.5),
            HeadLabel::Global => far.is_some_and(|far| far >= 1.0),
            HeadLabel::Unexplained => true,
        }
    }
}

/// The first label, in the order of [`HeadLabel`], whose condition both halves satisfy.
pub fn label(halves: &[HeadHalf; 2]) -> HeadLabel {
    use HeadLabel::*;
    let order = [Uniform, Sink, Positional, Object, Edge, Colour, ClassSelective, Local, Global];
    order.into_iter().find(|label| halves.iter().all(|half| half.satisfies(*label))).unwrap_or(Unexplained)
}

/// Of two variables observed together, in nats.
fn mutual_information(first: &[usize], second: &[usize]) -> f64 {
    let n = first.len() as f64;
    let count =
        |matches: &dyn Fn(usize) -> bool| (0..first.len()).filter(|place| matches(*place)).count() as f64;
    let mut pairs: Vec<(usize, usize)> = first.iter().copied().zip(second.iter().copied()).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let part = |&(a, b): &(usize, usize)| {
        let both = count(&|place| first[place] == a && second[place] == b) / n;
        let (a, b) = (count(&|place| first[place] == a) / n, count(&|place| second[place] == b) / n);
        both * (both / (a * b)).ln()
    };
    pairs.iter().map(part).sum::<f64>().max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::class_token_site;

    const SIDE: usize = 6;
    const N: usize = SIDE * SIDE + 1;

    /// A layer of heads whose weights `of(head, image, query, key)` are known, patches counted from 0, the class token `None`.
    fn maps(
        heads: usize,
        images: usize,
        of: impl Fn(usize, usize, Option<usize>, Option<usize>) -> f64,
    ) -> AttentionMaps {
        let mut values = Vec::new();
        for image in 0..images {
            for head in 0..heads {
                for query in 0..N {
                    let row: Vec<f64> =
                        (0..N).map(|key| of(head, image, query.checked_sub(1), key.checked_sub(1))).collect();
                    let sum: f64 = row.iter().sum();
                    values.extend(row.iter().map(|weight| (weight / sum) as f32));
                }
            }
        }
        let site = class_token_site(0, [SIDE, SIDE]);
        let layer = LayerMaps { site, heads, windows: 1, places: N, values };
        AttentionMaps { images, image_size: [SIDE * 4; 2], layers: vec![layer] }
    }

    /// Random patches, an object of four patches at a place that depends on the class, half of the patches of each of two colours.
    fn content(image: usize) -> PatchContent {
        use rand::RngExt;
        let mut rng = keyed_rng(4, "content", image as u64, 0);
        let mut numbers = || (0..SIDE * SIDE).map(|_| rng.random::<f64>()).collect::<Vec<f64>>();
        let (gradient, orientation, colours) = (numbers(), numbers(), numbers());
        let corner = rng.random_range(0..5) * SIDE + rng.random_range(0..5);
        let mut object = vec![0.0; SIDE * SIDE];
        [0, 1, SIDE, SIDE + 1].iter().for_each(|step| object[corner + step] = 1.0);
        let colour = colours
            .iter()
            .map(|value| if *value > 0.5 { [1.0, 0.0, 0.2] } else { [0.0, 1.0, 0.1] })
            .collect();
        PatchContent { gradient, orientation, colour, object: Some(object) }
    }

    #[test]
    fn heads_with_a_known_purpose_get_their_label() {
        let images = 24;
        let contents: Vec<PatchContent> = (0..images).map(content).collect();
        let classes: Vec<usize> = (0..images).map(|image| image / 2 % 2).collect();
        let made = maps(7, images, |head, image, query, key| {
            let content = &contents[image];
            let Some(key) = key else { return if head == 1 { 200.0 } else { 1e-3 } };
            match (head, query) {
                (0, _) | (1, _) => 1.0,
                // To the right neighbour.
                (2, Some(query)) => {
                    if key == query + 1 && key % SIDE != 0 {
                        1.0
                    } else {
                        1e-3
                    }
                }
                (3, _) => content.object.as_ref().unwrap()[key] + 1e-2,
                (4, _) => content.gradient[key] * content.gradient[key],
                (5, Some(query)) => {
                    if content.colour[key] == content.colour[query] {
                        1.0
                    } else {
                        0.05
                    }
                }
                // Left or right column, by class.
                (6, None) => {
                    if key % SIDE == classes[image] * (SIDE - 1) {
                        1.0
                    } else {
                        0.4
                    }
                }
                // A permutation that has nothing to do with any image.
                (6, Some(query)) => {
                    if (query * query * 31 + key * key * key * 17 + query * key * (image + 5)) % 37 < 3 {
                        0.5
                    } else {
                        0.05
                    }
                }
                _ => 1.0,
            }
        });
        let ids: Vec<u64> = (0..images as u64).collect();
        let all = heads_on_images(&made, 0, &contents, (3, &ids));
        let halves = |head: usize| {
            [0, 1].map(|half| {
                let of_half = |image: &usize| image % 2 == half;
                let seen: Vec<&HeadOnImage> =
                    (0..images).filter(of_half).map(|image| &all[image][head]).collect();
                let classes: Vec<usize> = (0..images).filter(of_half).map(|image| classes[image]).collect();
                HeadHalf::of(&seen, &classes, 1)
            })
        };
        let labels: Vec<HeadLabel> = (0..7).map(|head| label(&halves(head))).collect();
        use HeadLabel::*;
        assert_eq!(labels, [Uniform, Sink, Positional, Object, Edge, Colour, ClassSelective]);
        assert_eq!(all[0][2].offset, [0, 1]);
        let measured = halves(2)[0].criteria;
        assert!(
            measured.positional.value.unwrap() > 0.8 && measured.positional.null.unwrap() < 0.3,
            "{measured:?}"
        );
        // No label where the halves disagree.
        let [edge, colour] = [halves(4)[0], halves(5)[1]];
        assert_eq!(label(&[edge, colour]), Unexplained);
    }

    #[test]
    fn information_and_patches_are_as_by_hand() {
        assert!((mutual_information(&[0, 0, 1, 1], &[5, 5, 2, 2]) - 2f64.ln()).abs() < 1e-12);
        assert!(mutual_information(&[0, 1, 0, 1], &[5, 5, 2, 2]) < 1e-12);
        // Left half black, right half white: the gradient lies across columns, at the border.
        let image: Vec<f32> = (0..3 * 64).map(|i| f32::from(u8::from(i % 8 >= 4))).collect();
        let mask: Vec<bool> = (0..64).map(|i| i % 8 >= 6).collect();
        let found = PatchContent::of(&image, [8, 8], Some(&mask), [2, 4]);
        assert_eq!(found.gradient, [0.0, 0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.0]);
        assert_eq!(found.orientation, found.gradient);
        assert_eq!((found.colour[1], found.colour[2]), ([0.0; 3], [1.0; 3]));
        assert_eq!(found.object.unwrap(), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    }
}
