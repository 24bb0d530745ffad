//! Detecting the kind of a source from its contents.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compressed::Compression;
use super::divide::{choose, few_images};
use super::listing::{Listing, is_litter, is_run_folder};
use super::lists::compressed;
use super::names::{Part, split_name};
use super::sherds::{Sherds, SherdsConfig, SherdsSplit};
use super::split::{Record, Split};
use super::storage::Storage;
use super::{DataError, Dataset, cifar, cifar_pickles, folders, idx, image, medmnist, parquet, sherds};

/// Whether images must have classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Labels {
    /// A source without classes is an error.
    #[default]
    Required,
    /// A single image, or images outside class folders, are opened without labels, all in the split `all`; see
    /// [`Dataset::has_labels`].
    Optional,
}

/// How a source is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Seed of the splits that are drawn if a source has none. It must not follow the seed of training, or a model is tested on
    /// images that it was trained on.
    pub split_seed: u64,
    /// Whether a bad image is an error instead of being skipped.
    pub strict: bool,
    /// Whether images without labels may be opened.
    pub labels: Labels,
    /// Share of `train` to hold out for selecting checkpoints if the source has no split for that.
    pub validation: Option<f64>,
    /// Parameters of Sherds, which `sherds:parameter=value,…` overrides.
    pub sherds: SherdsConfig,
}

/// Result of a format's reader.
pub(super) struct Layout {
    /// None where the images have no labels.
    pub(super) classes: Vec<String>,
    /// Records by split, in the source's order; the one key `all` where the source has no splits.
    pub(super) splits: BTreeMap<String, Vec<Record>>,
    pub(super) notes: Vec<String>,
    /// Whether every class must have an image in `train`, as for class folders, but not for lists.
    pub(super) complete: bool,
}

/// Opens the data set that `source` names: `sherds`, `sherds:size=64,train=5000`, or a path.
///
/// Splits are named `train`, `val` and `test`. If the source has none (or only `train`), the split `all` holds everything in the
/// source's order, and `train`, `val` and `test` are 70, 10 and 20 % of each class, chosen by [`OpenOptions::split_seed`] and
/// each image's name; a class of fewer than three images stays in `train`. A source that is one `val` or `test`, by its folder's
/// name, is that split as a whole.
///
/// # Errors
/// A sentence that names the file and the remedy: for a source that is missing, unrecognised, damaged or
/// empty, one without labels where they are required, a class without an image, splits with classes that `train` lacks, or
/// a label out of range. Images are not
/// decoded here; [`Dataset::verify`] finds the bad ones.
pub fn open(source: &str, options: &OpenOptions) -> Result<Dataset, DataError> {
    if let Some(share) = options.validation.filter(|share| !(*share > 0.0 && *share < 1.0)) {
        return Err(DataError::Option(format!("the validation share must lie between 0 and 1, not {share}")));
    }
    match source.split_once(':') {
        None if source == "sherds" => return open_sherds(source, options.sherds.clone(), options),
        Some(("sherds", parameters)) => {
            return open_sherds(source, options.sherds.with_parameters(parameters)?, options);
        }
        _ => {}
    }
    let word = source.split(':').next().unwrap_or(source);
    if !Path::new(source).exists() && strsim::jaro_winkler(&word.to_lowercase(), "sherds") > 0.8 {
        return Err(DataError::Option(format!("there is no data `{source}`; did you mean `sherds`?")));
    }
    let layout = recognise(source, options)?;
    check(source, &layout)?;
    Ok(assemble(source, layout, options))
}

fn open_sherds(source: &str, config: SherdsConfig, options: &OpenOptions) -> Result<Dataset, DataError> {
    let sherds = Arc::new(Sherds::new(config)?);
    let splits = SherdsSplit::ALL
        .into_iter()
        .filter(|split| sherds.len(*split) > 0)
        .map(|split| (split.name().to_string(), Split::drawn(sherds.clone(), split)))
        .collect();
    Ok(Dataset {
        name: source.to_string(),
        classes: sherds::class_names(),
        notes: Vec::new(),
        splits,
        strict: options.strict,
    })
}

fn recognise(source: &str, options: &OpenOptions) -> Result<Layout, DataError> {
    let path = Path::new(source);
    let unrecognised =
        |reason: &str| DataError::Unrecognised { origin: source.to_string(), reason: reason.to_string() };
    let metadata = archaeo_store::look(path).map_err(|error| DataError::read(path, error))?;
    if metadata.is_dir() {
        let folder = only_folder_within(path)?;
        if let Some(batches) = cifar::batches_in(&folder)? {
            return cifar::read(&batches);
        }
        if let Some(batches) = cifar_pickles::batches_in(&folder)? {
            return cifar_pickles::read(&batches);
        }
        let pairs = idx::pairs_in(&folder)?;
        if !pairs.is_empty() {
            return idx::read(&pairs);
        }
        let shards = parquet_files_in(&folder)?;
        if !shards.is_empty() {
            return parquet::read(&shards);
        }
        let mut layout = folders::read(source, &Listing::of_folder(&folder)?, options)?;
        whole_split(path, &mut layout);
        return Ok(layout);
    }
    match look(path)? {
        Look::Zip if medmnist::is_npz(path)? => medmnist::read(path),
        Look::Zip => folders::read(source, &Listing::of_zip(path)?, options),
        Look::Tar => folders::read(source, &Listing::of_tar(path)?, options),
        Look::Parquet => parquet::read(&[path.to_path_buf()]),
        Look::Compressed(_) | Look::Unknown if let Some(pair) = idx::pair(path) => idx::read(&[pair?]),
        Look::Compressed(compression) => Err(unrecognised(&compression.reason(path))),
        Look::Image if options.labels == Labels::Optional => Ok(single_image(path)),
        Look::Image => Err(DataError::Unlabelled {
            origin: source.to_string(),
            reason: "it is a single image".to_string(),
        }),
        Look::Pickle => cifar_pickles::read(&[path.to_path_buf()]),
        Look::Unknown if path.extension().is_some_and(|extension| extension == "bin") => {
            cifar::read(&[path.to_path_buf()])
        }
        Look::Unknown if metadata.len() == 0 => Err(unrecognised("it is an empty file")),
        Look::Unknown => Err(unrecognised("its first bytes belong to none of the known formats")),
    }
}

/// All parquet files below `folder`, sorted.
fn parquet_files_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut shards = Vec::new();
    for entry in walkdir::WalkDir::new(folder).max_depth(3).sort_by_file_name() {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(folder).to_path_buf();
            DataError::read(path, error.into())
        })?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|end| end == "parquet") {
            shards.push(entry.into_path());
        }
    }
    Ok(shards)
}

fn single_image(path: &Path) -> Layout {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let record = compressed(&name, 0, &Storage::File(path.to_path_buf()));
    Layout {
        classes: Vec::new(),
        splits: BTreeMap::from([("all".to_string(), vec![record])]),
        notes: Vec::new(),
        complete: false,
    }
}

/// A folder of class folders named `val` or `test`, next to one named `train`, is that whole split.
fn whole_split(path: &Path, layout: &mut Layout) {
    // `.` has a name as well.
    let Ok(path) = std::path::absolute(path).and_then(|path| path.canonicalize().or(Ok(path))) else {
        return;
    };
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some(split @ ("val" | "test")) = name(&path).as_deref().and_then(split_name) else { return };
    let siblings =
        path.parent().and_then(|parent| std::fs::read_dir(parent).ok()).into_iter().flatten().flatten();
    let mut names = siblings.filter(|entry| entry.path().is_dir()).filter_map(|entry| name(&entry.path()));
    let is_train = |name: String| Part::of_name(&name).is_some_and(|(part, _)| part == Part::Train);
    if layout.classes.is_empty() || !layout.splits.keys().eq(["all"]) || !names.any(is_train) {
        return;
    }
    if let Some(all) = layout.splits.remove("all") {
        layout.splits.insert(split.to_string(), all);
        layout.notes.push(format!("it is a folder next to one to train on, so all of it is `{split}`"));
    }
}

/// Descends into folders that contain only one folder, as unpacked archives often do, unless it is named like a split.
fn only_folder_within(path: &Path) -> Result<PathBuf, DataError> {
    let mut path = path.to_path_buf();
    loop {
        let mut inner = None;
        for entry in std::fs::read_dir(&path).map_err(|error| DataError::read(&path, error))? {
            let entry = entry.map_err(|error| DataError::read(&path, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_litter(&name) || is_run_folder(&entry.path()) {
                continue;
            }
            if inner.is_some() || !entry.path().is_dir() || split_name(&name).is_some() {
                return Ok(path);
            }
            inner = Some(entry.path());
        }
        match inner {
            Some(inner) if folders_in(&inner) => path = inner,
            _ => return Ok(path),
        }
    }
}

fn folders_in(path: &Path) -> bool {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    // A lone class folder holds images; a lone data set holds folders or batches.
    entries.into_iter().any(|entry| {
        entry.path().is_dir() || entry.path().extension().is_some_and(|end| end == "bin" || end == "parquet")
    })
}

enum Look {
    Zip,
    Tar,
    Compressed(Compression),
    Parquet,
    Pickle,
    Image,
    Unknown,
}

fn look(path: &Path) -> Result<Look, DataError> {
    let mut start = Vec::new();
    let file = archaeo_store::open(path).map_err(|error| DataError::read(path, error))?;
    file.take(512).read_to_end(&mut start).map_err(|error| DataError::read(path, error))?;
    let named_tar = path.extension().is_some_and(|extension| extension == "tar");
    Ok(if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        Look::Zip
    } else if start.starts_with(b"PAR1") {
        Look::Parquet
    } else if let Some(compression) = Compression::of(&start) {
        Look::Compressed(compression)
    } else if start.get(257..262) == Some(b"ustar") || named_tar {
        Look::Tar
    } else if image::looks_like_image(&start) {
        Look::Image
    } else if cifar_pickles::is_pickle(&start) {
        Look::Pickle
    } else {
        Look::Unknown
    })
}

fn check(source: &str, layout: &Layout) -> Result<(), DataError> {
    let origin = || source.to_string();
    if layout.splits.values().all(Vec::is_empty) {
        return Err(DataError::Empty { origin: origin(), split: None });
    }
    for (split, records) in &layout.splits {
        if records.is_empty() {
            return Err(DataError::Empty { origin: origin(), split: Some(split.clone()) });
        }
        let has_labels = !layout.classes.is_empty();
        if let Some(record) = records.iter().find(|record| has_labels && record.label >= layout.classes.len())
        {
            return Err(DataError::LabelOutOfRange {
                origin: origin(),
                identifier: record.identifier.clone(),
                label: record.label as i64,
                classes: layout.classes.len(),
            });
        }
        let present: BTreeSet<usize> = records.iter().map(|record| record.label).collect();
        let absent = (0..layout.classes.len()).find(|label| !present.contains(label));
        if let (true, "train" | "all", Some(label)) = (layout.complete, split.as_str(), absent) {
            return Err(DataError::ClassWithoutImage {
                origin: origin(),
                split: split.clone(),
                class: layout.classes[label].clone(),
            });
        }
    }
    Ok(())
}

fn assemble(source: &str, layout: Layout, options: &OpenOptions) -> Dataset {
    let Layout { classes, splits, mut notes, .. } = layout;
    let seed = options.split_seed;
    let mut splits: BTreeMap<String, Split> =
        splits.into_iter().map(|(name, records)| (name, Split::stored(records))).collect();
    let undivided = ["all", "train"].into_iter().find(|name| splits.len() == 1 && splits.contains_key(*name));
    if classes.is_empty() {
        let name = source.to_string();
        return Dataset { name, classes, notes, splits, strict: options.strict };
    }
    if let Some(all) = undivided.and_then(|name| splits.remove(name)) {
        let few = few_images(&all.labels());
        if few.most {
            notes.push(format!(
                "it has no splits, and {} classes with fewer than 3 images, too few to make some: everything is in `all`{}",
                if few.all { "has only" } else { "most of its images are of" },
                few.example(&classes)
            ));
        } else {
            let mut train = all.clone();
            // 10 of the 80 % that the test leaves.
            for (split, share) in [("test", 0.2), ("val", 0.125)] {
                let part = train.part(|records| few.spare(records, choose(records, share, seed, split)));
                splits.insert(split.into(), part);
            }
            splits.insert("train".into(), train);
            notes.push(format!(
                "it has no test split: 70, 10 and 20 % of each class are `train`, `val` and `test` by split \
                 seed {seed}; `all` is everything"
            ));
            notes.extend(few.note(&classes));
        }
        splits.insert("all".into(), all);
    }
    let mut dataset = Dataset { name: source.to_string(), classes, notes, splits, strict: options.strict };
    if let (Some(share), None) = (options.validation, dataset.selection_split()) {
        let name = if dataset.splits.contains_key("val") { "holdout" } else { "val" };
        if let Some(train) = dataset.splits.get_mut("train") {
            let held_out = train.part(|records| choose(records, share, seed, "val"));
            dataset.splits.insert(name.to_string(), held_out);
            dataset
                .notes
                .push(format!("`{name}` is {:.0} % of `train`, by split seed {seed}", share * 100.0));
        }
    }
    dataset
}
