//! A model's arrays by their checkpoint names.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::checkpoint::printable;

/// One array of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Values, last axis fastest.
    pub values: Vec<f32>,
}

/// Arrays by name, sorted.
pub type State = BTreeMap<String, Array>;

/// The name of the parameter reached while visiting a model.
#[derive(Default)]
pub struct ParameterPath(Vec<Option<String>>);

impl ParameterPath {
    /// Enters a field. The variants of [`crate::Network`] are choices, not fields: they have no name in a checkpoint.
    pub fn enter(&mut self, name: &str, container: &str) {
        let name = match (container.strip_prefix("Enum:").is_some(), name) {
            (true, _) | (false, "network") => None,
            (false, "conv") if container == "Struct:Downsample" => Some("0"),
            (false, "norm") if container == "Struct:Downsample" => Some("1"),
            (false, name) => Some(name),
        };
        self.0.push(name.map(str::to_owned));
    }

    /// Leaves a field.
    pub fn exit(&mut self) {
        self.0.pop();
    }

    /// The checkpoint's name of the parameter reached, such as `blocks.0.attn.qkv.weight`.
    pub fn name(&self) -> String {
        self.0.iter().flatten().cloned().collect::<Vec<_>>().join(".")
    }
}

/// `param` with other values, on the same device and with the same `require_grad`; the old values are not read.
pub(crate) fn replaced<const D: usize>(param: Param<Tensor<D>>, values: TensorData) -> Param<Tensor<D>> {
    let fresh = Tensor::from_data(values, &param.lazy_device());
    let id = param.id;
    param.transform_for_load(fresh, id)
}

/// Shape of every array of `model`, buffers included.
pub fn shapes_of<M: Module>(model: &M) -> BTreeMap<String, Vec<usize>> {
    let mut surveyor = Surveyor { path: ParameterPath::default(), shapes: BTreeMap::new() };
    model.visit(&mut surveyor);
    surveyor.shapes
}

struct Surveyor {
    path: ParameterPath,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl ModuleVisitor for Surveyor {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.shapes.insert(self.path.name(), param.lazy_shape().to_vec());
    }
}

/// Every array of `model`, buffers included.
pub fn state_of<M: Module>(model: &M) -> State {
    let mut collector = Collector { path: ParameterPath::default(), state: State::new() };
    model.visit(&mut collector);
    collector.state
}

struct Collector {
    path: ParameterPath,
    state: State,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.val().inner().into_data();
        let shape = data.shape().to_vec();
        let values = data.try_into_vec::<f32>().expect("parameters are 32-bit floats");
        self.state.insert(self.path.name(), Array { shape, values });
    }
}

/// Differences between a set of arrays and a model's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mismatch {
    /// Names the model has and the arrays lack.
    pub missing: Vec<String>,
    /// Names the arrays have and the model lacks.
    pub unexpected: Vec<String>,
    /// Name, the model's shape, the array's shape.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Mismatch {
    /// Compares arrays with the names and shapes that they should have.
    ///
    /// # Errors
    /// Every difference at once.
    pub fn check(expected: &BTreeMap<String, Vec<usize>>, state: &State) -> Result<(), Self> {
        let mut mismatch = Self::default();
        for (name, shape) in expected {
            match state.get(name) {
                None => mismatch.missing.push(name.clone()),
                Some(found) if found.shape != *shape => {
                    mismatch.misshapen.push((name.clone(), shape.clone(), found.shape.clone()));
                }
                Some(_) => {}
            }
        }
        mismatch.unexpected = state.keys().filter(|name| !expected.contains_key(*name)).cloned().collect();
        if mismatch == Self::default() { Ok(()) } else { Err(mismatch) }
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for name in &self.missing {
            writeln!(f, "  missing     {name}")?;
        }
        for name in &self.unexpected {
            writeln!(f, "  unexpected  {}", printable(name))?;
        }
        for (name, expected, found) in &self.misshapen {
            writeln!(f, "  misshapen   {name}: expected {expected:?}, found {found:?}")?;
        }
        Ok(())
    }
}

/// Gives `model` the arrays of `state`, all of them or none.
///
/// # Errors
/// Every missing, unexpected and misshapen array at once.
pub fn with_state<M: Module>(model: M, mut state: State) -> Result<M, Mismatch> {
    Mismatch::check(&shapes_of(&model), &state)?;
    Ok(model.map(&mut Loader { path: ParameterPath::default(), state: &mut state }))
}

struct Loader<'a> {
    path: ParameterPath,
    state: &'a mut State,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let array = self.state.remove(&self.path.name()).expect("names were compared before");
        replaced(param, TensorData::new(array.values, array.shape))
    }
}
