//! What fools one model and another: adversarial images of each, shown to all.

use archaeo_analysis::Keys;
use archaeo_analysis::answers::{logits, predicted_classes};
use archaeo_analysis::attacks::{self, Attack, Batch as AttackedBatch, Goal, Norm, noise, robust};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Estimate, wilson};
use archaeo_experiments::studies::findings::{AttackComparison, PairedShares, Transfer};
use archaeo_experiments::studies::{adjust_paired, adjust_transfers, paired_shares, transferred};
use archaeo_experiments::subjects::{ModelName, pairs};
use burn::tensor::Tensor;
use serde::Serialize;

use super::work::Asked;
use super::{AttackOptions, family};
use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;

/// What adversarial images of several models do to each.
#[derive(Clone, Debug, Serialize)]
pub struct Transferred {
    /// Names of the models.
    pub models: Vec<String>,
    /// Title of the attack.
    pub attack: &'static str,
    /// The norm of its sizes.
    pub norm: Norm,
    /// What they are measured in.
    pub unit: &'static str,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// Images.
    pub n: usize,
    /// Accuracy of each model without an attack.
    pub clean: Vec<Estimate>,
    /// Under each size.
    pub points: Vec<TransferPoint>,
}

/// Under an attack of one size.
#[derive(Clone, Debug, Serialize)]
pub struct TransferPoint {
    /// The size in the norm's unit.
    pub epsilon: f64,
    /// The attack in words.
    pub settings: String,
    /// Robust accuracy of each model under an attack on itself, over all images.
    pub robust: Vec<Estimate>,
    /// Every source and target, source by source: of the images that both classify correctly without an attack, what becomes of them.
    /// Where both are the same model, it is attacked itself. p-values are adjusted over all sources and targets of the size.
    pub matrix: Vec<Transfer>,
    /// Every two models, each attacked itself, image by image. p-values are adjusted over the pairs of the size.
    pub pairs: Vec<AttackComparison>,
}

impl Session {
    /// Attacks each of several models, shows what comes of it to all of them, and compares every two image by image.
    ///
    /// # Errors
    /// Models that do not take the same images in the same way, two of one name, fewer than two; an attack that looks for the smallest
    /// perturbation; otherwise as [`Session::attack`].
    pub fn attack_transfer(
        &self,
        models: &[(String, &Opened)],
        options: &AttackOptions,
    ) -> Result<Transferred, LabError> {
        let (family, _) = family(&options.attack)?;
        if family.info.goal == Goal::Smallest {
            return Err(LabError::TransferOfSmallest { attack: family.info.title });
        }
        alike(models)?;
        for (_, opened) in models {
            options.made(family, 1.0)?.applies(&opened.model)?;
        }
        let mut asked = Vec::new();
        let mut clean = Vec::new();
        for (_, opened) in models {
            asked.push(Asked::of(opened, None)?);
            clean.push(self.unattacked(opened, asked.last().expect("it was just added"), None)?);
        }
        let names: Vec<ModelName> = models.iter().map(|(name, _)| ModelName::new(name)).collect();
        let right: Vec<Vec<bool>> =
            clean.iter().zip(&asked).map(|(clean, asked)| robust(clean, clean, &asked.labels)).collect();
        let share =
            |right: &[bool]| wilson(right.iter().filter(|right| **right).count(), right.len(), DEFAULT_LEVEL);
        let mut points = Vec::new();
        let usual = options.norm.usual();
        let sizes = if options.sizes.is_empty() { usual.as_slice() } else { &options.sizes };
        for &size in sizes.iter().filter(|size| **size > 0.0) {
            let attack = options.made(family, size)?;
            let shown = self.shown(models, &asked, &right, &*attack, size)?;
            let mut matrix = Vec::new();
            for (source, of_source) in shown.adversarial.iter().enumerate() {
                for (target, of_target) in of_source.iter().enumerate() {
                    let both =
                        (0..right[0].len()).filter(|&place| right[source][place] && right[target][place]);
                    let both: Vec<[bool; 2]> =
                        both.map(|place| [of_target[place], shown.noisy[target][place]]).collect();
                    matrix.push(transferred(names[source], names[target], &both)?);
                }
            }
            adjust_transfers(&mut matrix)?;
            let stands = |model: usize| -> Vec<bool> {
                let own = shown.adversarial[model][model].iter();
                own.zip(&right[model]).map(|(stands, right)| *stands && *right).collect()
            };
            let stands: Vec<Vec<bool>> = (0..models.len()).map(stands).collect();
            points.push(TransferPoint {
                epsilon: size,
                settings: attack.describe(),
                robust: stands.iter().map(|of| share(of)).collect::<Result<_, _>>()?,
                matrix,
                pairs: compared(&names, family.info.title, size, &stands, &right)?,
            });
        }
        Ok(Transferred {
            models: models.iter().map(|(name, _)| name.clone()).collect(),
            attack: family.info.title,
            norm: options.norm,
            unit: options.norm.unit(),
            precision: self.precision_name(),
            n: asked[0].indices.len(),
            clean: right.iter().map(|of| share(of)).collect::<Result<_, _>>()?,
            points,
        })
    }

    /// Attacks each model on the images that it classifies correctly, and asks all models about what comes of it, and about noise.
    fn shown(
        &self,
        models: &[(String, &Opened)],
        asked: &[Asked],
        right: &[Vec<bool>],
        attack: &dyn Attack,
        size: f64,
    ) -> Result<Shown, LabError> {
        let images = asked[0].indices.len();
        let answers = |target: usize, places: &[usize], images: &Tensor<4>| -> Result<Vec<bool>, LabError> {
            let (_, opened) = models[target];
            let classes = opened.model.card().classes.len();
            let found = logits(&opened.model, images.clone());
            let image = |row: usize| images.clone().narrow(0, row, 1);
            self.check_finite(opened, &asked[target], places, &found, image)?;
            let predicted = predicted_classes(&found, classes);
            let labels = places.iter().map(|&place| asked[target].labels[place]);
            Ok(predicted.into_iter().zip(labels).map(|(answer, label)| answer == label).collect())
        };
        let mut shown = Shown {
            adversarial: vec![vec![vec![false; images]; models.len()]; models.len()],
            noisy: vec![vec![false; images]; models.len()],
        };
        for (source, (name, opened)) in models.iter().enumerate() {
            let places: Vec<usize> = (0..images).filter(|&place| right[source][place]).collect();
            let work = self.counting(&format!("{name} under {} {size}", attack.info().title), places.len());
            for batch in asked[source].batches(places, opened.batch_size()) {
                let loaded = asked[source].load(opened, &batch)?;
                let ids: Vec<u64> = batch.iter().map(|&place| asked[source].indices[place] as u64).collect();
                let keys = Keys { seed: self.seed(), images: &ids };
                let clean = loaded.tensor(&opened.device);
                let outcomes =
                    attack.run(&opened.model, &AttackedBatch::new(clean.clone(), &loaded.labels), &keys);
                let adversarial = attacks::images(&outcomes, &clean);
                for target in 0..models.len() {
                    for (&place, right) in batch.iter().zip(answers(target, &batch, &adversarial)?) {
                        shown.adversarial[source][target][place] = right;
                    }
                }
                work.advance(batch.len());
            }
        }
        let (_, first) = models[0];
        let work = self.counting(&format!("noise of {size}"), images);
        for batch in asked[0].batches((0..images).collect(), first.batch_size()) {
            let ids: Vec<u64> = batch.iter().map(|&place| asked[0].indices[place] as u64).collect();
            let keys = Keys { seed: self.seed(), images: &ids };
            let noisy = noise(&asked[0].load(first, &batch)?.tensor(&first.device), &attack.threat(), &keys);
            for target in 0..models.len() {
                for (&place, right) in batch.iter().zip(answers(target, &batch, &noisy)?) {
                    shown.noisy[target][place] = right;
                }
            }
            work.advance(batch.len());
        }
        Ok(shown)
    }
}

/// Whether models are right: on adversarial images by source, target and image (only of those that the source has right), and with noise by
/// target and image.
struct Shown {
    adversarial: Vec<Vec<Vec<bool>>>,
    noisy: Vec<Vec<bool>>,
}

/// Every two models, each attacked itself.
fn compared(
    names: &[ModelName],
    attack: &str,
    epsilon: f64,
    stands: &[Vec<bool>],
    right: &[Vec<bool>],
) -> Result<Vec<AttackComparison>, LabError> {
    let places: Vec<usize> = (0..names.len()).collect();
    let mut found = Vec::new();
    for [first, second] in pairs(&places) {
        let both = |place: &usize| right[first][*place] && right[second][*place];
        let kept = |model: usize| -> Vec<bool> {
            (0..right[0].len()).filter(both).map(|place| stands[model][place]).collect()
        };
        let [of_first, of_second] = [kept(first), kept(second)];
        found.push(AttackComparison {
            models: [names[first], names[second]],
            attack: attack.into(),
            epsilon,
            robust: paired_shares(&stands[first], &stands[second])?,
            kept: if of_first.is_empty() { None } else { Some(paired_shares(&of_first, &of_second)?) },
        });
    }
    adjust_paired(found.iter_mut().map(|of| &mut of.robust).collect())?;
    let kept: Vec<&mut PairedShares> = found.iter_mut().filter_map(|of| of.kept.as_mut()).collect();
    adjust_paired(kept)?;
    Ok(found)
}

/// Refuses models that cannot be shown the same images.
///
/// # Errors
/// Fewer than two models or two of one name, one of one class, other images or another preparation of them.
pub(super) fn alike(models: &[(String, &Opened)]) -> Result<(), LabError> {
    let [(first_name, first), others @ ..] = models else { return Err(LabError::FewModels) };
    if others.is_empty() {
        return Err(LabError::FewModels);
    }
    for (place, (name, opened)) in models.iter().enumerate() {
        if opened.model.card().classes.len() < 2 {
            return Err(LabError::OneClass { model: opened.model.card().name.clone() });
        }
        if models[..place].iter().any(|(earlier, _)| earlier == name) {
            return Err(LabError::SameName { name: name.clone() });
        }
        let prepared = |opened: &Opened| {
            let prepared = &opened.model.card().preprocessing;
            (prepared.image_size, prepared.crop.to_bits(), prepared.fit, prepared.interpolation)
        };
        if prepared(opened) != prepared(first) || opened.indices != first.indices {
            return Err(LabError::NotAlike { first: first_name.clone(), other: name.clone() });
        }
    }
    Ok(())
}
