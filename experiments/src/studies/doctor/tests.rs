use archaeo_analysis::attacks::doctor::Check;

use super::findings::Diagnosis;
use super::*;
use crate::studies::made_up::{assert_speaks_of, each_of, estimate, everything, investigation, names, share};
use crate::studies::table_models::{in_scene, name, right};
use crate::units::ask;

fn check(id: &str, value: f64, verdict: Health) -> Check {
    Check {
        id: id.into(),
        question: format!("Is {id} as it should be?"),
        measures: "images by which one is ahead".into(),
        found: estimate(value, 0.05, 48),
        tolerated: 0.0,
        verdict,
        why: match verdict {
            Health::Fail => "This robustness may be an illusion: gradients mislead.".into(),
            _ => "As in a sound model.".into(),
        },
    }
}

/// Made up: of every four models in a row the second fails a check, and for the third the images are too few.
pub(crate) fn found(models: &[ModelName]) -> DoctorFindings {
    let verdicts = [Health::Pass, Health::Fail, Health::CannotTell, Health::Pass];
    let of = |place: usize| {
        let checks = vec![
            check("gradient", 0.0, Health::Pass),
            check("iterated", -0.2, Health::Pass),
            check("black-box", 0.3, verdicts[place % 4]),
        ];
        Diagnosis { examined: 48, verdict: Health::of_all(&checks), checks }
    };
    let pairs = models.iter().flat_map(|&source| models.iter().map(move |&target| (source, target)));
    let transfers = pairs.map(|(source, target)| Transfer {
        source,
        target,
        fooled: Measured::Known(share(if source == target { 40 } else { 20 }, 44)),
        by_noise: Measured::Known(share(2, 44)),
        p_value: if source == models[0] { 0.001 } else { 0.4 },
    });
    DoctorFindings {
        n: 64,
        epsilon: 4.0,
        unit: "1/255".into(),
        transfers: transfers.collect(),
        models: each_of(models, of),
    }
}

fn chapter_of(models: usize) -> Chapter {
    let investigation = investigation(models);
    DoctorStudy::chapter(&found(&names(models)), &investigation, &Names::of(&investigation))
}

#[test]
fn sentences_follow_from_verdicts_and_tests() {
    let claims = chapter_of(2).claims;
    let said: Vec<&str> = claims.iter().map(|claim| claim.statement.as_str()).collect();
    assert_eq!(
        said,
        [
            "Nothing suggests that attacks on the ViT fail for another reason than its robustness.",
            "What looks like robustness of the ResNet may be an illusion: it fails the check black-box.",
            "Adversarial images of the ViT fool the ResNet, too: 45.5\u{a0}% of the images that both classify correctly.",
            "That adversarial images of the ResNet fool the ViT more than noise does cannot be shown.",
        ]
    );
    assert!(claims[1].evidence.contains("gradients mislead"), "{}", claims[1].evidence);
    assert!(
        claims[2].evidence.contains("Attacked itself, the ResNet falls on 90.9\u{a0}%"),
        "{}",
        claims[2].evidence
    );
    for models in 0..=4 {
        let text = everything(chapter_of(models));
        assert!(!text.contains("NaN"), "{text}");
        if models == 1 {
            assert!(!text.contains("What fools one model and another"));
        }
        if models > 1 {
            assert_speaks_of(models, &text);
        }
    }
}

/// Models of random weights: their records are those of any batch, and a model with nothing right is not examined.
#[test]
fn findings_do_not_depend_on_batches() {
    let ask_with = |batch_size: usize| {
        in_scene(&[&[right], &[right]], |scene| {
            let options = DoctorOptions { images: 20, steps: 2, queries: 4, ..DoctorOptions::default() };
            let mut options = scene.options.clone().with::<DoctorStudy>(&options);
            options.batch_size = batch_size;
            ask::<DoctorStudy>(&Scene { options: &options, ..*scene }, None).unwrap()
        })
    };
    let found = ask_with(20);
    assert_eq!(serde_json::to_string(&found).unwrap(), serde_json::to_string(&ask_with(7)).unwrap());
    assert_eq!((found.n, found.models.len(), found.transfers.len()), (20, 2, 4));
    for of in found.models.values() {
        assert_eq!(of.checks.is_empty(), of.examined == 0);
        assert!(of.examined < 20);
    }
    let own = found.transfers.iter().filter(|of| of.source == of.target);
    assert!(own.clone().count() == 2 && found.models.get(name(0)).is_some());
}

#[test]
fn sizes_are_checked() {
    for epsilon in [0.0, 0.3, -1.0, 300.0] {
        let refused = DoctorOptions { epsilon, ..DoctorOptions::default() }.check().unwrap_err();
        assert!(refused.to_string().contains("from 1 to 255"), "{refused}");
    }
    assert!(DoctorOptions::quick().check().is_ok() && DoctorOptions::default().check().is_ok());
}
