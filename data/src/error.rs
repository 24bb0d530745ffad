//! What can be wrong with a data set: one sentence each, with its remedy.

use std::path::PathBuf;

use archaeo_store::NotAFile;

/// Why a data set, or one of its images, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file that exists but cannot be opened or read.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A source of no known kind.
    #[error(
        "{origin} is not a data set that is recognised: {reason}; give `sherds`, a folder of class folders, a .tar or \
         .zip of one or of images/ and labels.csv, CIFAR batches, idx files as of MNIST, image parquet files, webdataset shards, or a \
         MedMNIST .npz"
    )]
    Unrecognised {
        /// The source as given.
        origin: String,
        /// What was found instead.
        reason: String,
    },
    /// A parquet file, without the feature `parquet`.
    #[error(
        "{} is a parquet file, and this program was built without the feature `parquet` that reads them; build it with \
         `cargo build --release -p archaeo --features parquet`, or save the images as files",
        .0.display()
    )]
    WithoutParquet(PathBuf),
    /// Images without classes where classes are needed.
    #[error(
        "{origin} has no labels, which are needed to train or to score a model: {reason}; put its images into one folder \
         for each class, or add a labels.csv with the columns `file` and `label`"
    )]
    Unlabelled {
        /// The source as given.
        origin: String,
        /// Why there are none.
        reason: String,
    },
    /// Unusable files, in strict mode.
    #[error(
        "{count} of the files and folders of {origin} cannot be used, the first is {identifier}: {reason}; mend or remove \
         them (without --strict, they are left out)"
    )]
    LeftOut {
        /// The source as given.
        origin: String,
        /// Number of such files.
        count: usize,
        /// The first of them.
        identifier: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A known layout with a broken part.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A source, or one of its splits, without a single image.
    #[error("{origin} holds no image{}; add images, or give another source", in_split(split))]
    Empty {
        /// The source as given.
        origin: String,
        /// The split, if only that is empty.
        split: Option<String>,
    },
    /// A class folder without images, or a class with only bad images.
    #[error("class `{class}` has no image in `{split}` of {origin}; add images to it or remove the class")]
    ClassWithoutImage {
        /// The source as given.
        origin: String,
        /// The split.
        split: String,
        /// The class.
        class: String,
    },
    /// Splits that disagree about the classes.
    #[error("`{split}` of {origin} {difference}; give every split the same class folders")]
    ClassMismatch {
        /// The source as given.
        origin: String,
        /// The split that differs from the first.
        split: String,
        /// How it differs.
        difference: String,
    },
    /// A label without a class.
    #[error(
        "{identifier} in {origin} has label {label}, but there are {classes} classes (labels 0 to {last}); \
         correct the label or the list of classes",
        last = classes.saturating_sub(1)
    )]
    LabelOutOfRange {
        /// The source as given.
        origin: String,
        /// The image.
        identifier: String,
        /// Its label.
        label: i64,
        /// Number of classes.
        classes: usize,
    },
    /// A split that does not exist.
    #[error("{origin} has no split `{split}`; it has {available}{}", note.as_deref().map(|n| format!(" ({n})")).unwrap_or_default())]
    NoSplit {
        /// The source as given.
        origin: String,
        /// The name asked for.
        split: String,
        /// The names that exist.
        available: String,
        /// Why the split may be missing.
        note: Option<String>,
    },
    /// An image that cannot be decoded.
    #[error("{identifier} cannot be used: {reason}; replace or remove it")]
    BadImage {
        /// The image.
        identifier: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A mask that does not fit its image, or cannot be decoded.
    #[error("the mask {mask} of {identifier} cannot be used: {reason}; replace or remove it")]
    BadMask {
        /// The mask.
        mask: String,
        /// The image.
        identifier: String,
        /// What is wrong with the mask.
        reason: String,
    },
    /// Bad images in strict mode, or only bad images.
    #[error(
        "{count} of the {of} images in `{split}` of {origin} are bad, the first is {identifier}: {reason}; replace \
         them, or remove them (without --strict, bad images are skipped as long as good ones are left)"
    )]
    BadImages {
        /// The source as given.
        origin: String,
        /// The split.
        split: String,
        /// Number of bad images in it.
        count: usize,
        /// Number of images in it.
        of: usize,
        /// The first bad one.
        identifier: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An invalid parameter of the built-in data set.
    #[error("sherds: {reason}")]
    Sherds {
        /// What is wrong with it.
        reason: String,
    },
    /// An invalid option.
    #[error("{0}")]
    Option(String),
}

fn in_split(split: &Option<String>) -> String {
    split.as_deref().map(|split| format!(" in its split `{split}`")).unwrap_or_default()
}

/// Library errors may quote lines of the file.
fn one_line(reason: String) -> String {
    match reason.contains(['\n', '\r']) {
        false => reason,
        true => reason.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

impl DataError {
    pub(super) fn read(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        match NotAFile::of(&source) {
            Some(what) => DataError::malformed(path, what.to_string()),
            None => DataError::Read { path: path.into(), source },
        }
    }

    pub(super) fn malformed(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        DataError::Malformed { path: path.into(), reason: one_line(reason.into()) }
    }
}
