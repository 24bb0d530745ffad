//! Planted factors are found, in the model that has them, and no others; on images, records do not depend on batches.

use archaeo_analysis::statistics::Measured;

use super::super::findings::{ErrorFactors, FactorEffect};
use super::super::tests::claims_of;
use super::super::{Answered, ErrorsOptions, ErrorsStudy};
use super::*;
use crate::scene::Scene;
use crate::studies::table_models::{Answer, in_scene, in_scene_of, name, right};
use crate::subjects::ByModel;
use crate::units::{Recorded, Unit, ask};

/// Images of the test split of these tests.
const N: usize = 400;

/// Between 0 and 1, unlike for every image and stream.
fn noise(image: usize, stream: u64) -> f64 {
    let mut state =
        (image as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03);
    state = (state ^ (state >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((state ^ (state >> 29)) >> 11) as f64 / (1u64 << 53) as f64
}

/// Wrong on about a fifth of the images.
fn sometimes(label: usize, image: usize) -> usize {
    if noise(image, 1) < 0.2 { (label + 1) % 10 } else { label }
}

/// As [`sometimes`], on other images.
fn elsewhere(label: usize, image: usize) -> usize {
    if noise(image, 2) < 0.2 { (label + 3) % 10 } else { label }
}

/// Factors of made-up records: noise, but where the first model errs less contrast, and where the second errs larger objects.
fn planted(answers: [Answer; 2], contrast: f64, size: f64) -> ErrorFactors {
    in_scene_of(N, &[&[answers[0]], &[answers[1]]], |scene| {
        let mut answered = ByModel::default();
        for name in scene.names() {
            let evaluation = scene.predicted("test", name).unwrap();
            let answers = evaluation.scores().unwrap().predicted();
            answered.insert(name, Answered { evaluation, answers });
        }
        let wrong = |answer: Answer, image: usize| f64::from(answer(image % 10, image) != image % 10);
        let record = |image: usize| {
            let values = Factor::ALL[..7].iter().enumerate().map(|(place, &factor)| {
                let planted = match factor {
                    Factor::Contrast => -contrast * wrong(sometimes, image),
                    Factor::ObjectSize => size * wrong(elsewhere, image),
                    _ => 0.0,
                };
                (factor, noise(image, 10 + place as u64) + planted)
            });
            ImageRecord { factors: values.collect() }
        };
        let recorded = scene.names().into_iter().map(|name| Recorded {
            unit: Unit::whole(name, String::new(), (0..N).collect()),
            records: (0..N).map(record).collect(),
        });
        conclude(scene, &answered, recorded.collect(), 60).unwrap()
    })
}

/// What is shown of the image factors of each model.
fn shown(found: &ErrorFactors) -> [Vec<(Factor, bool)>; 2] {
    [name(0), name(1)].map(|model| {
        let of_model = found.factors.iter().filter_map(|finding| {
            let effect = finding.models.get(model).and_then(Measured::known)?;
            Some((finding.factor, effect.larger()?))
        });
        of_model.filter(|(factor, _)| !factor.is_of_model() && *factor != Factor::LabelDoubt).collect()
    })
}

#[test]
fn what_is_planted_is_found_in_its_model_and_nothing_else() {
    let found = planted([sometimes, elsewhere], 0.35, 0.35);
    assert_eq!(shown(&found), [vec![(Factor::Contrast, false)], vec![(Factor::ObjectSize, true)]]);
    let pair = |found: &ErrorFactors, factor: Factor| {
        let finding = found.factors.iter().find(|finding| finding.factor == factor).unwrap();
        finding.pairs[0].larger()
    };
    assert_eq!(pair(&found, Factor::Contrast), Some(false), "the first model has the smaller values");
    assert_eq!(pair(&found, Factor::ObjectSize), Some(false), "the second model has the larger values");
    assert_eq!(pair(&found, Factor::Brightness), None);
    let kinds = &found.kinds[name(0)];
    assert!(kinds.kinds.iter().any(|kind| kind.factor == Factor::Contrast && !kind.larger));
    let kind = &kinds.kinds[0];
    assert!(kind.count as f64 / kinds.errors as f64 > 1.5 * kind.expected, "{kind:?}");
    assert!(kind.examples.windows(2).all(|two| two[0].value <= two[1].value), "the outermost come first");

    let text = claims_of(&found);
    assert!(text.contains("the errors of the ViT are more often images with less contrast."), "{text}");
    assert!(text.contains("the errors of the ResNet are more often images with a larger object."), "{text}");
    assert!(
        text.contains(
            "Images with less contrast are more typical of the errors of the ViT than of those of the ResNet."
        ),
        "{text}"
    );
}

/// Exchanging the models exchanges what is said of them.
#[test]
fn findings_belong_to_their_model() {
    let found = planted([elsewhere, sometimes], 0.35, 0.35);
    assert_eq!(shown(&found), [vec![(Factor::ObjectSize, true)], vec![(Factor::Contrast, false)]]);
    let text = claims_of(&found);
    assert!(text.contains("the errors of the ViT are more often images with a larger object."), "{text}");
    assert!(
        text.contains(
            "Images with less contrast are more typical of the errors of the ResNet than of those of the ViT."
        ),
        "{text}"
    );
}

#[test]
fn where_nothing_is_planted_nothing_is_shown_and_that_is_said() {
    let found = planted([sometimes, elsewhere], 0.0, 0.0);
    assert_eq!(shown(&found), [Vec::new(), Vec::new()]);
    let text = claims_of(&found);
    assert!(
        text.contains("Nothing that was measured is shown to set the errors of the ViT and the ResNet apart from right answers"),
        "{text}"
    );
    assert!(
        text.contains("is shown to mark the errors of one model more than those of the other."),
        "{text}"
    );
    let effect = |factor: Factor| -> &FactorEffect {
        let finding = found.factors.iter().find(|finding| finding.factor == factor).unwrap();
        finding.models[name(0)].known().unwrap()
    };
    assert!((effect(Factor::Brightness).enrichment.superiority.value - 0.5).abs() < 0.1);
    // Table models are equally sure of every answer.
    let confidence = found.factors.iter().find(|finding| finding.factor == Factor::Confidence).unwrap();
    assert_eq!(confidence.models[name(0)].reason(), Some("it is the same for all of these images"));
}

/// On real images: every factor that Sherds knows, whatever the batch.
#[test]
fn images_are_measured_whatever_the_batch() {
    let ask_with = |batch_size: usize| {
        in_scene(&[&[sometimes], &[right]], |scene| {
            let options = ErrorsOptions { images: 50, training_images: 40 };
            let mut options = scene.options.clone().with::<ErrorsStudy>(&options);
            options.batch_size = batch_size;
            ask::<ErrorsStudy>(&Scene { options: &options, ..*scene }, None).unwrap()
        })
    };
    let found = ask_with(7);
    let as_json = |found| serde_json::to_string(found).unwrap();
    assert_eq!(as_json(&found), as_json(&ask_with(64)));
    let factors: Vec<Factor> = found.factors.factors.iter().map(|finding| finding.factor).collect();
    assert_eq!(factors, Factor::ALL);
    assert_eq!((found.factors.images, found.factors.training_images.known()), (50, Some(&40)));
    assert!(found.factors.left_out.is_empty());
    let perfect = found.factors.factors[0].models[name(1)].reason();
    assert_eq!(perfect, Some("it takes 5 or more observations and there are 0"));
}

/// One model alone cannot be asked whether its errors are errors of the labels.
#[test]
fn a_model_that_is_asked_alone_has_no_others_that_doubt() {
    let found = in_scene(&[&[sometimes]], |scene| ask::<ErrorsStudy>(scene, None).unwrap()).factors;
    assert_eq!(
        found.left_out,
        [(Factor::LabelDoubt, "a model that is asked alone doubts its own errors".into())]
    );
    assert!(found.factors.iter().all(|finding| finding.pairs.is_empty()));
}
