//! What is each attention head of each model worth, and each layer?

mod chapter;
mod claims;
pub mod findings;
mod reference;
mod together;

use archaeo_analysis::ablation::{
    AblatedHead, Answers, Branch, BranchMeans, HeadAblations, HeadMeans, RemovalPoint, Replacement,
    Substitute, ablate_some_heads, donors, gradient_importance,
};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Estimate, Resampling, SignFlipTest, StatisticsError, accuracy_difference,
    benjamini_hochberg, mean_t, sign_flip_test, spearman, wilson,
};

use archaeo_models::Classifier;
use archaeo_random::stratified;
use archaeo_training::RecipeError;
use archaeo_training::images::to_tensor;
use serde::{Deserialize, Serialize};

use self::findings::{HeadAblation, HeadFindings, HeadPlace, Reference, SelectedHead};
use self::reference::{Sampled, sampled};
use self::together::TogetherRecord;
use crate::findings::Investigation;
use crate::options::{Options, at_least};
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName, Subject};
use crate::units::{Recorded, Recorder, Unit};

/// Fewest images: another image's output needs another image, and an interval two values.
pub const FEWEST_IMAGES: usize = 2;

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadsOptions {
    /// Images that every head is ablated on, at least 2.
    pub images: usize,
    /// Images that means are taken from, at least 1; none of them is evaluated.
    pub reference_images: usize,
    /// The heads that are asked about, such as `["3.1", "4.2"]` (layer and head); all when empty. A model is asked about those that
    /// it has.
    #[serde(with = "as_text")]
    pub only: Vec<HeadPlace>,
    /// Where a head is taken away from a model whose heads form a cascade: its `output`, which the next head reads, or its
    /// `contribution` to the residual stream alone.
    pub removal: RemovalPoint,
    /// Whether heads are taken away one after another (pruning curves).
    pub curve: bool,
    /// Random orders of that, to compare with the order of importance.
    pub random_orders: usize,
    /// Pairs of heads that are taken away together.
    pub pairs: usize,
    /// What of each layer is taken away; of a residual network, `layer` is a block.
    pub branches: Vec<Branch>,
}

impl Default for HeadsOptions {
    fn default() -> Self {
        Self {
            images: 400,
            reference_images: 256,
            only: Vec::new(),
            removal: RemovalPoint::default(),
            curve: true,
            random_orders: 5,
            pairs: 24,
            branches: Branch::ALL.into(),
        }
    }
}

impl HeadsOptions {
    /// Single heads alone, on so many images.
    pub fn single_heads(images: usize) -> Self {
        Self { images, curve: false, pairs: 0, branches: Vec::new(), ..Self::default() }
    }

    /// Whether a head is asked about.
    fn asks(&self, layer: usize, head: usize) -> bool {
        self.only.is_empty() || self.only.contains(&HeadPlace { layer, head })
    }

    /// Whether more is asked of a model than single heads.
    fn asks_more(&self, model: &Classifier) -> bool {
        let of_heads = model.has_attention() && (self.curve || self.pairs > 0);
        of_heads || !Branch::of_model(model, &self.branches).is_empty()
    }
}

/// Heads as text.
mod as_text {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use super::HeadPlace;

    pub(super) fn serialize<S: Serializer>(heads: &[HeadPlace], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(heads.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<HeadPlace>, D::Error> {
        let texts: Vec<String> = Vec::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| text.parse().map_err(|why| D::Error::custom(format!("`{text}`: {why}"))))
            .collect()
    }
}

impl Options for HeadsOptions {
    fn quick() -> Self {
        Self { images: 128, reference_images: 128, random_orders: 3, pairs: 12, ..Self::default() }
    }

    fn check(&self) -> Result<(), RecipeError> {
        at_least("studies.heads.images", FEWEST_IMAGES, "at least 2", self.images)?;
        at_least("studies.heads.reference_images", 1, "at least 1", self.reference_images)
    }
}

/// Takes every head away in three ways, and asks the gradient; takes heads away together, and branches of blocks.
pub struct HeadsStudy;

impl Study for HeadsStudy {
    const ID: &'static str = "heads";
    const TITLE: &'static str = "What heads and layers are worth";
    const QUESTION: &'static str = "what each head and layer is worth";
    const SCHEMA: u32 = 3;
    type Options = HeadsOptions;
    type Record = HeadsRecord;
    type Findings = ByModel<HeadFindings>;

    fn applies(scene: &Scene) -> Result<Applicability, StudyError> {
        let enough = sampled(scene)?.images.len() >= FEWEST_IMAGES;
        Ok(match asked(scene).is_empty() {
            true => Applicability::only_if(
                false,
                "no model here has attention heads or layers that are asked about",
            ),
            false => Applicability::only_if(enough, "another image's output takes a second image"),
        })
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let images = sampled(scene)?.images;
        if images.len() < FEWEST_IMAGES {
            let (what, found) = ("head ablation", images.len());
            return Err(StatisticsError::TooFew { what, needed: FEWEST_IMAGES, found }.into());
        }
        let [choosing, evaluated] = together::halves(&images, scene.seed);
        let options = scene.options.of::<Self>();
        let units = |Subject { name, model, .. }: Subject| {
            let heads = model.has_attention();
            let apart = || Unit::whole(name, format!("heads of {name} ablated"), images.clone());
            let (title, images, enough) = match heads {
                true => {
                    let title = format!("heads and layers of {name} ablated together");
                    (title, evaluated.clone(), choosing.len() >= FEWEST_IMAGES)
                }
                false => (format!("blocks of {name} ablated"), images.clone(), true),
            };
            let together = || Unit { model: name, aspect: TOGETHER.into(), title, images };
            let together = (enough && options.asks_more(model)).then(together);
            heads.then(apart).into_iter().chain(together).collect::<Vec<_>>()
        };
        Ok(asked(scene).into_iter().flat_map(units).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, HeadsRecord>, StudyError> {
        let (name, model) = (unit.model, scene.model(unit.model));
        let (sampled, options) = (sampled(scene)?, scene.options.of::<Self>());
        scene.progress.stage(&format!("mean output of every part of {name}"));
        let mut means = HeadMeans::new(options.removal);
        if unit.aspect == TOGETHER {
            let mut branch_means = BranchMeans::default();
            sampled.for_each_batch(scene, model, |images| {
                if model.has_attention() {
                    means.add(model, images.clone())?;
                }
                Ok(branch_means.add(model, images)?)
            })?;
            let [choosing, _] = together::halves(&sampled.images, scene.seed);
            let wrap = |record| HeadsRecord::Together(Box::new(record));
            return together::recorder(scene, unit, &choosing, means, branch_means, wrap);
        }
        sampled.for_each_batch(scene, model, |images| Ok(means.add(model, images)?))?;
        let donor_of = donors(unit.images.len(), scene.seed);
        Ok(Box::new(move |batch| {
            let labels = batch.labels();
            let donors: Vec<usize> = batch.places.iter().map(|&place| unit.images[donor_of[place]]).collect();
            let donors = to_tensor(&scene.images_for(model, &donors)?, scene.device);
            let substitutes = [Substitute::Mean(&means), Substitute::Zero, Substitute::Resample(&donors)];
            let which = |layer, head| options.asks(layer, head);
            let (images, point) = (batch.images.clone(), options.removal);
            let ablations = ablate_some_heads(model, images.clone(), &labels, &substitutes, point, &which)?;
            let gradients = gradient_importance(model, images, &labels, point)?;
            let record = |image| HeadsRecord::Apart(ApartRecord::of(image, &ablations, &gradients));
            Ok((0..labels.len()).map(record).collect())
        }))
    }

    fn conclude(
        scene: &Scene,
        recorded: Vec<Recorded<HeadsRecord>>,
    ) -> Result<ByModel<HeadFindings>, StudyError> {
        scene.progress.stage("testing every head");
        let Sampled { images, split, reference } = sampled(scene)?;
        let reference = Reference { split, images: reference.len() };
        let chosen_on = together::halves(&images, scene.seed)[0].len();
        let mut models: Vec<(ModelName, HeadFindings)> = Vec::new();
        for Recorded { unit, records } in recorded {
            let (mut apart, mut together) = (Vec::new(), Vec::new());
            for record in &records {
                match record {
                    HeadsRecord::Apart(record) => apart.push(record),
                    HeadsRecord::Together(record) => together.push(&**record),
                }
            }
            if !apart.is_empty() {
                let removal = scene
                    .model(unit.model)
                    .has_cascaded_heads()
                    .then_some(scene.options.of::<Self>().removal);
                let findings = found(scene, &apart, reference.clone())?;
                models.push((unit.model, HeadFindings { removal, ..findings }));
            }
            if !together.is_empty() {
                if models.last().is_none_or(|(model, _)| *model != unit.model) {
                    models.push((unit.model, together::without_heads(&together, reference.clone())?));
                }
                let (_, of_model) = models.last_mut().expect("one was there or has just come");
                of_model.together = Some(together::found(scene, unit.model, chosen_on, &together)?);
            }
        }
        Ok(models.into_iter().collect())
    }

    fn chapter(findings: &Self::Findings, _: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, names)
    }
}

/// The models of which something is asked.
fn asked<'a>(scene: &Scene<'a>) -> Vec<Subject<'a>> {
    let options = scene.options.of::<HeadsStudy>();
    let asks = |subject: &&Subject| subject.model.has_attention() || options.asks_more(subject.model);
    scene.subjects.iter().filter(asks).copied().collect()
}

/// A layer and a head, counted from 0.
type Head = (usize, usize);

/// The ways in which a head is replaced, in the order of what is recorded.
const REPLACEMENTS: [Replacement; 3] = [Replacement::Mean, Replacement::Zero, Replacement::Resample];

/// The second thing that a model is asked: what heads and layers are worth together.
const TOGETHER: &str = "together";

/// What one image answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadsRecord {
    /// With one head replaced at a time.
    Apart(ApartRecord),
    /// With several, or a whole branch of a block.
    Together(Box<TogetherRecord>),
}

/// What one image answers with one head replaced at a time.
#[derive(Debug, Serialize, Deserialize)]
pub struct ApartRecord {
    /// The heads: layers and heads, counted from 0.
    heads: Vec<Head>,
    /// Loss in nats and whether the answer is correct, with every head in place.
    baseline: (f64, bool),
    /// The same with one head replaced: of every head and replacement, in this order.
    ablated: Vec<(f64, bool)>,
    /// Importance by gradient, of every head.
    gradient: Vec<f64>,
}

impl ApartRecord {
    fn of(image: usize, ablations: &HeadAblations, gradients: &[Vec<Vec<f64>>]) -> Self {
        let answer = |answers: &Answers| (answers.losses[image], answers.correct[image]);
        let heads: Vec<Head> =
            ablations.heads.iter().step_by(REPLACEMENTS.len()).map(|of| (of.layer, of.head)).collect();
        Self {
            baseline: answer(&ablations.baseline),
            ablated: ablations.heads.iter().map(|head| answer(&head.answers)).collect(),
            gradient: heads.iter().map(|&(layer, head)| gradients[layer][head][image]).collect(),
            heads,
        }
    }
}

/// Answers to all images.
fn ablations(records: &[&ApartRecord]) -> HeadAblations {
    let answers = |of: &dyn Fn(&ApartRecord) -> (f64, bool)| {
        let (losses, correct) = records.iter().map(|record| of(record)).unzip();
        Answers { losses, correct }
    };
    let heads = records.first().map_or(&[][..], |record| &record.heads);
    let keys = heads.iter().flat_map(|&(layer, head)| REPLACEMENTS.map(|by| (layer, head, by)));
    let ablated = |(place, (layer, head, replacement))| AblatedHead {
        layer,
        head,
        replacement,
        answers: answers(&|record: &ApartRecord| record.ablated[place]),
    };
    HeadAblations {
        baseline: answers(&|record| record.baseline),
        heads: keys.enumerate().map(ablated).collect(),
    }
}

fn found(scene: &Scene, records: &[&ApartRecord], reference: Reference) -> Result<HeadFindings, StudyError> {
    let ablations = ablations(records);
    let (resampling, baseline) = (scene.resampling(), &ablations.baseline);
    let answers = |layer: usize, head: usize, replacement: Replacement| {
        let of =
            |entry: &&AblatedHead| (entry.layer, entry.head, entry.replacement) == (layer, head, replacement);
        &ablations.heads.iter().find(of).expect("every head was replaced in every way").answers
    };

    let mut ranking = Vec::new();
    let mut p_values = Vec::new();
    for (place, &(layer, head)) in records[0].heads.iter().enumerate() {
        let gradients: Vec<f64> = records.iter().map(|record| record.gradient[place]).collect();
        let loss_increase = |replacement| {
            sign_flip_test(&answers(layer, head, replacement).losses, &baseline.losses, &resampling)
        };
        let by_mean = answers(layer, head, Replacement::Mean);
        let SignFlipTest { difference: mean, p_value } = loss_increase(Replacement::Mean)?;
        p_values.push(p_value);
        ranking.push(HeadAblation {
            layer,
            head,
            mean,
            zero: loss_increase(Replacement::Zero)?.difference,
            resample: loss_increase(Replacement::Resample)?.difference,
            accuracy_drop: accuracy_difference(&baseline.correct, &by_mean.correct, &resampling)?,
            gradient: mean_t(&gradients, DEFAULT_LEVEL)?,
            adjusted_p: 1.0,
        });
    }
    for (entry, adjusted) in ranking.iter_mut().zip(benjamini_hochberg(&p_values)?) {
        entry.adjusted_p = adjusted;
    }
    let gradient_agreement = agreement(&ranking, &resampling)?;
    ranking.sort_by(|a, b| {
        b.mean.value.total_cmp(&a.mean.value).then((a.layer, a.head).cmp(&(b.layer, b.head)))
    });

    let right = baseline.correct.iter().filter(|&&correct| correct).count();
    Ok(HeadFindings {
        n: baseline.correct.len(),
        baseline: wilson(right, baseline.correct.len(), DEFAULT_LEVEL)?,
        ranking,
        selected: selected(&ablations, &resampling)?,
        gradient_agreement,
        removal: None,
        reference,
        together: None,
    })
}

/// Of the ranking by gradient with the ranking by ablation; `None` where it is undefined.
fn agreement(ranking: &[HeadAblation], resampling: &Resampling) -> Result<Option<Estimate>, StudyError> {
    let by_gradient: Vec<f64> = ranking.iter().map(|entry| entry.gradient.value).collect();
    let by_ablation: Vec<f64> = ranking.iter().map(|entry| entry.mean.value).collect();
    match spearman(&by_gradient, &by_ablation, resampling) {
        Ok(found) => Ok(Some(found.correlation)),
        Err(StatisticsError::Undefined { .. } | StatisticsError::TooFew { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The most important head by a random half of the images, on the other half; `None` where a half has fewer than two.
fn selected(ablations: &HeadAblations, resampling: &Resampling) -> Result<Option<SelectedHead>, StudyError> {
    let baseline = &ablations.baseline;
    let n = baseline.losses.len();
    if n / 2 < FEWEST_IMAGES {
        return Ok(None);
    }
    let mut chooses = vec![false; n];
    stratified(resampling.seed, "halves for choosing a head", &vec![0; n], n / 2)
        .into_iter()
        .for_each(|i| chooses[i] = true);
    let increase = |entry: &AblatedHead| -> f64 {
        let pairs = entry.answers.losses.iter().zip(&baseline.losses).zip(&chooses);
        pairs.filter(|(_, chooses)| **chooses).map(|((ablated, whole), _)| ablated - whole).sum()
    };
    let by_mean = ablations.heads.iter().filter(|entry| entry.replacement == Replacement::Mean);
    // The first among equals.
    let Some(largest) = by_mean.rev().max_by(|a, b| increase(a).total_cmp(&increase(b))) else {
        return Ok(None);
    };
    fn others<T: Copy>(values: &[T], chooses: &[bool]) -> Vec<T> {
        values.iter().zip(chooses).filter(|(_, chooses)| !**chooses).map(|(value, _)| *value).collect()
    }
    let SignFlipTest { difference, p_value } = sign_flip_test(
        &others(&largest.answers.losses, &chooses),
        &others(&baseline.losses, &chooses),
        resampling,
    )?;
    Ok(Some(SelectedHead {
        layer: largest.layer,
        head: largest.head,
        chosen_on: n / 2,
        mean: difference,
        p_value,
        accuracy_drop: accuracy_difference(
            &others(&baseline.correct, &chooses),
            &others(&largest.answers.correct, &chooses),
            resampling,
        )?,
    }))
}

#[cfg(test)]
mod tests;
