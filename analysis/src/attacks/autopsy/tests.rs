use archaeo_models::{AttentionSite, Pass, Probe};

use super::*;
use crate::Keys;
use crate::answers::logits;
use crate::attacks::{Attack, Batch, Norm, Pgd, images};
use crate::tensors::values;
use crate::testing::{CLASSES, Fixture, random_images};

const IMAGES: usize = 6;

/// Images, and what PGD makes of them.
fn attacked(model: &Classifier) -> (Tensor<4>, Tensor<4>, Vec<usize>) {
    let clean = random_images(IMAGES, 4);
    let labels: Vec<usize> = logits(model, clean.clone()).chunks_exact(CLASSES).map(first_largest).collect();
    let ids: Vec<u64> = (0..IMAGES as u64).collect();
    let attack = Pgd::usual(Norm::Linf.threat(8.0), 10);
    let found = attack.run(model, &Batch::new(clean.clone(), &labels), &Keys { seed: 0, images: &ids });
    assert!(found.iter().any(|outcome| outcome.success));
    let attacked = images(&found, &clean);
    (clean, attacked, labels)
}

fn of(model: &Classifier, clean: &Tensor<4>, attacked: &Tensor<4>, labels: &[usize]) -> Vec<Autopsy> {
    let unrelated = random_images(IMAGES, 9);
    let case = Case { clean: clean.clone(), attacked: attacked.clone(), unrelated, labels };
    autopsy(model, &case).unwrap()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 2e-4 * (1.0 + expected.abs()), "{found}, not {expected}");
}

/// One head's output in a pass is replaced on the way.
struct Transplant {
    layer: usize,
    heads: std::ops::Range<usize>,
    kept: Vec<Tensor<4>>,
    donor: Option<Vec<Tensor<4>>>,
}

impl Probe for Transplant {
    fn wants_attention(&self, _: &AttentionSite) -> bool {
        false
    }

    fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        self.kept.push(outputs.clone());
        let Some(donor) = self.donor.as_ref().filter(|_| site.layer == self.layer) else { return outputs };
        let count = outputs.dims()[1];
        let parts = (0..count).map(|head| {
            let of = if self.heads.contains(&head) { &donor[site.layer] } else { &outputs };
            of.clone().narrow(1, head, 1)
        });
        Tensor::cat(parts.collect(), 1)
    }
}

/// By another way than the autopsy's, which resumes passes: a whole pass with something else in a head's place.
#[test]
fn parts_restore_what_a_whole_pass_with_them_gives() {
    let model = Fixture::load().vit();
    let (clean, attacked, labels) = attacked(&model);
    let found = of(&model, &clean, &attacked, &labels);
    let pass = |images: &Tensor<4>, mut probe: Transplant| {
        let logits = values(model.logits(images.clone(), &mut Pass::evaluate(&mut probe)));
        (logits, probe.kept)
    };
    let plain = || Transplant { layer: 0, heads: 0..0, kept: Vec::new(), donor: None };
    let (_, donor) = pass(&clean, plain());
    let heads = found[0].heads.clone();
    assert_eq!((heads.as_slice(), found[0].parts.len()), ([4, 4, 4].as_slice(), 15));
    for (part, (layer, range)) in [(1, (0, 1..2)), (6, (1, 2..3)), (11, (2, 3..4)), (13, (1, 0..4))] {
        let with = Transplant { layer, heads: range, kept: Vec::new(), donor: Some(donor.clone()) };
        let (logits, _) = pass(&attacked, with);
        for (image, of) in found.iter().enumerate() {
            let row = &logits[image * CLASSES..][..CLASSES];
            let margin = f64::from(row[labels[image]]) - f64::from(row[of.answer]);
            close(of.parts[part].clean, margin - of.margins[1]);
        }
    }
}

#[test]
fn the_last_layer_of_the_lens_and_the_end_of_the_path_are_the_answer() {
    let fixture = Fixture::load();
    for model in [fixture.vit(), fixture.resnet()] {
        let (clean, attacked, labels) = attacked(&model);
        for of in of(&model, &clean, &attacked, &labels) {
            let end = of.path.last().unwrap();
            close(end.margin, of.margins[1]);
            if let Some(lens) = of.drift.layers.last().unwrap().lens {
                lens.iter().zip(of.margins).for_each(|(&found, expected)| close(found, expected));
            }
            let ends: Vec<f64> = match of.drift.heads.is_empty() {
                true => of.drift.layers.iter().map(|layer| 1.0 - layer.similarity).collect(),
                false => (of.drift.heads.iter())
                    .map(|heads| heads.iter().map(|head| head.divergence).sum::<f64>() / heads.len() as f64)
                    .collect(),
            };
            end.drift.iter().zip(&ends).for_each(|(&found, &expected)| close(found, expected));
            assert!(ends.iter().all(|&drift| drift > 0.0 && drift < 0.7), "{ends:?}");
            assert!(of.path[0].drift[0] < end.drift[0], "a shorter way is a smaller drift");
            if of.answer != labels[0] {
                assert!(of.margins[0] >= 0.0 && of.margins[1] <= 0.0);
            }
        }
    }
}

#[test]
fn without_an_attack_nothing_changes_and_nothing_is_restored() {
    let fixture = Fixture::load();
    for model in [fixture.vit(), fixture.resnet()] {
        let (clean, _, labels) = attacked(&model);
        for of in of(&model, &clean, &clean, &labels) {
            assert!(of.drift.heads.iter().flatten().all(|head| head.divergence < 1e-9));
            assert!(of.drift.layers.iter().all(|layer| (layer.similarity - 1.0).abs() < 1e-6));
            assert!(of.parts.iter().all(|part| part.clean.abs() < 1e-4), "{:?}", of.parts);
            assert!(of.parts.iter().any(|part| part.unrelated.abs() > 1e-3 || of.margins[0] == 0.0));
        }
    }
}

#[test]
fn an_image_is_examined_on_its_own() {
    let model = Fixture::load().vit();
    let (clean, attacked, labels) = attacked(&model);
    let together = of(&model, &clean, &attacked, &labels);
    let unrelated = random_images(IMAGES, 9);
    let alone = |image: usize| {
        let one = |images: &Tensor<4>| images.clone().narrow(0, image, 1);
        let case = Case {
            clean: one(&clean),
            attacked: one(&attacked),
            unrelated: one(&unrelated),
            labels: &labels[image..=image],
        };
        autopsy(&model, &case).unwrap().remove(0)
    };
    let alone = alone(3);
    assert_eq!(alone.answer, together[3].answer);
    for (one, all) in alone.parts.iter().zip(&together[3].parts) {
        assert!((one.clean - all.clean).abs() < 1e-4 && (one.unrelated - all.unrelated).abs() < 1e-4);
    }
}
