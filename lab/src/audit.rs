//! What popular implementations would say of a model in place of the papers' definitions.

mod document;

use std::path::Path;

use archaeo_analysis::Keys;
use archaeo_analysis::ablation::HeadMeans;
use archaeo_analysis::audit::{
    Bench, Departure, DepartureInfo, Finding, Original, Record, departure, departures,
};
use archaeo_analysis::statistics::{Measured, Resampling};
use archaeo_data::{DataError, Image};
use archaeo_training::finite::{NotFinite, first_not_finite};
use archaeo_training::images::{preprocess, preprocess_mask, to_tensor};
use rayon::prelude::*;
use serde::Serialize;

use crate::destination::check_inputs;
use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;
use crate::subject::{Purpose, Subject};

/// The file with everything that was found.
const RECORD: &str = "audit.json";
/// The same as a table to read.
const TABLE: &str = "audit.md";

/// What is asked of an audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditOptions {
    /// Departures to measure, by their ids; all when empty.
    pub departures: Vec<String>,
}

/// What an audit found.
#[derive(Clone, Debug, Serialize)]
pub struct Audited {
    /// Name of the model.
    pub model: String,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// Name of the data.
    pub data: String,
    /// Images.
    pub n: usize,
    /// What the model's head reads; `None` of a model without attention.
    pub read_out: Option<&'static str>,
    /// Whether the right answers are those of the data; if not, the model's own are taken for right.
    pub labelled: bool,
    /// One entry per departure, in the order of the registry.
    pub departures: Vec<Measurement>,
}

/// What was found about one departure.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// What it is.
    #[serde(flatten)]
    pub departure: DepartureInfo,
    /// What was found, or why it says nothing about this model, in a sentence.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Whether a departure was measured.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was.
    Finding(Box<Finding>),
    /// It was not, for this reason.
    NotMeasured(String),
}

impl Audited {
    /// The departures that change a conclusion, and those that were measured.
    pub fn changed(&self) -> (usize, usize) {
        let findings = self.departures.iter().filter_map(|measured| match &measured.outcome {
            Outcome::Finding(finding) => Some(&**finding),
            Outcome::NotMeasured(_) => None,
        });
        let flips: Vec<bool> = findings.map(Finding::flips).collect();
        (flips.iter().filter(|flips| **flips).count(), flips.len())
    }
}

/// A batch as departures take it.
struct Loaded {
    /// As the model takes them.
    images: Vec<Image>,
    originals: Vec<Original>,
    masks: Vec<Option<Vec<bool>>>,
}

impl Session {
    /// Opens a model and images for [`Session::audit`]: with labels where the data has them and they are the model's classes, else
    /// without.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open_for_audit(&self, subject: Subject) -> Result<Opened, LabError> {
        let reason = match self.open(subject.clone(), Purpose::Score) {
            Err(LabError::Data(DataError::Unlabelled { .. })) => "the data has no labels",
            Err(LabError::Classes(_)) => "the classes of the data are not the model's",
            opened => return opened,
        };
        self.note(format!("{reason}; the model's own answers are taken for right"));
        self.open(subject, Purpose::Look)
    }

    /// Computes what popular implementations make of a model next to what the papers define, on the same images; with `folder`,
    /// writes `audit.json` and `audit.md` there.
    ///
    /// # Errors
    /// A departure that is not known, a model without a head, images that cannot be read, answers that are not finite, a folder that
    /// cannot be written, and [`LabError::Interrupted`].
    pub fn audit(
        &self,
        opened: &Opened,
        options: &AuditOptions,
        folder: Option<&Path>,
    ) -> Result<Audited, LabError> {
        let Opened { model, indices, .. } = opened;
        if model.card().classes.is_empty() {
            return Err(LabError::NoHead(opened.subject.model.weights.clone()));
        }
        if let Some(folder) = folder {
            for file in [RECORD, TABLE] {
                check_inputs(&folder.join(file), &opened.subject.inputs())?;
            }
        }
        let asked = chosen(&options.departures)?;
        let measured: Vec<(&dyn Departure, Option<String>)> =
            asked.into_iter().map(|departure| (departure, departure.lacking(model))).collect();
        let means = self.head_means(opened)?;
        let mut records: Vec<Vec<Record>> = vec![Vec::new(); measured.len()];
        let work = self.counting(&format!("auditing {}", model.card().name), indices.len());
        for batch in indices.chunks(opened.batch_size()) {
            self.measure(opened, batch, means.as_ref(), &measured, &mut records)?;
            work.advance(batch.len());
        }
        drop(work);
        let resampling = Resampling::new(self.seed());
        let conclude = |((departure, lacking), records): ((&dyn Departure, Option<String>), &Vec<Record>)| {
            let outcome = match lacking {
                Some(reason) => Outcome::NotMeasured(reason),
                None => match Measured::of(departure.conclude(records, &resampling))? {
                    Measured::Known(finding) => Outcome::Finding(Box::new(finding)),
                    Measured::Undefined { undefined } => Outcome::NotMeasured(undefined),
                },
            };
            Ok(Measurement { departure: *departure.info(), outcome })
        };
        let audited = Audited {
            model: model.card().name.clone(),
            precision: self.precision_name(),
            data: opened.dataset.name.clone(),
            n: indices.len(),
            read_out: model.network.transformer().map(|transformer| transformer.read_out().describe()),
            labelled: opened.matching.is_some(),
            departures: measured.into_iter().zip(&records).map(conclude).collect::<Result<_, LabError>>()?,
        };
        if let Some(folder) = folder {
            write(&audited, folder)?;
        }
        Ok(audited)
    }

    /// What each head says on average over the images of the audit.
    fn head_means(&self, opened: &Opened) -> Result<Option<HeadMeans>, LabError> {
        if !opened.model.has_attention() {
            return Ok(None);
        }
        let _stage = self.stage("averaging heads");
        let mut means = HeadMeans::default();
        for batch in opened.indices.chunks(opened.batch_size()) {
            self.check_interrupted()?;
            let images = load(opened, batch)?.images;
            means.add(&opened.model, to_tensor(&images, &opened.device))?;
        }
        Ok(Some(means))
    }

    fn measure(
        &self,
        opened: &Opened,
        batch: &[usize],
        means: Option<&HeadMeans>,
        measured: &[(&dyn Departure, Option<String>)],
        records: &mut [Vec<Record>],
    ) -> Result<(), LabError> {
        self.check_interrupted()?;
        let Opened { model, device, .. } = opened;
        let split = opened.split()?;
        let Loaded { images, originals, masks } = load(opened, batch)?;
        let pixels = to_tensor(&images, device);
        let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
        let keys = Keys { seed: self.seed(), images: &ids };
        let logits = archaeo_analysis::answers::logits(model, pixels.clone());
        let classes = model.card().classes.len();
        if let Some(row) = first_not_finite(&logits, classes) {
            let image = pixels.narrow(0, row, 1);
            let error = NotFinite::traced(model, &split.identifier(batch[row]), image);
            return Err(self.not_finite(error, opened));
        }
        let labels = match opened.matching.is_some() {
            true => batch.iter().map(|&index| split.label(index)).collect(),
            false => archaeo_analysis::answers::predicted_classes(&logits, classes),
        };
        let bench = Bench::new(model, pixels, &labels, &masks, &originals, means, keys)?;
        for ((departure, lacking), records) in measured.iter().zip(records) {
            if lacking.is_none() {
                self.check_interrupted()?;
                records.extend(departure.record(&bench)?);
            }
        }
        Ok(())
    }

    fn check_interrupted(&self) -> Result<(), LabError> {
        if self.listener().interrupted() { Err(LabError::Interrupted) } else { Ok(()) }
    }
}

/// The departures of these ids, none twice, in the order of the registry.
fn chosen(ids: &[String]) -> Result<Vec<&'static dyn Departure>, LabError> {
    if let Some(unknown) = ids.iter().find(|id| departure(id).is_none()) {
        let known = departures().iter().map(|departure| departure.info().id).collect();
        return Err(LabError::Departure { id: unknown.clone(), known });
    }
    let asked =
        |departure: &&&dyn Departure| ids.is_empty() || ids.iter().any(|id| id == departure.info().id);
    Ok(departures().iter().filter(asked).copied().collect())
}

fn load(opened: &Opened, batch: &[usize]) -> Result<Loaded, LabError> {
    let split = opened.split()?;
    let preprocessing = &opened.model.card().preprocessing;
    let one = |&index: &usize| {
        let sample = split.load(index)?;
        let original = Original {
            width: sample.image.width(),
            height: sample.image.height(),
            pixels: sample.image.pixels().to_vec(),
        };
        let mask = sample.truth.map(|truth| preprocess_mask(&truth.mask, preprocessing));
        Ok((preprocess(sample.image, preprocessing), original, mask))
    };
    let all: Vec<_> = batch.par_iter().map(one).collect::<Result<_, DataError>>()?;
    let mut loaded = Loaded { images: Vec::new(), originals: Vec::new(), masks: Vec::new() };
    for (image, original, mask) in all {
        loaded.images.push(image);
        loaded.originals.push(original);
        loaded.masks.push(mask);
    }
    Ok(loaded)
}

fn write(audited: &Audited, folder: &Path) -> Result<(), LabError> {
    std::fs::create_dir_all(folder).map_err(archaeo_store::StoreError::io("write", folder))?;
    let json = serde_json::to_string_pretty(audited).expect("plain data") + "\n";
    archaeo_store::write(&folder.join(RECORD), json.as_bytes())?;
    Ok(archaeo_store::write(&folder.join(TABLE), document::markdown(audited).as_bytes())?)
}
