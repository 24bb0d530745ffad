//! What a model answers on every image of a split, computed once an investigation and kept.

use std::collections::BTreeMap;
use std::path::Path;

use crate::scene::{Scene, StudyError, follow};
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

/// Whether a file of such a folder holds the answers on a whole split, and not on a piece of it.
pub(crate) fn is_whole(name: &str) -> bool {
    name.ends_with(".safetensors") && !name.contains(".from-")
}

/// Images whose logits are kept at once, so that an interruption loses no more.
const PIECE: usize = 2048;

/// The same where several processes share the work: each begins with another piece, and reads those that others have made by then.
const SHARED_PIECE: usize = 256;

/// As [`Scene::predicted`].
pub(crate) fn predicted(
    scene: &Scene,
    split_name: &str,
    subject: &Subject,
    run: usize,
) -> Result<Evaluation, StudyError> {
    let folder = scene.answers();
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
    let size = if scene.shared.is_some() { SHARED_PIECE } else { PIECE };
    let mut starts: Vec<usize> = (0..split.len()).step_by(size).collect();
    let own = scene.shared.map_or(0, |shared| shared.shard.index() * starts.len() / shared.shard.of());
    starts.rotate_left(own);
    let piece_path = |first: usize| folder.join(format!("{split_name}-{name}.from-{first}.safetensors"));
    let mut pieces = BTreeMap::new();
    for &first in &starts {
        let indices: Vec<usize> = (first..split.len().min(first + size)).collect();
        let path = piece_path(first);
        let piece = match path.exists() {
            true => {
                scene.progress.advance(indices.len());
                read(&path, classes)?
            }
            false => {
                let piece = answers(scene, split, model, indices)?;
                if piece.len() < split.len() {
                    write_export(&path, &arrays(&piece), &notes)?;
                }
                piece
            }
        };
        pieces.insert(first, piece);
    }
    let mut all = Evaluation { logits: Vec::new(), classes, labels: Vec::new() };
    for piece in pieces.into_values() {
        all.logits.extend(piece.logits);
        all.labels.extend(piece.labels);
    }
    write_export(&path, &arrays(&all), &notes)?;
    // Another process may be about to read a piece that it has seen.
    if scene.shared.is_none() {
        for piece in starts.into_iter().map(piece_path).filter(|piece| piece.exists()) {
            std::fs::remove_file(&piece).map_err(StoreError::io("remove", &piece))?;
        }
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
    let mut advance = follow(scene.progress);
    let (size, device) = (scene.options.batch_size, scene.device);
    let evaluation = evaluate(model, &source, size, device, &mut |so_far| _ = advance(so_far))?;
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
