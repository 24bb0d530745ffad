//! The same images under every model's explanation, and how far the explanations of two models agree.

mod chapter;
mod claims;
mod depth;
pub mod findings;
mod shown;
#[cfg(test)]
mod tests;

use archaeo_analysis::Keys;
use archaeo_analysis::attribution::{Evidence, Heatmap, rank_correlation};
use archaeo_analysis::statistics::{
    CORRELATION, DEFAULT_LEVEL, Measured, Resampling, mean_t, mean_within, pairing_test,
};
use archaeo_data::Image;
use archaeo_training::evaluate::Evaluation;
use serde::{Deserialize, Serialize};

use self::findings::{
    Agreement, AgreementGroup, Comparison, ComparisonFindings, HeatmapAgreement, LayerShown, Spread,
};
use crate::findings::{HeatmapShown, Investigation};
use crate::options::Options;
use crate::report::Names;
use crate::scene::{Scene, StudyError};
use crate::studies::explained::{depends_on_class, method, usual};
use crate::studies::pictures::{PANEL, panel};
use crate::study::{Applicability, Chapter, Study};
use crate::subjects::{ByModel, ModelName, Subject};
use crate::units::{Recorded, Recorder, Unit};

/// What a user may choose of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ComparisonsOptions {
    /// Side-by-side comparisons.
    pub images: usize,
}

impl Default for ComparisonsOptions {
    fn default() -> Self {
        Self { images: 50 }
    }
}

impl Options for ComparisonsOptions {}

/// Explains a sample of the main split with every model.
pub struct ComparisonsStudy;

impl Study for ComparisonsStudy {
    const ID: &'static str = "comparisons";
    const TITLE: &'static str = "Explanations compared";
    const QUESTION: &'static str = "what {it} looks at";
    const SCHEMA: u32 = 2;
    type Options = ComparisonsOptions;
    type Record = Explained;
    type Findings = ComparisonFindings;

    fn applies(_: &Scene) -> Result<Applicability, StudyError> {
        Ok(Applicability::Applies)
    }

    fn units(scene: &Scene) -> Result<Vec<Unit>, StudyError> {
        let count = scene.options.of::<Self>().images;
        let images = scene.sample_to_show(Self::ID, count, count)?;
        let unit = |name| Unit::whole(name, format!("explanations of {name}"), images.clone());
        Ok(scene.names().into_iter().map(unit).collect())
    }

    fn recorder<'a>(scene: &'a Scene, unit: &'a Unit) -> Result<Recorder<'a, Explained>, StudyError> {
        let model = scene.model(unit.model);
        let usual = usual(&model.card().network);
        let is_first = unit.model == scene.subjects[0].name;
        Ok(Box::new(move |batch| {
            let ids = batch.ids();
            let keys = Keys { seed: scene.seed, images: &ids };
            let evidence = Evidence::new(model, batch.images.clone(), keys);
            let heatmaps = usual.explain_predicted(&evidence)?;
            let record = |(i, heatmap): (usize, Heatmap)| -> Result<Explained, StudyError> {
                let (name, seen) = (picture_name(batch.indices[i]), &batch.samples[i].image);
                let picture = is_first.then(|| scene.save(&name, &panel(seen, PANEL)?));
                let shown = scene.save_heatmap(&format!("{name}-{}", unit.model), seen, &heatmap)?;
                let first = unit.images.first() == Some(&batch.indices[i]);
                let depth =
                    first.then(|| through_layers(scene, unit.model, &evidence, i, seen)).transpose()?;
                let depth = depth.unwrap_or_default();
                Ok(Explained { heatmap, shown, picture: picture.transpose()?, depth })
            };
            heatmaps.into_iter().enumerate().map(record).collect()
        }))
    }

    fn conclude(scene: &Scene, recorded: Vec<Recorded<Explained>>) -> Result<ComparisonFindings, StudyError> {
        let mut answered = ByModel::default();
        for name in scene.names() {
            let evaluation = scene.predicted(scene.main_split, name)?;
            let answers = evaluation.scores()?.predicted();
            answered.insert(name, (evaluation, answers));
        }
        let split = scene.split()?;
        let pairs = scene.pairs();
        let explained: ByModel<&[Explained]> =
            recorded.iter().map(|of| (of.unit.model, of.records.as_slice())).collect();
        let mut items = Vec::new();
        let mut of_pairs: Vec<Vec<Pair>> = pairs.iter().map(|_| Vec::new()).collect();
        for (place, &index) in recorded.first().map_or(&[][..], |of| &of.unit.images).iter().enumerate() {
            let answer = |model: ModelName| answered[model].1[index];
            let compared: Vec<Pair> = (pairs.iter())
                .map(|&models| {
                    let [first, second] = models.map(|model| &explained[model][place].heatmap);
                    Pair {
                        called: called(scene, models),
                        first: first.clone(),
                        second: second.resized(first.height, first.width),
                        same_answer: answer(models[0]) == answer(models[1]),
                    }
                })
                .collect();
            let predicted = |(model, (evaluation, answers)): (ModelName, &(Evaluation, Vec<usize>))| {
                (model, (answers[index], evaluation.probabilities(index)[answers[index]]))
            };
            let explains = |of: &Subject| {
                let depends = depends_on_class(&of.model.card().network);
                (of.name, depends.then(|| answer(of.name)))
            };
            items.push(Comparison {
                index,
                identifier: split.identifier(index),
                label: split.label(index),
                predictions: answered.iter().map(predicted).collect(),
                explains: scene.subjects.iter().map(explains).collect(),
                agreements: compared.iter().map(Pair::agreement).collect(),
                picture: explained.values().find_map(|of| of[place].picture.clone()).unwrap_or_default(),
                heatmaps: explained.iter().map(|(model, of)| (model, of[place].shown.clone())).collect(),
            });
            of_pairs.iter_mut().zip(compared).for_each(|(all, pair)| all.push(pair));
        }
        let selection = format!(
            "{} images of the {} split, drawn at random with seed {}, each class in proportion",
            items.len(),
            scene.main_split,
            scene.seed
        );
        let agree = |(models, compared): (&[ModelName; 2], &Vec<Pair>)| {
            let constant = compared.iter().filter(|pair| pair.constant().is_some()).count();
            let agreement = agreement(compared, &scene.resampling())?;
            let known = compared.iter().filter_map(|pair| pair.agreement().known().copied());
            Ok(HeatmapAgreement { models: *models, constant, agreement, spread: spread(known.collect()) })
        };
        let depth = (explained.iter())
            .map(|(model, of)| (model, of.first().map(|first| first.depth.clone()).unwrap_or_default()));
        Ok(ComparisonFindings {
            depth: depth.collect(),
            selection,
            items,
            methods: scene
                .subjects
                .iter()
                .map(|of| (of.name, method(&of.model.card().network).to_owned()))
                .collect(),
            pairs: pairs.iter().zip(&of_pairs).map(agree).collect::<Result<_, StudyError>>()?,
        })
    }

    fn chapter(findings: &ComparisonFindings, investigation: &Investigation, names: &Names) -> Chapter {
        chapter::chapter(findings, investigation, names)
    }
}

/// What is recorded of one image and model.
#[derive(Debug, Serialize, Deserialize)]
pub struct Explained {
    /// On the model's own grid.
    heatmap: Heatmap,
    shown: HeatmapShown,
    /// The image as the first model sees it.
    picture: Option<String>,
    /// Of the first image: every layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    depth: Vec<LayerShown>,
}

/// Draws what every layer of a model makes of one image.
fn through_layers(
    scene: &Scene,
    model: ModelName,
    evidence: &Evidence,
    image: usize,
    seen: &Image,
) -> Result<Vec<LayerShown>, StudyError> {
    let shown = |(place, (layer, map)): (usize, (String, Heatmap))| {
        let picture = scene.save_heatmap(&format!("depth-{model}-{:02}", place + 1), seen, &map)?;
        Ok(LayerShown { layer, shown: picture })
    };
    depth::layers(evidence, image)?.into_iter().enumerate().map(shown).collect()
}

fn picture_name(index: usize) -> String {
    format!("comparison-{index:05}")
}

/// What to call the heatmaps of two models: by their methods, and by their models where those are the same.
fn called(scene: &Scene, models: [ModelName; 2]) -> [String; 2] {
    let methods = models.map(|model| method(&scene.model(model).card().network));
    match methods[0] == methods[1] {
        true => models.map(|model| format!("the {} of {model}", methods[0])),
        false => methods.map(|method| format!("the {method}")),
    }
}

/// Two models' heatmaps of one image, on the grid of the first.
struct Pair {
    called: [String; 2],
    first: Heatmap,
    second: Heatmap,
    /// Whether both models name the same class.
    same_answer: bool,
}

impl Pair {
    /// Which heatmap ranks nothing, as a reason why there is no agreement.
    fn constant(&self) -> Option<String> {
        match (self.first.is_constant(), self.second.is_constant()) {
            (false, false) => None,
            (true, false) => Some(format!("{} is constant", self.called[0])),
            (false, true) => Some(format!("{} is constant", self.called[1])),
            (true, true) => Some("both heatmaps are constant".into()),
        }
    }

    fn agreement(&self) -> Measured<f64> {
        match (self.constant(), rank_correlation(&self.first, &self.second)) {
            (None, Some(agreement)) => Measured::Known(agreement),
            (reason, _) => Measured::undefined(reason.unwrap_or("a heatmap is constant".into())),
        }
    }
}

/// How values are spread; values that are not finite do not count.
fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let quantile = |share: f64| values[(last as f64 * share).round() as usize];
    Some(Spread { median: quantile(0.5), lower: quantile(0.25), upper: quantile(0.75) })
}

/// Agreement of heatmaps of one image, held against that of heatmaps of different images: both models may mark the middle,
/// whatever the image shows.
fn agreement(pairs: &[Pair], resampling: &Resampling) -> Result<Measured<Agreement>, StudyError> {
    let pairs: Vec<&Pair> = pairs.iter().filter(|pair| pair.constant().is_none()).collect();
    let n = pairs.len();
    if n < 2 {
        let found = if n == 1 { "there is 1" } else { "there are 0" };
        return Ok(Measured::undefined(format!(
            "it takes two or more images with heatmaps that are not constant, and {found}"
        )));
    }
    let table: Vec<f64> = pairs
        .iter()
        .flat_map(|first| pairs.iter().map(|second| rank_correlation(&first.first, &second.second)))
        .map(|agreement| agreement.expect("constant heatmaps were left out"))
        .collect();
    let pairing = pairing_test(&table, n, resampling)?;
    let group = |same_answer: bool| -> Result<AgreementGroup, StudyError> {
        let chosen: Vec<usize> = (0..n).filter(|&i| pairs[i].same_answer == same_answer).collect();
        let together: Vec<f64> = chosen.iter().map(|&i| table[i * n + i]).collect();
        let differences: Vec<f64> = chosen.iter().map(|&i| pairing.excess[i]).collect();
        let some = !chosen.is_empty();
        Ok(AgreementGroup {
            n: chosen.len(),
            together: some.then(|| mean_within(&together, CORRELATION, DEFAULT_LEVEL)).transpose()?,
            // Of a single image what it adds to the mean difference, which is not bounded as that is.
            difference: some.then(|| mean_t(&differences, DEFAULT_LEVEL)).transpose()?,
        })
    };
    let (same_answer, other_answer) = (group(true)?, group(false)?);
    Ok(Measured::Known(Agreement { pairing, same_answer, other_answer }))
}
