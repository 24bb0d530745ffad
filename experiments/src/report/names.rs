//! What the models and classes are called in sentences.

use crate::findings::Investigation;
use crate::studies::findings::FaithfulnessFindings;
use crate::studies::{FaithfulnessStudy, explained};
use crate::subjects::{ModelName, pairs};

/// What each model is called: by its family where no other is of it, such as “ViT”, and else by the name it was given.
#[derive(Debug)]
pub struct Names(Vec<Named>);

#[derive(Debug)]
struct Named {
    name: ModelName,
    family: Option<&'static str>,
    explained_by: &'static str,
    explains_answer: bool,
    /// What the faithfulness study says of that heatmap.
    believed: Option<String>,
}

impl Names {
    /// Names of the models of an investigation.
    pub fn of(investigation: &Investigation) -> Self {
        let families: Vec<&'static str> =
            investigation.models.iter().map(|model| model.card.network.family()).collect();
        let faithfulness = investigation.findings::<FaithfulnessStudy>().ok().flatten();
        let named = investigation.models.iter().zip(&families).map(|(model, family)| {
            let explained_by = explained::method(&model.card.network);
            let believed = |found: &FaithfulnessFindings| found.said_of(model.name, explained_by);
            let alone = families.iter().filter(|other| *other == family).count() == 1;
            Named {
                name: model.name,
                family: alone.then_some(*family),
                explained_by,
                explains_answer: explained::depends_on_class(&model.card.network),
                believed: faithfulness.as_ref().and_then(believed),
            }
        });
        Self(named.collect())
    }

    /// The models, in the order in which they are shown.
    pub fn models(&self) -> Vec<ModelName> {
        self.0.iter().map(|named| named.name).collect()
    }

    /// Every pair of models, in their order.
    pub fn pairs(&self) -> Vec<[ModelName; 2]> {
        pairs(&self.models())
    }

    /// `ViT`.
    pub fn bare(&self, model: ModelName) -> &'static str {
        let named = self.0.iter().find(|named| named.name == model);
        named.and_then(|named| named.family).unwrap_or(model.as_str())
    }

    /// `the ViT`; a name that was given stands in quotation marks.
    pub fn the(&self, model: ModelName) -> String {
        match self.0.iter().any(|named| named.name == model && named.family.is_some()) {
            true => format!("the {}", self.bare(model)),
            false => format!("“{model}”"),
        }
    }

    /// What its heatmap is called: `rollout`, `Grad-CAM`.
    pub fn explained_by(&self, model: ModelName) -> &'static str {
        self.0.iter().find(|named| named.name == model).map_or("heatmap", |named| named.explained_by)
    }

    /// Whether that heatmap belongs to the class that the model names, and not to its whole view of the image.
    pub fn explains_answer(&self, model: ModelName) -> bool {
        self.0.iter().any(|named| named.name == model && named.explains_answer)
    }

    /// How far that heatmap can be believed: its score with the verdicts, or that it was not measured.
    pub fn believed(&self, model: ModelName) -> &str {
        let named = self.0.iter().find(|named| named.name == model);
        named.and_then(|named| named.believed.as_deref()).unwrap_or("not measured")
    }

    /// Colour and marker of a model: the same in every chart.
    pub fn series(&self, model: ModelName) -> usize {
        let place = self.0.iter().position(|named| named.name == model).unwrap_or(0);
        // The neutral colour belongs to no model.
        if place < super::charts::NEUTRAL_SERIES { place } else { place + 1 }
    }

    /// Models of the same value together, as `the ViT and the Swin`: values in the order in which they first come.
    pub(crate) fn grouped<K: PartialEq>(
        &self,
        models: impl IntoIterator<Item = (ModelName, K)>,
    ) -> Vec<(K, String)> {
        let mut groups: Vec<(K, Vec<String>)> = Vec::new();
        for (model, value) in models {
            match groups.iter_mut().find(|(known, _)| *known == value) {
                Some((_, members)) => members.push(self.the(model)),
                None => groups.push((value, vec![self.the(model)])),
            }
        }
        groups.into_iter().map(|(value, members)| (value, listed(&members))).collect()
    }

    /// `the model`, `both models`, `all 3 models`.
    pub fn all(&self) -> String {
        match self.0.len() {
            0 | 1 => "the model".into(),
            2 => "both models".into(),
            n => format!("all {n} models"),
        }
    }
}

/// Name of a class, or its number where the data gives it none.
pub(crate) fn class_name(classes: &[String], class: usize) -> String {
    let named = classes.get(class).filter(|name| !name.trim().is_empty());
    named.cloned().unwrap_or_else(|| format!("class {class}"))
}

/// Name of a class in quotation marks, for sentences: “pneumonia”.
pub(crate) fn quoted(classes: &[String], class: usize) -> String {
    format!("“{}”", class_name(classes, class))
}

/// Names of all classes, in the order of their numbers.
pub(crate) fn class_names(classes: &[String]) -> Vec<String> {
    (0..classes.len()).map(|class| class_name(classes, class)).collect()
}

/// With a capital first letter.
pub(crate) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A description as a sentence of its own.
pub(crate) fn sentence(description: &str) -> String {
    format!("{}.", capitalised(description.trim_end_matches('.')))
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
