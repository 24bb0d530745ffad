//! AdamW and SGD by PyTorch's formulas, and gradients as plain numbers.
//!
//! Every array is updated in place where its model owns it alone. All sums run in one fixed order, and the update is
//! element by element, so that neither depends on the number of threads.

use std::collections::BTreeMap;

use archaeo_models::{Array, Mismatch, ParameterPath, State};
use archaeo_ops::{AdamW, Sgd, adamw_step, sgd_step};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ranks::add;

/// Elements per task when scaling or summing: large enough to be worth a thread.
const CHUNK: usize = 1 << 15;

/// A rule that turns gradients into updates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Algorithm {
    /// Adam with decoupled weight decay (Loshchilov & Hutter, 2019, algorithm 2).
    Adamw {
        /// Decay of the first moment.
        #[serde(default = "Algorithm::beta1")]
        beta1: f64,
        /// Decay of the second moment.
        #[serde(default = "Algorithm::beta2")]
        beta2: f64,
        /// Added to the root of the second moment.
        #[serde(default = "Algorithm::epsilon")]
        epsilon: f64,
    },
    /// Stochastic gradient descent with momentum as in Sutskever et al. (2013); weight decay is added to the gradient.
    Sgd {
        /// Decay of the velocity; 0 for none.
        #[serde(default)]
        momentum: f64,
        /// Whether to look ahead along the velocity.
        #[serde(default)]
        nesterov: bool,
    },
}

impl Algorithm {
    fn beta1() -> f64 {
        0.9
    }

    fn beta2() -> f64 {
        0.999
    }

    fn epsilon() -> f64 {
        1e-8
    }
}

impl Default for Algorithm {
    fn default() -> Self {
        Self::Adamw { beta1: Self::beta1(), beta2: Self::beta2(), epsilon: Self::epsilon() }
    }
}

/// Whether weight decay acts on an array: on matrices and kernels, not on biases, norms, scales of branches, tokens and
/// positions, be these learned (ViT), relative (Swin, BEiT, EfficientViT: one bias for each offset of query and key) or of text (CLIP). As in
/// `no_weight_decay` of timm's models, and in the code of the DeiT and Swin papers.
pub fn decays(name: &str, shape: &[usize]) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let position =
        ["pos_embed", "positional_embedding", "position_embedding", "relative_position", "attention_biases"];
    shape.len() >= 2
        && last != "bias"
        && !last.ends_with("_token")
        && !position.iter().any(|position| last.contains(position))
}

/// The gradient of every trained array by name.
#[derive(Debug, Default)]
pub struct NamedGradients {
    /// In the order in which the model holds them, from input to output.
    names: Vec<String>,
    arrays: BTreeMap<String, TensorData>,
}

impl NamedGradients {
    /// Takes the gradients of `model`'s parameters from the result of a backward pass.
    pub fn take<M: Module>(model: &M, gradients: &mut Gradients) -> Self {
        Self::take_parts(model, std::slice::from_mut(gradients))
    }

    /// The same of a backward pass in parts, where each parameter's gradient is in one of them.
    pub fn take_parts<M: Module>(model: &M, parts: &mut [Gradients]) -> Self {
        let mut collector = Collector { path: ParameterPath::default(), parts, taken: Self::default() };
        model.visit(&mut collector);
        collector.taken
    }

    /// Name and values of each gradient, by name.
    #[cfg(test)]
    pub(crate) fn arrays(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.arrays.iter().map(|(name, data)| (name.as_str(), values(data)))
    }

    /// Adds another backward pass's gradients.
    pub fn add(&mut self, other: Self) {
        for (name, data) in other.arrays {
            match self.arrays.get_mut(&name) {
                Some(sum) => add(values_mut(sum), values(&data)),
                None => {
                    self.names.push(name.clone());
                    self.arrays.insert(name, data);
                }
            }
        }
    }

    /// Appends the values of all gradients, in an order that is the same wherever the same arrays have one.
    pub(crate) fn append_to(&self, numbers: &mut Vec<f32>) {
        self.arrays.values().for_each(|data| numbers.extend_from_slice(values(data)));
    }

    /// Takes the values of all gradients from the beginning of what [`Self::append_to`] has made.
    pub(crate) fn take_from(&mut self, numbers: &mut &[f32]) {
        for data in self.arrays.values_mut() {
            let array = values_mut(data);
            let taken = numbers.split_off(..array.len()).expect("all that was appended is there");
            array.copy_from_slice(taken);
        }
    }

    /// Multiplies every gradient.
    pub fn scale(&mut self, factor: f32) {
        for data in self.arrays.values_mut() {
            values_mut(data)
                .par_chunks_mut(CHUNK)
                .for_each(|chunk| chunk.iter_mut().for_each(|v| *v *= factor));
        }
    }

    /// Euclidean norm over all gradients together.
    pub fn norm(&self) -> f64 {
        let square = |chunk: &[f32]| chunk.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
        // Blocks of a fixed size, added up in a fixed order.
        let of_array = |data: &TensorData| -> f64 {
            let blocks: Vec<f64> = values(data).par_chunks(CHUNK).map(square).collect();
            blocks.iter().sum()
        };
        self.arrays.values().map(of_array).sum::<f64>().sqrt()
    }

    /// The first array, from the input on, with a gradient that is not finite.
    pub fn first_not_finite(&self) -> Option<&str> {
        let broken = |name: &&String| values(&self.arrays[*name]).iter().any(|value| !value.is_finite());
        self.names.iter().find(broken).map(String::as_str)
    }
}

fn values(data: &TensorData) -> &[f32] {
    data.as_slice().expect("models and gradients are 32-bit floats")
}

fn values_mut(data: &mut TensorData) -> &mut [f32] {
    data.as_mut_slice().expect("models and gradients are 32-bit floats")
}

struct Collector<'a> {
    path: ParameterPath,
    parts: &'a mut [Gradients],
    taken: NamedGradients,
}

impl ModuleVisitor for Collector<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let param = param.val();
        if let Some(gradient) = self.parts.iter_mut().find_map(|part| param.grad_remove(part)) {
            self.taken.names.push(self.path.name());
            self.taken.arrays.insert(self.path.name(), gradient.into_data());
        }
    }
}

/// An optimiser with its state, kept by parameter name.
#[derive(Debug)]
pub struct Optimizer {
    algorithm: Algorithm,
    weight_decay: f64,
    /// Factor of the learning rate, for arrays that have one.
    scales: BTreeMap<String, f64>,
    /// Steps taken.
    steps: u64,
    /// AdamW's first moment, or SGD's velocity.
    first: BTreeMap<String, Vec<f32>>,
    /// AdamW's second moment.
    second: BTreeMap<String, Vec<f32>>,
}

impl Optimizer {
    /// An optimiser that has taken no step.
    pub fn new(algorithm: Algorithm, weight_decay: f64) -> Self {
        let (scales, first, second) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { algorithm, weight_decay, scales, steps: 0, first, second }
    }

    /// The same with a factor of the learning rate for each array that is named.
    pub fn with_scales(self, scales: BTreeMap<String, f64>) -> Self {
        Self { scales, ..self }
    }

    /// Moves every parameter that has a gradient.
    pub fn step<M: Module>(&mut self, model: M, gradients: &NamedGradients, learning_rate: f64) -> M {
        self.steps += 1;
        model.map(&mut Updater { path: ParameterPath::default(), optimizer: self, gradients, learning_rate })
    }

    /// Updates one array.
    fn update(&mut self, name: &str, weights: &mut [f32], gradient: &[f32], rate: f64, weight_decay: f64) {
        let zeros = || vec![0.0; weights.len()];
        match self.algorithm {
            Algorithm::Adamw { beta1, beta2, epsilon } => {
                let first = self.first.entry(name.to_owned()).or_insert_with(zeros);
                let second = self.second.entry(name.to_owned()).or_insert_with(zeros);
                let adamw = AdamW { learning_rate: rate, beta1, beta2, epsilon, weight_decay };
                let step = u32::try_from(self.steps).unwrap_or(u32::MAX);
                adamw_step(&adamw, step, weights, gradient, first, second);
            }
            Algorithm::Sgd { momentum, nesterov } => {
                let velocity = self.first.entry(name.to_owned()).or_insert_with(zeros);
                let sgd = Sgd { learning_rate: rate, momentum, nesterov, weight_decay };
                sgd_step(&sgd, weights, gradient, velocity);
            }
        }
    }

    /// The state without the settings, for a checkpoint: arrays named `first.NAME` and `second.NAME`, shaped as vectors.
    pub fn state(&self) -> State {
        let named = |prefix: &'static str, arrays: &BTreeMap<String, Vec<f32>>| -> Vec<(String, Array)> {
            let array = |values: &Vec<f32>| Array { shape: vec![values.len()], values: values.clone() };
            arrays.iter().map(|(name, values)| (format!("{prefix}.{name}"), array(values))).collect()
        };
        named("first", &self.first).into_iter().chain(named("second", &self.second)).collect()
    }

    /// Restores an optimiser from [`Optimizer::state`] after `steps` steps with `model`.
    ///
    /// # Errors
    /// Arrays that are not those of an optimiser that has moved every trained array of the model.
    pub fn restore<M: Module>(&mut self, state: State, steps: u64, model: &M) -> Result<(), Mismatch> {
        let prefixes: &[&str] = match self.algorithm {
            // Before its first step an optimiser has no state.
            _ if steps == 0 => &[],
            Algorithm::Adamw { .. } => &["first", "second"],
            Algorithm::Sgd { .. } => &["first"],
        };
        let mut trained = Trained::default();
        model.visit(&mut trained);
        let expected = trained.lengths.iter().flat_map(|(name, length)| {
            prefixes.iter().map(move |prefix| (format!("{prefix}.{name}"), vec![*length]))
        });
        Mismatch::check(&expected.collect(), &state)?;
        self.steps = steps;
        for (name, array) in state {
            if let Some(name) = name.strip_prefix("first.") {
                self.first.insert(name.to_owned(), array.values);
            } else if let Some(name) = name.strip_prefix("second.") {
                self.second.insert(name.to_owned(), array.values);
            }
        }
        Ok(())
    }
}

/// Number of elements of every trained array.
#[derive(Default)]
struct Trained {
    path: ParameterPath,
    lengths: BTreeMap<String, usize>,
}

impl ModuleVisitor for Trained {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.lengths.insert(self.path.name(), param.val().shape().num_elements());
        }
    }
}

struct Updater<'a> {
    path: ParameterPath,
    optimizer: &'a mut Optimizer,
    gradients: &'a NamedGradients,
    learning_rate: f64,
}

impl ModuleMapper for Updater<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let Some(gradient) = self.gradients.arrays.get(&name) else { return param };
        let (id, tensor, mapper) = param.consume();
        let device = tensor.device();
        // On the CPU neither of the two conversions copies: this is the only handle to the array.
        let mut data = tensor.inner().into_data();
        let decay = if decays(&name, data.shape()) { self.optimizer.weight_decay } else { 0.0 };
        let rate = self.learning_rate * self.optimizer.scales.get(&name).copied().unwrap_or(1.0);
        self.optimizer.update(&name, values_mut(&mut data), values(gradient), rate, decay);
        Param::from_mapped_value(id, Tensor::from_data(data, &device).require_grad(), mapper)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use archaeo_models::state_of;
    use burn::tensor::Device;

    use super::*;

    #[derive(Deserialize)]
    struct Fixture {
        clip: f64,
        weight_decay: f64,
        shapes: BTreeMap<String, Vec<usize>>,
        runs: BTreeMap<String, Run>,
    }

    type Values = BTreeMap<String, Vec<f32>>;

    #[derive(Deserialize)]
    struct Run {
        initial: Values,
        gradients: Vec<Values>,
        rates: Vec<f64>,
        after: Vec<After>,
    }

    #[derive(Deserialize)]
    struct After {
        norm: f64,
        values: Values,
    }

    #[derive(Module, Debug)]
    struct Three {
        cls_token: Param<Tensor<3>>,
        weight: Param<Tensor<2>>,
        bias: Param<Tensor<1>>,
    }

    impl Three {
        fn new(values: &Values, shapes: &BTreeMap<String, Vec<usize>>, device: &Device) -> Self {
            let data = |name: &str| TensorData::new(values[name].clone(), shapes[name].clone());
            Self {
                cls_token: Param::from_tensor(Tensor::from_data(data("cls_token"), device)),
                weight: Param::from_tensor(Tensor::from_data(data("weight"), device)),
                bias: Param::from_tensor(Tensor::from_data(data("bias"), device)),
            }
        }

        /// A loss whose gradient is `values`.
        fn loss(&self, values: &Values) -> Tensor<1> {
            fn term<const D: usize>(param: &Param<Tensor<D>>, values: &[f32]) -> Tensor<1> {
                let param = param.val();
                let values = TensorData::new(values.to_vec(), param.shape());
                (param.clone() * Tensor::from_data(values, &param.device())).sum()
            }
            term(&self.cls_token, &values["cls_token"])
                + term(&self.weight, &values["weight"])
                + term(&self.bias, &values["bias"])
        }
    }

    fn follows(name: &str, algorithm: Algorithm) {
        let fixture: Fixture =
            serde_json::from_str(include_str!("../tests/fixtures/optimizer.json")).unwrap();
        let run = &fixture.runs[name];
        let device = Device::flex().autodiff();
        let mut model = Three::new(&run.initial, &fixture.shapes, &device);
        let mut optimizer = Optimizer::new(algorithm.clone(), fixture.weight_decay);
        for (step, expected) in run.after.iter().enumerate() {
            let mut gradients =
                NamedGradients::take(&model, &mut model.loss(&run.gradients[step]).backward());
            let norm = gradients.norm();
            assert!((norm - expected.norm).abs() < 1e-5 * norm, "{name}, step {step}: norm {norm}");
            if norm > fixture.clip {
                gradients.scale((fixture.clip / norm) as f32);
            }
            // A restart between any two steps changes nothing.
            let (state, steps) = (optimizer.state(), optimizer.steps);
            optimizer = Optimizer::new(algorithm.clone(), fixture.weight_decay);
            optimizer.restore(state, steps, &model).unwrap();

            model = optimizer.step(model, &gradients, run.rates[step]);
            for (array, values) in &expected.values {
                for (ours, theirs) in state_of(&model)[array].values.iter().zip(values) {
                    assert!(
                        (ours - theirs).abs() < 2e-6,
                        "{name}, step {step}, {array}: {ours}, PyTorch {theirs}"
                    );
                }
            }
        }
    }

    #[test]
    fn ten_steps_of_adamw_are_those_of_pytorch() {
        follows("adamw", Algorithm::default());
        follows("adamw_betas", Algorithm::Adamw { beta1: 0.8, beta2: 0.95, epsilon: 1e-3 });
    }

    #[test]
    fn ten_steps_of_sgd_are_those_of_pytorch() {
        follows("sgd", Algorithm::Sgd { momentum: 0.0, nesterov: false });
        follows("sgd_momentum", Algorithm::Sgd { momentum: 0.9, nesterov: false });
        follows("sgd_nesterov", Algorithm::Sgd { momentum: 0.9, nesterov: true });
    }

    #[test]
    fn only_matrices_and_kernels_decay() {
        let shapes: [(&str, &[usize], bool); 12] = [
            ("layers.0.blocks.0.attn.relative_position_bias_table", &[169, 3], false),
            ("blocks.0.attn.relative_position_bias_table", &[732, 12], false),
            ("text.positional_embedding", &[77, 512], false),
            ("reg_token", &[1, 4, 4], false),
            ("blocks.0.attn.qkv.weight", &[12, 4], true),
            ("layer1.0.conv1.weight", &[8, 3, 3, 3], true),
            ("blocks.0.attn.qkv.bias", &[12], false),
            ("blocks.0.norm1.weight", &[4], false),
            ("layer1.0.bn1.weight", &[8], false),
            ("cls_token", &[1, 1, 4], false),
            ("dist_token", &[1, 1, 4], false),
            ("pos_embed", &[1, 5, 4], false),
        ];
        for (name, shape, expected) in shapes {
            assert_eq!(decays(name, shape), expected, "{name}");
        }
    }

    /// Over every array of a model of each kind: what decays multiplies activations, by its layer's name.
    #[test]
    fn in_whole_models_what_decays_is_the_weight_of_a_layer() {
        use archaeo_models::{
            BeitConfig, BranchKind, Classifier, EfficientVitConfig, ModelCard, NetworkSpec, Preprocessing,
            ResNetConfig, Stem, SwinConfig, VitConfig,
        };
        let (image_size, patch_size, width, depth, heads, mlp_width, classes) = (8, 4, 8, 1, 2, 8, 3);
        let vit = VitConfig {
            image_size,
            patch_size,
            width,
            depth,
            heads,
            mlp_width,
            classes,
            ..VitConfig::default()
        };
        let distilled = VitConfig { distilled: true, layer_scale: true, ..vit.clone() };
        let registers = VitConfig { registers: 2, ..vit };
        let (epsilon, drop_path) = (1e-6, 0.0);
        let beit = BeitConfig {
            image_size,
            patch_size,
            width,
            depth,
            heads,
            mlp_width,
            classes,
            epsilon,
            drop_path,
        };
        let (window_size, depths, heads) = (2, vec![1, 1], vec![2, 2]);
        let swin = SwinConfig {
            image_size: 16,
            window_size,
            width,
            depths,
            heads,
            classes,
            ..SwinConfig::default()
        };
        let efficientvit = EfficientVitConfig { image_size: 16, classes, ..EfficientVitConfig::default() };
        let (stem, branch) = (Stem::Cifar, BranchKind::Basic);
        let resnet = ResNetConfig { stem, branch, blocks: [1; 4], width, classes };
        let layers = ["qkv", "proj", "fc1", "fc2", "head", "head_dist", "reduction", "fc", "linear"];
        for (name, network, spared) in [
            ("distilled", NetworkSpec::Vit(distilled), "cls_token dist_token pos_embed"),
            ("registers", NetworkSpec::Vit(registers), "cls_token reg_token pos_embed"),
            ("beit", NetworkSpec::Beit(beit), "cls_token blocks.0.attn.relative_position_bias_table"),
            ("swin", NetworkSpec::Swin(swin), "layers.0.blocks.0.attn.relative_position_bias_table"),
            (
                "efficientvit",
                NetworkSpec::EfficientVit(efficientvit),
                "stages.0.blocks.0.mixer.m.attn.attention_biases",
            ),
            ("resnet", NetworkSpec::Resnet(resnet), ""),
        ] {
            let card = ModelCard {
                name: name.into(),
                preprocessing: Preprocessing::plain(network.image_size().unwrap_or(8)),
                network,
                classes: (0..3).map(|class| class.to_string()).collect(),
            };
            let model = Classifier::new(card, 0, &Device::flex()).unwrap();
            let state = state_of(&model);
            for array in spared.split_whitespace() {
                assert!(!decays(array, &state[array].shape), "{name}: {array} decays");
            }
            for (array, values) in state {
                if decays(&array, &values.shape) {
                    let layer =
                        array.strip_suffix(".weight").unwrap_or_else(|| panic!("{name}: {array} decays"));
                    let known = layers.contains(&layer.rsplit('.').next().unwrap());
                    assert!(values.shape.len() == 4 || known, "{name}: {array} decays");
                }
            }
        }
    }

    #[test]
    fn gradients_add_up_and_name_the_first_that_is_not_finite() {
        let device = Device::flex().autodiff();
        let values = |bias: f32| -> Values {
            BTreeMap::from([
                ("cls_token".into(), vec![1.0, 2.0]),
                ("weight".into(), vec![3.0]),
                ("bias".into(), vec![bias]),
            ])
        };
        let shapes = BTreeMap::from([
            ("cls_token".to_owned(), vec![1, 1, 2]),
            ("weight".to_owned(), vec![1, 1]),
            ("bias".to_owned(), vec![1]),
        ]);
        let model = Three::new(&values(0.0), &shapes, &device);
        let take = |values| NamedGradients::take(&model, &mut model.loss(&values).backward());
        let mut sum = take(values(1.0));
        sum.add(take(values(-1.0)));
        assert_eq!(sum.norm(), (4.0f64 + 16.0 + 36.0).sqrt());
        assert_eq!(sum.first_not_finite(), None);
        sum.add(take(values(f32::INFINITY)));
        assert_eq!(sum.first_not_finite(), Some("bias"));
    }
}
