//! Which arrays of a file are the model: they may have a prefix, lie next to a loss, a decoder or a teacher, or exist several
//! times.
//!
//! Only names and shapes are used. A *root* is a prefix, of any name, of the arrays of a known architecture. Where a file has
//! several, [`choice`] takes the one that the training code evaluates, or none. Arrays next to the root are sorted into a
//! classifier, a normaliser, and arrays that are skipped; all of this is reported.

mod beside;
mod choice;
mod heads;
mod roots;

use std::collections::{BTreeMap, BTreeSet};

use self::beside::{Beside, Circumstances};
use self::roots::Root;
use crate::state::{Array, State};

/// Shape of every array of floats of a file, by its name.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// Training code that is recognised by the names of its arrays and determines more than they show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainingCode {
    /// DINO, iBOT and DINOv2: a student, a teacher and projection heads.
    SelfDistillation,
    /// MoCo v3, whose ViT-S has 12 heads (Chen et al., 2021, table 4).
    MocoV3,
    /// Masked autoencoders: an encoder with a decoder.
    MaskedAutoencoder,
}

/// The part of a file that is the model.
#[derive(Clone, Debug, Default)]
pub(super) struct Located {
    /// Arrays to read: the name in the file and the name to use.
    pub(super) arrays: BTreeMap<String, String>,
    /// Biases of zeros to add, with their lengths: a classifier without bias computes the same with them.
    pub(super) zeros: Vec<(String, usize)>,
    /// Names of the means and the standard deviations of a normaliser.
    pub(super) normaliser: Option<(String, String)>,
    /// What was chosen and what was skipped: one clause each, to continue a sentence about the file.
    pub(super) notes: Vec<String>,
    /// Training code that wrote the file.
    pub(super) code: Option<TrainingCode>,
    /// Path of the model within the file, such as `state_dict.model`; `None` if it is the whole file.
    pub(super) entry: Option<String>,
}

impl Located {
    /// Whether an array of the file is to be read.
    pub(super) fn wants(&self, name: &str) -> bool {
        let of_normaliser = |(mean, std): &(String, String)| name == mean || name == std;
        self.arrays.contains_key(name) || self.normaliser.as_ref().is_some_and(of_normaliser)
    }

    /// The arrays read, under the model's names, and the normaliser's two.
    pub(super) fn apply(&self, mut state: State) -> (State, Option<(Array, Array)>) {
        let normaliser = self.normaliser.as_ref();
        let normaliser = normaliser.and_then(|(mean, std)| Some((state.remove(mean)?, state.remove(std)?)));
        let mut named: State = std::mem::take(&mut state)
            .into_iter()
            .filter_map(|(name, array)| Some((self.arrays.get(&name)?.clone(), array)))
            .collect();
        for (name, length) in &self.zeros {
            named.insert(name.clone(), Array { shape: vec![*length], values: vec![0.0; *length] });
        }
        (named, normaliser)
    }
}

/// Finds the model; `None` where no array belongs to a known architecture.
///
/// # Errors
/// The end of a sentence about the file: several models, of which none is the obvious one, a classifier that is more than
/// one layer, or nothing of the name `entry`.
pub(super) fn locate(shapes: &Shapes, entry: Option<&str>) -> Result<Option<Located>, String> {
    let cleaned = roots::without_inner_wrappers(shapes);
    // Averaging turns these unused integer counters into floats.
    let counts = |name: &String| name.ends_with("num_batches_tracked");
    let names = cleaned.iter().filter(|(name, _)| !counts(name));
    let names: Shapes = names.map(|(name, file)| (name.clone(), shapes[file].clone())).collect();
    let all = roots::find(&names);
    if all.is_empty() {
        return match entry {
            Some(entry) => Err(nothing_called(entry, &names, &all)),
            None => Ok(None),
        };
    }
    let code = training_code(&names, &all);
    let mut notes = Vec::new();
    let root = match entry {
        Some(entry) => choice::by_entry(&all, entry).ok_or_else(|| nothing_called(entry, &names, &all))?,
        None => choice::choose(&all, code, &mut notes)?,
    };
    let body: BTreeSet<&String> = root.body(&names).collect();
    // Other copies of the model are mentioned where this one is chosen.
    let elsewhere = |name: &String| {
        let mut others = all.iter().filter(|other| !root.prefix.starts_with(&other.prefix));
        others.any(|other| name.starts_with(&other.prefix)) && !name.starts_with(&root.prefix)
            || all.iter().any(|other| other.prefix != root.prefix && other.owns(name))
    };
    let rest = names.keys().filter(|name| !body.contains(name) && !elsewhere(name));
    let self_supervised = code.is_some() || choice::is_self_supervised(&names);
    let circumstances = match (entry, self_supervised) {
        (Some(_), _) => Circumstances::Named,
        (None, true) => Circumstances::SelfSupervised,
        (None, false) => Circumstances::Usual,
    };
    let beside = Beside::sort(root, &names, rest, circumstances)?;

    let prefix = root.prefix.trim_end_matches('.');
    let entry = (!prefix.is_empty()).then(|| super::printable(prefix));
    let mut located = Located { code, entry, ..Located::default() };
    for name in body {
        located.arrays.insert(cleaned[name].clone(), root.bare(name));
    }
    for (name, bare) in beside.model {
        located.arrays.insert(cleaned[&name].clone(), bare);
    }
    located.zeros = beside.zeros;
    located.normaliser = beside.normaliser.map(|(mean, std)| (cleaned[&mean].clone(), cleaned[&std].clone()));
    notes.extend(beside.notes);
    located.notes = notes;
    Ok(Some(located))
}

/// Which training code wrote these arrays.
fn training_code(names: &Shapes, roots: &[Root]) -> Option<TrainingCode> {
    let has = |part: &str| names.keys().any(|name| name.contains(part));
    let segment = |word: &str| names.keys().any(|name| name.split('.').any(|segment| segment == word));
    let transformer = roots.iter().any(|root| !root.is_convolutional());
    if segment("base_encoder") && segment("momentum_encoder") && transformer {
        return Some(TrainingCode::MocoV3);
    }
    let projection = has("last_layer.weight_g") || has("last_layer.parametrizations.") || has("head.mlp.0.");
    if segment("dino_head") || segment("ibot_head") || (projection && has("backbone.")) {
        return Some(TrainingCode::SelfDistillation);
    }
    (has("decoder_blocks.") && has("decoder_pred.")).then_some(TrainingCode::MaskedAutoencoder)
}

fn nothing_called(entry: &str, names: &Shapes, roots: &[Root]) -> String {
    let models: Vec<String> = roots.iter().map(Root::called).collect();
    let parts: BTreeSet<&str> = names.keys().filter_map(|name| name.split('.').next()).collect();
    let parts: Vec<&str> = parts.into_iter().take(8).collect();
    let found = match models.as_slice() {
        [] => format!("it holds {}", parts.join(", ")),
        models => format!("models are in {}", models.join(", ")),
    };
    format!("holds no model of a known architecture in `{entry}`; {found}")
}
