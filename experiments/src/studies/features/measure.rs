//! What is measured of features once they are there: neighbours, probes, pictures, and models against each other.

use archaeo_analysis::features::layers::Pooling;
use archaeo_analysis::features::{
    NEIGHBOURS, Neighbours, PERPLEXITY, Pca, TRUST_NEIGHBOURS, choose_probe, few_shot, pca, picture_trust,
    tsne,
};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Estimate, Resampling, accuracy_difference, benjamini_hochberg, mcnemar, mean_bootstrap,
    wilson, wilson_of_family,
};
use archaeo_random::{spread, stratified};
use archaeo_training::features::Extracted;
use rayon::prelude::*;

use super::findings::{
    Cloud, Clouds, FeaturePair, ImageRoles, LayerScore, Learned, ModelFeatures, NearImage, NeighbourScore,
    PairedScore, ProbeScore, Retrieved,
};
use crate::scene::StudyError;
use crate::subjects::ModelName;

/// Fewest images of a picture: its trust is asked of a dozen neighbours.
const FEWEST_POINTS: usize = 2 * TRUST_NEIGHBOURS + 6;

/// Neighbours of which retrieval is scored.
const RETRIEVED: [usize; 3] = [1, 5, 10];

/// Similar images that are shown of each.
const SHOWN: usize = 5;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Draws of a few images per class.
    pub draws: usize,
    /// The most points of a picture.
    pub points: usize,
    /// The most images of which layers are compared.
    pub compared: usize,
    /// Images whose nearest are listed.
    pub shown: usize,
}

/// One model's features of all images, by what these are for.
pub struct Sample {
    /// Its name.
    pub name: ModelName,
    /// Of [`ImageRoles::training`] and [`ImageRoles::validation`]; `None` where nothing is learned.
    pub learned_from: Option<[Extracted; 2]>,
    /// Of [`ImageRoles::test`].
    pub test: Extracted,
}

/// Which test images a model has right.
pub struct Correct {
    neighbours: Vec<bool>,
    probe: Vec<bool>,
}

/// Measures one model; `go_on` is asked now and then.
///
/// # Errors
/// Features that nothing can be computed of, an interruption.
pub fn measure(
    sample: &Sample,
    roles: Option<&ImageRoles>,
    classes: usize,
    sizes: &Sizes,
    resampling: &Resampling,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<(ModelFeatures, Option<Correct>), StudyError> {
    let picture = clouds(&sample.test, roles.is_some(), sizes.points, resampling.seed, go_on)?;
    let width = sample.test.pooled.width();
    let (Some(parts), Some(roles)) = (&sample.learned_from, roles) else {
        return Ok((ModelFeatures { width, learned: None, picture }, None));
    };
    if !go_on() {
        return Err(StudyError::Interrupted);
    }
    let (learned, correct) = learned(parts, &sample.test, roles, classes, sizes, resampling)?;
    Ok((ModelFeatures { width, learned: Some(learned), picture }, Some(correct)))
}

fn learned(
    [training, validation]: &[Extracted; 2],
    test: &Extracted,
    roles: &ImageRoles,
    classes: usize,
    sizes: &Sizes,
    resampling: &Resampling,
) -> Result<(Learned, Correct), StudyError> {
    let labels = &test.labels;
    let gallery = training.pooled.followed_by(&validation.pooled);
    let gallery_labels = [&training.labels[..], &validation.labels].concat();
    let most = NEIGHBOURS[NEIGHBOURS.len() - 1];
    let found = Neighbours::find(&test.pooled, &gallery, most)?;
    let mut neighbours = Vec::new();
    let mut right = Vec::new();
    for k in NEIGHBOURS.map(|k| k.min(found.k())) {
        right = correct(&found.votes(&gallery_labels, classes, k), labels);
        neighbours.push(NeighbourScore { k, score: share(&right)? });
    }
    neighbours.dedup_by_key(|score| score.k);
    let retrieval = RETRIEVED.iter().filter(|&&k| k <= found.k()).map(|&k| {
        let score = mean_bootstrap(&found.precision(labels, &gallery_labels, k), resampling)?;
        Ok(NeighbourScore { k, score })
    });
    let probe = choose_probe(
        (&training.pooled, &training.labels),
        (&validation.pooled, &validation.labels),
        classes,
    )?;
    let probe_right = correct(&probe.probe.predict(&test.pooled), labels);
    let few_shot = few_shot(
        (&training.pooled, &training.labels),
        (&validation.pooled, &validation.labels),
        (&test.pooled, labels),
        classes,
        sizes.draws,
        resampling.seed,
    )?;
    let place = |image: usize| match image.checked_sub(roles.training.n) {
        None => (&roles.training, image),
        Some(image) => (&roles.validation, image),
    };
    let everything: Vec<usize> = (0..labels.len()).collect();
    let retrieved = spread(labels, &everything, sizes.shown).into_iter().map(|query| {
        let nearest = found.images(query).iter().zip(found.similarities(query)).take(SHOWN);
        let nearest = nearest.map(|(&image, &similarity)| {
            let (part, at) = place(image);
            NearImage {
                split: part.split.clone(),
                index: part.images[at],
                label: gallery_labels[image],
                similarity,
                picture: String::new(),
            }
        });
        Retrieved { query, label: labels[query], picture: String::new(), nearest: nearest.collect() }
    });
    let learned = Learned {
        usual: usual(labels, classes),
        neighbours,
        of_class: of_class(&right, labels, classes)?,
        retrieval: retrieval.collect::<Result<_, StudyError>>()?,
        retrieved: retrieved.collect(),
        probe: ProbeScore {
            accuracy: share(&probe_right)?,
            penalty: probe.penalty,
            validation: probe.validation,
        },
        few_shot,
        layers: layer_scores(training, validation, test, classes)?,
    };
    Ok((learned, Correct { neighbours: right, probe: probe_right }))
}

fn layer_scores(
    training: &Extracted,
    validation: &Extracted,
    test: &Extracted,
    classes: usize,
) -> Result<Vec<LayerScore>, StudyError> {
    let asked: Vec<(usize, Pooling)> = (test.layers.iter().enumerate())
        .flat_map(|(place, layer)| layer.poolings().iter().map(move |&pooling| (place, pooling)))
        .collect();
    let score = |&(place, pooling): &(usize, Pooling)| {
        let of =
            |part: &Extracted| part.layers[place].pooled(pooling).expect("a layer has what it says it has");
        let found =
            choose_probe((&of(training), &training.labels), (&of(validation), &validation.labels), classes)?;
        let accuracy = share(&correct(&found.probe.predict(&of(test)), &test.labels))?;
        Ok(LayerScore { layer: test.layers[place].name.clone(), pooling, accuracy, penalty: found.penalty })
    };
    asked.par_iter().map(score).collect()
}

fn correct(answers: &[usize], labels: &[usize]) -> Vec<bool> {
    answers.iter().zip(labels).map(|(answer, label)| answer == label).collect()
}

fn share(correct: &[bool]) -> Result<Estimate, StudyError> {
    Ok(wilson(correct.iter().filter(|&&right| right).count(), correct.len(), DEFAULT_LEVEL)?)
}

fn usual(labels: &[usize], classes: usize) -> f64 {
    let count = |class: usize| labels.iter().filter(|&&label| label == class).count();
    (0..classes).map(count).max().unwrap_or(0) as f64 / labels.len().max(1) as f64
}

fn of_class(right: &[bool], labels: &[usize], classes: usize) -> Result<Vec<Option<Estimate>>, StudyError> {
    let counts = |class: usize| {
        let own = labels.iter().zip(right).filter(|(label, _)| **label == class);
        (own.clone().filter(|(_, right)| **right).count(), own.count())
    };
    let family = (0..classes).filter(|&class| counts(class).1 > 0).count();
    let one = |class: usize| match counts(class) {
        (_, 0) => Ok(None),
        (right, n) => Ok(Some(wilson_of_family(right, n, DEFAULT_LEVEL, family)?)),
    };
    (0..classes).map(one).collect()
}

/// Pictures of at most `most` test images; `None` of too few.
fn clouds(
    test: &Extracted,
    labelled: bool,
    most: usize,
    seed: u64,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<Clouds>, StudyError> {
    let shown = stratified(seed, "points of a picture", &test.labels, most);
    if shown.len() < FEWEST_POINTS {
        return Ok(None);
    }
    let features = test.pooled.select(&shown);
    let cloud = |points: &[[f64; 2]]| -> Result<Cloud, StudyError> {
        let trust = picture_trust(&features, points, TRUST_NEIGHBOURS)?;
        Ok(Cloud { trust, points: points.iter().map(|point| point.map(|value| value as f32)).collect() })
    };
    let Some(found) = tsne(&features, PERPLEXITY, go_on)? else { return Err(StudyError::Interrupted) };
    let Pca { scores, components, explained, .. } = pca(&features, 2)?;
    let second = |values: &[f64]| [values[0], values.get(1).copied().unwrap_or(0.0)];
    let plane: Vec<[f64; 2]> = scores.chunks_exact(components).map(second).collect();
    Ok(Some(Clouds {
        labels: if labelled { shown.iter().map(|&image| test.labels[image]).collect() } else { Vec::new() },
        tsne: cloud(&found.points)?,
        perplexity: found.perplexity,
        divergence: found.divergence,
        pca: cloud(&plane)?,
        explained: second(&explained),
    }))
}

/// What each model has right, against each other, on the same test images.
///
/// # Errors
/// No test images.
pub fn compare(
    models: &[(ModelName, Correct)],
    resampling: &Resampling,
) -> Result<Vec<FeaturePair>, StudyError> {
    let mut pairs = Vec::new();
    for (place, (first, own)) in models.iter().enumerate() {
        for (second, other) in &models[place + 1..] {
            pairs.push(FeaturePair {
                models: [*first, *second],
                neighbours: paired(&own.neighbours, &other.neighbours, resampling)?,
                probe: paired(&own.probe, &other.probe, resampling)?,
            });
        }
    }
    let p_values: Vec<f64> =
        pairs.iter().flat_map(|pair| [pair.neighbours.adjusted_p, pair.probe.adjusted_p]).collect();
    let adjusted = benjamini_hochberg(&p_values)?;
    for (pair, adjusted) in pairs.iter_mut().zip(adjusted.chunks_exact(2)) {
        (pair.neighbours.adjusted_p, pair.probe.adjusted_p) = (adjusted[0], adjusted[1]);
    }
    Ok(pairs)
}

fn paired(first: &[bool], second: &[bool], resampling: &Resampling) -> Result<PairedScore, StudyError> {
    let test = mcnemar(first, second)?;
    Ok(PairedScore {
        difference: accuracy_difference(first, second, resampling)?,
        only_first: test.only_first_correct,
        only_second: test.only_second_correct,
        adjusted_p: test.p_value,
    })
}
