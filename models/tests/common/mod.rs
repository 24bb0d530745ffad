//! Helpers of the integration tests: fixtures, small models, gradients by name.
#![allow(dead_code)] // every test file uses some of it

use std::path::{Path, PathBuf};

use archaeo_models::{
    AirbenchConfig, Array, AttentionSite, BeitConfig, BranchKind, CctConfig, CifarResNetConfig, Classifier,
    EfficientVitConfig, FeatureSite, IMAGENET_MOMENTS, ModelCard, NetworkSpec, ParameterPath, Pass, Pooling,
    Preprocessing, Probe, ResNetConfig, State, Stem, SwinConfig, TokenPlace, TokenSite, VitComerConfig,
    VitConfig, clip::ZeroShotConfig, load, read_arrays, with_state, write_arrays,
};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

/// The classes of every small model.
pub const CLASSES: usize = 5;

/// A ViT of two blocks for images of 16 px.
pub fn tiny_vit() -> VitConfig {
    VitConfig {
        image_size: 16,
        patch_size: 4,
        width: 32,
        depth: 2,
        heads: 2,
        mlp_width: 64,
        classes: CLASSES,
        pooling: Pooling::ClassToken,
        ..VitConfig::default()
    }
}

/// A ResNet of five blocks, four channels wide.
pub fn tiny_resnet(stem: Stem, branch: BranchKind) -> NetworkSpec {
    NetworkSpec::Resnet(ResNetConfig { stem, branch, blocks: [2, 1, 1, 1], width: 4, classes: CLASSES })
}

/// A CIFAR ResNet of depth 14, four channels wide.
pub fn tiny_cifar_resnet() -> NetworkSpec {
    NetworkSpec::CifarResnet(CifarResNetConfig { blocks: 2, width: 4, projection: false, classes: CLASSES })
}

/// A BEiT of two blocks for images of 16 px.
pub fn tiny_beit() -> BeitConfig {
    BeitConfig {
        image_size: 16,
        patch_size: 4,
        width: 32,
        depth: 2,
        heads: 2,
        mlp_width: 64,
        classes: CLASSES,
        epsilon: 1e-6,
        drop_path: 0.0,
    }
}

/// An airbench network for images of 16 px.
pub fn tiny_airbench() -> NetworkSpec {
    NetworkSpec::Airbench(AirbenchConfig { image_size: 16, widths: [4, 6, 8], classes: CLASSES })
}

/// A CCT of two convolutions and two blocks for images of 16 px.
pub fn tiny_cct() -> CctConfig {
    CctConfig { image_size: 16, width: 16, mlp_width: 24, classes: CLASSES, ..CctConfig::default() }
}

/// A Swin Transformer of two stages of one block for images of 16 px.
pub fn tiny_swin() -> SwinConfig {
    SwinConfig {
        image_size: 16,
        patch_size: 2,
        window_size: 4,
        width: 8,
        depths: vec![1, 1],
        heads: vec![2, 2],
        mlp_ratio: 2,
        classes: CLASSES,
        ..SwinConfig::default()
    }
}

/// An EfficientViT of two stages of one block.
pub fn tiny_efficientvit(image_size: usize) -> EfficientVitConfig {
    EfficientVitConfig {
        image_size,
        widths: vec![8, 12],
        depths: vec![1, 1],
        heads: vec![2, 3],
        kernels: vec![5, 3, 3],
        key_dim: 6,
        classes: CLASSES,
        ..EfficientVitConfig::default()
    }
}

/// A ViT-CoMer of two stages of one block, with a mask head.
pub fn tiny_vit_comer(image_size: usize, patch_size: usize) -> VitComerConfig {
    VitComerConfig {
        image_size,
        patch_size,
        width: 8,
        depth: 2,
        heads: 2,
        stages: 2,
        conv_width: 4,
        deformable_heads: 2,
        points: 4,
        classes: CLASSES,
        mask_width: 6,
    }
}

/// An image tower of CLIP of two blocks for images of 16 px.
pub fn tiny_zero_shot() -> ZeroShotConfig {
    let image = VitConfig { classes: 0, pre_norm: true, ..tiny_vit() };
    ZeroShotConfig { image, embedding: 8, classes: CLASSES }
}

/// A model of every architecture, for images of 16 px.
pub fn tiny_networks() -> Vec<(&'static str, NetworkSpec)> {
    vec![
        ("ViT", NetworkSpec::Vit(tiny_vit())),
        ("distilled ViT", NetworkSpec::Vit(VitConfig { distilled: true, ..tiny_vit() })),
        ("BEiT", NetworkSpec::Beit(tiny_beit())),
        ("CCT", NetworkSpec::Cct(tiny_cct())),
        ("Swin", NetworkSpec::Swin(tiny_swin())),
        ("EfficientViT", NetworkSpec::EfficientVit(tiny_efficientvit(16))),
        ("ViT-CoMer", NetworkSpec::VitComer(tiny_vit_comer(16, 4))),
        ("CLIP", NetworkSpec::ZeroShot(tiny_zero_shot())),
        ("airbench", tiny_airbench()),
        ("ResNet", tiny_resnet(Stem::Imagenet, BranchKind::Bottleneck)),
        ("ResNet for small images", tiny_resnet(Stem::Cifar, BranchKind::Basic)),
        ("CIFAR ResNet", tiny_cifar_resnet()),
    ]
}

/// A card with ImageNet's normalisation.
pub fn card(network: NetworkSpec, image_size: usize) -> ModelCard {
    let (mean, std) = IMAGENET_MOMENTS;
    ModelCard {
        name: "tiny".into(),
        classes: (0..network.classes()).map(|class| format!("class {class}")).collect(),
        network,
        preprocessing: Preprocessing { mean, std, ..Preprocessing::plain(image_size) },
    }
}

/// A model with random values in every array, so that none can be ignored without a difference.
pub fn random_model(network: NetworkSpec, image_size: usize, seed: u64, device: &Device) -> Classifier {
    let model = Classifier::new(card(network, image_size), seed, device).expect("the sizes fit");
    let mut state = archaeo_models::state_of(&model);
    for (name, array) in &mut state {
        let mut rng = archaeo_random::keyed_rng(seed, name, 0, 1);
        let fan_in = array.shape[1..].iter().product::<usize>() as f64;
        for value in &mut array.values {
            let draw = archaeo_random::standard_normal(&mut rng);
            *value = match array.shape.len() {
                1 if name.ends_with("running_var") => 1.0 + 0.2 * draw.abs(),
                1 if name.ends_with("weight") => 1.0 + 0.2 * draw,
                1 => 0.2 * draw,
                3 => 0.5 * draw,
                _ => draw / fan_in.sqrt(),
            } as f32;
        }
    }
    with_state(model, state).expect("the names are the model's own")
}

/// Images with values in [0, 1], each depending on its own number alone.
pub fn random_images(numbers: &[u64], image_size: usize, device: &Device) -> Tensor<4> {
    use rand::RngExt;
    let mut values = Vec::new();
    for &number in numbers {
        let mut rng = archaeo_random::keyed_rng(7, "test image", number, 0);
        values.extend((0..3 * image_size * image_size).map(|_| rng.random::<f32>()));
    }
    let shape = [numbers.len(), 3, image_size, image_size];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The path of a file that `make_parity.py` wrote.
pub fn fixture_path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file)
}

/// The arrays of a fixture.
pub struct Fixture(State);

impl Fixture {
    /// Reads `NAME.safetensors`.
    pub fn read(name: &str) -> Self {
        Self(read_arrays(&fixture_path(&format!("{name}.safetensors"))).expect("the fixture is committed").0)
    }

    /// Reads a file from elsewhere.
    pub fn read_from(path: &Path) -> Self {
        Self(read_arrays(path).unwrap_or_else(|error| panic!("{error}")).0)
    }

    /// One array.
    pub fn array(&self, name: &str) -> &Array {
        self.0.get(name).unwrap_or_else(|| panic!("the fixture has no `{name}`"))
    }

    /// One array as a tensor.
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let Array { shape, values } = self.array(name).clone();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// The arrays whose names start with `prefix` and a dot, without them.
    pub fn part(&self, prefix: &str) -> State {
        let strip = |name: &String| Some(name.strip_prefix(prefix)?.strip_prefix('.')?.to_owned());
        self.0.iter().filter_map(|(name, array)| Some((strip(name)?, array.clone()))).collect()
    }
}

/// All values of a tensor.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.inner().into_data().try_into_vec().expect("a tensor of 32-bit floats")
}

/// The gradient of every trained parameter of `model`, by its checkpoint name.
pub fn gradients_by_name(model: &Classifier, gradients: &Gradients) -> State {
    struct Collector<'a> {
        path: ParameterPath,
        gradients: &'a Gradients,
        found: State,
    }
    impl ModuleVisitor for Collector<'_> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.gradients) {
                let shape = gradient.dims().to_vec();
                self.found.insert(self.path.name(), Array { shape, values: values(gradient) });
            }
        }
    }
    let mut collector = Collector { path: ParameterPath::default(), gradients, found: State::new() };
    model.visit(&mut collector);
    collector.found
}

/// The largest absolute difference of two slices of one length; NaN counts as infinite.
pub fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len(), "the lengths differ");
    let difference = |(a, b): (&f32, &f32)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() };
    ours.iter().zip(theirs).map(difference).fold(0.0, f32::max)
}

/// The largest absolute value.
pub fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

/// Keeps the attention weights and the output of every block.
#[derive(Default)]
struct BlockRecorder {
    blocks: Vec<Vec<f32>>,
    attention: Vec<Vec<f32>>,
}

impl Probe for BlockRecorder {
    fn attention(&mut self, _: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        self.attention.push(values(weights.clone()));
        weights
    }

    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if site.place == TokenPlace::BlockOutput {
            self.blocks.push(values(tokens.clone()));
        }
        tokens
    }

    fn features(&mut self, site: &FeatureSite, map: Tensor<4>) -> Tensor<4> {
        if site.stage > 0 {
            self.blocks.push(values(map.clone()));
        }
        map
    }
}

/// Reads the state of a fixture under the names it has there, and compares logits, every block's output, every attention
/// matrix and the gradient of `(logits · cotangent).sum()` at the images: for each of the four the largest difference,
/// relative to the largest value of the array it is in.
pub fn differences_from_library(fixture: &Fixture, card: ModelCard) -> [(&'static str, f32); 4] {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("checkpoint.safetensors");
    write_arrays(&path, &fixture.part("state"), Default::default()).expect("the state can be written");
    let model = load(&path, Some(card), &Device::flex()).unwrap_or_else(|error| panic!("{error}"));

    let device = Device::flex().autodiff();
    let images = fixture.tensor::<4>("images", &device).require_grad();
    let cotangent = fixture.tensor::<2>("cotangent", &device);
    let mut recorder = BlockRecorder::default();
    let logits = model.logits(images.clone(), &mut Pass::evaluate(&mut recorder));
    let gradients = (logits.clone() * cotangent).sum().backward();
    let gradient = values(images.grad(&gradients).expect("the images have a gradient"));
    let relative = |what: &str, ours: &[f32]| {
        let theirs = &fixture.array(what).values;
        largest_difference(ours, theirs) / largest(theirs)
    };
    let worst = |what: &str, ours: &[Vec<f32>]| {
        assert_eq!(fixture.part(what).len(), ours.len(), "{what}");
        let each = ours.iter().enumerate().map(|(layer, ours)| relative(&format!("{what}.{layer}"), ours));
        each.fold(0.0, f32::max)
    };
    [
        ("logits", relative("logits", &values(logits))),
        ("blocks", worst("block", &recorder.blocks)),
        ("attention", worst("attention", &recorder.attention)),
        ("gradient", relative("gradient", &gradient)),
    ]
}

/// [`differences_from_library`] must all be within 1e-5.
pub fn compare_with_library(name: &str, network: NetworkSpec, image_size: usize) {
    for (what, difference) in differences_from_library(&Fixture::read(name), card(network, image_size)) {
        assert!(difference <= 1e-5, "{name}: {what} differs by {difference:e} of its largest value");
    }
}
