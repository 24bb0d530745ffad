//! Which images features are learned from, which choose a penalty, and which are scored.

use std::collections::BTreeMap;

use archaeo_data::{Dataset, NO_OUTPUT, Split};
use archaeo_random::stratified;
use serde::{Deserialize, Serialize};

/// One of every so many images to learn from chooses the penalty, where no split is made for that.
const HELD_OUT: usize = 5;

/// Images by what they are for: no image has two roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRoles {
    /// Images that probes are fitted to.
    pub training: Part,
    /// Images that choose their penalty.
    pub validation: Part,
    /// Images that are scored; they choose nothing.
    pub test: Part,
    /// How they were chosen, as a sentence without its full stop.
    pub how: String,
}

/// Some images of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Name of the split.
    pub split: String,
    /// Number of images.
    pub n: usize,
    /// Which of the split, ascending.
    #[serde(skip)]
    pub images: Vec<usize>,
}

impl Part {
    /// These images of a split.
    pub fn new(split: &str, images: Vec<usize>) -> Self {
        Self { split: split.into(), n: images.len(), images }
    }
}

impl ImageRoles {
    /// Splits the work: `scored` images of the split `test` are scored, and at most `most` of the training split are learned from, with
    /// each class in proportion. The penalty is chosen by the validation split, or by a fifth of the images to learn from where there
    /// is none. Without a training split, half of the images are learned from and the other half is scored.
    ///
    /// # Errors
    /// The reason, as the end of a sentence that begins with “because”: no labels, fewer than two classes, too few images of a class.
    pub fn of(
        dataset: &Dataset,
        test: &str,
        scored: &[usize],
        most: usize,
        seed: u64,
    ) -> Result<Self, String> {
        if !dataset.has_labels() {
            return Err("the images have no labels".into());
        }
        let split = |name: &str| dataset.split(name).map_err(|error| error.to_string());
        let source = match test {
            "train" => None,
            _ => dataset.splits().get("train"),
        };
        let (learned, scored, mut how) = match source {
            Some(train) => {
                let usable = usable(train, 0..train.len());
                let chosen = sample(train, &usable, most, seed, "images to learn from");
                let own = split(test)?;
                let scored = self::usable(own, scored.iter().copied());
                (
                    Part::new("train", chosen),
                    Part::new(test, scored),
                    String::from("the training split is learned from"),
                )
            }
            None => {
                let own = split(test)?;
                let usable = usable(own, scored.iter().copied());
                let learned = sample(own, &usable, usable.len() / 2, seed, "half to learn from");
                let rest = without(&usable, &learned);
                let chosen = sample(own, &learned, most, seed, "images to learn from");
                let how = "there is no other split to learn from, so that half of the images are learned from and the other half is scored";
                (Part::new(test, chosen), Part::new(test, rest), how.into())
            }
        };
        let own = split(&learned.split)?;
        enough(dataset, own, &learned.images)?;
        let selection = dataset.selection_split().filter(|name| *name != test && *name != learned.split);
        let (training, validation) = match (source, selection) {
            (Some(_), Some(name)) => {
                let chosen = split(name)?;
                let usable = usable(chosen, 0..chosen.len());
                how += &format!(", and the split {name} chooses the penalty");
                let most = (learned.n / (HELD_OUT - 1)).max(dataset.classes.len());
                let validation = sample(chosen, &usable, most, seed, "images that choose");
                (learned, Part::new(name, validation))
            }
            _ => {
                let held_out = held_out(own, &learned.images, seed);
                how += ", and a fifth of the images to learn from chooses the penalty";
                let rest = without(&learned.images, &held_out);
                (Part::new(&learned.split, rest), Part::new(&learned.split, held_out))
            }
        };
        if scored.images.is_empty() || validation.images.is_empty() {
            return Err("there are too few images to learn from some and score others".into());
        }
        Ok(Self { training, validation, test: scored, how })
    }
}

fn usable(split: &Split, images: impl Iterator<Item = usize>) -> Vec<usize> {
    images.filter(|&image| split.label(image) != NO_OUTPUT).collect()
}

/// `count` of `images`, each class in proportion, ascending.
fn sample(split: &Split, images: &[usize], count: usize, seed: u64, stream: &str) -> Vec<usize> {
    let labels: Vec<usize> = images.iter().map(|&image| split.label(image)).collect();
    let chosen = stratified(seed, stream, &labels, count);
    chosen.into_iter().map(|position| images[position]).collect()
}

/// A fifth of the images, at least one and not all of each class.
fn held_out(split: &Split, images: &[usize], seed: u64) -> Vec<usize> {
    let mut of_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    images.iter().for_each(|&image| of_class.entry(split.label(image)).or_default().push(image));
    let mut chosen: Vec<usize> = of_class
        .values()
        .flat_map(|images| {
            let count = (images.len() / HELD_OUT).max(1);
            sample(split, images, count, seed, "images that choose")
        })
        .collect();
    chosen.sort_unstable();
    chosen
}

fn without(images: &[usize], taken: &[usize]) -> Vec<usize> {
    images.iter().filter(|image| taken.binary_search(image).is_err()).copied().collect()
}

/// Two classes or more, each with an image to fit and one to choose by.
fn enough(dataset: &Dataset, split: &Split, images: &[usize]) -> Result<(), String> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    images.iter().for_each(|&image| *counts.entry(split.label(image)).or_default() += 1);
    if counts.len() < 2 {
        return Err("a probe tells classes apart, and the images to learn from are of one class".into());
    }
    match counts.iter().find(|(_, count)| **count < 2) {
        None => Ok(()),
        Some((&class, _)) => Err(format!(
            "a probe takes 2 images of each class, one to fit and one to choose the penalty by, and “{}” has 1 among the {} to learn from",
            dataset.classes[class],
            images.len()
        )),
    }
}

#[cfg(test)]
mod tests {
    use archaeo_data::{OpenOptions, open};

    use super::*;

    fn opened(source: &str) -> Dataset {
        open(source, &OpenOptions::default()).unwrap()
    }

    fn everything(dataset: &Dataset, split: &str) -> Vec<usize> {
        (0..dataset.split(split).unwrap().len()).collect()
    }

    #[test]
    fn splits_have_their_roles() {
        let dataset = opened("sherds:size=16,train=80,val=40,test=30");
        let roles = ImageRoles::of(&dataset, "test", &everything(&dataset, "test"), 60, 1).unwrap();
        let names =
            [&roles.training, &roles.validation, &roles.test].map(|part| (part.split.as_str(), part.n));
        assert_eq!(names, [("train", 60), ("val", 15), ("test", 30)]);
        assert_eq!(roles, ImageRoles::of(&dataset, "test", &everything(&dataset, "test"), 60, 1).unwrap());
        let other = ImageRoles::of(&dataset, "test", &everything(&dataset, "test"), 60, 2).unwrap();
        assert_ne!(roles.training.images, other.training.images);
    }

    #[test]
    fn no_image_has_two_roles_where_one_split_has_to_do() {
        let dataset = opened("sherds:size=16,train=100,val=40,test=30");
        let scored = everything(&dataset, "train");
        let roles = ImageRoles::of(&dataset, "train", &scored, 1000, 1).unwrap();
        let parts = [&roles.training, &roles.validation, &roles.test];
        assert!(parts.iter().all(|part| part.split == "train"));
        assert_eq!(parts.map(|part| part.n), [40, 10, 50]);
        let mut all: Vec<usize> = parts.iter().flat_map(|part| part.images.clone()).collect();
        all.sort_unstable();
        assert_eq!(all, scored);
        assert!(roles.how.starts_with("there is no other split"), "{}", roles.how);
    }

    #[test]
    fn too_few_images_have_a_reason() {
        let dataset = opened("sherds:size=16,train=80,val=40,test=30");
        let scored = everything(&dataset, "test");
        let reason = ImageRoles::of(&dataset, "test", &scored, 10, 1).unwrap_err();
        assert!(reason.ends_with("has 1 among the 10 to learn from"), "{reason}");
        let reason = ImageRoles::of(&dataset, "test", &scored, 1, 1).unwrap_err();
        assert!(reason.contains("of one class"), "{reason}");
        assert!(ImageRoles::of(&dataset, "test", &scored, 20, 1).is_ok());
    }
}
