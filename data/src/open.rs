//! Opening a source: its layout is read and checked, and divided into splits where it has none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::divide::{choose, few_images};
use super::recognise::{of_files, recognise};
use super::sherds::{Sherds, SherdsConfig, SherdsSplit};
use super::split::{Record, Split};
use super::{DataError, Dataset, sherds};

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
    /// Where the files of the source are, if it is not a path.
    pub copies: Option<Copies>,
}

/// Files that are here of a source that lies elsewhere: in a bucket, or on a web server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copies {
    /// Name of the source.
    pub source: String,
    /// The files, in the source's order.
    pub files: Vec<PathBuf>,
    /// What they are copies of, for [`Dataset::notes`].
    pub note: String,
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

/// Opens the data set that `source` names: `sherds`, `sherds:size=64,train=5000`, a path, or a pattern that names several files
/// ([`expand`](super::expand)).
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
    let source = options.copies.as_ref().map_or(source, |copies| &copies.source);
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
    let layout = match &options.copies {
        Some(Copies { files, note, .. }) => {
            let mut layout = of_files(source, files, options)?;
            layout.notes.push(note.clone());
            layout
        }
        None => {
            let word = source.split(':').next().unwrap_or(source);
            if !Path::new(source).exists() && strsim::jaro_winkler(&word.to_lowercase(), "sherds") > 0.8 {
                return Err(DataError::Option(format!(
                    "there is no data `{source}`; did you mean `sherds`?"
                )));
            }
            recognise(source, options)?
        }
    };
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
