//! What the features of one or more models hold, on the same images.

mod pictures;

use std::path::{Path, PathBuf};

use archaeo_analysis::statistics::Resampling;
use archaeo_experiments::findings::FeaturesFindings;
use archaeo_experiments::scene::StudyError;
use archaeo_experiments::studies::features::Laboratory;
use archaeo_experiments::studies::features::measure::{Sample, Sizes};
use archaeo_experiments::studies::features::roles::{ImageRoles, Part};
use archaeo_experiments::subjects::ModelName;
use archaeo_models::Classifier;
use archaeo_store::StoreError;
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use archaeo_training::features::Extracted;
use serde::Serialize;

use self::pictures::pictures;
use crate::destination::{check_inputs, check_own_folder};
use crate::error::LabError;
use crate::listener::Followed;
use crate::opened::Opened;
use crate::session::Session;
use crate::subject::ModelSource;

/// The file that says what is in the folder, and that it is one of this program.
const RECORD: &str = "features.json";

/// Images whose nearest are shown.
const SHOWN: usize = 10;

/// What is asked of features.
#[derive(Clone, Debug)]
pub struct FeaturesOptions {
    /// Further models on the same images.
    pub more: Vec<ModelSource>,
    /// Whether the first model is held against one of the same sizes with random weights.
    pub random: bool,
    /// The most images to learn from.
    pub training: usize,
    /// Draws of a few images per class.
    pub draws: usize,
    /// The most points of a picture.
    pub points: usize,
    /// The most images of which layers are compared.
    pub compared: usize,
}

impl Default for FeaturesOptions {
    fn default() -> Self {
        Self { more: Vec::new(), random: false, training: 5000, draws: 5, points: 2000, compared: 1000 }
    }
}

/// What the features of each model hold.
#[derive(Clone, Debug, Serialize)]
pub struct FeaturesFound {
    /// The models: what each is called here, its name, its weights.
    pub models: Vec<ModelOfFeatures>,
    /// Name of the data.
    pub data: String,
    /// Name of the split that is scored.
    pub split: String,
    /// Images of it.
    pub n: usize,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// Neighbours, probes, pictures and similarity.
    pub found: FeaturesFindings,
    /// Where the pictures are; `None` where none were written.
    pub folder: Option<PathBuf>,
}

/// A model whose features were taken.
#[derive(Clone, Debug, Serialize)]
pub struct ModelOfFeatures {
    /// What it is called in the findings.
    pub called: ModelName,
    /// Its name.
    pub name: String,
    /// The checkpoint; `None` of random weights.
    pub weights: Option<PathBuf>,
}

struct Taken {
    of: ModelOfFeatures,
    model: Classifier,
}

impl Session {
    /// Takes the features of models on the images that were opened ([`Purpose::Represent`](crate::Purpose)), and measures them. An export
    /// that was asked for is written first; pictures are written to `folder`.
    ///
    /// # Errors
    /// Data or weights that cannot be used, features that are not finite, too few images of a class to learn from, files that cannot
    /// be written, [`LabError::Interrupted`].
    pub fn features(
        &self,
        opened: &mut Opened,
        options: &FeaturesOptions,
        folder: Option<&Path>,
    ) -> Result<FeaturesFound, LabError> {
        let further: Vec<&Path> = options.more.iter().map(|source| source.weights.as_path()).collect();
        if let Some(export) = &opened.subject.export {
            check_inputs(export, &further)?;
        }
        if let Some(folder) = folder {
            let inputs = [opened.subject.inputs(), further].concat();
            check_inputs(&folder.join(RECORD), &inputs)?;
            check_own_folder(folder, RECORD, LabError::OtherFeatures)?;
        }
        let models = self.models_of(opened, options)?;
        let roles = self.roles_of(opened, options)?;
        let Opened { dataset, device, split, indices, .. } = &*opened;
        let followed = Followed(self.listener());
        let laboratory = Laboratory {
            dataset,
            device,
            batch_size: opened.batch_size(),
            seed: self.seed(),
            progress: &followed,
            keep: None,
        };
        let scored = Part::new(split, indices.clone());
        let (mut samples, mut taken): (Vec<Sample>, Vec<Extracted>) = Default::default();
        for Taken { of, model } in &models {
            let found = laboratory.sample((of.called, model), &scored, roles.as_ref().ok());
            let (sample, everything) = found.map_err(|error| self.study_error(error, of))?;
            if everything.layers.is_empty() {
                self.note(format!(
                    "layers of {} are left out: those of so many images do not fit into memory",
                    of.called
                ));
            }
            samples.push(sample);
            taken.push(everything);
        }
        if let Some(path) = &opened.subject.export {
            write(path, opened, &models, &taken)?;
        }
        drop(taken);
        if let Err(reason) = &roles {
            self.note(format!("nothing is learned from the features: {reason}"));
        }
        let sizes =
            Sizes { draws: options.draws, points: options.points, compared: options.compared, shown: SHOWN };
        let resampling = Resampling::new(self.seed());
        let found =
            laboratory.findings(&samples, roles.clone(), &sizes, &resampling).map_err(LabError::of_study)?;
        let mut result = FeaturesFound {
            models: models.into_iter().map(|taken| taken.of).collect(),
            data: dataset.name.clone(),
            split: split.clone(),
            n: indices.len(),
            precision: self.precision_name(),
            found,
            folder: None,
        };
        if let Some(folder) = folder {
            self.write_pictures(folder, opened, roles.as_ref().ok(), &mut result)?;
        }
        Ok(result)
    }

    fn models_of(&self, opened: &Opened, options: &FeaturesOptions) -> Result<Vec<Taken>, LabError> {
        let first = &opened.model;
        let mut models =
            vec![(first.card().name.clone(), Some(opened.subject.model.weights.clone()), first.clone())];
        for source in &options.more {
            let found = self.find(source)?;
            let model = self.load_to_represent(source, found, &opened.device)?;
            models.push((model.card().name.clone(), Some(source.weights.clone()), model));
        }
        if options.random {
            let model = Classifier::new(first.card().clone(), self.seed(), &opened.device)?;
            models.push((first.card().name.clone(), None, model.in_precision(self.precision())));
        }
        let mut taken: Vec<Taken> = Vec::with_capacity(models.len());
        for (name, weights, model) in models {
            let alone = match &weights {
                None => format!("{name}, random"),
                Some(_) => name.clone(),
            };
            let known = |called: &str| taken.iter().any(|taken| taken.of.called.as_str() == called);
            // Checkpoints of one architecture go by their files.
            let file = weights
                .as_ref()
                .and_then(|path| path.file_stem())
                .map(|stem| stem.to_string_lossy().into_owned());
            let candidates =
                [Some(alone.clone()), file.map(|file| format!("{name}, {file}"))].into_iter().flatten();
            let numbered = (2..).map(|number| format!("{alone}, {number}"));
            let called =
                candidates.chain(numbered).find(|called| !known(called)).expect("there is no last number");
            taken.push(Taken {
                of: ModelOfFeatures { called: ModelName::new(&called), name, weights },
                model,
            });
        }
        Ok(taken)
    }

    /// ImageRoles of the images; the inner error is the reason why nothing can be learned.
    fn roles_of(
        &self,
        opened: &mut Opened,
        options: &FeaturesOptions,
    ) -> Result<Result<ImageRoles, String>, LabError> {
        if !opened.dataset.has_labels() {
            return Ok(Err("the images have no labels".into()));
        }
        let others: Vec<String> = ["train"]
            .into_iter()
            .chain(opened.dataset.selection_split())
            .filter(|name| *name != opened.split && opened.dataset.splits().contains_key(*name))
            .map(str::to_owned)
            .collect();
        if !others.is_empty() {
            self.verify(&mut opened.dataset, &others.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        let Opened { dataset, split, indices, .. } = opened;
        ImageRoles::of(dataset, split, indices, options.training, self.seed())
            .map(Ok)
            .map_err(LabError::TooFewToLearn)
    }

    fn study_error(&self, error: StudyError, of: &ModelOfFeatures) -> LabError {
        match error {
            StudyError::NotFinite(error) => {
                let weights = of
                    .weights
                    .as_ref()
                    .map_or_else(|| of.called.to_string(), |path| path.display().to_string());
                error.of(weights).into()
            }
            other => LabError::of_study(other),
        }
    }

    fn write_pictures(
        &self,
        folder: &Path,
        opened: &Opened,
        roles: Option<&ImageRoles>,
        result: &mut FeaturesFound,
    ) -> Result<(), LabError> {
        let _stage = self.stage("drawing");
        let files = pictures(result, opened, roles)?;
        std::fs::create_dir_all(folder).map_err(StoreError::io("write", folder))?;
        result.folder = Some(folder.to_owned());
        for (name, bytes) in files {
            archaeo_store::write(&folder.join(name), &bytes)?;
        }
        let json = serde_json::to_string_pretty(result).expect("plain data") + "\n";
        Ok(archaeo_store::write(&folder.join(RECORD), json.as_bytes())?)
    }
}

/// The features of every image of the split; those of the first model are `features`, of the second `features_2`.
fn write(path: &Path, opened: &Opened, models: &[Taken], taken: &[Extracted]) -> Result<(), LabError> {
    let images = opened.images()?;
    let mut table = Table::default().with("image", Column::Text(images.clone()));
    let mut arrays = Vec::new();
    if opened.dataset.has_labels() {
        let labels = opened.labels()?;
        let names = labels.iter().map(|&label| opened.dataset.classes[label].clone()).collect();
        table = table.with("label", Column::indices(&labels)).with("class", Column::Text(names));
        arrays.push(NamedArray::indices("labels", &labels));
    }
    for (place, extracted) in taken.iter().enumerate() {
        let name = if place == 0 { "features".to_owned() } else { format!("features_{}", place + 1) };
        let pooled = &extracted.pooled;
        for column in 0..pooled.width() {
            let values = pooled.rows().map(|row| f64::from(row[column])).collect();
            table = table.with(format!("{name}_{column}"), Column::Numbers(values));
        }
        arrays.push(NamedArray::floats(&name, &[pooled.len(), pooled.width()], pooled.values().to_vec()));
    }
    let called: Vec<&str> = models.iter().map(|taken| taken.of.called.as_str()).collect();
    let notes = vec![
        ("models".to_owned(), serde_json::to_string(&called).expect("plain data")),
        ("class_names".to_owned(), serde_json::to_string(&opened.dataset.classes).expect("plain data")),
        ("data".to_owned(), opened.dataset.name.clone()),
        ("split".to_owned(), opened.split.clone()),
    ];
    Ok(Export { arrays, images, table, notes }.write(path)?)
}
