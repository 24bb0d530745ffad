use archaeo_analysis::attacks::doctor::Health;

use super::*;
use crate::studies::made_up::{assert_speaks_of, each_of, everything, investigation, names};
use crate::studies::table_models::{in_scene, name, right};
use crate::studies::{DoctorStudy, made_up};
use crate::units::ask;

/// Of 40 images, a model has all but the first four right; of those PGD with one start fools the first `fallen[0]`, its other starts so many
/// more, and so on.
fn attacked(fallen: [usize; 3]) -> (Vec<bool>, Vec<WorstCaseRecord>) {
    let record = |image: usize| {
        let mut below = 0;
        let fell_to = fallen.iter().position(|count| {
            below += count;
            image < below
        });
        WorstCaseRecord::Attacked { fell_to, zero_gradient: false }
    };
    ((0..40).map(|image| image >= 4).collect(), (0..36).map(record).collect())
}

/// Of 20 images all but the first two are right; the distances of the others are 0.1, 0.2 and so on times a factor, and the last one is
/// never fooled.
fn far(factor: f64) -> (Vec<bool>, Vec<WorstCaseRecord>) {
    let record = |image: usize| {
        let distance = factor * (image + 1) as f64 / 10.0;
        let found = if image == 17 { vec![None, None] } else { vec![Some(1.5 * distance), Some(distance)] };
        WorstCaseRecord::Nearest(found)
    };
    ((0..20).map(|image| image >= 2).collect(), (0..18).map(record).collect())
}

/// Made up: every second model stands better, and its images are farther from an error.
pub(crate) fn found(models: &[ModelName]) -> WorstCaseFindings {
    let falls = |place: usize, size: f64| match (place % 2, size < 6.0) {
        (0, true) => attacked([12, 6, 6]),
        (0, false) => attacked([30, 3, 2]),
        (_, true) => attacked([3, 2, 1]),
        (_, false) => attacked([20, 2, 2]),
    };
    let sizes = [4.0, 8.0];
    let at = |place: usize, size: f64| {
        let (right, records) = falls(place, size);
        resistance(size, &right, &records).unwrap()
    };
    let standing = each_of(models, |place| sizes.map(|size| at(place, size).1).to_vec());
    let pairs = crate::subjects::pairs(models);
    let distances = each_of(models, |place| far([1.0, 2.0][place % 2]));
    let recorded =
        distances.iter().map(|(model, (right, records))| (model, (right.clone(), records.as_slice())));
    let recorded: ByModel<_> = recorded.collect();
    let of_norm =
        |norm| nearest_in(norm, vec!["one attack".into(), "another".into()], &recorded, &pairs).unwrap();
    let mut norms: Vec<_> = NORMS.map(of_norm).into();
    conclude::adjust(&mut norms).unwrap();
    WorstCaseFindings {
        n: 40,
        unit: "1/255".into(),
        restarts: 3,
        settings: vec!["PGD in words".into(), "APGD-T in words".into()],
        pairs: worst_pairs(&pairs, &sizes, &standing).unwrap(),
        models: each_of(models, |place| sizes.map(|size| at(place, size).0).to_vec()),
        smallest_n: 20,
        norms,
    }
}

fn chapter_of(models: usize) -> Chapter {
    let investigation = investigation(models);
    WorstCaseStudy::chapter(&found(&names(models)), &investigation, &Names::of(&investigation))
}

#[test]
fn each_attack_takes_from_what_the_last_has_left() {
    let (right, records) = attacked([12, 6, 6]);
    let (found, stands) = resistance(4.0, &right, &records).unwrap();
    let shares =
        [&found.clean, &found.one_start, &found.restarts, &found.all].map(|share| 40.0 * share.value);
    assert_eq!(shares, [36.0, 24.0, 18.0, 12.0]);
    assert_eq!(stands.iter().filter(|stands| **stands).count(), 12);
    // The first four are wrong, and the next 24 fall.
    assert!(!stands[27] && stands[28]);
}

#[test]
fn distances_are_the_smallest_of_all_attacks_and_never_fooled_is_far() {
    let both: ByModel<_> = names(2).into_iter().zip([far(1.0), far(2.0)]).collect();
    let recorded = both.iter().map(|(model, (right, records))| (model, (right.clone(), records.as_slice())));
    let found = nearest_in(Norm::L2, Vec::new(), &recorded.collect(), &[[names(2)[0], names(2)[1]]]).unwrap();
    let of = &found.models[names(2)[0]];
    assert_eq!((of.correct, of.fooled), (18, 17));
    // Between the ninth and the tenth of 0.1, 0.2 …; the attack that finds longer ones does not count.
    assert!((of.median.known().unwrap().value - 0.95).abs() < 1e-12);
    assert_eq!((of.curve[0].at, of.curve[0].share), (0.0, 0.9));
    let last = of.curve.last().unwrap();
    assert!((last.at - 1.7).abs() < 1e-12 && last.share == 0.05);
    // All images but the one that neither model errs on; 2 · 2⁻¹⁷.
    let pair = &found.pairs[0];
    assert_eq!((pair.both, pair.farther), (18, [0, 17]));
    assert!((pair.p_value - 2f64.powi(-16)).abs() < 1e-15);
}

#[test]
fn sentences_say_what_can_be_counted_on() {
    let claims = chapter_of(2).claims;
    assert_eq!(
        claims[0].statement,
        "Where somebody may tamper with its input, the ViT can be counted on in at most 30.0\u{a0}% of cases: so many images stay right \
         under the strongest attacks here at ε = 4/255."
    );
    assert!(
        claims[0].evidence.contains("60.0\u{a0}% under PGD with one start, 45.0\u{a0}% with 3\u{a0}starts")
    );
    assert!(claims[0].evidence.contains("0.950 (95\u{a0}% interval"), "{}", claims[0].evidence);
    assert_eq!(claims[2].statement, "In the worst case the ResNet stays right more often than the ViT.");
    assert!(
        claims[2].evidence.contains(
            "In L2, 0 of the 18\u{a0}images that both have right are farther from an error of the ViT, 17 from one of the ResNet"
        ),
        "{}",
        claims[2].evidence
    );
    for models in 0..=4 {
        assert_speaks_of(models, &everything(chapter_of(models)));
    }
}

/// What the doctor says of a model stands next to its number.
#[test]
fn a_model_that_fails_the_doctor_is_named() {
    let mut investigation = investigation(2);
    let doctor = made_up::found::doctor(&names(2));
    assert_eq!(doctor.models[names(2)[1]].verdict, Some(Health::Fail));
    investigation.insert::<DoctorStudy>(&doctor);
    let chapter = WorstCaseStudy::chapter(&found(&names(2)), &investigation, &Names::of(&investigation));
    let text = everything(chapter);
    assert!(text.contains("**The ResNet:** a check of the chapter “Robustness or illusion” fails"), "{text}");
    assert!(text.contains("**The ViT:** attacks measure robustness"), "{text}");
}

/// Models of random weights: their records are those of any batch.
#[test]
fn findings_do_not_depend_on_batches() {
    let ask_with = |batch_size: usize| {
        in_scene(&[&[right], &[right]], |scene| {
            let options = WorstCaseOptions {
                images: 16,
                pgd_steps: 2,
                apgd_steps: 2,
                smallest_images: 6,
                smallest_steps: 3,
                ..WorstCaseOptions::quick()
            };
            let mut options = scene.options.clone().with::<WorstCaseStudy>(&options);
            options.batch_size = batch_size;
            ask::<WorstCaseStudy>(&Scene { options: &options, ..*scene }, None).unwrap()
        })
    };
    let found = ask_with(16);
    assert_eq!(serde_json::to_string(&found).unwrap(), serde_json::to_string(&ask_with(5)).unwrap());
    assert_eq!((found.n, found.smallest_n, found.models.len()), (16, 6, 2));
    for of in found.models[name(0)].iter() {
        let shares = [&of.clean, &of.one_start, &of.restarts, &of.all].map(|share| share.value);
        assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
    }
}

#[test]
fn options_are_checked() {
    let refused = |options: WorstCaseOptions| options.check().unwrap_err().to_string();
    for epsilons in [vec![], vec![0.0], vec![4.0, 0.4], vec![300.0]] {
        assert!(refused(WorstCaseOptions { epsilons, ..Default::default() }).contains("from 1 to 255"));
    }
    assert!(
        refused(WorstCaseOptions { restarts: 0, ..Default::default() })
            .contains("studies.worst_case.restarts")
    );
    assert!(WorstCaseOptions::default().check().is_ok() && WorstCaseOptions::quick().check().is_ok());
}
