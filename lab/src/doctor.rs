//! Whether a model's robustness is real: the checks of `archaeo attack --attack doctor`.

use archaeo_analysis::Keys;
use archaeo_analysis::answers::logits;
use archaeo_analysis::attacks::doctor::{Check, Doctor, Examined, Health, diagnose};
use archaeo_analysis::attacks::{Batch as AttackedBatch, Norm};
use archaeo_training::finite::{NotFinite, first_not_finite};
use archaeo_training::images::{Batch, Preprocessed};
use serde::Serialize;

use crate::classes::ClassesMatched;
use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;

/// What the command line calls the checks, in the place of an attack.
pub const DOCTOR: &str = "doctor";

/// How hard the doctor's attacks try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DoctorOptions {
    /// Their size in L∞, in units of 1/255.
    pub epsilon: f64,
    /// Steps of PGD, at least 1.
    pub steps: usize,
}

impl DoctorOptions {
    /// Sizes as they are written, of which there may be one, and steps where they are chosen.
    ///
    /// # Errors
    /// A size that is none, or several.
    pub fn parse(sizes: &[String], steps: Option<usize>) -> Result<Self, LabError> {
        let usual = Doctor::default();
        let epsilon = match sizes {
            [] => usual.epsilon,
            [text] => {
                Norm::Linf.parse(text).map_err(|reason| LabError::Epsilon { text: text.clone(), reason })?
            }
            _ => return Err(LabError::DoctorSizes { found: sizes.len() }),
        };
        match epsilon > 0.0 {
            true => Ok(Self { epsilon, steps: steps.unwrap_or(usual.steps) }),
            false => Err(LabError::DoctorSizes { found: 0 }),
        }
    }
}

/// What the doctor found.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosed {
    /// Name of the model.
    pub model: String,
    /// Size of the attacks in L∞, in units of 1/255.
    pub epsilon: f64,
    /// What the size is measured in.
    pub unit: &'static str,
    /// Steps of PGD.
    pub steps: usize,
    /// `f32` or `bf16`.
    pub precision: &'static str,
    /// How classes were matched.
    pub classes: Option<ClassesMatched>,
    /// Images asked about.
    pub n: usize,
    /// Those of them that are right without an attack: the ones examined.
    pub examined: usize,
    /// Fail if any check fails, pass if all pass; `None` where no image could be examined.
    pub verdict: Option<Health>,
    /// Every check.
    pub checks: Vec<Check>,
}

impl Session {
    /// Examines whether what attacks measure of a model is its robustness.
    ///
    /// # Errors
    /// Images that cannot be read, or answers that are not finite.
    pub fn doctor(&self, opened: &Opened, options: &DoctorOptions) -> Result<Diagnosed, LabError> {
        let DoctorOptions { epsilon, steps } = *options;
        let doctor = Doctor { epsilon, steps, ..Doctor::default() };
        let Opened { model, indices, device, .. } = opened;
        let split = opened.split()?;
        let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
        let work = self.counting("doctor", indices.len());
        let mut examined: Vec<Examined> = Vec::new();
        for batch in indices.chunks(opened.batch_size()) {
            let loaded = Batch::load(&images, batch, 0)?;
            let ids: Vec<u64> = batch.iter().map(|&index| index as u64).collect();
            let images = loaded.tensor(device);
            if let Some(row) = first_not_finite(&logits(model, images.clone()), model.card().classes.len()) {
                let image = images.narrow(0, row, 1);
                let error = NotFinite::traced(model, &split.identifier(batch[row]), image);
                return Err(self.not_finite(error, opened));
            }
            let keys = Keys { seed: self.seed(), images: &ids };
            let found = doctor.examine(model, None, &AttackedBatch::new(images, &loaded.labels), &keys);
            examined.extend(found.into_iter().flatten());
            work.advance(batch.len());
        }
        let checks = diagnose(&doctor, &examined);
        Ok(Diagnosed {
            model: model.card().name.clone(),
            epsilon,
            unit: "1/255",
            steps,
            precision: self.precision_name(),
            classes: opened.classes_matched(),
            n: indices.len(),
            examined: examined.len(),
            verdict: Health::of_all(&checks),
            checks,
        })
    }
}
