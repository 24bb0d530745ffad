//! How often a model is right before an attack and under it.

mod asked;
mod minimal;
mod robustbench;
mod saga;
mod saved;
mod transfer;
mod work;

use std::path::{Path, PathBuf};

use archaeo_analysis::attacks::{self, Attack, Family, Goal, Loss, Norm, Settings, by_any_id, robust};
use archaeo_analysis::statistics::{DEFAULT_LEVEL, wilson};
use archaeo_store::arrays::{Column, Export, NamedArray, Table};
use serde::Serialize;

pub use self::asked::{AttackAsked, AttackQuestion};
pub use self::minimal::{MINIMAL, Minimal, MinimalNorm, MinimalOptions, PooledAttack};
pub use self::robustbench::RobustBench;
pub use self::saga::{SAGA, SagaFound, SagaOptions, SagaPoint};
use self::saved::Saved;
pub use self::transfer::{TransferPoint, Transferred};
use self::work::{Asked, Tried, target};
use crate::classes::ClassesMatched;
use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;

/// Which attack, of which sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct AttackOptions {
    /// Its id in [`attacks::all`], such as `pgd`.
    pub attack: String,
    /// What sizes are measured in.
    pub norm: Norm,
    /// Sizes of the perturbation in the norm's unit; the norm's usual ones when empty.
    pub sizes: Vec<f64>,
    /// Steps of an iterated attack, at least 1; the attack's own where nothing is chosen.
    pub steps: Option<usize>,
    /// How often it starts, at least 1.
    pub restarts: usize,
    /// What it follows; the attack's own where nothing is chosen.
    pub loss: Option<Loss>,
    /// Of an attack of some frequencies, the share of the highest below which they are low.
    pub cutoff: Option<f64>,
    /// Of a targeted attack, the class that images are to be taken for: the name or the number of an output. Images of that class
    /// are left out.
    pub target: Option<String>,
    /// Folder for the images, as PNGs at the model's input size, and their manifest; an attack that was interrupted resumes from it.
    pub save: Option<PathBuf>,
}

impl AttackOptions {
    /// The attack of this name, in a norm or in its first, with sizes as they are written (`8` or `8/255`); all else is the
    /// attack's own.
    ///
    /// # Errors
    /// An attack that is not known, a norm that it does not have, or a size that is none.
    pub fn parse(attack: &str, norm: Option<Norm>, sizes: &[String]) -> Result<Self, LabError> {
        let (family, earlier) = family(attack)?;
        let norm = match (norm, earlier) {
            (Some(norm), Some(earlier)) if norm != earlier => {
                return Err(LabError::NormOfEarlierId {
                    id: attack.into(),
                    now: family.info.id,
                    norm: norm.id(),
                });
            }
            (norm, earlier) => norm.or(earlier).unwrap_or(family.info.norms[0]),
        };
        family.with(&Settings::new(norm, 1.0))?;
        Ok(Self {
            attack: family.info.id.into(),
            norm,
            sizes: asked::sizes(norm, sizes)?,
            steps: None,
            restarts: 1,
            loss: None,
            cutoff: None,
            target: None,
            save: None,
        })
    }

    /// Refuses what the attack does not have.
    ///
    /// # Errors
    /// Steps, restarts or a loss that it does not have.
    pub fn check(&self) -> Result<(), LabError> {
        self.made(family(&self.attack)?.0, 1.0).map(|_| ())
    }

    fn made(&self, family: &Family, size: f64) -> Result<Box<dyn Attack>, LabError> {
        let Self { norm, steps, restarts, loss, cutoff, .. } = *self;
        Ok(family.with(&Settings { norm, size, steps, restarts, loss, cutoff })?)
    }
}

fn family(id: &str) -> Result<(&'static Family, Option<Norm>), LabError> {
    by_any_id(id).ok_or_else(|| LabError::Attack {
        id: id.into(),
        known: attacks::all().iter().map(|family| family.info.id).collect(),
    })
}

/// What an attack did to a model.
#[derive(Clone, Debug, Serialize)]
pub struct Attacked {
    /// Name of the model.
    pub model: String,
    /// Title of the attack.
    pub attack: &'static str,
    /// The norm of its sizes.
    pub norm: Norm,
    /// What they are measured in.
    pub unit: &'static str,
    /// The class that images were to be taken for; `None` where any wrong one would do.
    pub target: Option<String>,
    /// The attack of each size, in words; one of an attack that looks for the smallest perturbation.
    pub settings: Vec<String>,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// How classes were matched.
    pub classes: Option<ClassesMatched>,
    /// Images.
    pub n: usize,
    /// Without an attack, then under each size.
    pub points: Vec<Point>,
    /// Of an attack that looks for the smallest perturbation, the size in the norm's unit and in real numbers of what it found for
    /// each image; 0 where the answer is wrong without an attack, `None` where it found none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distances: Option<Vec<Option<f64>>>,
}

/// What an attack of one size did.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// The size; 0 without an attack.
    pub epsilon: f64,
    /// Share of images that are right before the attack and under it.
    pub accuracy: f64,
    /// Its 95 % interval.
    pub interval: [f64; 2],
    /// Share of images whose gradient was zero where the attack began: robustness there may be an illusion.
    pub zero_gradient: f64,
    /// How often the model was asked, mean over images; `None` without an attack.
    pub queries: Option<f64>,
    /// The images whose answer the attack changed as it was to; `None` where there is none.
    pub fooled: Option<Fooled>,
    /// The answer to each image, in the order of [`Opened::indices`].
    #[serde(skip)]
    pub predicted: Vec<usize>,
}

/// Images whose right answer an attack made wrong, or took for the target, and means over them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fooled {
    /// How many.
    pub n: usize,
    /// Largest change of a value in [0, 1].
    pub linf: f64,
    /// Euclidean length of the change.
    pub l2: f64,
    /// Sum of absolute changes.
    pub l1: f64,
    /// Values that changed.
    pub l0: f64,
    /// The step that found it.
    pub steps: f64,
}

impl Session {
    /// Attacks a model, and counts how often it stays right.
    ///
    /// # Errors
    /// An attack that is not known or has not what was chosen, a target that is no class, a model of one class, images that
    /// cannot be read, answers that are not finite, or an export that cannot be written.
    pub fn attack(&self, opened: &Opened, options: &AttackOptions) -> Result<Attacked, LabError> {
        let (family, _) = family(&options.attack)?;
        let AttackOptions { norm, ref sizes, .. } = *options;
        let sizes = if sizes.is_empty() { norm.usual().to_vec() } else { sizes.clone() };
        let model = opened.model.card();
        if model.classes.len() < 2 {
            return Err(LabError::OneClass { model: model.name.clone() });
        }
        let target = options.target.as_deref().map(|name| target(opened, family, name)).transpose()?;
        let asked = Asked::of(opened, target.as_ref().map(|(class, _)| *class))?;
        options.made(family, 1.0)?.applies(&opened.model)?;
        let mut saved = match &options.save {
            Some(folder) => {
                let weights = self.weights_sha256(opened)?;
                let question = self.question(opened, &asked, options, &weights)?;
                Some(Saved::open(folder, &question, weights, &opened.subject.inputs())?)
            }
            None => None,
        };
        let clean = self.unattacked(opened, &asked, saved.as_mut())?;
        let mut points = vec![point(0.0, &asked.labels, &clean, &[])?];
        let mut settings = Vec::new();
        let mut distances = None;
        match family.info.goal {
            Goal::Within => {
                for &size in sizes.iter().filter(|size| **size > 0.0) {
                    let attack = options.made(family, size)?;
                    settings.push(attack.describe());
                    let titled = (format!("{} at {size}", family.info.title), size.to_string());
                    let tried = self.tried(opened, &asked, &*attack, titled, saved.as_mut())?;
                    points.push(point(
                        size,
                        &asked.labels,
                        &clean,
                        &tried.iter().map(Some).collect::<Vec<_>>(),
                    )?);
                }
            }
            Goal::Smallest => {
                let attack = options.made(family, 0.0)?;
                settings.push(attack.describe());
                let titled = (family.info.title.to_owned(), "smallest".to_owned());
                let tried = self.tried(opened, &asked, &*attack, titled, saved.as_mut())?;
                for &size in sizes.iter().filter(|size| **size > 0.0) {
                    let within: Vec<_> = tried
                        .iter()
                        .map(|tried| Some(tried).filter(|tried| tried.within(norm, size)))
                        .collect();
                    points.push(point(size, &asked.labels, &clean, &within)?);
                }
                let found = tried.iter().zip(clean.iter().zip(&asked.labels));
                let found = found.map(|(tried, (answer, label))| match answer == label {
                    true => tried.distance.map(|distance| norm.in_units(distance)),
                    false => Some(0.0),
                });
                distances = Some(found.collect());
            }
        }
        if let Some(saved) = &saved {
            saved.manifest(true)?;
        }
        if let Some(path) = &opened.subject.export {
            write(path, opened, &asked, &points, distances.as_deref(), (family, norm))?;
        }
        Ok(Attacked {
            model: model.name.clone(),
            attack: family.info.title,
            norm,
            unit: norm.unit(),
            target: target.map(|(_, name)| name),
            settings,
            precision: self.precision_name(),
            classes: opened.classes_matched(),
            n: asked.indices.len(),
            points,
            distances,
        })
    }
}

/// How many answers stay right when those of the images that were tried are as they are; `None` where an image is left as it was.
fn point(
    epsilon: f64,
    labels: &[usize],
    clean: &[usize],
    tried: &[Option<&Tried>],
) -> Result<Point, LabError> {
    let mut predicted = clean.to_vec();
    for (answer, tried) in predicted.iter_mut().zip(tried) {
        if let Some(tried) = tried {
            *answer = tried.answer;
        }
    }
    let correct = robust(clean, &predicted, labels).into_iter().filter(|&robust| robust).count();
    let accuracy = wilson(correct, labels.len(), DEFAULT_LEVEL)?;
    let of_all = |sum: usize| sum as f64 / tried.len().max(1) as f64;
    let tried: Vec<(&Tried, bool)> = tried
        .iter()
        .zip(clean.iter().zip(labels))
        .filter_map(|(tried, (answer, label))| tried.map(|tried| (tried, answer == label)))
        .collect();
    let fooled = tried.iter().filter(|(tried, right)| tried.success && *right);
    let fooled: Vec<&Tried> = fooled.map(|(tried, _)| *tried).collect();
    let mean = |of: &dyn Fn(&Tried) -> f64| {
        fooled.iter().map(|tried| of(tried)).sum::<f64>() / fooled.len().max(1) as f64
    };
    let [linf, l2, l1, l0] = [0, 1, 2, 3].map(|norm: usize| mean(&|tried| tried.lengths[norm]));
    Ok(Point {
        epsilon,
        accuracy: accuracy.value,
        interval: [accuracy.low, accuracy.high],
        zero_gradient: of_all(tried.iter().filter(|(tried, _)| tried.zero_gradient).count()),
        queries: (!tried.is_empty())
            .then(|| tried.iter().map(|(tried, _)| tried.queries as f64).sum::<f64>() / tried.len() as f64),
        fooled: (!fooled.is_empty()).then(|| Fooled {
            n: fooled.len(),
            linf,
            l2,
            l1,
            l0,
            steps: mean(&|tried| tried.step as f64),
        }),
        predicted,
    })
}

/// Labels and, for each size, the predicted class of every image; and how far each is from a wrong answer, where that was asked.
fn write(
    path: &Path,
    opened: &Opened,
    asked: &Asked,
    points: &[Point],
    distances: Option<&[Option<f64>]>,
    (family, norm): (&Family, Norm),
) -> Result<(), LabError> {
    let split = opened.split()?;
    let images: Vec<String> = asked.indices.iter().map(|&index| split.identifier(index)).collect();
    let labels = &asked.labels;
    let names = labels.iter().map(|&label| opened.dataset.classes[label].clone()).collect();
    let mut table = Table::default()
        .with("image", Column::Text(images.clone()))
        .with("label", Column::indices(labels))
        .with("class", Column::Text(names));
    let mut arrays = vec![NamedArray::indices("labels", labels)];
    for Point { epsilon, predicted, .. } in points {
        let name = format!("predicted_{epsilon}");
        arrays.push(NamedArray::indices(&name, predicted));
        table = table.with(name, Column::indices(predicted));
    }
    if let Some(distances) = distances {
        let values: Vec<f32> = distances.iter().map(|of| of.map_or(f32::INFINITY, |of| of as f32)).collect();
        arrays.push(NamedArray::floats("distances", &[values.len()], values));
        let finite = distances.iter().map(|of| of.unwrap_or(f64::NAN)).collect();
        table = table.with("distance", Column::Numbers(finite));
    }
    let epsilons = points.iter().map(|point| point.epsilon as f32).collect();
    arrays.push(NamedArray::floats("epsilons", &[points.len()], epsilons));
    let model = &opened.model.card().name;
    let (attack, unit) = (family.info.title, norm.unit());
    let notes = [
        ("attack", attack),
        ("norm", norm.id()),
        ("epsilon_unit", unit),
        ("model", model),
        ("split", &opened.split),
    ];
    let notes = notes.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    Ok(Export { arrays, images, table, notes }.write(path)?)
}
