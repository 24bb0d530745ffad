//! What stands next to a model's own arrays: its classifier, a normaliser, and arrays that do not affect its output.

use std::collections::BTreeMap;

use super::Shapes;
use super::heads::{Head, head, is_distilled, is_head};
use super::roots::Root;

/// Words of names that never belong to an image model's forward pass: losses and metrics, the other half of a training
/// scheme, decoders, other tasks.
const LEFT_OUT: [&str; 51] = [
    "acc",
    "accuracy",
    "attacker",
    "auc",
    "auroc",
    "aux",
    "auxiliary",
    "average",
    "averaged",
    "bbox",
    "center",
    "centers",
    "criterion",
    "decode",
    "decoder",
    "dino",
    "discriminator",
    "ema",
    "f1",
    "fpn",
    "ibot",
    "koleo",
    "loss",
    "losses",
    "mask",
    "memory",
    "metric",
    "metrics",
    "momentum",
    "n",
    "neck",
    "normalize",
    "normalizer",
    "optimizer",
    "predictor",
    "projection",
    "projector",
    "proto",
    "prototypes",
    "queue",
    "roi",
    "rpn",
    "scheduler",
    "segmentation",
    "student",
    "swa",
    "target",
    "teacher",
    "temperature",
    "text",
    "tokenizer",
];

/// Names of a normaliser's two arrays in Madry's library, RobustBench, common wrappers and detection code.
const NORMALISERS: [(&str, &str); 9] = [
    ("new_mean", "new_std"),
    ("mean", "std"),
    ("mu", "sigma"),
    ("image_mean", "image_std"),
    ("pixel_mean", "pixel_std"),
    ("norm_mean", "norm_std"),
    ("_mean", "_std"),
    ("means", "stds"),
    ("means", "sds"),
];

/// Most groups of arrays that a note lists.
const MOST_LISTED: usize = 6;

/// What was found next to the model.
#[derive(Default)]
pub(super) struct Beside {
    /// Arrays that belong to the model: the name in the file and the name to use.
    pub(super) model: Vec<(String, String)>,
    /// Biases that the classifier lacks.
    pub(super) zeros: Vec<(String, usize)>,
    /// A normaliser's mean and standard deviation.
    pub(super) normaliser: Option<(String, String)>,
    /// What was skipped.
    pub(super) notes: Vec<String>,
}

/// Location of an array: segments above the root, and its name from there.
struct Place<'n> {
    above: usize,
    from_there: &'n str,
}

impl Beside {
    /// Sorts `rest`, the arrays of a file that belong to no model's body.
    ///
    /// # Errors
    /// The end of a sentence about the file: a classifier that is not a linear layer, or further layers after the model's output.
    pub(super) fn sort<'n>(
        root: &Root,
        names: &'n Shapes,
        rest: impl Iterator<Item = &'n String>,
        circumstances: Circumstances,
    ) -> Result<Self, String> {
        let mut rest: BTreeMap<&String, Place> = rest.map(|name| (name, place(&root.prefix, name))).collect();
        let mut beside = Self { normaliser: normaliser(&rest, names), ..Self::default() };
        if let Some((mean, std)) = &beside.normaliser {
            rest.retain(|name, _| *name != mean && *name != std);
        }
        let mut left_out: Vec<&String> = Vec::new();
        let outputs = beside.take_classifier(root, names, &mut rest, &mut left_out, circumstances)?;
        for (name, place) in rest {
            let segments = || name.split('.');
            let harmless = segments().any(|segment| segment.split('_').any(|word| LEFT_OUT.contains(&word)));
            let reads = |width: &usize| names[name].len() == 2 && names[name].last() == Some(width);
            let read_from = outputs.map_or_else(|| root.features.clone(), |outputs| vec![outputs]);
            if place.above == 0 && !harmless {
                // It may matter: the comparison with the model lists it.
                beside.model.push((name.clone(), place.from_there.to_owned()));
            } else if !harmless && circumstances == Circumstances::Usual && read_from.iter().any(reads) {
                return Err(format!(
                    "has `{name}` {:?} next to the model, which may go on from its answers and is no part of a model that is \
                     known here; take the model alone with --entry {}",
                    names[name],
                    example_entry(root)
                ));
            } else {
                left_out.push(name);
            }
        }
        beside.notes.extend(summary(&left_out, &root.prefix));
        Ok(beside)
    }

    /// The classifier, next to the root or above it; returns its number of outputs.
    fn take_classifier<'n>(
        &mut self,
        root: &Root,
        names: &'n Shapes,
        rest: &mut BTreeMap<&'n String, Place<'n>>,
        left_out: &mut Vec<&'n String>,
        circumstances: Circumstances,
    ) -> Result<Option<usize>, String> {
        let mut groups: BTreeMap<(usize, String), Vec<String>> = BTreeMap::new();
        for (name, place) in &*rest {
            let segment = place.from_there.split('.').next().unwrap_or_default();
            if is_head(segment) || is_distilled(segment) {
                groups.entry((place.above, segment.to_owned())).or_default().push((*name).clone());
            }
        }
        let mut found: Option<(usize, String, usize)> = None;
        for ((above, segment), group) in groups {
            let taken = found.as_ref().map(|(above, ..)| *above);
            let parts = head(&group, names);
            let is_projection = circumstances == Circumstances::SelfSupervised
                && !segment.ends_with("classifier")
                || group.iter().any(|name| name.contains("last_layer.weight_") || name.contains("head.mlp."));
            let mut leave = |rest: &mut BTreeMap<&'n String, Place<'n>>| {
                left_out.extend(rest.keys().filter(|name| group.contains(name)).copied());
                rest.retain(|name, _| !group.contains(name));
            };
            match parts {
                _ if is_projection => leave(rest),
                // The comparison with the model lists it.
                Head::Nothing if above == 0 => {}
                Head::Nothing if circumstances == Circumstances::Named => leave(rest),
                Head::Nothing => {
                    return Err(format!(
                        "has `{}` apart from the rest of the classifier that it is part of",
                        group.join("`, `")
                    ));
                }
                Head::Other(_) if circumstances == Circumstances::Named => leave(rest),
                Head::Other(what) => {
                    if taken.is_none() || taken == Some(above) {
                        return Err(format!(
                            "has a classifier `{segment}` of {what}; models here end in one linear layer, so that it cannot be \
                             used (its backbone alone: --entry {})",
                            example_entry(root)
                        ));
                    }
                }
                Head::Linear { .. }
                    if circumstances == Circumstances::Named && above > 0 && taken.is_some() =>
                {
                    leave(rest);
                }
                Head::Linear { weight, bias, outputs, inputs } => {
                    let fits = root.features.contains(&inputs);
                    let distilled = is_distilled(&segment);
                    let as_name = if distilled { "head_dist" } else { root.head() };
                    match &found {
                        Some((there, other, _)) if *there == above && !distilled && !is_distilled(other) => {
                            return Err(format!(
                                "has two classifiers, `{other}` and `{segment}`; a model with one is needed"
                            ));
                        }
                        Some((_, other, answers)) if !distilled => {
                            if inputs == *answers {
                                return Err(format!(
                                    "has `{weight}` [{outputs}, {inputs}], which goes on from the answers of `{other}`; models \
                                     here end in one linear layer, so that it cannot be used"
                                ));
                            }
                            leave(rest);
                            continue;
                        }
                        _ => {}
                    }
                    if !fits && above > 0 {
                        return Err(format!(
                            "has a classifier `{segment}` that reads {inputs} numbers, but the model in {} gives {}; take the \
                             model alone with --entry {}",
                            root.called(),
                            root.features.first().copied().unwrap_or(0),
                            example_entry(root)
                        ));
                    }
                    rest.retain(|name, _| !group.contains(name));
                    self.model.push((weight, format!("{as_name}.weight")));
                    match bias {
                        Some(bias) => self.model.push((bias, format!("{as_name}.bias"))),
                        None => {
                            self.notes.push(format!(
                                "has a classifier without bias, `{segment}`; zeros stand for it"
                            ));
                            self.zeros.push((format!("{as_name}.bias"), outputs));
                        }
                    }
                    if !distilled || found.is_none() {
                        found = Some((above, segment, outputs));
                    }
                }
            }
        }
        Ok(found.map(|(.., outputs)| outputs))
    }
}

/// What is known about the file, which decides how many arrays must be accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Circumstances {
    /// Nothing: every array that could belong to the model has to fit.
    Usual,
    /// Self-supervised training: an apparent classifier is a projection head.
    SelfSupervised,
    /// The model was named on the command line: other arrays do not matter.
    Named,
}

fn place<'n>(root: &str, name: &'n str) -> Place<'n> {
    let mut shared = 0;
    let mut segments = root.split_inclusive('.');
    for segment in segments.by_ref() {
        if !name[shared..].starts_with(segment) {
            return Place { above: 1 + segments.count(), from_there: &name[shared..] };
        }
        shared += segment.len();
    }
    Place { above: 0, from_there: &name[shared..] }
}

/// The pair of arrays of three numbers nearest to the root.
fn normaliser(rest: &BTreeMap<&String, Place>, names: &Shapes) -> Option<(String, String)> {
    let three = |name: &String| names.get(name).is_some_and(|shape| shape.iter().product::<usize>() == 3);
    let mut found: Vec<(bool, usize, String, String)> = Vec::new();
    for (&name, place) in rest {
        let (parent, last) =
            name.rsplit_once('.').map_or(("", name.as_str()), |(parent, last)| (parent, last));
        for (mean, std) in NORMALISERS {
            let std = if parent.is_empty() { std.to_owned() } else { format!("{parent}.{std}") };
            if last == mean && three(name) && three(&std) && rest.contains_key(&std) {
                let attacked = parent.split('.').any(|segment| segment == "attacker");
                found.push((attacked, place.above, name.clone(), std));
            }
        }
    }
    found.sort();
    found.into_iter().next().map(|(.., mean, std)| (mean, std))
}

/// How the model alone may be named.
fn example_entry(root: &Root) -> &str {
    match root.prefix.trim_end_matches('.') {
        "" => ".",
        prefix => prefix,
    }
}

/// What was skipped, in groups.
fn summary(left_out: &[&String], root: &str) -> Option<String> {
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for name in left_out {
        let place = place(root, name);
        let start = name.len() - place.from_there.len();
        let end = place.from_there.find('.').map_or(name.len(), |dot| start + dot);
        *groups.entry(name[..end].to_owned()).or_default() += 1;
    }
    if groups.is_empty() {
        return None;
    }
    let shown: Vec<String> = groups
        .iter()
        .take(MOST_LISTED)
        .map(|(group, count)| match count {
            1 => format!("`{}`", super::super::printable(group)),
            count => format!("`{}` ({count} arrays)", super::super::printable(group)),
        })
        .collect();
    let more = groups.len().saturating_sub(MOST_LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("has {}{more} next to the model; left out", shown.join(", ")))
}
