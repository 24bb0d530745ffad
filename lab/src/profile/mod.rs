//! What models cost, next to one another.

mod patches;
mod query;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use archaeo_analysis::attribution::{Attribution, Rollout};
use archaeo_analysis::cost::{memory, noise, times};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, Estimate, FEWEST_FOR_A_MEDIAN, median};
use archaeo_experiments::profile::{
    ModelCost, PatchPictures, Profile, QueryPictures, SizeCost, growth, write,
};
use archaeo_models::{Classifier, ModelCard, NetworkSpec, check_memory};
use archaeo_store::StoreError;
use burn::tensor::{Device, Tensor};

use crate::destination::check_inputs;
use crate::error::LabError;
use crate::reference::is_reference;
use crate::session::Session;
use crate::subject::{ModelSource, Purpose, Subject};

/// What is asked of a profile.
#[derive(Clone, Debug)]
pub struct ProfileOptions {
    /// Names of models, with random weights, and checkpoints.
    pub models: Vec<String>,
    /// Sides of images at which growth is measured, pixels.
    pub image_sizes: Vec<usize>,
    /// Timed passes of each model at each size.
    pub rounds: usize,
    /// Images per pass of throughput.
    pub batch: NonZeroUsize,
    /// Images that checkpoints are scored on, whose classes they have to know.
    pub data: Option<String>,
    /// Folder for the page.
    pub out: Option<PathBuf>,
}

/// A model to be profiled.
struct Candidate {
    name: String,
    card: ModelCard,
    random: bool,
}

impl Candidate {
    /// The model for images of a size, with weights that are random: costs do not depend on them.
    fn at(&self, image_size: usize, session: &Session, device: &Device) -> Result<Classifier, LabError> {
        let mut card = self.card.clone();
        if card.network.image_size().is_some() {
            card.network = card.network.for_image_size(image_size)?;
        }
        card.preprocessing.image_size = image_size;
        check_memory(card.network.least_bytes_per_image(image_size)).map_err(|reason| {
            LabError::NotProfiled { model: self.name.clone(), reason: reason.to_string() }
        })?;
        Ok(Classifier::new(card, session.seed(), device)?.in_precision(session.precision()))
    }

    fn size(&self) -> usize {
        self.card.preprocessing.image_size
    }
}

/// What was measured of every model that takes images of a size, in the order of the models.
struct AtSize {
    costs: Vec<Result<SizeCost, String>>,
}

impl Session {
    /// Measures what forward passes of models cost: time, memory, multiply-adds, at each model's usual size of image and at those asked
    /// for. With a folder, writes a page about it there.
    ///
    /// # Errors
    /// A model that is not known or cannot be read, too few rounds, images that cannot be read, a folder that cannot be written, and
    /// [`LabError::Interrupted`].
    pub fn profile(&self, options: &ProfileOptions) -> Result<Profile, LabError> {
        let ProfileOptions { models, image_sizes, rounds, batch, out, .. } = options;
        if *rounds < FEWEST_FOR_A_MEDIAN {
            return Err(LabError::TooFewRounds { rounds: *rounds, needed: FEWEST_FOR_A_MEDIAN });
        }
        let device = self.device()?;
        let candidates: Vec<Candidate> =
            models.iter().map(|name| self.candidate(name)).collect::<Result<_, _>>()?;
        if let Some(folder) = out {
            let inputs: Vec<&Path> = models.iter().map(Path::new).collect();
            check_inputs(&folder.join("report.html"), &inputs)?;
            std::fs::create_dir_all(folder).map_err(StoreError::io("make the folder", folder))?;
        }
        let mut sizes = image_sizes.clone();
        sizes.sort_unstable();
        sizes.dedup();

        let usual: Vec<usize> = candidates.iter().map(Candidate::size).collect();
        let stage = self.stage("timing one image");
        let at_usual = self.timed(&candidates, &usual, *rounds, &device)?;
        drop(stage);
        let stage = self.stage("timing many images");
        let throughput = self.throughput(&candidates, &usual, *rounds, batch.get(), &device)?;
        drop(stage);
        let mut at_sizes = Vec::new();
        for &size in &sizes {
            let _stage = self.stage(&format!("timing images of {size} px"));
            at_sizes.push(self.timed(&candidates, &vec![size; candidates.len()], *rounds, &device)?);
        }
        let mut costs = Vec::new();
        for (place, (candidate, throughput)) in candidates.iter().zip(throughput).enumerate() {
            let usual = at_usual.costs[place]
                .clone()
                .map_err(|reason| LabError::NotProfiled { model: candidate.name.clone(), reason })?;
            let (mut taken, mut not_taken) = (Vec::new(), Vec::new());
            for (&size, at_size) in sizes.iter().zip(&at_sizes) {
                match &at_size.costs[place] {
                    Ok(cost) => taken.push(cost.clone()),
                    Err(reason) => not_taken.push((size, reason.clone())),
                }
            }
            costs.push(ModelCost {
                name: candidate.name.clone(),
                description: candidate.card.network.describe(),
                random_weights: candidate.random,
                parameters: candidate.card.network.parameter_count()?,
                usual,
                throughput,
                accuracy: self.accuracy_of(candidate, options)?,
                time_growth: growth(&taken, |size| size.latency.value)?,
                multiply_adds_growth: growth(&taken, |size| size.multiply_adds as f64)?,
                sizes: taken,
                not_taken,
            });
        }
        let (patches, queries) = match out {
            Some(folder) => self.pictures(&candidates, options, folder, &device)?,
            None => Default::default(),
        };
        let profile = Profile {
            environment: self.environment(),
            precision: self.precision_name().into(),
            rounds: *rounds,
            batch: batch.get(),
            models: costs,
            patches,
            queries,
        };
        if let Some(folder) = out {
            let text = serde_json::to_string_pretty(&profile).expect("plain data");
            archaeo_store::write(&folder.join("profile.json"), text.as_bytes())?;
            write(&profile, folder)?;
        }
        Ok(profile)
    }

    /// Each transformer's patches, and what one of them attends to, in pictures; with a checkpoint's own weights.
    fn pictures(
        &self,
        candidates: &[Candidate],
        options: &ProfileOptions,
        folder: &Path,
        device: &Device,
    ) -> Result<(Vec<PatchPictures>, Vec<QueryPictures>), LabError> {
        let (mut patches, mut queries) = (Vec::new(), Vec::new());
        let pictures = folder.join("pictures");
        std::fs::create_dir_all(&pictures).map_err(StoreError::io("make the folder", &pictures))?;
        for (place, candidate) in candidates.iter().enumerate() {
            let blocks = candidate.card.network.attention_layers();
            if blocks == 0 {
                continue;
            }
            let model = match candidate.random {
                true => candidate.at(candidate.size(), self, device)?,
                false => self.open_model(&ModelSource::new(&candidate.name))?.model,
            };
            let image = self.example(&model, options.data.as_deref())?;
            patches.extend(self.patch_pictures(&candidate.name, place, &model, &image, folder)?);
            if blocks >= query::BLOCKS && Rollout::USUAL.applies(&model).holds() {
                queries.push(self.query_pictures(&candidate.name, place, &model, &image, folder, device)?);
            }
        }
        Ok((patches, queries))
    }

    fn candidate(&self, name: &str) -> Result<Candidate, LabError> {
        let random = !(Path::new(name).exists() || is_reference(Path::new(name)));
        let card = self.described(name)?.card;
        Ok(Candidate { name: name.into(), card, random })
    }

    /// Passes over one image of each candidate's size.
    fn timed(
        &self,
        candidates: &[Candidate],
        sizes: &[usize],
        rounds: usize,
        device: &Device,
    ) -> Result<AtSize, LabError> {
        let models: Vec<Result<Classifier, LabError>> = (candidates.iter().zip(sizes))
            .map(|(candidate, &size)| candidate.at(size, self, device))
            .collect();
        let images: Vec<Tensor<4>> = sizes.iter().map(|&size| noise(self.seed(), 1, size, device)).collect();
        let built = models
            .iter()
            .zip(&images)
            .filter_map(|(model, images)| Some((model.as_ref().ok()?, images.clone())));
        let built: Vec<(&Classifier, Tensor<4>)> = built.collect();
        let mut seconds = self.seconds(&built, rounds)?.into_iter();
        let mut costs = Vec::new();
        for ((model, images), &image_size) in models.iter().zip(&images).zip(sizes) {
            let model = match model {
                Ok(model) => model,
                Err(reason) => {
                    costs.push(Err(reason.to_string()));
                    continue;
                }
            };
            let network: &NetworkSpec = &model.card().network;
            costs.push(Ok(SizeCost {
                image_size,
                tokens: network.tokens(image_size),
                multiply_adds: network.multiply_adds(image_size),
                attention_multiply_adds: network.attention_multiply_adds(image_size),
                latency: median(&seconds.next().expect("one per model"), DEFAULT_LEVEL)?,
                memory: memory(model, images.clone()),
            }));
        }
        Ok(AtSize { costs })
    }

    /// Images per second of each candidate at its usual size.
    fn throughput(
        &self,
        candidates: &[Candidate],
        sizes: &[usize],
        rounds: usize,
        batch: usize,
        device: &Device,
    ) -> Result<Vec<Estimate>, LabError> {
        let mut found = Vec::new();
        for (candidate, &size) in candidates.iter().zip(sizes) {
            let model = candidate.at(size, self, device)?;
            let images = noise(self.seed(), batch, size, device);
            let seconds = self.seconds(&[(&model, images)], rounds)?;
            let speeds: Vec<f64> = seconds[0].iter().map(|seconds| batch as f64 / seconds).collect();
            found.push(median(&speeds, DEFAULT_LEVEL)?);
        }
        Ok(found)
    }

    fn seconds(&self, models: &[(&Classifier, Tensor<4>)], rounds: usize) -> Result<Vec<Vec<f64>>, LabError> {
        times(models, rounds, || !self.listener().interrupted()).ok_or(LabError::Interrupted)
    }

    /// Of a checkpoint, on the data asked for.
    fn accuracy_of(
        &self,
        candidate: &Candidate,
        options: &ProfileOptions,
    ) -> Result<Option<Estimate>, LabError> {
        let (Some(data), false) = (&options.data, candidate.random) else { return Ok(None) };
        let subject = Subject::new(ModelSource::new(&candidate.name), Some(data.clone()));
        let opened = self.open(subject, Purpose::Score)?;
        let answers = self.answers(&opened, &format!("scoring {}", candidate.name))?;
        Ok(Some(answers.scores()?.top_k_accuracy(1)?))
    }
}
