//! What a model answers on every image of a split, computed once an investigation and kept.

use std::path::Path;

use crate::scene::{Scene, StudyError};
use crate::subjects::Subject;
use archaeo_data::Split;
use archaeo_models::Classifier;
use archaeo_store::StoreError;
use archaeo_store::arrays::{ExportError, NamedArray, Values, read_export, write_export};
use archaeo_training::evaluate::{Evaluation, evaluate};
use archaeo_training::finite;
use archaeo_training::images::{Preprocessed, Subset};

/// The arrays of an evaluation, for export: `labels` `[n]` and `logits` `[n, classes]`.
pub fn arrays(evaluation: &Evaluation) -> [NamedArray; 2] {
    let Evaluation { logits, classes, labels } = evaluation;
    [
        NamedArray::indices("labels", labels),
        NamedArray::floats("logits", &[labels.len(), *classes], logits.clone()),
    ]
}

/// Folder of what models answer, in the run folder; it is emptied when the models or the data change.
pub(crate) const PREDICTIONS: &str = "predictions";

/// Images whose logits are kept at once, so that an interruption loses no more.
const PIECE: usize = 2048;

/// As [`Scene::predicted`].
pub(crate) fn predicted(
    scene: &Scene,
    split_name: &str,
    subject: &Subject,
    run: usize,
) -> Result<Evaluation, StudyError> {
    let folder = scene.folder.join(PREDICTIONS);
    let name = match run {
        0 => subject.name.to_string(),
        run => format!("{}.run-{run}", subject.name),
    };
    let path = folder.join(format!("{split_name}-{name}.safetensors"));
    let model = subject.run(run);
    let classes = model.card().classes.len();
    if path.exists() {
        return read(&path, classes);
    }
    std::fs::create_dir_all(&folder).map_err(StoreError::io("make the folder", &folder))?;
    let split = scene.dataset.split(split_name)?;
    let notes = [("split", split_name), ("model", model.card().name.as_str())];
    scene.progress.begin(&format!("{name} on {split_name}"), split.len());
    let mut all = Evaluation { logits: Vec::new(), classes, labels: Vec::new() };
    let mut pieces = Vec::new();
    for first in (0..split.len()).step_by(PIECE) {
        let indices: Vec<usize> = (first..split.len().min(first + PIECE)).collect();
        let piece_path = folder.join(format!("{split_name}-{name}.from-{first}.safetensors"));
        let piece = match piece_path.exists() {
            true => {
                scene.progress.advance(indices.len());
                read(&piece_path, classes)?
            }
            false => {
                let piece = answers(scene, split, model, indices)?;
                if piece.len() < split.len() {
                    write_export(&piece_path, &arrays(&piece), &notes)?;
                }
                piece
            }
        };
        all.logits.extend(piece.logits);
        all.labels.extend(piece.labels);
        pieces.push(piece_path);
    }
    write_export(&path, &arrays(&all), &notes)?;
    for piece in pieces.iter().filter(|piece| piece.exists()) {
        std::fs::remove_file(piece).map_err(StoreError::io("remove", piece))?;
    }
    Ok(all)
}

fn answers(
    scene: &Scene,
    split: &Split,
    model: &Classifier,
    indices: Vec<usize>,
) -> Result<Evaluation, StudyError> {
    if scene.progress.interrupted() {
        return Err(StudyError::Interrupted);
    }
    let images = Preprocessed { split, preprocessing: &model.card().preprocessing };
    let source = Subset { images, indices };
    let mut done = 0;
    let mut advance = |so_far: usize| {
        scene.progress.advance(so_far - done);
        done = so_far;
    };
    let evaluation = evaluate(model, &source, scene.options.batch_size, scene.device, &mut advance)?;
    let identifier = |position: usize| split.identifier(source.indices[position]);
    finite::check(model, &evaluation, &source, identifier, scene.device)?;
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
