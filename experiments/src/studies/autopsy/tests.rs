use archaeo_analysis::attacks::autopsy::{Drift, HeadDrift, LayerDrift, PathPoint, Restored};
use archaeo_analysis::statistics::Resampling;
use archaeo_random::{keyed_rng, standard_normal};

use super::findings::ModelAutopsy;
use super::*;
use crate::studies::made_up::{assert_speaks_of, each_of, everything, investigation, names};
use crate::studies::table_models::{in_scene, right};
use crate::subjects::ModelName;
use crate::units::ask;

/// The attack takes 4 to 8 logits. Of two layers of two heads, head 2.1 gives 30 % back, head 1.2 as much as an unrelated image does,
/// the attention of layer 2 gives 50 %; of three blocks the second gives 40 %.
fn autopsy_of(image: usize, heads: bool) -> Autopsy {
    let noise = |stream: u64| 0.02 * standard_normal(&mut keyed_rng(8, "noise", image as u64, stream));
    let loss = 4.0 + (image % 5) as f64;
    let part = |clean: f64, unrelated: f64, stream: u64| Restored {
        clean: clean * loss + noise(stream),
        unrelated: unrelated * loss + noise(stream + 20),
    };
    let shares: &[(f64, f64)] = match heads {
        true => &[(0.0, 0.0), (0.2, 0.2), (0.3, 0.05), (-0.1, 0.0), (0.2, 0.1), (0.5, 0.0)],
        false => &[(0.0, 0.0), (0.4, 0.1), (0.1, 0.1)],
    };
    let head = |divergence| HeadDrift { divergence, entropy: 0.1, distance: -0.5 };
    let layers = if heads { 2 } else { 3 };
    let point =
        |share: f64| PathPoint { share, margin: 2.0 - loss * share, drift: vec![0.1 * share; layers] };
    Autopsy {
        answer: 3,
        margins: [2.0, 2.0 - loss],
        path: [0.5, 1.0].map(point).into(),
        drift: Drift {
            heads: if heads { vec![vec![head(0.02); 2], vec![head(0.08); 2]] } else { Vec::new() },
            layers: (0..layers)
                .map(|layer| LayerDrift {
                    similarity: 0.9 - 0.2 * layer as f64,
                    lens: heads.then_some([1.0, 1.0 - layer as f64]),
                })
                .collect(),
        },
        heads: if heads { vec![2, 2] } else { Vec::new() },
        parts: shares.iter().enumerate().map(|(at, &(c, u))| part(c, u, at as u64)).collect(),
    }
}

fn dissected(images: usize, heads: bool) -> Option<findings::Dissection> {
    let autopsies: Vec<Autopsy> = (0..images).map(|image| autopsy_of(image, heads)).collect();
    let chooses: Vec<bool> = (0..images).map(|image| image % 2 == 0).collect();
    let resampling = Resampling { resamples: 400, ..Resampling::new(1) };
    concluded(&autopsies.iter().collect::<Vec<_>>(), &chooses, &resampling).unwrap()
}

#[test]
fn known_records_give_known_shares_and_verdicts() {
    let found = dissected(30, true).unwrap();
    for (head, (share, unrelated)) in
        found.heads.iter().zip([(0.0, 0.0), (0.2, 0.2), (0.3, 0.05), (-0.1, 0.0)])
    {
        assert!((head.given.share.known().unwrap().value - share).abs() < 0.01, "{head:?}");
        assert!((head.given.unrelated.known().unwrap() - unrelated).abs() < 0.01, "{head:?}");
    }
    let verdicts: Vec<_> = found.heads.iter().map(|head| claims::verdict(&head.given)).collect();
    use archaeo_analysis::statistics::Better::{CannotBeTold, No, Yes};
    assert_eq!(verdicts, [CannotBeTold, CannotBeTold, Yes, No]);
    assert!((found.layers[1].given.share.known().unwrap().value - 0.5).abs() < 0.01);
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    close(found.heads[2].divergence.value, 0.08);
    close(found.layers[1].similarity.as_ref().unwrap().value, 0.7);
    assert!((found.path[0].drift[1] - 0.05).abs() < 1e-12 && (found.path[1].margin.value + 4.0).abs() < 0.1);
    let selected = found.selected.unwrap();
    assert_eq!((selected.layer, selected.head, selected.chosen_on), (1, Some(1), 15));
    assert_eq!(selected.given.share.known().unwrap().n, 15);

    let found = dissected(30, false).unwrap();
    let selected = found.selected.unwrap();
    assert!(found.heads.is_empty() && found.layers.len() == 3 && found.layers[0].lens.is_none());
    assert_eq!((selected.layer, selected.head), (1, None));
    assert!(dissected(3, true).is_none(), "three images are too few");
}

/// Made up: models named after residual networks have blocks, all others heads.
pub(crate) fn found(models: &[ModelName]) -> AutopsyFindings {
    let heads = |place: usize| !models[place].as_str().starts_with("cnn");
    let of = |place: usize| ModelAutopsy { fooled: 30, found: dissected(30, heads(place)) };
    AutopsyFindings { n: 64, epsilon: 4.0, unit: "1/255".into(), models: each_of(models, of) }
}

#[test]
fn sentences_name_what_carries_the_attack() {
    let chapter_of = |found: &AutopsyFindings, models: usize| {
        let investigation = investigation(models);
        AutopsyStudy::chapter(found, &investigation, &Names::of(&investigation))
    };
    let claims = chapter_of(&found(&names(2)), 2).claims;
    assert!(
        claims[0].statement.starts_with("1 of the 4\u{a0}heads of the ViT is shown to carry the attack"),
        "{}",
        claims[0].statement
    );
    assert!(claims[0].evidence.contains("head 1 of layer 2 restores most"), "{}", claims[0].evidence);
    assert!(
        claims[1].statement.starts_with("1 of the 3\u{a0}blocks of the ResNet is shown"),
        "{}",
        claims[1].statement
    );
    assert!(claims[1].evidence.contains("the branch of block 2"), "{}", claims[1].evidence);
    for models in 0..=4 {
        let mut found = found(&names(models));
        assert_speaks_of(models, &everything(chapter_of(&found, models)));
        for of in found.models.values_mut() {
            of.found = None;
        }
        let chapter = chapter_of(&found, models);
        assert!(chapter.claims.is_empty() && chapter.intervals.is_empty());
    }
}

/// Models of random weights: every batch size gives the same, and an image that is not fooled is left out.
#[test]
fn findings_do_not_depend_on_batches() {
    let ask_with = |batch_size: usize| {
        in_scene(&[&[right], &[right]], |scene| {
            let options = AutopsyOptions { images: 40, epsilon: 8.0, steps: 4 };
            let mut options = scene.options.clone().with::<AutopsyStudy>(&options);
            options.batch_size = batch_size;
            ask::<AutopsyStudy>(&Scene { options: &options, ..*scene }, None).unwrap()
        })
    };
    let (found, other) = (ask_with(40), ask_with(9));
    assert_eq!((found.n, found.models.len()), (40, 2));
    let counts = |of: &AutopsyFindings| of.models.values().map(|of| of.fooled).collect::<Vec<_>>();
    assert_eq!(counts(&found), counts(&other));
    assert!(counts(&found).iter().all(|&fooled| fooled < 40));
    for (one, two) in found.models.values().zip(other.models.values()) {
        let Some((one, two)) = one.found.as_ref().zip(two.found.as_ref()) else { continue };
        assert!((one.margins[1].value - two.margins[1].value).abs() < 1e-4);
        assert_eq!(one.example.as_ref().map(|of| of.index), two.example.as_ref().map(|of| of.index));
        assert_eq!(one.example.as_ref().unwrap().pictures.len(), 4);
    }
}
