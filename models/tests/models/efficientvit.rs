//! EfficientViTs compared with what timm computes (`fixtures/make_efficientvit.py`), and what is particular to cascaded heads.

use crate::common::{
    CLASSES, Fixture, card, compare_with_library, gradients_by_name, largest, largest_difference,
    random_images, random_model, tiny_efficientvit, values,
};
use archaeo_models::{
    AttentionSite, Classifier, EfficientVitConfig, NetworkSpec, Pass, Probe, State, TokenPlace, TokenSite,
    TrainingStep, Window, WindowPadding, load, save, state_of, with_state,
};
use archaeo_ops::cross_entropy;
use burn::tensor::{Device, Int, Tensor, TensorData};

fn tiny(image_size: usize, window_size: usize) -> EfficientVitConfig {
    EfficientVitConfig {
        image_size,
        widths: vec![16, 24, 32],
        depths: vec![1, 2, 1],
        heads: vec![4, 3, 2],
        kernels: vec![5, 3, 7, 3],
        key_dim: 4,
        window_size,
        classes: CLASSES,
        ..EfficientVitConfig::default()
    }
}

/// Windows of 2 do not tile the first map, of 3 tokens a side.
fn model(device: &Device) -> Classifier {
    random_model(NetworkSpec::EfficientVit(tiny(48, 2)), 48, 5, device)
}

#[test]
fn timm_with_maps_that_windows_do_not_tile() {
    compare_with_library("timm_efficientvit", NetworkSpec::EfficientVit(tiny(48, 2)), 48);
}

#[test]
fn timm_with_images_that_strides_do_not_tile() {
    compare_with_library("timm_efficientvit_odd", NetworkSpec::EfficientVit(tiny(40, 7)), 40);
}

/// As `noise` in the script.
fn noise(name: &str, count: usize) -> Vec<f64> {
    let key = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |key, byte| (key ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let draw = |place: u64| {
        let mut z = key.wrapping_add((place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    (0..count as u64).map(draw).collect()
}

#[test]
fn m0_in_full_size_computes_the_logits_of_timm() {
    let device = Device::flex();
    let network = NetworkSpec::named("efficientvit_m0", 1000, 224).unwrap();
    let model = Classifier::new(card(network, 224), 0, &device).unwrap();
    let mut state = state_of(&model);
    for (name, array) in &mut state {
        let fan_in = array.shape[1..].iter().product::<usize>() as f64;
        let drawn = noise(name, array.values.len());
        for (value, u) in array.values.iter_mut().zip(drawn) {
            *value = match array.shape.len() {
                _ if name.ends_with("attention_biases") => u,
                1 if name.ends_with("running_var") => 1.0 + 0.4 * u.abs(),
                1 if name.ends_with("weight") => 1.0 + 0.2 * u,
                1 => 0.2 * u,
                _ => u * (3.0 / fan_in).sqrt(),
            } as f32;
        }
    }
    let model = with_state(model, state).unwrap();
    let pixels = noise("image", 3 * 224 * 224).into_iter().map(|u| ((u + 1.0) / 2.0) as f32).collect();
    let image = Tensor::<4>::from_data(TensorData::new(pixels, [1, 3, 224, 224]), &device);
    let fixture = Fixture::read("efficientvit_m0");
    let features = model.features(image.clone(), &mut Pass::evaluate(&mut ()));
    let logits = model.logits(image, &mut Pass::evaluate(&mut ()));
    for (what, ours) in [("features", values(features)), ("logits", values(logits))] {
        let theirs = &fixture.array(what).values;
        let difference = largest_difference(&ours, theirs) / largest(theirs);
        // PyTorch's own single precision is 3.5e-5 from double here: the stream adds up thirty branches without a norm.
        assert!(difference <= 1e-4, "{what} differ by {difference:e} of the largest");
    }
}

#[test]
fn a_saved_model_is_read_back_to_the_last_bit_and_for_another_size_with_resampled_biases() {
    let device = Device::flex();
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("efficientvit.safetensors");
    let images = random_images(&[1, 2], 48, &device);
    let written = model(&device);
    save(&path, &written, &[]).unwrap();
    let logits = |model: &Classifier| values(model.logits(images.clone(), &mut Pass::evaluate(&mut ())));
    assert_eq!(logits(&load(&path, None, &device).unwrap()), logits(&written));

    let larger = EfficientVitConfig { window_size: 3, ..tiny(48, 2) };
    let read = load(&path, Some(card(NetworkSpec::EfficientVit(larger), 48)), &device).unwrap();
    let (own, resampled) = (state_of(&written), state_of(&read));
    for (name, array) in own {
        match name.starts_with("stages.0.") && name.ends_with("attention_biases") {
            true => assert_eq!(resampled[&name].shape, [4, 9]),
            false => assert_eq!(resampled[&name], array, "{name}"),
        }
    }
}

#[test]
fn logits_do_not_depend_on_the_batch() {
    let device = Device::flex();
    let numbers: Vec<u64> = (0..32).collect();
    let model = model(&device);
    let logits = |numbers: &[u64]| {
        let images = random_images(numbers, 48, &device);
        values(model.logits(images, &mut Pass::evaluate(&mut ())))
    };
    let together = logits(&numbers);
    for number in [0, 15, 31] {
        let alone = logits(&[number]);
        assert_eq!(alone, together[number as usize * CLASSES..][..CLASSES], "image {number}");
    }
}

/// Keeps every site and shape, and the input of every block.
#[derive(Default)]
struct Recorder {
    attention: Vec<(AttentionSite, Tensor<4>)>,
    cascade: Vec<(usize, usize, [usize; 3])>,
    heads: Vec<[usize; 4]>,
    inputs: Vec<(TokenSite, Tensor<3>)>,
    places: Vec<TokenPlace>,
}

impl Probe for Recorder {
    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        self.attention.push((*site, weights.clone()));
        weights
    }
    fn cascade_output(&mut self, site: &AttentionSite, head: usize, output: Tensor<3>) -> Tensor<3> {
        self.cascade.push((site.layer, head, output.dims()));
        output
    }
    fn heads(&mut self, _: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        self.heads.push(outputs.dims());
        outputs
    }
    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
        if site.layer == 0 {
            self.places.push(site.place);
        }
        if site.place == TokenPlace::BlockInput {
            self.inputs.push((*site, tokens.clone()));
        }
        tokens
    }
}

#[test]
fn sites_carry_the_grid_and_the_window_of_their_stage() {
    let device = Device::flex();
    let mut seen = Recorder::default();
    model(&device).logits(random_images(&[1, 2], 48, &device), &mut Pass::evaluate(&mut seen));
    let padding = WindowPadding::AfterShift;
    let window = |side| Some(Window { size: [side; 2], shift: [0; 2], padding });
    let sites: Vec<_> = seen.attention.iter().map(|(site, _)| (site.layer, site.grid, site.window)).collect();
    let expected =
        [(0, [3, 3], window(2)), (1, [2, 2], window(2)), (2, [2, 2], window(2)), (3, [1, 1], window(1))];
    assert_eq!(sites, expected);
    let shapes: Vec<_> = seen.attention.iter().map(|(_, weights)| weights.dims()).collect();
    assert_eq!(shapes, [[2 * 4, 4, 4, 4], [2, 3, 4, 4], [2, 3, 4, 4], [2, 2, 1, 1]]);
    assert_eq!(seen.heads, [[2, 4, 9, 4], [2, 3, 4, 8], [2, 3, 4, 8], [2, 2, 1, 16]]);
    // The first map is filled up from 9 tokens to 16 places.
    let first: Vec<_> = seen.cascade.iter().filter(|(layer, ..)| *layer == 0).copied().collect();
    assert_eq!(first, [0, 1, 2, 3].map(|head| (0, head, [2, 16, 4])));
    let places = [
        TokenPlace::BlockInput,
        TokenPlace::BeforeAttention,
        TokenPlace::AttentionInput,
        TokenPlace::AfterAttention,
        TokenPlace::BlockOutput,
    ];
    assert_eq!(seen.places, places);
    for (_, weights) in &seen.attention {
        let sums = values(weights.clone().sum_dim(3));
        assert!(largest_difference(&sums, &vec![1.0; sums.len()]) < 1e-6);
    }
}

#[test]
fn watching_changes_no_bit_and_a_pass_resumes_at_any_block() {
    let device = Device::flex();
    let (model, images) = (model(&device), random_images(&[1, 2], 48, &device));
    let unwatched = values(model.logits(images.clone(), &mut Pass::evaluate(&mut ())));
    let mut seen = Recorder::default();
    let watched = values(model.logits(images, &mut Pass::evaluate(&mut seen)));
    assert_eq!(watched, unwatched);
    assert_eq!(seen.inputs.len(), 4);
    for (layer, (site, input)) in seen.inputs.into_iter().enumerate() {
        let resumed = model.logits_from(layer, input, site.grid, &mut Pass::evaluate(&mut ()));
        assert_eq!(values(resumed), unwatched, "from block {layer}");
    }
}

/// Sets the output of one head to zero, for the heads after it or for the projection alone.
struct Silence {
    head: usize,
    in_cascade: bool,
}

impl Probe for Silence {
    fn cascade_output(&mut self, site: &AttentionSite, head: usize, output: Tensor<3>) -> Tensor<3> {
        let silent = self.in_cascade && (site.layer, head) == (0, self.head);
        if silent { output.zeros_like() } else { output }
    }
    fn heads(&mut self, site: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        if self.in_cascade || site.layer != 0 {
            return outputs;
        }
        let zeros = outputs.clone().narrow(1, self.head, 1).zeros_like();
        outputs.slice_assign(burn::tensor::s![.., self.head..self.head + 1, .., ..], zeros)
    }
}

/// A head that computes zeros, and one whose columns of the projection are zeros, by changing arrays of the model.
#[test]
fn a_head_is_silenced_for_the_heads_after_it_or_for_the_projection_alone() {
    let device = Device::flex();
    let (model, images) = (model(&device), random_images(&[1, 2], 48, &device));
    let logits = |model: &Classifier, probe: &mut dyn Probe| {
        values(model.logits(images.clone(), &mut Pass::evaluate(probe)))
    };
    let changed = |change: &dyn Fn(&mut State)| {
        let mut state = state_of(&model);
        change(&mut state);
        with_state(model.clone(), state).unwrap()
    };
    let attn = "stages.0.blocks.0.mixer.m.attn";
    for head in 0..4 {
        let without_values = changed(&|state| {
            for part in ["weight", "bias"] {
                let values = &mut state.get_mut(&format!("{attn}.qkvs.{head}.bn.{part}")).unwrap().values;
                values[8..].fill(0.0);
            }
        });
        let without_columns = changed(&|state| {
            let weight = &mut state.get_mut(&format!("{attn}.proj.1.conv.weight")).unwrap().values;
            weight.chunks_mut(16).for_each(|row| row[4 * head..][..4].fill(0.0));
        });
        let [output, contribution] =
            [true, false].map(|in_cascade| logits(&model, &mut Silence { head, in_cascade }));
        assert!(largest_difference(&output, &logits(&without_values, &mut ())) < 1e-5, "head {head}");
        assert!(largest_difference(&contribution, &logits(&without_columns, &mut ())) < 1e-5, "head {head}");
        // No head reads the last one.
        assert_eq!(largest_difference(&output, &contribution) < 1e-6, head == 3, "head {head}");
    }
}

#[test]
fn training_reaches_every_array_and_drops_whole_branches() {
    let device = Device::flex().autodiff();
    let config = |drop_path| EfficientVitConfig { drop_path, ..tiny_efficientvit(64) };
    let images = random_images(&[1, 2, 3, 4], 64, &device);
    let labels = Tensor::<1, Int>::from_data([0, 1, 2, 3], &device);
    let logits = |rate| {
        let model = random_model(NetworkSpec::EfficientVit(config(rate)), 64, 5, &device);
        let mut step = TrainingStep::new(0, 0, vec![1, 2, 3, 4]);
        let logits = model.logits(images.clone(), &mut Pass::train(&mut (), &mut step));
        (model, logits, step)
    };
    let (model, calm, step) = logits(0.0);
    let gradients = gradients_by_name(&model, &cross_entropy(calm.clone(), labels).backward());
    let state = state_of(&model);
    let running = state.keys().filter(|name| name.contains("running_")).count();
    assert_eq!(gradients.len() + running, state.len());
    assert_eq!(2 * step.moments.len(), running);
    for (name, gradient) in gradients.iter().filter(|(name, _)| name.ends_with("weight")) {
        assert!(largest(&gradient.values) > 1e-7, "{name} gets no gradient");
    }
    assert!(largest_difference(&values(calm), &values(logits(0.8).1)) > 1e-2);
}

#[test]
fn outputs_change_their_order_and_features_do_not() {
    let device = Device::flex();
    let config = EfficientVitConfig { classes: 32, ..tiny(48, 2) };
    let model = random_model(NetworkSpec::EfficientVit(config), 48, 5, &device);
    let images = random_images(&[1], 48, &device);
    let both = |model: &Classifier| {
        let features = model.features(images.clone(), &mut Pass::evaluate(&mut ()));
        [values(features.clone()), values(model.head(features))]
    };
    let order: Vec<usize> = (0..32).rev().collect();
    let moved = model.clone().with_outputs(&order, order.iter().map(ToString::to_string).collect());
    let ([features, mut logits], [after, reversed]) = (both(&model), both(&moved));
    logits.reverse();
    // As many features as classes: their norm belongs to no class.
    assert_eq!((features, logits), (after, reversed));
}

#[test]
fn sizes_that_do_not_fit_get_a_sentence() {
    let refused = |config: EfficientVitConfig| config.validate().unwrap_err().to_string();
    assert_eq!(
        refused(EfficientVitConfig { heads: vec![4, 3, 3], ..tiny(48, 2) }),
        "3 heads do not divide the width of 32 of stage 3"
    );
    assert_eq!(
        refused(EfficientVitConfig { heads: vec![2], ..tiny(48, 2) }),
        "widths, depths and heads need one entry per stage, from 1 to 3 of them, not 3, 3 and 1"
    );
    assert_eq!(refused(tiny(15, 2)), "an EfficientViT needs images of at least 16 px, not 15");
    assert_eq!(
        refused(EfficientVitConfig { kernels: vec![5, 3], ..tiny(48, 2) }),
        "kernels need one entry per head, 4 of them, not 2"
    );
    assert_eq!(
        refused(EfficientVitConfig { kernels: vec![5, 4, 3, 3], ..tiny(48, 2) }),
        "kernels must be odd and at most 15, not 4"
    );
    assert_eq!(
        refused(EfficientVitConfig { widths: vec![12, 24, 32], heads: vec![4, 3, 2], ..tiny(48, 2) }),
        "the first of the widths must be a multiple of 8, not 12"
    );
}
