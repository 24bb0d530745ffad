//! What a model says about every image of a split, computed once and kept.

use std::fs;
use std::path::Path;

use archaeo_analysis::predict;
use archaeo_analysis::statistics::Predictions;
use archaeo_models::Classifier;
use burn::tensor::Device;

use crate::data::Split;
use crate::export::{ExportError, NamedArray, Values, read_export, write_export};
use crate::findings::Role;
use crate::preprocess::{fit, to_tensor};
use crate::studies::{Laboratory, Progress, StudyError};

/// Logits and labels of a split, in the split's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// `[n, classes]`
    pub logits: Vec<f32>,
    /// `[n]`
    pub labels: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
}

impl Predicted {
    /// As the statistics want them.
    ///
    /// # Errors
    /// No images, or a logit that is not finite.
    pub fn scores(&self) -> Result<Predictions<'_>, StudyError> {
        Ok(Predictions::new(&self.logits, self.classes, &self.labels)?)
    }

    /// Probability of each class for image `i`.
    pub fn probabilities(&self, i: usize) -> Vec<f64> {
        predict::probabilities(&self.logits[i * self.classes..][..self.classes], self.classes)
    }

    /// The arrays, for export.
    pub fn arrays(&self) -> [NamedArray; 2] {
        [
            NamedArray::indices("labels", &self.labels),
            NamedArray::floats("logits", &[self.labels.len(), self.classes], self.logits.clone()),
        ]
    }
}

/// Runs `model` over `indices` of `split`.
///
/// # Errors
/// Images that cannot be read, or an interruption.
pub fn predict_split(
    model: &Classifier,
    split: &Split,
    indices: &[usize],
    batch_size: usize,
    device: &Device,
    progress: &dyn Progress,
) -> Result<Predicted, StudyError> {
    let mut logits = Vec::new();
    for batch in indices.chunks(batch_size) {
        if progress.interrupted() {
            return Err(StudyError::Interrupted);
        }
        let images: Vec<_> =
            split.batch(batch)?.iter().map(|sample| fit(&sample.image, &model.card().preprocessing)).collect();
        logits.extend(predict::logits(model, to_tensor(&images, device)));
        progress.advance(batch.len());
    }
    let labels = indices.iter().map(|&i| split.label(i)).collect();
    Ok(Predicted { logits, labels, classes: model.card().classes.len() })
}

/// As [`Laboratory::predicted`].
pub(crate) fn predicted(lab: &Laboratory, split_name: &str, role: Role) -> Result<Predicted, StudyError> {
    let folder = lab.folder.join("predictions");
    let role_name = match role {
        Role::Vit => "vit",
        Role::Cnn => "cnn",
    };
    let path = folder.join(format!("{split_name}-{role_name}.safetensors"));
    let model = lab.model(role);
    if path.exists() {
        return read(&path, model.card().classes.len());
    }
    let split = lab.dataset.split(split_name)?;
    lab.progress.begin(&format!("{} on {split_name}", model.card().name), split.len());
    let indices: Vec<usize> = (0..split.len()).collect();
    let predicted = predict_split(model, split, &indices, lab.sizes.batch_size, lab.device, lab.progress)?;
    fs::create_dir_all(&folder)
        .map_err(|source| StudyError::Io { action: "make the folder", path: folder, source })?;
    write_export(&path, &predicted.arrays(), &[("split", split_name), ("model", &model.card().name)])?;
    Ok(predicted)
}

fn read(path: &Path, classes: usize) -> Result<Predicted, StudyError> {
    let damaged = || ExportError::Damaged { path: path.to_owned(), reason: "logits or labels are missing".into() };
    match <[NamedArray; 2]>::try_from(read_export(path)?) {
        Ok([NamedArray { values: Values::I64(labels), .. }, NamedArray { values: Values::F32(logits), .. }])
            if logits.len() == labels.len() * classes =>
        {
            Ok(Predicted { logits, labels: labels.into_iter().map(|label| label as usize).collect(), classes })
        }
        _ => Err(damaged().into()),
    }
}
