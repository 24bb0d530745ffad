//! Whether a model's robustness is real: the checks of `archaeo attack --attack doctor`.

use archaeo_analysis::Keys;
use archaeo_analysis::answers::logits;
use archaeo_analysis::attacks::Batch as AttackedBatch;
use archaeo_analysis::attacks::doctor::{Check, Doctor, Examined, Health, diagnose};
use archaeo_training::finite::{NotFinite, first_not_finite};
use archaeo_training::images::{Batch, Preprocessed};
use serde::Serialize;

use crate::attack::AttackOptions;
use crate::classes::ClassesMatched;
use crate::error::LabError;
use crate::opened::Opened;
use crate::session::Session;

/// What [`AttackOptions::attack`] calls the checks.
pub const DOCTOR: &str = "doctor";

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
    /// More than one size, an export, images that cannot be read, or answers that are not finite.
    pub fn doctor(&self, opened: &Opened, options: &AttackOptions) -> Result<Diagnosed, LabError> {
        let epsilon = match options.sizes[..] {
            [] => Doctor::default().epsilon,
            [size] if size > 0.0 => size,
            _ => return Err(LabError::DoctorSizes { found: options.sizes.len() }),
        };
        if opened.subject.export.is_some() {
            return Err(LabError::DoctorExport);
        }
        let doctor = Doctor { epsilon, steps: options.steps, ..Doctor::default() };
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
            let found =
                doctor.examine(model, None, &AttackedBatch { images, labels: &loaded.labels }, &keys);
            examined.extend(found.into_iter().flatten());
            work.advance(batch.len());
        }
        let checks = diagnose(&doctor, &examined);
        Ok(Diagnosed {
            model: model.card().name.clone(),
            epsilon,
            unit: "1/255",
            steps: options.steps,
            precision: self.precision_name(),
            classes: opened.classes_matched(),
            n: indices.len(),
            examined: examined.len(),
            verdict: Health::of_all(&checks),
            checks,
        })
    }
}
