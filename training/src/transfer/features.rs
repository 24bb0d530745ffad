//! The features of a frozen backbone, computed once.
//!
//! With `freeze = "backbone"` an image's features do not change during the training, so that the head learns from features and not
//! from images. They are computed in one pass and kept in the run folder, in parts (`features/train-0.safetensors` and
//! so on) that an interrupted pass goes on after; every image is read once. In memory they take at most a quarter of what files may
//! take ([`archaeo_store::memory`]); beyond that, each batch reads its rows from the files.
//!
//! It applies where the images of an index are few: not augmented, or mirrored at most, which makes two images of each
//! ([`ImageSource::variants`]). With other augmentation every epoch has images of its own, and their features are computed in every
//! step.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use archaeo_data::{DataError, Image};
use archaeo_models::{Array, Classifier, Pass, State, read_arrays, write_arrays};
use archaeo_ops::in_pool;
use archaeo_store::memory::memory;
use archaeo_store::{StoreError, sha256};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::evaluate::Evaluation;
use crate::images::{ImageSource, to_tensor};
use crate::{Job, Observer, TrainError, VALIDATION_BATCH};

/// Images whose features one file holds.
const IMAGES_PER_FILE: usize = 1024;

/// Images computed at once; no result depends on it.
const BATCH: usize = 32;

/// Name of the array in every file.
const ARRAY: &str = "features";

/// Key of the metadata entry that says what the features were computed from.
const ORIGIN: &str = "archaeo.features";

/// The features that a training needs.
pub(crate) struct Lessons {
    /// Of the training images.
    pub(crate) training: Features,
    /// Of the validation images.
    pub(crate) validation: Features,
}

/// Features of every variant of the images of a source.
pub(crate) struct Features {
    width: usize,
    variants: usize,
    rows: Rows,
}

enum Rows {
    Memory(Vec<f32>),
    /// Files, with the length of each one's header.
    Files(Vec<(PathBuf, u64)>),
}

impl Lessons {
    /// Computes what is not there yet; `None` if the observer stops it.
    pub(crate) fn prepare(
        job: &Job,
        model: &Classifier,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Option<Self>, TrainError> {
        let folder = folder.join("features");
        fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        let total = job.images.originals() + job.validation.len();
        let mut maker = Maker { model, folder: &folder, job, observer, done: 0, total };
        let Some(training) = maker.features("train", job.images)? else { return Ok(None) };
        let Some(validation) = maker.features("validation", &Single(job.validation))? else {
            return Ok(None);
        };
        Ok(Some(Self { training, validation }))
    }
}

impl Lessons {
    /// The answers of `model`, whose backbone is the one that the features were computed with, to the validation images.
    pub(crate) fn validate(&self, model: &Classifier, job: &Job) -> Result<Evaluation, StoreError> {
        let device = job.device.clone().inner();
        let labels: Vec<usize> = (0..job.validation.len()).map(|index| job.validation.label(index)).collect();
        let mut logits = Vec::new();
        let all: Vec<usize> = (0..labels.len()).collect();
        for images in all.chunks(VALIDATION_BATCH) {
            let features = self.validation.rows(images.iter().map(|&image| (image, 0)), &device)?;
            let answers = in_pool(|| model.head(features).into_data());
            logits.extend(answers.try_into_vec::<f32>().expect("logits are 32-bit floats"));
        }
        Ok(Evaluation { logits, classes: model.card().classes.len(), labels })
    }
}

/// A source of which only the images of epoch 0 are used.
struct Single<'a>(&'a dyn ImageSource);

impl ImageSource for Single<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn label(&self, index: usize) -> usize {
        self.0.label(index)
    }

    fn image(&self, index: usize, _: u64) -> Result<Image, DataError> {
        self.0.image(index, 0)
    }

    fn variants(&self) -> Option<usize> {
        Some(1)
    }
}

/// Computes features file by file.
struct Maker<'a> {
    model: &'a Classifier,
    folder: &'a Path,
    job: &'a Job<'a>,
    observer: &'a mut dyn Observer,
    done: usize,
    total: usize,
}

impl Maker<'_> {
    fn features(&mut self, name: &str, source: &dyn ImageSource) -> Result<Option<Features>, TrainError> {
        let variants = source.variants().expect("asked before");
        let width = self.model.feature_dim();
        let images = source.originals();
        let bytes = (images * variants * width * size_of::<f32>()) as u64;
        let in_memory = bytes <= memory().left() / 4;
        let mut values = Vec::new();
        let mut files = Vec::new();
        let origin = self.origin(source)?;
        for (part, first) in (0..images).step_by(IMAGES_PER_FILE).enumerate() {
            let path = self.folder.join(format!("{name}-{part}.safetensors"));
            let images: Vec<usize> = (first..images.min(first + IMAGES_PER_FILE)).collect();
            let shape = [images.len() * variants, width];
            let there = read_part(&path, &origin, &shape);
            let part = match there {
                Some(part) => part,
                None => {
                    let Some(computed) = self.compute(source, &images)? else { return Ok(None) };
                    let array = Array { shape: shape.to_vec(), values: computed };
                    let metadata = HashMap::from([(ORIGIN.to_owned(), origin.clone())]);
                    let state = State::from([(ARRAY.to_owned(), array)]);
                    if self.job.folder.writes() {
                        write_arrays(&path, &state, metadata)?;
                    }
                    state.into_values().next().expect("it was put in above").values
                }
            };
            self.done += images.len();
            self.observer.features(self.done, self.total);
            match in_memory {
                true => values.extend(part),
                false => files.push((path.clone(), data_start(&path)?)),
            }
        }
        let rows = if in_memory { Rows::Memory(values) } else { Rows::Files(files) };
        Ok(Some(Features { width, variants, rows }))
    }

    /// What determines the features: weights, preprocessing, data. Of a part of the data there are the labels alone.
    fn origin(&self, source: &dyn ImageSource) -> Result<String, TrainError> {
        let fingerprint = self.job.folder.data()?.map(|data| data.fingerprint).unwrap_or_default();
        let card = self.model.card();
        let preprocessing = serde_json::to_string(&card.preprocessing).expect("plain data");
        let network = serde_json::to_string(&card.network).expect("plain data");
        let weights = self.job.recipe.init_sha256.clone().unwrap_or_default();
        let precision = format!("{:?}", self.model.precision());
        let labels =
            format!("{:?}", (0..source.originals()).map(|image| source.label(image)).collect::<Vec<_>>());
        let text = [fingerprint, preprocessing, network, weights, precision, labels].join("\n");
        Ok(sha256(text.as_bytes()))
    }

    /// The features of these images, `(images · variants, width)`; `None` if the observer stops it. Images are decoded ahead on
    /// another thread.
    fn compute(
        &mut self,
        source: &dyn ImageSource,
        images: &[usize],
    ) -> Result<Option<Vec<f32>>, TrainError> {
        let device = self.job.device.clone().inner();
        let expected = images.len() * source.variants().unwrap_or(1) * self.model.feature_dim();
        let mut values = Vec::with_capacity(expected);
        let done = self.done;
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(2);
            scope.spawn(move || {
                for batch in images.chunks(BATCH) {
                    let loaded: Vec<_> = batch.par_iter().map(|&index| source.all_variants(index)).collect();
                    let loaded: Result<Vec<_>, DataError> = loaded.into_iter().collect();
                    let failed = loaded.is_err();
                    if sender.send(loaded).is_err() || failed {
                        return;
                    }
                }
            });
            for loaded in &receiver {
                let pictures: Vec<Image> = loaded?.into_iter().flatten().collect();
                let pictures = to_tensor(&pictures, &device);
                let features =
                    in_pool(|| self.model.features(pictures, &mut Pass::evaluate(&mut ())).into_data());
                values.extend(features.try_into_vec::<f32>().expect("features are 32-bit floats"));
                let within = values.len() * images.len() / expected;
                self.observer.features(done + within, self.total);
                if self.observer.should_stop() {
                    return Ok(None);
                }
            }
            Ok(Some(values))
        })
    }
}

/// The features in a file, if it is whole and was made of the same.
fn read_part(path: &Path, origin: &str, shape: &[usize]) -> Option<Vec<f32>> {
    let (mut state, metadata) = read_arrays(path).ok()?;
    let array = state.remove(ARRAY).filter(|array| array.shape == shape)?;
    (metadata.get(ORIGIN).map(String::as_str) == Some(origin)).then_some(array.values)
}

/// Where the values of a file with one array begin: after the length of the header and the header.
fn data_start(path: &Path) -> Result<u64, StoreError> {
    let mut length = [0; 8];
    let mut file = archaeo_store::open(path).map_err(StoreError::io("read", path))?;
    file.read_exact(&mut length).map_err(StoreError::io("read", path))?;
    Ok(8 + u64::from_le_bytes(length))
}

impl Features {
    /// Features of some images, each in one of its variants, `[images, width]`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn rows(
        &self,
        images: impl Iterator<Item = (usize, usize)>,
        device: &Device,
    ) -> Result<Tensor<2>, StoreError> {
        let mut values = Vec::new();
        let mut count = 0;
        for (image, variant) in images {
            count += 1;
            match &self.rows {
                Rows::Memory(all) => {
                    values.extend_from_slice(
                        &all[(image * self.variants + variant) * self.width..][..self.width],
                    );
                }
                Rows::Files(files) => {
                    let (path, start) = &files[image / IMAGES_PER_FILE];
                    let row = image % IMAGES_PER_FILE * self.variants + variant;
                    let mut bytes = vec![0; self.width * size_of::<f32>()];
                    let offset = start + (row * bytes.len()) as u64;
                    let mut file = archaeo_store::open(path).map_err(StoreError::io("read", path))?;
                    file.seek(SeekFrom::Start(offset)).map_err(StoreError::io("read", path))?;
                    file.read_exact(&mut bytes).map_err(StoreError::io("read", path))?;
                    values.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
                }
            }
        }
        Ok(Tensor::from_data(TensorData::new(values, [count, self.width]), device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_files_are_those_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let (images, variants, width) = (IMAGES_PER_FILE + 3, 2, 3);
        let all: Vec<f32> = (0..images * variants * width).map(|value| value as f32 - 7.5).collect();
        let mut files = Vec::new();
        for (part, values) in all.chunks(IMAGES_PER_FILE * variants * width).enumerate() {
            let path = folder.path().join(format!("train-{part}.safetensors"));
            let array = Array { shape: vec![values.len() / width, width], values: values.to_vec() };
            let metadata = HashMap::from([(ORIGIN.to_owned(), "here".to_owned())]);
            write_arrays(&path, &State::from([(ARRAY.to_owned(), array.clone())]), metadata).unwrap();
            assert_eq!(read_part(&path, "here", &array.shape).as_deref(), Some(values));
            assert_eq!(read_part(&path, "elsewhere", &array.shape), None);
            assert_eq!(read_part(&path, "here", &[1, width]), None);
            files.push((path.clone(), data_start(&path).unwrap()));
        }
        let wanted =
            [(0, 0), (IMAGES_PER_FILE + 2, 1), (5, 1), (IMAGES_PER_FILE, 0), (IMAGES_PER_FILE - 1, 1)];
        let rows = |rows: Rows| {
            let features = Features { width, variants, rows };
            let found = features.rows(wanted.into_iter(), &Device::flex()).unwrap();
            assert_eq!(found.dims(), [wanted.len(), width]);
            found.into_data().try_into_vec::<f32>().unwrap()
        };
        let expected = wanted.map(|(image, variant)| &all[(image * variants + variant) * width..][..width]);
        assert_eq!(rows(Rows::Files(files)), expected.concat());
        assert_eq!(rows(Rows::Memory(all.clone())), expected.concat());
    }
}
