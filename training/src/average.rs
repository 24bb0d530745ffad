//! The exponential moving average of a model's weights (Polyak & Juditsky, 1992).

use archaeo_models::{Classifier, Mismatch, ParameterPath, State, shapes_of, state_of, with_state};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// A running average of every array of a model, batch norm's moments included.
#[derive(Clone, Debug)]
pub struct WeightAverage {
    decay: f64,
    state: State,
}

impl WeightAverage {
    /// The average of a model that has not been trained yet: its own weights.
    pub fn new(decay: f64, model: &Classifier) -> Self {
        Self { decay, state: state_of(model) }
    }

    /// Restores an average from [`WeightAverage::state`] for a model like `model`.
    ///
    /// # Errors
    /// Arrays that do not match the model.
    pub fn restore(decay: f64, state: State, model: &Classifier) -> Result<Self, Mismatch> {
        Mismatch::check(&shapes_of(model), &state)?;
        Ok(Self { decay, state })
    }

    /// Updates the average with the weights after a step, counted from 1. Early on the decay is `(1 + step) / (10 + step)`, so
    /// that the initial weights are soon forgotten. What does not move keeps its bits.
    pub fn follow(&mut self, model: &Classifier, step: u64) {
        let decay = self.decay.min((1.0 + step as f64) / (10.0 + step as f64));
        let weight = (1.0 - decay) as f32;
        model.visit(&mut Follower { path: ParameterPath::default(), state: &mut self.state, weight });
    }

    /// `model` with the averaged weights, for evaluation.
    pub fn applied_to(&self, model: &Classifier) -> Classifier {
        with_state(model.valid(), self.state.clone()).expect("the average was taken of this model")
    }

    /// The averaged arrays by name.
    pub fn state(&self) -> &State {
        &self.state
    }
}

struct Follower<'a> {
    path: ParameterPath,
    state: &'a mut State,
    weight: f32,
}

impl ModuleVisitor for Follower<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.name();
        // Frozen, and no running moment of a batch norm.
        if !param.is_require_grad() && !name.contains("running_") {
            return;
        }
        let data = param.val().inner().into_data();
        let values = data.as_slice::<f32>().expect("parameters are 32-bit floats");
        let average = &mut self.state.get_mut(&name).expect("it was taken of this model").values;
        for (average, value) in average.iter_mut().zip(values).filter(|(average, value)| average != value) {
            *average += (value - *average) * self.weight;
        }
    }
}
