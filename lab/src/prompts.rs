//! How far the answers of a zero-shot classifier depend on its prompts.

mod towards;

use std::path::{Path, PathBuf};

use archaeo_analysis::answers::{PromptScores, prompt_scores};
use archaeo_analysis::features::Features;
use archaeo_analysis::statistics::Resampling;
use archaeo_models::clip::{ClipConfig, Prompts};
use archaeo_plot::{
    Bars, Chart, Colormap, Figure, Grid, Heat, Image, MatrixChart, Panel, ValueFormat, Width, svg_file,
    to_png,
};
use archaeo_store::StoreError;
use archaeo_training::features::{Depth, check, extract};
use archaeo_training::images::{Preprocessed, Subset};
use serde::Serialize;

use crate::classes::ClassesMatched;
use crate::destination::{check_inputs, check_own_folder};
use crate::error::LabError;
use crate::listener::{Amount, Unit, Work};
use crate::opened::Opened;
use crate::session::Session;
use crate::zero_shot::templates;

pub use towards::TowardsPrompts;
use towards::towards_prompts;

/// The file that says what is in the folder, and that it is one of this program.
const RECORD: &str = "prompts.json";

/// CSS pixels of the picture of similarities.
const SIDE: usize = 320;

/// Names and contents of files.
type Files = Vec<(String, Vec<u8>)>;

/// How each template of a zero-shot classifier does, alone and in the ensemble.
#[derive(Clone, Debug, Serialize)]
pub struct PromptsScored {
    /// Name of the model.
    pub model: String,
    /// Name of the data.
    pub data: String,
    /// Name of the split.
    pub split: String,
    /// Images.
    pub n: usize,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// How classes were matched.
    pub classes: Option<ClassesMatched>,
    /// Names of the classes, in the order of the outputs.
    pub names: Vec<String>,
    /// The templates, in their order.
    pub templates: Vec<String>,
    /// What each is worth.
    #[serde(flatten)]
    pub scores: PromptScores,
    /// Rollout of a few images towards prompts; empty where no pictures were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub towards: Vec<TowardsPrompts>,
    /// Where the pictures are; `None` where none were written.
    pub folder: Option<PathBuf>,
}

impl Session {
    /// Scores each template of the prompts that a model was opened with, alone, in the ensemble and left out of it. Pictures of the
    /// similarity of images and texts, and of rollout towards prompts, are written to `folder`.
    ///
    /// # Errors
    /// A model without prompts, images that cannot be read, features that are not finite, a folder that cannot be written,
    /// [`LabError::Interrupted`].
    pub fn prompts(&self, opened: &Opened, folder: Option<&Path>) -> Result<PromptsScored, LabError> {
        if let Some(folder) = folder {
            check_inputs(&folder.join(RECORD), &opened.subject.inputs())?;
            check_own_folder(folder, RECORD, LabError::OtherPrompts)?;
        }
        let Opened { model, indices, device, subject, .. } = opened;
        let card = model.card();
        let Some(prompts) = &subject.model.prompts else {
            return Err(LabError::NoPrompts {
                weights: subject.model.weights.clone(),
                model: card.name.clone(),
            });
        };
        let templates = templates(prompts)?;
        let directions = self.directions(opened, &templates)?;

        let split = opened.split()?;
        let images = Preprocessed { split, preprocessing: &card.preprocessing };
        let source = Subset { images, indices: indices.clone() };
        let found = {
            let work = self.counting(&card.name, indices.len());
            let mut follow = work.follow();
            let mut progress = |done: usize| {
                follow(done);
                !self.listener().interrupted()
            };
            extract(model, &source, Depth::Pooled, opened.batch_size(), device, &mut progress)?
        };
        let found = found.ok_or(LabError::Interrupted)?;
        check(model, &found, &source, |position| split.identifier(indices[position]), device)
            .map_err(|error| self.answers_error(error, opened))?;
        let stage = self.stage("scoring the templates");
        let scores = prompt_scores(&found.pooled, &found.labels, &directions, &Resampling::new(self.seed()))?;
        drop(stage);
        let mut result = PromptsScored {
            model: card.name.clone(),
            data: opened.dataset.name.clone(),
            split: opened.split.clone(),
            n: indices.len(),
            precision: self.precision_name(),
            classes: opened.classes_matched(),
            names: card.classes.clone(),
            templates: templates.templates().to_vec(),
            scores,
            towards: Vec::new(),
            folder: None,
        };
        if let Some(folder) = folder {
            let mut files = pictures(&result)?;
            let stage = self.stage("rollout towards prompts");
            let (towards, figure) = towards_prompts(opened, self.seed())?;
            drop(stage);
            result.towards = towards;
            files.extend(figure);
            std::fs::create_dir_all(folder).map_err(StoreError::io("write", folder))?;
            result.folder = Some(folder.to_owned());
            for (name, bytes) in files {
                archaeo_store::write(&folder.join(name), &bytes)?;
            }
            let json = serde_json::to_string_pretty(&result).expect("plain data") + "\n";
            archaeo_store::write(&folder.join(RECORD), json.as_bytes())?;
        }
        Ok(result)
    }

    /// Of each class the directions of its prompts; the text tower is read once more, for an opened model has the image tower alone.
    fn directions(&self, opened: &Opened, templates: &Prompts) -> Result<Vec<Features>, LabError> {
        let card = opened.model.card();
        let found = self.find(&opened.subject.model)?;
        let config =
            ClipConfig::named(&card.name, card.preprocessing.image_size).map_err(LabError::UnknownClip)?;
        let clip = found.checkpoint.into_clip(&card.name, &config, &opened.device)?;
        let amount = Amount { total: card.classes.len() as u64, unit: Unit::Classes };
        let work = Work::begin(self.listener(), "reading prompts", Some(amount));
        let mut directions = Vec::with_capacity(card.classes.len());
        for class in &card.classes {
            if self.listener().interrupted() {
                return Err(LabError::Interrupted);
            }
            let features = clip.prompt_features(class, templates, self.precision());
            let width = features.dims()[1];
            let values = features.into_data().try_into_vec::<f32>().expect("features are 32-bit floats");
            directions.push(Features::new(width, values));
            work.advance(1);
        }
        Ok(directions)
    }
}

/// Mean cosine of the images of each class with the texts of each.
fn pictures(result: &PromptsScored) -> Result<Files, LabError> {
    let PromptsScored { names, scores, .. } = result;
    let values: Vec<f32> = scores.similarity.iter().map(|value| value.unwrap_or(0.0) as f32).collect();
    let known = || scores.similarity.iter().flatten().map(|&value| value as f32);
    let range = [f32::min, f32::max].map(|pick: fn(f32, f32) -> f32| known().reduce(pick).unwrap_or(0.0));
    let blank = Image::filled(4, 4, [255; 3]);
    let title = format!("{}: images and texts of {}/{}", result.model, result.data, result.split);
    let figure = Figure {
        title: title.clone(),
        lines: vec![format!(
            "Mean cosine of the images of each class (down) with the ensemble of {} prompts of each class (across), both in the order of \
             the outputs, on {} images",
            result.templates.len(),
            result.n
        )],
        panels: vec![Panel {
            axes: None,
            title: String::new(),
            note: String::new(),
            picture: &blank,
            heat: Some(Heat {
                grid: Grid::new(&values, names.len(), names.len())?,
                colormap: Colormap::Viridis,
                range,
                opacity: 1.0,
            }),
        }],
        columns: 1,
        side: SIDE,
        bars: Bars::Shared("cosine".into()),
    };
    let chart = MatrixChart {
        title,
        description: "Mean cosine of the images of each class with the texts of each".into(),
        row_label: "images of".into(),
        column_label: "texts of".into(),
        value_label: "cosine".into(),
        rows: names.clone(),
        columns: names.clone(),
        values: scores.similarity.clone(),
        format: ValueFormat::Decimals(2),
        range: None,
    };
    Ok(vec![
        ("similarity.png".into(), to_png(&figure.to_image()?)?),
        ("similarity.svg".into(), svg_file(&chart.draw(Width::Wide)?).into_bytes()),
    ])
}
