//! Prompt templates: sentences with a placeholder for the class name.

use thiserror::Error;

const IMAGENET: &str = include_str!("../../../data/imagenet_prompts.txt");
const CIFAR: &str = include_str!("../../../data/cifar_prompts.txt");

/// The placeholder for the class name.
const PLACE: &str = "{}";

/// Templates that cannot be used; the end of a sentence about where they come from.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PromptError {
    /// There are none.
    #[error("holds no prompt templates; write one per line, such as `a photo of a {{}}.`")]
    Empty,
    /// One without a placeholder, which is the same for every class.
    #[error(
        "line {line}, `{template}`, has no {{}} where a class's name would go; write it as in `a photo of a {{}}.`"
    )]
    NoPlace {
        /// Counted from 1.
        line: usize,
        /// The template as written.
        template: String,
    },
}

/// Prompt templates, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompts(Vec<String>);

impl Prompts {
    /// Templates, one per line; empty lines are skipped.
    ///
    /// # Errors
    /// No template, or one without `{}`.
    pub fn parse(text: &str) -> Result<Self, PromptError> {
        let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
        let templates = lines.map(|(line, template)| match template.contains(PLACE) {
            true => Ok(template.to_owned()),
            false => Err(PromptError::NoPlace { line, template: template.to_owned() }),
        });
        let templates = templates.collect::<Result<Vec<_>, _>>()?;
        if templates.is_empty() { Err(PromptError::Empty) } else { Ok(Self(templates)) }
    }

    /// The templates of a published evaluation of CLIP: `imagenet` (80) or `cifar` (18).
    pub fn built_in(name: &str) -> Option<Self> {
        let text = match name {
            "imagenet" => IMAGENET,
            "cifar" => CIFAR,
            _ => return None,
        };
        Some(Self::parse(text).expect("the built-in templates have places"))
    }

    /// Every template with the class name filled in.
    pub fn of(&self, class: &str) -> Vec<String> {
        self.0.iter().map(|template| template.replace(PLACE, class)).collect()
    }

    /// The templates, in the order they were given.
    pub fn templates(&self) -> &[String] {
        &self.0
    }
}
