//! Linear probes of a few images per class: how many labels do the features need?

use archaeo_random::keyed_rng;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::linear_probe::choose_probe_of_few;
use super::matrix::Features;
use crate::statistics::{DEFAULT_LEVEL, Estimate, Result, mean_t, standard_deviation};

/// Images per class.
pub const SHOTS: [usize; 5] = [1, 2, 4, 8, 16];

/// Accuracy with so many images per class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FewShot {
    /// Images per class.
    pub shots: usize,
    /// Mean accuracy over draws, with Student's t interval over draws; `n` counts draws.
    pub accuracy: Estimate,
    /// Standard deviation over draws; `None` of one draw.
    pub deviation: Option<f64>,
}

/// Labelled features.
pub type Labelled<'a> = (&'a Features, &'a [usize]);

/// Accuracy on `test` of probes that are fitted to a few images of each class, drawn from `training`, with the penalty that is best on
/// `validation`. Draw `d` ranks the images of each class once, so that its larger sets contain its smaller ones. Numbers of images
/// that some class with training images does not have are left out.
///
/// # Errors
/// No draws, no images, fewer than two classes, or a value that is not finite.
pub fn few_shot(
    training: Labelled,
    validation: Labelled,
    test: Labelled,
    classes: usize,
    draws: usize,
    seed: u64,
) -> Result<Vec<FewShot>> {
    let ranked: Vec<Vec<Vec<usize>>> =
        (0..draws as u64).map(|draw| ranked(training.1, classes, seed, draw)).collect();
    let fewest = |draw: &Vec<Vec<usize>>| draw.iter().map(Vec::len).filter(|&n| n > 0).min().unwrap_or(0);
    let fewest = ranked.first().map_or(0, fewest);
    let mut curve = Vec::new();
    for shots in SHOTS.into_iter().filter(|&shots| shots <= fewest) {
        let mut accuracies = Vec::with_capacity(draws);
        for draw in &ranked {
            let mut images: Vec<usize> =
                draw.iter().flat_map(|class| class.iter().take(shots).copied()).collect();
            images.sort_unstable();
            let labels: Vec<usize> = images.iter().map(|&image| training.1[image]).collect();
            let found = choose_probe_of_few((&training.0.select(&images), &labels), validation, classes)?;
            let answers = found.probe.predict(test.0);
            let right = answers.iter().zip(test.1).filter(|(answer, label)| answer == label).count();
            accuracies.push(right as f64 / test.1.len() as f64);
        }
        curve.push(FewShot {
            shots,
            accuracy: mean_t(&accuracies, DEFAULT_LEVEL)?,
            deviation: standard_deviation(&accuracies).ok(),
        });
    }
    Ok(curve)
}

/// The images of each class in the order in which a draw takes them.
fn ranked(labels: &[usize], classes: usize, seed: u64, draw: u64) -> Vec<Vec<usize>> {
    let mut members: Vec<Vec<(u64, usize)>> = vec![Vec::new(); classes];
    for (image, &label) in labels.iter().enumerate() {
        let lot = keyed_rng(seed, "few-shot draw", image as u64, draw).next_u64();
        members[label].push((lot, image));
    }
    let ranked = members.into_iter().map(|mut class| {
        class.sort_unstable();
        class.into_iter().map(|(_, image)| image).collect()
    });
    ranked.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::testing::clusters;

    #[test]
    fn separated_clusters_need_few_images() {
        let (features, labels) = clusters(4, 40, 6, 8.0, 1);
        let all = (&features, labels.as_slice());
        let curve = few_shot(all, all, all, 4, 3, 5).unwrap();
        assert_eq!(curve.iter().map(|of| of.shots).collect::<Vec<_>>(), SHOTS);
        assert!(curve[0].accuracy.value > 0.6 && curve[0].accuracy.n == 3, "{curve:?}");
        assert!(curve[1..].iter().all(|of| of.accuracy.value > 0.97), "{curve:?}");
    }

    #[test]
    fn a_curve_ends_with_its_smallest_class_and_draws_differ() {
        let (features, mut labels) = clusters(2, 12, 3, 0.5, 2);
        // The second class keeps five images.
        labels[5..12].fill(0);
        labels[12..19].fill(0);
        let all = (&features, labels.as_slice());
        let curve = few_shot(all, all, all, 2, 4, 5).unwrap();
        assert_eq!(curve.iter().map(|of| of.shots).collect::<Vec<_>>(), [1, 2, 4]);
        assert!(curve[0].deviation.unwrap() > 0.0, "{curve:?}");
        assert_eq!(curve, few_shot(all, all, all, 2, 4, 5).unwrap());
        assert_ne!(ranked(&labels, 2, 5, 0), ranked(&labels, 2, 5, 1));
        assert_ne!(ranked(&labels, 2, 5, 0), ranked(&labels, 2, 6, 0));
    }
}
