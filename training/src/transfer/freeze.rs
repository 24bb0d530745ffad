//! What keeps the values of the weights that a training starts from.

use std::collections::BTreeSet;

use archaeo_models::{Classifier, Depths, is_head};
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::RecipeError;

/// What a training leaves unchanged: in a recipe `"none"`, `"backbone"`, a number of blocks, or a list of modules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Freeze {
    /// Nothing.
    #[default]
    None,
    /// Everything except the head.
    Backbone,
    /// So many blocks from the first on, and everything before them ([`Depths`]).
    Blocks(usize),
    /// Arrays, or the modules that hold them, such as `patch_embed` or `blocks.0.attn`.
    Modules(Vec<String>),
}

impl TryFrom<Value> for Freeze {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        const EXPECTED: &str = "it must be \"backbone\", \"none\", a number of blocks, or a list of modules such as [\"patch_embed\", \"blocks.0\"]";
        match value {
            Value::String(word) if word == "none" => Ok(Self::None),
            Value::String(word) if word == "backbone" => Ok(Self::Backbone),
            Value::Integer(blocks) => usize::try_from(blocks).map(Self::Blocks).map_err(|_| EXPECTED),
            Value::Array(modules) => {
                let modules = modules.into_iter().map(|module| match module {
                    Value::String(module) => Ok(module),
                    _ => Err(EXPECTED),
                });
                modules.collect::<Result<_, _>>().map(Self::Modules)
            }
            _ => Err(EXPECTED),
        }
    }
}

impl From<Freeze> for Value {
    fn from(freeze: Freeze) -> Self {
        match freeze {
            Freeze::None => Self::String("none".into()),
            Freeze::Backbone => Self::String("backbone".into()),
            Freeze::Blocks(blocks) => Self::Integer(i64::try_from(blocks).unwrap_or(i64::MAX)),
            Freeze::Modules(modules) => Self::Array(modules.into_iter().map(Self::String).collect()),
        }
    }
}

impl Freeze {
    /// What is frozen, as the end of a sentence; `None` if nothing is.
    pub fn describe(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Backbone => Some("everything but its head frozen".into()),
            Self::Blocks(0) => Some("everything before its blocks frozen".into()),
            Self::Blocks(1) => Some("its first block and everything before it frozen".into()),
            Self::Blocks(blocks) => {
                Some(format!("its first {blocks} blocks and everything before them frozen"))
            }
            Self::Modules(modules) => Some(format!("{} frozen", modules.join(", "))),
        }
    }

    /// The arrays of `model` that are frozen.
    ///
    /// # Errors
    /// Blocks or modules that the model does not have, or nothing left to train.
    pub(super) fn arrays(&self, model: &Classifier) -> Result<BTreeSet<String>, RecipeError> {
        let depths = Depths::of(model);
        let refuse = |sentence: String| Err(RecipeError::Value(sentence));
        let card = model.card();
        if let Self::Blocks(blocks) = self
            && *blocks > depths.blocks()
        {
            return refuse(format!(
                "`freeze` is {blocks}, but {} has {} blocks; give no more than these, or \"backbone\"",
                card.name,
                depths.blocks()
            ));
        }
        let inside = |name: &str, module: &str| {
            name.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if let Self::Modules(modules) = self
            && let Some(unknown) =
                modules.iter().find(|module| !depths.iter().any(|(name, _)| inside(name, module)))
        {
            return refuse(format!(
                "`freeze` names `{unknown}`, which {} does not have; its modules are named as in timm, such as `{}`",
                card.name,
                depths.iter().next().map_or("", |(name, _)| name)
            ));
        }
        let is_frozen = |name: &str, layer: usize| match self {
            Self::None => false,
            Self::Backbone => !is_head(name),
            Self::Blocks(blocks) => layer <= *blocks,
            Self::Modules(modules) => modules.iter().any(|module| inside(name, module)),
        };
        let (frozen, trained): (Vec<_>, Vec<_>) =
            depths.iter().partition(|(name, layer)| is_frozen(name, *layer));
        if trained.is_empty() {
            return refuse(format!("`freeze` leaves nothing of {} to train; name fewer modules", card.name));
        }
        Ok(frozen.into_iter().map(|(name, _)| name.to_owned()).collect())
    }
}
