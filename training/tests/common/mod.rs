//! Helpers for tests of whole trainings: images, recipes, a run.

// Every test file compiles this for itself, and none uses all of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::Path;

use archaeo_data::{DataError, Image};
use archaeo_models::{Classifier, read_arrays};
use archaeo_random::{Draw, keyed_rng};
use archaeo_store::run_folder::{DataIdentity, Environment};
use archaeo_training::images::ImageSource;
use archaeo_training::{
    Artist, Drawing, Job, Observer, Outcome, Recipe, RecipeFile, Run, StepReport, TrainError, Trained,
    Transfer, train,
};
use burn::tensor::Device;

/// Noisy images of 8 × 8 whose left half, upper half or nothing is brighter.
pub struct Halves {
    /// Images.
    pub count: usize,
    /// Key of the noise.
    pub seed: u64,
}

impl ImageSource for Halves {
    fn len(&self) -> usize {
        self.count
    }

    fn label(&self, index: usize) -> usize {
        index % 3
    }

    fn image(&self, index: usize, epoch: u64) -> Result<Image, DataError> {
        let mut rng = keyed_rng(self.seed, "halves", index as u64, epoch);
        let bright = |x: usize, y: usize| match self.label(index) {
            0 => x < 4,
            1 => y < 4,
            _ => false,
        };
        let mut image = Image::filled(8, 8, [0; 3]);
        for (place, value) in image.pixels_mut().iter_mut().enumerate() {
            let (x, y) = (place / 3 % 8, place / 24);
            *value = 60 + rng.below(90) as u8 + if bright(x, y) { 60 } else { 0 };
        }
        Ok(image)
    }
}

/// Draws the images themselves.
pub struct Copyist;

impl Artist for Copyist {
    fn draw(
        &self,
        _: &Classifier,
        images: &[Image],
        labels: &[usize],
        _: &Device,
    ) -> Result<Vec<Drawing>, String> {
        let draw = |(place, (image, label)): (usize, (&Image, &usize))| Drawing {
            what: "copy".into(),
            image: place,
            caption: format!("class {label}"),
            size: [image.width(), image.height()],
            png: archaeo_plot::to_png(image).unwrap(),
        };
        Ok(images.iter().zip(labels).enumerate().map(draw).collect())
    }
}

/// Recipe of a small ViT.
pub const VIT: &str = r#"
    image_size = 8
    epochs = 4
    batch_size = 16
    learning_rate = 5e-3
    weight_decay = 0.05
    warmup_epochs = 0.5
    gradient_clip = 1.0
    [model]
    architecture = "vit"
    patch_size = 2
    width = 16
    depth = 2
    heads = 2
    mlp_width = 32
    pooling = "class-token"
    position = "learned"
"#;

/// Recipe of a small ResNet.
pub const RESNET: &str = r#"
    image_size = 8
    epochs = 4
    batch_size = 16
    learning_rate = 0.1
    weight_decay = 5e-4
    [model]
    architecture = "resnet"
    stem = "cifar"
    branch = "basic"
    blocks = [1, 1, 1, 1]
    width = 4
    [optimizer]
    name = "sgd"
    momentum = 0.9
    nesterov = true
"#;

/// A recipe with overrides.
pub fn recipe(text: &str, overrides: &[&str]) -> Recipe {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    RecipeFile::parse(text, &overrides).unwrap().recipe(None).unwrap()
}

/// What [`Halves`] are, and where this runs.
pub fn identity() -> (DataIdentity, Environment) {
    let data = DataIdentity {
        source: "halves".into(),
        fingerprint: "f".into(),
        classes: ["left", "top", "none"].map(String::from).into(),
        counts: BTreeMap::new(),
    };
    (data, Environment::here("0", "none", "test", "flex", 1))
}

/// Trains the recipe's only run in a run folder.
pub fn run(recipe: &Recipe, folder: &Path, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let runs = recipe.runs();
    assert_eq!(runs.len(), 1, "it is a recipe of several runs");
    run_one(&runs[0], folder, observer)
}

/// Trains one run in its folder within that of all runs.
pub fn run_one(run: &Run, of: &Path, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
    let recipe = &run.recipe;
    let (data, environment) = identity();
    let classes = data.classes.clone();
    let folder = run.open(of, &data, &environment)?;
    let (images, validation) = (Halves { count: 200, seed: 1 }, Halves { count: 60, seed: 2 });
    let device = Device::flex();
    let (images, validation): (&dyn ImageSource, &dyn ImageSource) = (&images, &validation);
    let job = Job {
        recipe,
        classes: &classes,
        images,
        validation,
        transfer: None,
        folder: &folder,
        device: &device,
        artist: Some(&Copyist),
    };
    train(&job, observer)
}

/// Trains the recipe of a transfer in a run folder.
pub fn run_from(
    transfer: &Transfer,
    [images, validation]: [&dyn ImageSource; 2],
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainError> {
    let (data, environment) = identity();
    let (runs, classes, device) = (transfer.recipe().runs(), data.classes.clone(), Device::flex());
    let mut outcome = None;
    for run in &runs {
        let folder = run.open(folder, &data, &environment)?;
        let transfer = Some(transfer);
        let recipe = &run.recipe;
        let job = Job {
            recipe,
            classes: &classes,
            images,
            validation,
            transfer,
            folder: &folder,
            device: &device,
            artist: None,
        };
        outcome = Some(train(&job, observer)?);
    }
    Ok(outcome.expect("a recipe has a run"))
}

/// Trains to the end.
pub fn finish(recipe: &Recipe, folder: &Path) -> Trained {
    match run(recipe, folder, &mut ()).unwrap() {
        Outcome::Finished(trained) => trained,
        Outcome::Stopped { epochs } => panic!("stopped after {epochs} epochs"),
    }
}

/// Every array of a file, as bits.
pub fn bits(path: &Path) -> BTreeMap<String, Vec<u32>> {
    let (state, _) = read_arrays(path).unwrap();
    state
        .into_iter()
        .map(|(name, array)| (name, array.values.iter().map(|v| v.to_bits()).collect()))
        .collect()
}

/// Stops at a step; the second number is the step it is at.
pub struct StopAt(pub u64, pub u64);

impl Observer for StopAt {
    fn step(&mut self, report: &StepReport) {
        self.1 = report.step;
    }

    fn should_stop(&self) -> bool {
        self.1 >= self.0
    }
}
