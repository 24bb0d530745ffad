use archaeo_analysis::statistics::Resampling;
use archaeo_data::corruptions::Corruption;

use super::findings::OfPair;
use super::*;
use crate::studies::made_up::{assert_speaks_of, each_of, everything, investigation, names};
use crate::studies::table_models::{in_scene, name, right};
use crate::subjects::ModelName;
use crate::units::ask;

const CORRUPTIONS: [Corruption; 2] = [Corruption::Fog, Corruption::Jpeg];

/// Of 40 images, the model has `wrong(image, corruption, severity)` wrong.
fn damage(clean: impl Fn(usize) -> bool, wrong: impl Fn(usize, usize, usize) -> bool) -> Damage {
    let of = |image: usize| {
        let at = |corruption: usize| (0..2).map(|severity| wrong(image, corruption, severity)).collect();
        (0..2).map(at).collect()
    };
    Damage { clean: (0..40).map(clean).collect(), wrong: (0..40).map(of).collect() }
}

fn resampling() -> Resampling {
    Resampling { resamples: 400, ..Resampling::new(3) }
}

fn first() -> Damage {
    damage(|image| image < 4, |image, corruption, severity| image < 8 + 4 * corruption + 4 * severity)
}

fn second() -> Damage {
    damage(|image| image < 4, |image, corruption, severity| image < 16 + 8 * corruption + 8 * severity)
}

#[test]
fn scores_and_comparisons_are_those_of_known_answers() {
    let scores = corruption_scores(&first(), &CORRUPTIONS, &resampling()).unwrap();
    assert_eq!(scores.clean.value, 0.9);
    let fog: Vec<f64> = scores.corruptions[0].accuracy.iter().map(|of| of.value).collect();
    assert_eq!(fog, [0.8, 0.7]);
    assert_eq!(scores.corruptions[1].accuracy[1].value, 0.6);
    assert!((scores.damaged.value - 0.7).abs() < 1e-12 && (scores.by_severity[0].value - 0.75).abs() < 1e-12);

    let pair = corruption_pair(&first(), &second(), &CORRUPTIONS, &resampling()).unwrap();
    // 0.7 against 0.4, and clean accuracy is the same.
    assert!((pair.difference.difference.value - 0.3).abs() < 1e-12 && pair.difference.p_value < 0.01);
    assert!((pair.lost.difference.value + 0.3).abs() < 1e-12);
    // (16 + 24) / (8 + 12) for fog, (24 + 32) / (12 + 16) for JPEG.
    assert!((pair.mce.known().unwrap().value - 2.0).abs() < 1e-12);
    // (40 − 8) / (20 − 8) and (56 − 8) / (28 − 8).
    let relative = (32.0 / 12.0 + 48.0 / 20.0) / 2.0;
    assert!((pair.relative_mce.known().unwrap().value - relative).abs() < 1e-12);
    let same = corruption_pair(&first(), &first(), &CORRUPTIONS, &resampling()).unwrap();
    assert!(same.difference.p_value == 1.0 && same.mce.known().unwrap().value == 1.0);
}

/// Made up: damage takes more from every second model.
pub(crate) fn found(models: &[ModelName]) -> CorruptionFindings {
    let damages = [first(), second()];
    let of = |place: usize| corruption_scores(&damages[place % 2], &CORRUPTIONS, &resampling()).unwrap();
    let pairs = crate::subjects::pairs(models).into_iter().map(|pair| {
        let [a, b] = pair.map(|model| models.iter().position(|of| *of == model).unwrap() % 2);
        let compared = corruption_pair(&damages[a], &damages[b], &CORRUPTIONS, &resampling()).unwrap();
        OfPair { models: pair, pair: compared }
    });
    CorruptionFindings { n: 40, severities: vec![1, 5], pairs: pairs.collect(), models: each_of(models, of) }
}

fn chapter_of(models: usize) -> Chapter {
    let investigation = investigation(models);
    CorruptionsStudy::chapter(&found(&names(models)), &investigation, &Names::of(&investigation))
}

#[test]
fn sentences_follow_from_the_tests() {
    let claims = chapter_of(2).claims;
    assert_eq!(
        claims[0].statement,
        "The ViT is right on 70.0\u{a0}% of the damaged images, and on 90.0\u{a0}% of the same images without damage."
    );
    assert!(
        claims[0].evidence.contains("2\u{a0}corruptions and severities 1 and 5"),
        "{}",
        claims[0].evidence
    );
    assert_eq!(claims[2].statement, "Damage takes more from the ResNet than from the ViT.");
    assert!(claims[2].evidence.contains("200.0\u{a0}%"), "{}", claims[2].evidence);
    for models in 0..=4 {
        assert_speaks_of(models, &everything(chapter_of(models)));
    }
}

/// Models of random weights on few images: every batch size gives the same.
#[test]
fn findings_do_not_depend_on_batches() {
    let ask_with = |batch_size: usize| {
        in_scene(&[&[right], &[right]], |scene| {
            let options = CorruptionsOptions {
                images: 7,
                severities: vec![2],
                corruptions: vec![Corruption::GaussianNoise, Corruption::Spatter],
            };
            let mut options = scene.options.clone().with::<CorruptionsStudy>(&options);
            options.batch_size = batch_size;
            ask::<CorruptionsStudy>(&Scene { options: &options, ..*scene }, None).unwrap()
        })
    };
    let found = ask_with(7);
    assert_eq!(serde_json::to_string(&found).unwrap(), serde_json::to_string(&ask_with(2)).unwrap());
    assert_eq!((found.n, found.models[name(0)].corruptions.len(), found.pairs.len()), (7, 2, 1));
}

#[test]
fn severities_are_checked() {
    for severities in [vec![], vec![0], vec![6]] {
        let options = CorruptionsOptions { severities, ..CorruptionsOptions::default() };
        assert!(options.check().unwrap_err().to_string().contains("from 1 to 5"));
    }
    assert!(CorruptionsOptions::default().check().is_ok() && CorruptionsOptions::quick().check().is_ok());
}
