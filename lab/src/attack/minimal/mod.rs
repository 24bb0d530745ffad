//! How far each image is from a wrong answer: the strongest attacks of minimum norm together, and the curve that follows.

mod pictures;

use std::path::{Path, PathBuf};

use archaeo_analysis::attacks::{Family, Norm, nearest_of};
use archaeo_analysis::statistics::{
    DEFAULT_LEVEL, Estimate, SurvivalPoint, median_with_infinite, survival, wilson,
};
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use serde::Serialize;

use super::saved::Saved;
use super::{Asked, AttackOptions, Tried, target};
use crate::classes::ClassesMatched;
use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;

/// What the command line calls the question.
pub const MINIMAL: &str = "minimal";

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MinimalOptions {
    /// What perturbations are measured in; L2 and L∞ when empty.
    pub norms: Vec<Norm>,
    /// Steps of each attack, at least 1; its own where nothing is chosen.
    pub steps: Option<usize>,
    /// The class that images are to be taken for; `None` where any wrong one will do.
    pub target: Option<String>,
    /// Folder for the figures.
    pub out: Option<PathBuf>,
    /// Folder for the images, with a folder for each norm and attack.
    pub save: Option<PathBuf>,
}

/// How far images are from a wrong answer.
#[derive(Clone, Debug, Serialize)]
pub struct Minimal {
    /// Name of the model.
    pub model: String,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// How classes were matched.
    pub classes: Option<ClassesMatched>,
    /// The class that images were to be taken for; `None` where any wrong one would do.
    pub target: Option<String>,
    /// Seed of the attacks.
    pub seed: u64,
    /// Images.
    pub n: usize,
    /// Images that are right without an attack.
    pub correct: usize,
    /// Their share, with its 95 % interval.
    pub accuracy: Estimate,
    /// In each norm.
    pub norms: Vec<MinimalNorm>,
    /// Figures that were written.
    pub pictures: Vec<PathBuf>,
}

/// How far images are from a wrong answer in one norm.
#[derive(Clone, Debug, Serialize)]
pub struct MinimalNorm {
    /// The norm.
    pub norm: Norm,
    /// What distances are measured in.
    pub unit: &'static str,
    /// The attacks that took part.
    pub attacks: Vec<PooledAttack>,
    /// Median over the images that are right without an attack. Images that no attack fools count as infinite, which is `null`.
    pub median: Estimate,
    /// How many of the images that are right some attack fools.
    pub fooled: usize,
    /// Of each image the smallest distance that an attack found, in the unit and in real numbers: 0 where the answer is wrong
    /// without an attack, `None` where no attack fools.
    pub distances: Vec<Option<f64>>,
    /// The share of all images that are right and stay so at every distance: the whole curve, which falls at each of its points.
    pub curve: Vec<SurvivalPoint>,
    /// For each image which of the attacks found it, by its place in `attacks`.
    #[serde(skip)]
    pub found_by: Vec<Option<usize>>,
}

/// One of several attacks.
#[derive(Clone, Debug, Serialize)]
pub struct PooledAttack {
    /// Its id.
    pub attack: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Its settings in words.
    pub settings: String,
    /// How many of the images that are right it fools.
    pub fooled: usize,
    /// On how many of them its perturbation is the smallest, alone or with others.
    pub nearest: usize,
    /// Its own median, as [`MinimalNorm::median`].
    pub median: Estimate,
    /// How often it asked the model, mean over images.
    pub queries: f64,
    /// Share of images whose gradient was zero where it began.
    pub zero_gradient: f64,
}

impl Session {
    /// Looks for the smallest perturbation of each image with several attacks, and keeps the smallest that one finds.
    ///
    /// # Errors
    /// As [`Session::attack`]; a folder or a file that cannot be written.
    pub fn minimal(&self, opened: &Opened, options: &MinimalOptions) -> Result<Minimal, LabError> {
        let norms = if options.norms.is_empty() { vec![Norm::L2, Norm::Linf] } else { options.norms.clone() };
        if let Some(folder) = &options.out {
            pictures::check(folder, &norms, &opened.subject.inputs())?;
        }
        let model = opened.model.card().name.clone();
        if opened.model.card().classes.len() < 2 {
            return Err(LabError::OneClass { model });
        }
        let mut asked_target = None;
        if let Some(name) = options.target.as_deref() {
            asked_target = Some(target(opened, nearest_of(norms[0])[0], name)?);
        }
        let asked = Asked::of(opened, asked_target.as_ref().map(|(class, _)| *class))?;
        let clean = self.unattacked(opened, &asked, None)?;
        let right: Vec<bool> =
            clean.iter().zip(&asked.labels).map(|(answer, label)| answer == label).collect();
        let mut found = Vec::new();
        for &norm in &norms {
            let mut attacks = Vec::new();
            for family in nearest_of(norm) {
                attacks.push(self.one_of_the_pool(opened, &asked, (norm, family), options)?);
            }
            found.push(pooled(norm, &attacks, &right)?);
        }
        if let Some(path) = &opened.subject.export {
            write(path, opened, &asked, &clean, &found)?;
        }
        let correct = right.iter().filter(|right| **right).count();
        let mut result = Minimal {
            model,
            precision: self.precision_name(),
            classes: opened.classes_matched(),
            target: asked_target.map(|(_, name)| name),
            seed: self.seed(),
            n: right.len(),
            correct,
            accuracy: wilson(correct, right.len(), DEFAULT_LEVEL)?,
            norms: found,
            pictures: Vec::new(),
        };
        if let Some(folder) = &options.out {
            result.pictures = pictures::write(folder, &result)?;
        }
        Ok(result)
    }

    /// What one attack makes of every image.
    fn one_of_the_pool(
        &self,
        opened: &Opened,
        asked: &Asked,
        (norm, family): (Norm, &'static Family),
        options: &MinimalOptions,
    ) -> Result<Pooled, LabError> {
        let id = family.info.id;
        let chosen = AttackOptions { steps: options.steps, ..AttackOptions::parse(id, Some(norm), &[])? };
        let attack = chosen.made(family, 0.0)?;
        let mut saved = match &options.save {
            Some(folder) => {
                let weights = self.weights_sha256(opened)?;
                let question = self.question(opened, asked, &chosen, &weights)?;
                let folder = folder.join(norm.id()).join(id);
                let mut saved = Saved::open(&folder, &question, weights, &opened.subject.inputs())?;
                self.unattacked(opened, asked, Some(&mut saved))?;
                Some(saved)
            }
            None => None,
        };
        let titled = (format!("{} in {norm}", family.info.title), "smallest".to_owned());
        let tried = self.tried(opened, asked, &*attack, titled, saved.as_mut())?;
        if let Some(saved) = &saved {
            saved.manifest(true)?;
        }
        Ok(Pooled { id, title: family.info.title, settings: attack.describe(), tried })
    }
}

/// What one attack made of every image.
struct Pooled {
    id: &'static str,
    title: &'static str,
    settings: String,
    tried: Vec<Tried>,
}

/// The smallest distance of each image over the attacks.
fn pooled(norm: Norm, attacks: &[Pooled], right: &[bool]) -> Result<MinimalNorm, LabError> {
    let distance = |(tried, right): (&Tried, &bool)| match right {
        true => tried.distance.map_or(f64::INFINITY, |distance| norm.in_units(distance)),
        false => 0.0,
    };
    let each: Vec<Vec<f64>> =
        attacks.iter().map(|attack| attack.tried.iter().zip(right).map(distance).collect()).collect();
    let best = |image: usize| each.iter().map(|of| of[image]).fold(f64::INFINITY, f64::min);
    let distances: Vec<f64> = (0..right.len()).map(best).collect();
    let of_right = |of: &[f64]| -> Vec<f64> {
        of.iter().zip(right).filter(|(_, right)| **right).map(|(distance, _)| *distance).collect()
    };
    let median = |of: &[f64]| {
        let of = of_right(of);
        match of.is_empty() {
            true => Ok(Estimate::of_one(f64::NAN, DEFAULT_LEVEL)),
            false => median_with_infinite(&of, DEFAULT_LEVEL),
        }
    };
    let fooled = |of: &[f64]| of_right(of).iter().filter(|distance| distance.is_finite()).count();
    let mut described = Vec::new();
    for (Pooled { id, title, settings, tried }, of) in attacks.iter().zip(&each) {
        let places = (0..right.len()).filter(|&image| right[image] && of[image].is_finite());
        let n = tried.len() as f64;
        described.push(PooledAttack {
            attack: id,
            title,
            settings: settings.clone(),
            fooled: fooled(of),
            nearest: places.filter(|&image| of[image] <= distances[image]).count(),
            median: median(of)?,
            queries: tried.iter().map(|tried| tried.queries as f64).sum::<f64>() / n,
            zero_gradient: tried.iter().filter(|tried| tried.zero_gradient).count() as f64 / n,
        });
    }
    let finder = |image: usize| {
        let found = right[image] && distances[image].is_finite();
        found.then(|| each.iter().position(|of| of[image] <= distances[image])).flatten()
    };
    Ok(MinimalNorm {
        norm,
        unit: norm.unit(),
        attacks: described,
        median: median(&distances)?,
        fooled: fooled(&distances),
        curve: survival(&distances, DEFAULT_LEVEL)?,
        found_by: (0..right.len()).map(finder).collect(),
        distances: distances.into_iter().map(|distance| Some(distance).filter(|of| of.is_finite())).collect(),
    })
}

/// Labels, answers, and for each norm the distance of every image and the attack that found it.
fn write(
    path: &Path,
    opened: &Opened,
    asked: &Asked,
    predicted: &[usize],
    norms: &[MinimalNorm],
) -> Result<(), LabError> {
    let split = opened.split()?;
    let images: Vec<String> = asked.indices.iter().map(|&index| split.identifier(index)).collect();
    let labels = &asked.labels;
    let names = labels.iter().map(|&label| opened.dataset.classes[label].clone()).collect();
    let mut table = Table::default()
        .with("image", Column::Text(images.clone()))
        .with("label", Column::indices(labels))
        .with("class", Column::Text(names))
        .with("predicted", Column::indices(predicted));
    let mut arrays = vec![NamedArray::indices("labels", labels), NamedArray::indices("predicted", predicted)];
    let mut notes = vec![
        ("model".to_owned(), opened.model.card().name.clone()),
        ("split".to_owned(), opened.split.clone()),
    ];
    for of in norms {
        let id = of.norm.id();
        let values = of.distances.iter().map(|of| of.map_or(f32::INFINITY, |of| of as f32)).collect();
        arrays.push(NamedArray::floats(&format!("distances_{id}"), &[labels.len()], values));
        let column = of.distances.iter().map(|of| of.unwrap_or(f64::INFINITY)).collect();
        let by = of.found_by.iter().map(|by| by.map_or(String::new(), |by| of.attacks[by].attack.to_owned()));
        table = table
            .with(format!("distance_{id}"), Column::Numbers(column))
            .with(format!("attack_{id}"), Column::Text(by.collect()));
        notes.push((format!("unit_{id}"), of.unit.to_owned()));
    }
    Ok(Export { arrays, images, table, notes }.write(path)?)
}
