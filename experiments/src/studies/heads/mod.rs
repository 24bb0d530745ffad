//! What is each attention head of each model worth, and each layer?

mod apart;
mod chapter;
mod claims;
pub mod findings;
mod options;
mod reference;
#[cfg(test)]
mod tests;
mod together;

use archaeo_analysis::ablation::{
    BranchMeans, HeadMeans, Substitute, ablate_some_heads, donors, gradient_importance,
};
use archaeo_analysis::statistics::StatisticsError;
use archaeo_training::images::to_tensor;
use serde::{Deserialize, Serialize};

pub use self::apart::ApartRecord;
use self::findings::{HeadFindings, Reference};
pub use self::options::HeadsOptions;
use self::reference::{Sampled, sampled};
use self::together::TogetherRecord;
use crate::findings::Investigation;
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName, Subject};
use crate::units::{Recorded, Recorder, Unit};

/// Fewest images: another image's output needs another image, and an interval two values.
pub const FEWEST_IMAGES: usize = 2;

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
            let (mut singly, mut together) = (Vec::new(), Vec::new());
            for record in &records {
                match record {
                    HeadsRecord::Apart(record) => singly.push(record),
                    HeadsRecord::Together(record) => together.push(&**record),
                }
            }
            if !singly.is_empty() {
                let cascaded = scene.model(unit.model).has_cascaded_heads();
                let removal = cascaded.then_some(scene.options.of::<Self>().removal);
                let findings = apart::found(scene, &singly, reference.clone())?;
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
