//! Which cue decides when shape and texture disagree (Geirhos et al., 2019).
//!
//! Where the label is the shape, as in Sherds, a perfect model has a shape bias of 1, and ½ is not a neutral value: a
//! model that does not look at textures at all is far above it. What has a zero is how much oftener the texture's class is
//! named than by a model that errs as often but takes no notice of the texture ([`texture_following`]).

use serde::{Deserialize, Serialize};

use crate::statistics::{
    AnswerAgreement, Resampling, Result, SignFlipTest, StatisticsError, answer_agreement, exchange_test,
};

/// Which cue an answer follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The shape's class.
    Shape,
    /// The texture's class.
    Texture,
    /// A third class.
    Other,
}

/// Each image's decision; `None` where the cues agree, which says nothing about their conflict.
///
/// # Panics
/// If the three differ in length.
pub fn decisions(predicted: &[usize], shapes: &[usize], textures: &[usize]) -> Vec<Option<Decision>> {
    assert_eq!(
        (predicted.len(), predicted.len()),
        (shapes.len(), textures.len()),
        "each image needs a prediction, a shape and a texture"
    );
    let of_image = |((&predicted, &shape), &texture): ((&usize, &usize), &usize)| match predicted {
        _ if shape == texture => None,
        p if p == shape => Some(Decision::Shape),
        p if p == texture => Some(Decision::Texture),
        _ => Some(Decision::Other),
    };
    predicted.iter().zip(shapes).zip(textures).map(of_image).collect()
}

/// Decisions on cue-conflict images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CueDecisions {
    /// Decisions for the shape's class.
    pub shape: usize,
    /// Decisions for the texture's class.
    pub texture: usize,
    /// Decisions for a third class.
    pub other: usize,
}

impl CueDecisions {
    /// Counts decisions; images whose cues agree are left out.
    pub fn count(decisions: &[Option<Decision>]) -> Self {
        let of = |wanted| decisions.iter().filter(|decision| **decision == Some(wanted)).count();
        Self { shape: of(Decision::Shape), texture: of(Decision::Texture), other: of(Decision::Other) }
    }

    /// Decisions for one of the two cues: what the bias is a share of.
    pub fn cue_decisions(&self) -> usize {
        self.shape + self.texture
    }

    /// Shape bias: `shape / (shape + texture)`; `None` where neither cue ever decided.
    pub fn shape_bias(&self) -> Option<f64> {
        (self.cue_decisions() > 0).then(|| self.shape as f64 / self.cue_decisions() as f64)
    }
}

/// Shape bias of the first model minus that of the second on the same images, with [`exchange_test`].
///
/// # Errors
/// Undefined where a model never decides for either cue, or does so on too few images.
///
/// # Panics
/// If the models were not asked about the same images.
pub fn bias_difference(
    first: &[Option<Decision>],
    second: &[Option<Decision>],
    resampling: &Resampling,
) -> Result<SignFlipTest> {
    assert_eq!(first.len(), second.len(), "both models need a decision for each image");
    let difference = |images: &[usize], exchanged: &[bool]| {
        // Of each model, decisions for the shape and for the texture.
        let mut counts = [[0.0; 2]; 2];
        for &image in images {
            for (model, decision) in [first[image], second[image]].into_iter().enumerate() {
                let model = if exchanged[image] { 1 - model } else { model };
                match decision {
                    Some(Decision::Shape) => counts[model][0] += 1.0,
                    Some(Decision::Texture) => counts[model][1] += 1.0,
                    Some(Decision::Other) | None => {}
                }
            }
        }
        let [first, second] = counts.map(|[shape, texture]: [f64; 2]| shape / (shape + texture));
        first - second
    };
    exchange_test("a difference in shape bias", first.len(), difference, resampling)
}

/// How often the texture's class is named, and how often it would be by a model that errs in the same way but takes no
/// notice of textures: within each shape its answers are dealt out to the images anew ([`answer_agreement`], with the textures
/// in the place of a second model). Images whose cues agree are left out.
///
/// # Errors
/// Undefined without images in conflict, and for a model that gives all images of a shape the same answer.
///
/// # Panics
/// If the three differ in length.
pub fn texture_following(
    predicted: &[usize],
    shapes: &[usize],
    textures: &[usize],
    resampling: &Resampling,
) -> Result<AnswerAgreement> {
    let decided = decisions(predicted, shapes, textures);
    let of = |values: &[usize]| -> Vec<usize> {
        values
            .iter()
            .zip(&decided)
            .filter(|(_, decision)| decision.is_some())
            .map(|(&value, _)| value)
            .collect()
    };
    answer_agreement(&of(shapes), &of(predicted), &of(textures), resampling).map_err(|error| match error {
        // The reasons given there speak of two models.
        StatisticsError::Undefined { .. } => StatisticsError::Undefined {
            what: "how far a model follows textures",
            reason: "no shape has images in conflict to which the model gives different answers",
        },
        error => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_conflicts_count_and_third_classes_do_not_bias() {
        let found = decisions(&[0, 0, 1, 2, 1, 3], &[0, 0, 0, 2, 0, 0], &[1, 1, 1, 2, 1, 1]);
        assert_eq!(found[3], None);
        let counted = CueDecisions::count(&found);
        assert_eq!(counted, CueDecisions { shape: 2, texture: 2, other: 1 });
        assert_eq!(counted.shape_bias(), Some(0.5));
        assert_eq!(CueDecisions::count(&decisions(&[5], &[0], &[1])).shape_bias(), None);
    }

    /// Two shapes of 30 images each, nine textures in turn.
    fn conflict() -> (Vec<usize>, Vec<usize>) {
        let shapes: Vec<usize> = (0..60).map(|image| image % 2).collect();
        let textures = (0..60).map(|image| 1 - image % 2 + 2 * (image / 2 % 5)).collect();
        (shapes, textures)
    }

    #[test]
    fn a_model_far_from_half_may_take_no_notice_of_textures() {
        let (shapes, textures) = conflict();
        let resampling = Resampling::new(0);
        // Right but for every seventh image, where it names a class by the image's number alone.
        let blind: Vec<usize> =
            (0..60).map(|image| if image % 7 == 3 { 2 + image % 3 } else { shapes[image] }).collect();
        let counted = CueDecisions::count(&decisions(&blind, &shapes, &textures));
        assert!(counted.shape_bias().unwrap() > 0.9);
        let found = texture_following(&blind, &shapes, &textures, &resampling).unwrap();
        assert!(found.p_value > 0.2, "{found:?}");

        // A model with the same shape bias or a larger one, all of whose errors are the texture's class.
        let swayed: Vec<usize> =
            (0..60).map(|image| if image % 7 == 3 { textures[image] } else { shapes[image] }).collect();
        let found = texture_following(&swayed, &shapes, &textures, &resampling).unwrap();
        assert!(found.p_value < 0.01 && found.excess.low > 0.0, "{found:?}");
        assert!((found.observed.value - 9.0 / 60.0).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_said_of_textures_is_undefined() {
        let (shapes, textures) = conflict();
        let resampling = Resampling::new(0);
        let undefined =
            |found: Result<AnswerAgreement>| assert!(matches!(found, Err(StatisticsError::Undefined { .. })));
        undefined(texture_following(&shapes, &shapes, &textures, &resampling));
        undefined(texture_following(&[], &[], &[], &resampling));
        undefined(texture_following(&[0, 1], &[1, 1], &[1, 1], &resampling));
    }

    #[test]
    fn two_biases_are_compared_on_the_same_images() {
        use Decision::{Other, Shape, Texture};
        let resampling = Resampling::new(0);
        let first: Vec<_> = (0..40).map(|i| Some(if i % 4 == 0 { Texture } else { Shape })).collect();
        let second: Vec<_> = (0..40).map(|i| Some(if i % 4 == 0 { Shape } else { Texture })).collect();
        let found = bias_difference(&first, &second, &resampling).unwrap();
        assert!((found.difference.value - 0.5).abs() < 1e-12);
        assert!(found.difference.low > 0.0 && found.p_value < 0.01, "{found:?}");
        let same = bias_difference(&first, &first, &resampling).unwrap();
        assert_eq!((same.difference.value, same.p_value), (0.0, 1.0));
        // Four images on which both decide by a cue, once otherwise: of the exchanges half turn the difference round.
        let (a, b) = ([Shape, Shape, Shape, Shape].map(Some), [Shape, Shape, Shape, Texture].map(Some));
        let found = bias_difference(&a, &b, &resampling).unwrap();
        assert_eq!((found.difference.value, found.p_value), (0.25, 1.0));
        let never = bias_difference(&[Some(Other), None], &[Some(Shape), None], &resampling);
        assert!(matches!(never, Err(StatisticsError::Undefined { .. })));
    }
}
