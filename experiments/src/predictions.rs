//! What a model answers on every image of a split, computed once an investigation and kept.

use std::fs;
use std::path::Path;

use crate::scene::{Scene, StudyError};
use crate::subjects::ModelName;
use archaeo_store::StoreError;
use archaeo_store::arrays::{ExportError, NamedArray, Values, read_export, write_export};
use archaeo_training::evaluate::{Evaluation, evaluate};
use archaeo_training::finite;
use archaeo_training::images::Preprocessed;

/// The arrays of an evaluation, for export: `labels` `[n]` and `logits` `[n, classes]`.
pub fn arrays(evaluation: &Evaluation) -> [NamedArray; 2] {
    let Evaluation { logits, classes, labels } = evaluation;
    [
        NamedArray::indices("labels", labels),
        NamedArray::floats("logits", &[labels.len(), *classes], logits.clone()),
    ]
}

/// As [`Scene::predicted`].
pub(crate) fn predicted(scene: &Scene, split_name: &str, name: ModelName) -> Result<Evaluation, StudyError> {
    let folder = scene.folder.join("predictions");
    let path = folder.join(format!("{split_name}-{name}.safetensors"));
    let model = scene.model(name);
    let classes = model.card().classes.len();
    if path.exists() {
        return read(&path, classes);
    }
    let split = scene.dataset.split(split_name)?;
    let source = Preprocessed { split, preprocessing: &model.card().preprocessing };
    scene.progress.begin(&format!("{name} on {split_name}"), split.len());
    let mut done = 0;
    let mut advance = |so_far: usize| {
        scene.progress.advance(so_far - done);
        done = so_far;
    };
    let evaluation = evaluate(model, &source, scene.options.batch_size, scene.device, &mut advance)?;
    finite::check(model, &evaluation, &source, |image| split.identifier(image), scene.device)?;
    fs::create_dir_all(&folder).map_err(StoreError::io("make the folder", &folder))?;
    write_export(&path, &arrays(&evaluation), &[("split", split_name), ("model", &model.card().name)])?;
    Ok(evaluation)
}

fn read(path: &Path, classes: usize) -> Result<Evaluation, StudyError> {
    let damaged =
        || ExportError::Damaged { path: path.to_owned(), reason: "logits or labels are missing".into() };
    match <[NamedArray; 2]>::try_from(read_export(path)?) {
        Ok(
            [NamedArray { values: Values::I64(labels), .. }, NamedArray { values: Values::F32(logits), .. }],
        ) if logits.len() == labels.len() * classes => {
            let labels = labels.into_iter().map(|label| label as usize).collect();
            Ok(Evaluation { logits, classes, labels })
        }
        _ => Err(damaged().into()),
    }
}
