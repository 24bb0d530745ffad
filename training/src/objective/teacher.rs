//! A trained model whose answers a student learns from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use archaeo_data::Image;
use archaeo_data::resize::resize;
use archaeo_models::checkpoint::{self, LoadOptions};
use archaeo_models::{Array, Classifier, ModelRequest, Pass, State, read_arrays, write_arrays};
use archaeo_store::{sha256, sha256_file};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Examples;
use crate::images::to_tensor;
use crate::{Job, TrainError};

/// Which teacher a run has, in its folder.
const RECORD: &str = "teacher.json";

/// Its answers, in the same folder.
const ANSWERS: &str = "teacher-answers.safetensors";

/// Most bytes of answers that are kept; more are computed again in every epoch.
const MOST_KEPT: usize = 1 << 28;

/// Name of the array of answers, and of the metadata entry that says whose they are.
const LOGITS: &str = "logits";
const TEACHER: &str = "archaeo.teacher";

/// The record of a run's teacher.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    /// Path of its weights, as the recipe has it.
    teacher: String,
    /// SHA-256 of the file.
    sha256: String,
    /// Name of the model.
    model: String,
}

/// A teacher, and what it has answered so far.
pub(super) struct Teacher {
    model: Classifier,
    device: Device,
    /// The output of each class of the data.
    outputs: Vec<usize>,
    answers: Option<Mutex<Answers>>,
    note: String,
}

impl Teacher {
    /// Loads the weights at `path`, which the recipe calls `name`, for the data of a training.
    ///
    /// # Errors
    /// Weights that cannot be read, that lack a class of the data, or that are not those that the run began with.
    pub fn load(name: &str, path: &Path, job: &Job) -> Result<Self, TrainError> {
        let unusable = |reason: String| TrainError::Teacher { path: name.into(), reason };
        let file = checkpoint::file(path)?;
        let record = |model: &str| -> Result<Record, TrainError> {
            Ok(Record { teacher: name.to_owned(), sha256: hash_of(&file)?, model: model.to_owned() })
        };
        let checkpoint = checkpoint::read(&file)?;
        let request = ModelRequest { class_names: job.classes.to_vec(), ..ModelRequest::default() };
        let described = checkpoint.describe(&request)?;
        described.decided(&file)?;
        let model = checkpoint.into_model(Some(described.card), &LoadOptions::default(), job.device)?;
        let model = model.in_precision(job.recipe.precision);
        let outputs = outputs_of(&model.card().classes, job.classes).map_err(unusable)?;

        let record = record(&model.card().name)?;
        match job.folder.read_json::<Record>(RECORD)? {
            None if job.folder.writes() => job.folder.write_json(RECORD, &record)?,
            None => {}
            Some(there) if there.sha256 == record.sha256 => {}
            Some(there) => {
                return Err(unusable(format!(
                    "is not the one that {} began with (SHA-256 {:.12} there and {:.12} here); give that one, or train with \
                     another --out",
                    job.folder.path().display(),
                    there.sha256,
                    record.sha256
                )));
            }
        }

        let views = job.images.variants();
        let size = |views| [job.images.len(), views, job.classes.len()];
        let kept = views.filter(|views| 4 * size(*views).iter().product::<usize>() <= MOST_KEPT);
        let answers = kept
            .map(|views| Mutex::new(Answers::open(job.folder.file(ANSWERS), &record.sha256, size(views))));
        let how = match (kept, views) {
            (Some(1), _) => "answers once for each image, and its answers are kept in the run folder".to_owned(),
            (Some(_), _) => "answers once for each image and once for its mirror image, and its answers are kept in the run folder"
                .to_owned(),
            (None, Some(_)) => "answers anew in every step, because its answers for all images are too many to keep".to_owned(),
            (None, None) => "answers anew in every step, because augmentation makes every image another one".to_owned(),
        };
        let note = format!("the teacher {} {how}", record.model);
        Ok(Self { model, device: job.device.clone(), outputs, answers, note })
    }

    /// How it answers, a sentence for the log.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Its logits for images as the student sees them, resized to its own input by its own filter; the classes are those of the data.
    ///
    /// # Shapes
    /// → `[batch, classes]`, without autodiff
    pub fn logits(&self, examples: &Examples) -> Tensor<2> {
        let images = examples.pictures;
        let Some(mut answers) = self.answers() else { return self.pass(images) };
        let variants = answers.size[1];
        let shown = examples.indices.iter().zip(examples.variants());
        let places: Vec<usize> = shown.map(|(index, variant)| index * variants + variant).collect();
        let missing: Vec<usize> = (0..images.len()).filter(|&i| !answers.has(places[i])).collect();
        if !missing.is_empty() {
            let images: Vec<Image> = missing.iter().map(|&i| images[i].clone()).collect();
            let found =
                self.pass(&images).into_data().try_into_vec::<f32>().expect("logits are 32-bit floats");
            for (row, &i) in found.chunks_exact(self.outputs.len()).zip(&missing) {
                answers.put(places[i], row);
            }
        }
        let rows: Vec<f32> = places.iter().flat_map(|&place| answers.row(place)).copied().collect();
        Tensor::from_data(TensorData::new(rows, [images.len(), self.outputs.len()]), &self.device)
    }

    fn pass(&self, images: &[Image]) -> Tensor<2> {
        let preprocessing = &self.model.card().preprocessing;
        let side = preprocessing.image_size;
        let fits = images.iter().all(|image| (image.width(), image.height()) == (side, side));
        let tensor = match fits {
            true => to_tensor(images, &self.device),
            false => {
                let resized: Vec<Image> = images
                    .par_iter()
                    .map(|image| resize(image, side, side, preprocessing.interpolation))
                    .collect();
                to_tensor(&resized, &self.device)
            }
        };
        let logits = self.model.logits(tensor, &mut Pass::evaluate(&mut ()));
        let in_place = self.outputs.iter().enumerate().all(|(class, output)| class == *output);
        if in_place && self.outputs.len() == logits.dims()[1] {
            return logits;
        }
        let outputs: Vec<i64> = self.outputs.iter().map(|&output| output as i64).collect();
        logits.select(
            1,
            Tensor::<1, Int>::from_data(TensorData::new(outputs, [self.outputs.len()]), &self.device),
        )
    }

    /// Writes what it has answered since the last call.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn keep(&self) -> Result<(), TrainError> {
        match self.answers() {
            Some(mut answers) => answers.write(),
            None => Ok(()),
        }
    }

    fn answers(&self) -> Option<MutexGuard<'_, Answers>> {
        let answers = self.answers.as_ref()?;
        // An answer is complete or absent, so that a panic elsewhere leaves nothing half done.
        Some(answers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// SHA-256 of a checkpoint: of its file, or of the hashes of the files that an index lists.
fn hash_of(file: &Path) -> Result<String, TrainError> {
    let parts = checkpoint::parts(file)?;
    let hashes = parts.iter().map(|part| sha256_file(part)).collect::<Result<Vec<_>, _>>()?;
    Ok(match hashes.as_slice() {
        [hash] => hash.clone(),
        hashes => sha256(hashes.concat().as_bytes()),
    })
}

/// The output of a model with the classes `answered` for each of the classes `asked`, by name; the rest of an error's sentence
/// otherwise.
fn outputs_of(answered: &[String], asked: &[String]) -> Result<Vec<usize>, String> {
    let named = |name: &String| answered.iter().position(|known| known == name);
    asked
        .iter()
        .map(|name| {
            named(name).ok_or_else(|| {
                let some = answered.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
                format!(
                    "does not know the class `{name}` of the data (its {} classes begin with {some}); give a teacher that was \
                     trained on these classes",
                    answered.len()
                )
            })
        })
        .collect()
}

/// Answers to the pictures of every image.
struct Answers {
    path: PathBuf,
    teacher: String,
    /// Images, pictures of each, classes.
    size: [usize; 3],
    /// In this shape; NaN where there is no answer yet.
    logits: Vec<f32>,
    changed: bool,
}

impl Answers {
    /// Those at `path`, if they are of this teacher and size; none otherwise, since all of them can be computed again.
    fn open(path: PathBuf, teacher: &str, size: [usize; 3]) -> Self {
        let known =
            path.exists().then(|| read_arrays(&path).ok()).flatten().and_then(|(mut arrays, metadata)| {
                let array = arrays.remove(LOGITS)?;
                let fits = metadata.get(TEACHER).map(String::as_str) == Some(teacher) && array.shape == size;
                fits.then_some(array.values)
            });
        let logits = known.unwrap_or_else(|| vec![f32::NAN; size.iter().product()]);
        Self { path, teacher: teacher.to_owned(), size, logits, changed: false }
    }

    fn row(&self, place: usize) -> &[f32] {
        &self.logits[place * self.size[2]..][..self.size[2]]
    }

    fn has(&self, place: usize) -> bool {
        !self.row(place)[0].is_nan()
    }

    fn put(&mut self, place: usize, row: &[f32]) {
        self.logits[place * self.size[2]..][..self.size[2]].copy_from_slice(row);
        self.changed = true;
    }

    fn write(&mut self) -> Result<(), TrainError> {
        if !self.changed {
            return Ok(());
        }
        let array = Array { shape: self.size.to_vec(), values: self.logits.clone() };
        let metadata = HashMap::from([(TEACHER.to_owned(), self.teacher.clone())]);
        write_arrays(&self.path, &State::from([(LOGITS.to_owned(), array)]), metadata)?;
        self.changed = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_by_name() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let answered = names(&["cat", "dog", "ship", "car"]);
        assert_eq!(outputs_of(&answered, &names(&["ship", "cat"])), Ok(vec![2, 0]));
        let sentence = outputs_of(&answered, &names(&["cat", "frog"])).unwrap_err();
        assert!(sentence.starts_with(
            "does not know the class `frog` of the data (its 4 classes begin with cat, dog, ship)"
        ));
    }

    #[test]
    fn answers_are_kept_for_one_teacher_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(ANSWERS);
        let open = |teacher, size| Answers::open(path.clone(), teacher, size);
        let mut answers = open("a", [3, 2, 2]);
        answers.put(4, &[1.5, -2.0]);
        answers.write().unwrap();
        let again = open("a", [3, 2, 2]);
        assert_eq!((0..6).filter(|&place| again.has(place)).collect::<Vec<_>>(), [4]);
        assert_eq!(again.row(4), [1.5, -2.0]);
        assert!(!open("b", [3, 2, 2]).has(4) && !open("a", [6, 1, 2]).has(4));
        std::fs::write(&path, "nonsense").unwrap();
        assert!(!open("a", [3, 2, 2]).has(4));
    }
}
