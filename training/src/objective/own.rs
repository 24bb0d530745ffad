//! Parameters that an objective has of its own: a projection, a decoder, a text tower.

use archaeo_models::{Mismatch, State, initialize, state_of, with_state};
use burn::module::Module;
use burn::tensor::Gradients;

use crate::Recipe;
use crate::optimizer::{NamedGradients, Optimizer};

/// Parts of a checkpoint.
const MODULE: &str = "module.";
const OPTIMIZER: &str = "optimizer.";

/// A module of an objective and the optimiser that trains it, by the recipe's rule and at its learning rate.
///
/// It is kept in the checkpoints of a training and no part of the trained model. Arrays that do not require gradients are kept as
/// they are.
#[derive(Debug)]
pub struct Own<M: Module> {
    /// Absent only during an update, so that its arrays have no other owner and can be changed in place.
    module: Option<M>,
    optimizer: Optimizer,
}

impl<M: Module> Own<M> {
    /// Draws the initial values by the recipe's seed ([`initialize`]), each array from a generator of its own name, which no array
    /// of the model should have. `module` is on a device with autodiff.
    pub fn new(module: M, recipe: &Recipe) -> Self {
        Self {
            module: Some(initialize(module, recipe.seed)),
            optimizer: Optimizer::new(recipe.optimizer.clone(), recipe.weight_decay),
        }
    }

    /// The module.
    pub fn module(&self) -> &M {
        self.module.as_ref().expect("it is there between two changes")
    }
}

/// An [`Own`] of any module, as the training loop sees it.
pub trait OwnParameters: Send + Sync {
    /// Takes the gradients of its parameters from the results of a backward pass.
    fn take(&self, parts: &mut [Gradients]) -> NamedGradients;

    /// Moves every parameter that has a gradient.
    fn step(&mut self, gradients: &NamedGradients, learning_rate: f64);

    /// Arrays and optimiser, for a checkpoint.
    fn state(&self) -> State;

    /// Restores [`OwnParameters::state`] after `steps` steps.
    ///
    /// # Errors
    /// Arrays that are not those of this module and its optimiser.
    fn restore(&mut self, state: State, steps: u64) -> Result<(), Mismatch>;
}

impl<M: Module + Sync> OwnParameters for Own<M> {
    fn take(&self, parts: &mut [Gradients]) -> NamedGradients {
        NamedGradients::take_parts(self.module(), parts)
    }

    fn step(&mut self, gradients: &NamedGradients, learning_rate: f64) {
        let module = self.module.take().expect("it is there between two changes");
        self.module = Some(self.optimizer.step(module, gradients, learning_rate));
    }

    fn state(&self) -> State {
        let named = |prefix: &'static str, state: State| {
            state.into_iter().map(move |(name, array)| (format!("{prefix}{name}"), array))
        };
        named(MODULE, state_of(self.module())).chain(named(OPTIMIZER, self.optimizer.state())).collect()
    }

    fn restore(&mut self, state: State, steps: u64) -> Result<(), Mismatch> {
        let (mut module, mut optimizer, mut unexpected) = (State::new(), State::new(), Vec::new());
        for (name, array) in state {
            match (name.strip_prefix(MODULE), name.strip_prefix(OPTIMIZER)) {
                (Some(name), _) => drop(module.insert(name.to_owned(), array)),
                (_, Some(name)) => drop(optimizer.insert(name.to_owned(), array)),
                (None, None) => unexpected.push(name),
            }
        }
        if !unexpected.is_empty() {
            return Err(Mismatch { unexpected, ..Mismatch::default() });
        }
        let restored = with_state(self.module().clone(), module)?;
        self.optimizer.restore(optimizer, steps, &restored)?;
        self.module = Some(restored);
        Ok(())
    }
}
