//! What the models and classes are called in sentences.

use crate::findings::{Investigation, Role};

/// Short names of the pair, such as “ViT” and “ResNet”.
#[derive(Debug)]
pub(super) struct Names {
    vit: &'static str,
    cnn: &'static str,
}

impl Names {
    pub fn of(investigation: &Investigation) -> Self {
        let family = |role: Role, unknown| {
            let model = investigation.models.iter().find(|model| model.role == role);
            model.map_or(unknown, |model| model.card.network.family())
        };
        Self { vit: family(Role::Vit, "ViT"), cnn: family(Role::Cnn, "CNN") }
    }

    /// `ViT`.
    pub fn bare(&self, role: Role) -> &'static str {
        match role {
            Role::Vit => self.vit,
            Role::Cnn => self.cnn,
        }
    }

    /// `the ViT`.
    pub fn the(&self, role: Role) -> String {
        format!("the {}", self.bare(role))
    }
}

/// Both roles, in the order in which they are shown.
pub(super) const ROLES: [Role; 2] = [Role::Vit, Role::Cnn];

/// The other model of the pair.
pub(super) fn other(role: Role) -> Role {
    match role {
        Role::Vit => Role::Cnn,
        Role::Cnn => Role::Vit,
    }
}

/// Name of a class, or its number where the data gives it none.
pub(super) fn class_name(classes: &[String], class: usize) -> String {
    let named = classes.get(class).filter(|name| !name.trim().is_empty());
    named.cloned().unwrap_or_else(|| format!("class {class}"))
}

/// Name of a class in quotation marks, for sentences: “pneumonia”.
pub(super) fn quoted(classes: &[String], class: usize) -> String {
    format!("“{}”", class_name(classes, class))
}

/// Names of all classes, in the order of their numbers.
pub(super) fn class_names(classes: &[String]) -> Vec<String> {
    (0..classes.len()).map(|class| class_name(classes, class)).collect()
}

/// With a capital first letter.
pub(super) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A description as a sentence of its own.
pub(super) fn sentence(description: &str) -> String {
    format!("{}.", capitalised(description.trim_end_matches('.')))
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
