use super::*;
use crate::studies::made_up::{assert_speaks_of, each_of, everything, investigation, names};
use crate::studies::table_models::{in_scene, name, right};
use crate::subjects::ModelName;
use crate::units::ask;

/// Of 20 images, the first 15 are attacked; their perturbations have the mean frequency `mean` and vary a little.
fn records(mean: f64) -> Vec<FrequencyRecord> {
    let record = |image: usize| FrequencyRecord {
        perturbation: (image < 15).then(|| (vec![0.125; BANDS], mean + 0.01 * (image % 3) as f64)),
        low: vec![image < 10, image < 18],
        high: vec![image < 12, image < 4],
    };
    (0..20).map(record).collect()
}

/// Made up: perturbations are finer for each further model.
pub(crate) fn found(models: &[ModelName]) -> FrequencyFindings {
    let of = |place: usize| of_model(&records(0.6 + 0.1 * place as f64), &[0.25, 0.5]).unwrap();
    let resampling = archaeo_analysis::statistics::Resampling::new(1);
    let pairs = crate::subjects::pairs(models).into_iter().map(|pair| {
        let means = pair.map(|model| {
            let place = models.iter().position(|of| *of == model).unwrap();
            records(0.6 + 0.1 * place as f64)
                .iter()
                .filter_map(|of| Some(of.perturbation.as_ref()?.1))
                .collect::<Vec<_>>()
        });
        let finer = Measured::of(sign_flip_test(&means[0], &means[1], &resampling)).unwrap();
        FrequencyPair { models: pair, finer }
    });
    FrequencyFindings {
        n: 20,
        epsilon: 4.0,
        unit: "1/255".into(),
        white: each_of(models, |_| Spectrum::new(32, 32).white(BANDS)),
        pairs: pairs.collect(),
        models: each_of(models, of),
    }
}

#[test]
fn sentences_say_whose_perturbations_are_finer() {
    let of = of_model(&records(0.6), &[0.25, 0.5]).unwrap();
    assert_eq!((of.attacked, of.cutoffs[0].low.value, of.cutoffs[1].high.value), (15, 0.5, 0.2));
    assert!((of.mean_frequency.known().unwrap().value - 0.61).abs() < 1e-12);
    let chapter_of = |models: usize| {
        let investigation = investigation(models);
        FrequencyStudy::chapter(&found(&names(models)), &investigation, &Names::of(&investigation))
    };
    let claims = chapter_of(2).claims;
    assert_eq!(
        claims[0].statement,
        "What an attack adds to images is finer for the ResNet than for the ViT."
    );
    assert!(claims[0].evidence.contains("On the 15\u{a0}images"), "{}", claims[0].evidence);
    for models in 0..=4 {
        assert_speaks_of(models, &everything(chapter_of(models)));
    }
}

/// Models of random weights: every batch size gives the same.
#[test]
fn findings_do_not_depend_on_batches() {
    let ask_with = |batch_size: usize| {
        in_scene(&[&[right], &[right]], |scene| {
            let options = FrequencyOptions { images: 20, steps: 2, ..FrequencyOptions::quick() };
            let mut options = scene.options.clone().with::<FrequencyStudy>(&options);
            options.batch_size = batch_size;
            ask::<FrequencyStudy>(&Scene { options: &options, ..*scene }, None).unwrap()
        })
    };
    let found = ask_with(20);
    assert_eq!(serde_json::to_string(&found).unwrap(), serde_json::to_string(&ask_with(6)).unwrap());
    assert_eq!((found.n, found.models[name(1)].cutoffs.len(), found.pairs.len()), (20, 2, 1));
}

#[test]
fn options_are_checked() {
    let refused = |options: FrequencyOptions| options.check().unwrap_err().to_string();
    assert!(refused(FrequencyOptions { cutoffs: vec![1.5], ..Default::default() }).contains("below 1.41"));
    assert!(refused(FrequencyOptions { epsilon: 0.5, ..Default::default() }).contains("from 1 to 255"));
    assert!(FrequencyOptions::default().check().is_ok() && FrequencyOptions::quick().check().is_ok());
}
