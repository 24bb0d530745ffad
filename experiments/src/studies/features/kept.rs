//! Features of the images of a part, kept in pieces until they are measured, so that an interruption repeats one piece at most.

use std::path::{Path, PathBuf};

use archaeo_analysis::features::Features;
use archaeo_analysis::features::layers::LayerFeatures;
use archaeo_store::arrays::{ExportError, NamedArray, Values, read_export, write_export};
use archaeo_store::{StoreError, sha256};
use archaeo_training::features::{Depth, Extracted};

use super::roles::Part;
use crate::scene::StudyError;
use crate::subjects::ModelName;

/// Images of a piece.
pub(super) const PIECE: usize = 256;

/// How the names of all pieces begin.
const PREFIX: &str = "features-";

/// The array of labels, that of what the head reads, and how those of a layer's mean and class token begin.
const LABELS: &str = "labels";
const POOLED: &str = "pooled";
const MEAN: &str = "mean";
const CLASS: &str = "class";

/// Where the pieces of one part of one model lie.
pub(super) struct Pieces {
    folder: PathBuf,
    stem: String,
}

impl Pieces {
    /// In a folder whose files belong to these models and data.
    pub(super) fn of(folder: &Path, model: ModelName, part: &Part, depth: Depth) -> Self {
        let which = format!("{}\n{depth:?}\n{:?}", part.split, part.images);
        let stem = format!("{PREFIX}{model}-{:.16}", sha256(which.as_bytes()));
        Self { folder: folder.to_owned(), stem }
    }

    fn path(&self, place: usize) -> PathBuf {
        self.folder.join(format!("{}.{place}.safetensors", self.stem))
    }

    /// A piece that is there.
    pub(super) fn read(&self, place: usize) -> Result<Option<Extracted>, StudyError> {
        let path = self.path(place);
        if !path.exists() {
            return Ok(None);
        }
        let found = decoded(read_export(&path)?);
        let damaged = || ExportError::Damaged { path, reason: "it holds no features".into() };
        Ok(Some(found.ok_or_else(damaged)?))
    }

    pub(super) fn write(&self, place: usize, features: &Extracted) -> Result<(), StudyError> {
        std::fs::create_dir_all(&self.folder).map_err(StoreError::io("make the folder", &self.folder))?;
        Ok(write_export(&self.path(place), &encoded(features), &[])?)
    }
}

/// Removes every piece in a folder.
pub(super) fn clear(folder: &Path) -> Result<(), StudyError> {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        }
    }
    Ok(())
}

fn encoded(Extracted { pooled, layers, labels }: &Extracted) -> Vec<NamedArray> {
    let floats = |name: &str, features: &Features| {
        NamedArray::floats(name, &[features.len(), features.width()], features.values().to_vec())
    };
    let mut arrays = vec![NamedArray::indices(LABELS, labels), floats(POOLED, pooled)];
    for (place, LayerFeatures { name, class_token, patch_mean }) in layers.iter().enumerate() {
        arrays.push(floats(&format!("{MEAN} {place:05} {name}"), patch_mean));
        arrays.extend(class_token.as_ref().map(|token| floats(&format!("{CLASS} {place:05}"), token)));
    }
    arrays
}

/// Arrays come in the order of their names, and so do layers.
fn decoded(arrays: Vec<NamedArray>) -> Option<Extracted> {
    let (mut labels, mut pooled) = (None, None);
    let (mut layers, mut tokens): (Vec<LayerFeatures>, Vec<(usize, Features)>) = Default::default();
    for NamedArray { name, shape, values } in arrays {
        match (name.as_str(), values) {
            (LABELS, Values::I64(values)) => {
                labels = Some(values.into_iter().map(|label| label as usize).collect::<Vec<_>>());
            }
            (name, Values::F32(values)) => {
                let width = *shape.get(1).filter(|width| **width > 0)?;
                let features = Features::new(width, values);
                let mut words = name.splitn(3, ' ');
                match (words.next()?, words.next(), words.next()) {
                    (POOLED, None, None) => pooled = Some(features),
                    (CLASS, Some(place), None) => tokens.push((place.parse().ok()?, features)),
                    (MEAN, Some(_), Some(layer)) => layers.push(LayerFeatures {
                        name: layer.to_owned(),
                        class_token: None,
                        patch_mean: features,
                    }),
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
    for (place, features) in tokens {
        layers.get_mut(place)?.class_token = Some(features);
    }
    Some(Extracted { pooled: pooled?, layers, labels: labels? })
}
