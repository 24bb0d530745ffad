//! A table model whose truth is known: for every metric, the true heatmap is the best and a shuffled one is not told from a random one.

use archaeo_random::keyed_rng;
use rand::RngExt;

use super::perturbation::{Answers, Explained, descending};
use super::*;
use crate::Keys;
use crate::attribution::{Attribution, Evidence, Heatmap, explain_all, method};
use crate::statistics::{Better, Resampling};
use crate::testing::{MethodFixture, random_images};

/// Two classes: the logit of the first is a weighted sum of the pixels and a bias, that of the second 0.
pub(super) struct Table {
    pub size: [usize; 2],
    pub images: Vec<Vec<f32>>,
    /// `(3, height, width)`
    pub weights: Vec<f32>,
    pub bias: f32,
}

impl Table {
    /// What each pixel contributes to the logit, summed over channels.
    pub fn contributions(&self, image: &[f32]) -> Heatmap {
        let plane = self.size[0] * self.size[1];
        let at = |pixel: usize| -> f32 {
            (0..3).map(|channel| channel * plane + pixel).map(|i| image[i] * self.weights[i]).sum()
        };
        Heatmap::new(self.size[0], self.size[1], (0..plane).map(at).collect())
    }
}

impl Answers for Table {
    fn size(&self) -> [usize; 2] {
        self.size
    }

    fn originals(&self) -> Vec<Vec<f32>> {
        self.images.clone()
    }

    fn logits(&self, images: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        let sum =
            |image: Vec<f32>| image.iter().zip(&self.weights).map(|(x, w)| x * w).sum::<f32>() + self.bias;
        images.into_iter().map(|image| vec![sum(image), 0.0]).collect()
    }
}

const SIDE: usize = 16;
const IMAGES: usize = 24;

/// Rows and columns 4 to 9 are a bright object, on which alone the logit depends.
fn object(pixel: usize) -> bool {
    (4..10).contains(&(pixel / SIDE)) && (4..10).contains(&(pixel % SIDE))
}

fn table() -> Table {
    let plane = SIDE * SIDE;
    let image = |image: u64| {
        let mut rng = keyed_rng(5, "table image", image, 0);
        let pixel = |i: usize| if object(i % plane) { 0.8 } else { 0.0 } + 0.2 * rng.random::<f32>();
        (0..3 * plane).map(pixel).collect()
    };
    let weight = |i: usize| if object(i % plane) { 24.0 / (3.0 * 36.0) } else { 0.0 };
    Table {
        size: [SIDE; 2],
        images: (0..IMAGES as u64).map(image).collect(),
        weights: (0..3 * plane).map(weight).collect(),
        bias: -18.0,
    }
}

/// Four heatmaps of each image: the truth, the truth with its pixels shuffled, random ones, and the truth with much noise.
fn heatmaps(table: &Table) -> Vec<Vec<Heatmap>> {
    let drawn = |stream: &str, image: usize| {
        let mut rng = keyed_rng(9, stream, image as u64, 0);
        let values: Vec<f32> = (0..SIDE * SIDE).map(|_| rng.random()).collect();
        Heatmap::new(SIDE, SIDE, values)
    };
    let truth: Vec<Heatmap> = table.images.iter().map(|image| table.contributions(image)).collect();
    let shuffled = truth.iter().enumerate().map(|(image, map)| {
        let order = descending(&drawn("shuffling", image), 0, 0);
        Heatmap::new(SIDE, SIDE, order.iter().map(|&place| map.values[place]).collect())
    });
    let noisy = truth.iter().enumerate().map(|(image, map)| {
        let noise = drawn("much noise", image);
        let values = map.values.iter().zip(&noise.values).map(|(value, noise)| 0.5 * value / 0.22 + noise);
        Heatmap::new(SIDE, SIDE, values.collect())
    });
    let random = (0..IMAGES).map(|image| drawn("a random heatmap", image));
    vec![truth.clone(), shuffled.collect(), random.collect(), noisy.collect()]
}

/// Patches of 2 × 2 pixels; each patch of the object that is kept adds to the logit.
fn token_scores(explained: &Explained) -> Vec<Vec<Score>> {
    token_dropping::scores([8, 8], explained, |_, kept| {
        let of = |kept: &Vec<usize>| {
            let seen = kept.iter().filter(|patch| object(*patch / 8 * 2 * SIDE + *patch % 8 * 2)).count();
            vec![seen as f32 - 5.0, 0.0]
        };
        kept.iter().map(of).collect()
    })
}

fn scores_of(id: &str, table: &Table, explained: &Explained) -> Vec<Vec<Score>> {
    let mask: Vec<bool> = (0..SIDE * SIDE).map(object).collect();
    let against_mask = |read: fn(&MaskScores) -> f64| -> Vec<Vec<Score>> {
        let of_map =
            |map: &Heatmap| Score::of(MaskScores::of(map, &mask, [SIDE; 2]).map(|scores| read(&scores)));
        explained.heatmaps.iter().map(|maps| maps.iter().map(of_map).collect()).collect()
    };
    match id {
        "deletion" => deletion::scores([0.0; 3], table, explained),
        "insertion" => insertion::scores(table, explained),
        "positive-perturbation" => positive::blackened(table, explained, false),
        "negative-perturbation" => positive::blackened(table, explained, true),
        "road" => road::scores(table, explained),
        "token-dropping" => token_scores(explained),
        "counterfactual" => {
            let found = counterfactual::search([0.0; 3], 2, table, explained);
            let share = |one: &Counterfactual| Score::of(Some(one.share()));
            found.iter().map(|images| images.iter().map(share).collect()).collect()
        }
        "pointing" => against_mask(|scores| scores.pointing),
        "mass" => against_mask(|scores| scores.mass),
        "auroc" => against_mask(|scores| scores.auroc),
        "average-precision" => against_mask(|scores| scores.average_precision),
        other => panic!("{other} has no test with a known truth"),
    }
}

#[test]
fn the_truth_is_best_and_a_shuffled_heatmap_is_random() {
    let (table, ids) = (table(), (0..IMAGES as u64).collect::<Vec<_>>());
    let maps = heatmaps(&table);
    let explained =
        Explained { keys: Keys { seed: 1, images: &ids }, targets: &[0; IMAGES], heatmaps: &maps };
    let judged: Vec<&MetricInfo> =
        metrics().iter().map(|metric| metric.info()).filter(|info| info.judged).collect();
    let values = |metric: &&'static MetricInfo| -> Vec<Vec<Option<f64>>> {
        let scores = scores_of(metric.id, &table, &explained);
        scores.iter().map(|scores| scores.iter().map(|score| score.value).collect()).collect()
    };
    let values: Vec<Vec<Vec<Option<f64>>>> = judged.iter().map(values).collect();
    // One family: of ten shuffled heatmaps, one may well lie outside its own interval.
    let comparisons: Vec<Comparison> = (judged.iter().zip(&values))
        .flat_map(|(metric, values)| {
            let [truth, shuffled, random, noisy] = &values[..] else { panic!("four heatmaps") };
            [(truth, random), (truth, noisy), (shuffled, random)].map(|(own, baseline)| Comparison {
                metric,
                own,
                baseline,
            })
        })
        .collect();
    let found = gains(&comparisons, &Resampling::new(0)).unwrap();
    for (metric, found) in judged.iter().zip(found.chunks(3)) {
        let [Some(truth), Some(over_noise), Some(shuffled)] = found else { panic!("{} images", IMAGES) };
        assert_eq!(truth.better, Better::Yes, "{}: the truth against random {truth:?}", metric.id);
        assert!(over_noise.difference.value >= 0.0, "{}: the truth against noise {over_noise:?}", metric.id);
        assert_ne!(shuffled.better, Better::Yes, "{}: shuffled {shuffled:?}", metric.id);
        let far = shuffled.difference.value.abs() / truth.difference.value;
        assert!(far < 0.5, "{}: shuffled {shuffled:?}, the truth {truth:?}", metric.id);
    }
    let told = found.chunks(3).flat_map(|found| &found[2]).filter(|gain| gain.better != Better::CannotBeTold);
    assert_eq!(told.count(), 0);
}

/// A heatmap without any order takes away pixels at random, not from the top left.
#[test]
fn a_constant_heatmap_is_random() {
    let constant = Heatmap::new(4, 4, vec![0.3; 16]);
    let orders: Vec<Vec<usize>> = (0..40).map(|image| descending(&constant, 2, image)).collect();
    let firsts: std::collections::BTreeSet<usize> = orders.iter().map(|order| order[0]).collect();
    assert!(firsts.len() > 8, "{firsts:?}");
    assert_eq!(descending(&constant, 2, 7), orders[7]);
    let ties = Heatmap::new(1, 4, vec![0.0, 1.0, -0.0, 0.5]);
    assert_eq!(descending(&ties, 0, 0)[..2], [1, 3]);
}

fn measured(
    subject: &crate::testing::Subject,
    images: burn::tensor::Tensor<4>,
    ids: &[u64],
    targets: &[usize],
    methods: &[&'static dyn Attribution],
) -> Vec<Vec<Vec<Score>>> {
    let [_, _, height, width] = images.dims();
    let evidence = Evidence::new(&subject.model, images, Keys { seed: 4, images: ids });
    let heatmaps = explain_all(methods, &evidence, targets).unwrap();
    let mask = Some((0..height * width).map(|pixel| pixel % 5 < 2).collect());
    let masks = vec![mask; ids.len()];
    let asked = Asked { evidence: &evidence, targets, methods, heatmaps: &heatmaps, masks: &masks };
    let applying = metrics().iter().filter(|metric| metric.applies(&subject.model).holds());
    applying.map(|metric| metric.measure(&asked).unwrap()).collect()
}

/// Of every metric, on every tiny model.
#[test]
fn no_score_depends_on_its_batch() {
    let fixture = MethodFixture::load();
    for subject in fixture.subjects() {
        let methods = ["grad-cam", "saliency", "random"].map(|id| method(id).unwrap());
        let images = match subject.name {
            "swin" => subject.images.clone().narrow(0, 0, 2),
            _ => random_images(2, 8),
        };
        let together = measured(&subject, images.clone(), &[3, 8], &[1, 2], &methods);
        for (row, (id, target)) in [(3, 1), (8, 2)].into_iter().enumerate() {
            let alone = measured(&subject, images.clone().narrow(0, row, 1), &[id], &[target], &methods);
            for (metric, (together, alone)) in together.iter().zip(&alone).enumerate() {
                for (together, alone) in together.iter().zip(alone) {
                    assert_eq!(together[row], alone[0], "{} metric {metric}", subject.name);
                }
            }
        }
        let dropping = TokenDropping.applies(&subject.model).holds();
        assert_eq!(dropping, !["resnet", "swin"].contains(&subject.name), "{}", subject.name);
    }
}

#[test]
fn metrics_have_names_of_their_own_and_curves_where_they_say_so() {
    let ids: std::collections::BTreeSet<&str> = metrics().iter().map(|metric| metric.info().id).collect();
    assert_eq!(ids.len(), metrics().len());
    let fixture = MethodFixture::load();
    let subject = &fixture.subjects()[0];
    let methods = ["saliency", "random", "centre"].map(|id| method(id).unwrap());
    let found = measured(subject, subject.images.clone(), &[0, 1], &subject.targets, &methods);
    for (metric, scores) in metrics().iter().zip(&found) {
        for score in scores.iter().flatten() {
            assert_eq!(score.curve.len(), metric.info().curve.len(), "{}", metric.info().id);
            assert!(score.value.is_some_and(f64::is_finite), "{}", metric.info().id);
        }
    }
}

#[test]
fn the_documentation_lists_every_metric_with_its_source() {
    let page = include_str!("../../../docs/faithfulness.md");
    for info in metrics().iter().map(|metric| metric.info()) {
        let way = if info.higher_is_better { "↑" } else { "↓" };
        assert!(page.contains(&format!("`{}` {way}", info.id)), "{} with {way}", info.id);
        assert!(
            page.contains(info.paper.url) && page.contains(info.paper.citation),
            "{}",
            info.paper.citation
        );
    }
}
