//! Why a training cannot start from some weights.

use archaeo_models::WeightsError;
use archaeo_store::StoreError;
use thiserror::Error;

use crate::RecipeError;

/// Weights that a training cannot start from. `init` is what the recipe calls them.
#[derive(Debug, Error)]
pub enum TransferError {
    /// The checkpoint.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The checkpoint, when it is hashed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recipe does not suit it.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// What published models have otherwise and no array shows; the end of a sentence about the weights.
    #[error("{init} {doubt}; in a recipe, name its model with `model`")]
    Undecided {
        /// Which weights.
        init: String,
        /// What is open.
        doubt: String,
    },
    /// Another model than that of the recipe.
    #[error(
        "{init} holds another model ({found}) than `model` names ({needed}; `{array}` differs); leave `model` out of the recipe, or start \
         from weights of that model"
    )]
    OtherModel {
        /// Which weights.
        init: String,
        /// What they hold.
        found: String,
        /// What the recipe names.
        needed: String,
        /// The first array that differs.
        array: String,
    },
    /// None of the arrays of the recipe's model.
    #[error("{init} has no array of {model}; start from weights of that model, or change `model`")]
    NoArray {
        /// Which weights.
        init: String,
        /// The recipe's model.
        model: String,
    },
    /// Some of its arrays.
    #[error(
        "{init} does not hold what {model} needs: {missing} of its arrays are missing or have another shape, the first of them \
         `{first}`, and {unexpected} are left over; start from weights of that model"
    )]
    Arrays {
        /// Which weights.
        init: String,
        /// The model.
        model: String,
        /// Arrays without a counterpart.
        missing: usize,
        /// The first of them.
        first: String,
        /// Arrays of the weights that the model does not have.
        unexpected: usize,
    },
    /// Other weights than those that the recipe was made with.
    #[error(
        "{init} has changed: its SHA-256 is {found:.12}… and the recipe's `init_sha256` is {stated:.12}…; take the weights that the \
         recipe means, or leave `init_sha256` out of it"
    )]
    Changed {
        /// Which weights.
        init: String,
        /// What the recipe says.
        stated: String,
        /// What it is.
        found: String,
    },
}
