//! Swin Transformers of timm, Microsoft's release, torchvision and transformers, read under the names that each of them uses
//! and compared with what the library itself computes (`fixtures/make_swin.py`); what is particular to windows.

use crate::common::{
    CLASSES, Fixture, card, compare_with_library, differences_from_library, gradients_by_name, largest,
    largest_difference, random_images, random_model, values,
};
use archaeo_models::{
    AttentionSite, Classifier, ModelRequest, NetworkSpec, Pass, Probe, SwinConfig, TokenPlace, TokenSite,
    TrainingStep, Window, WindowPadding, checkpoint, load, save, write_arrays,
};
use archaeo_ops::cross_entropy;
use burn::tensor::{Device, Int, Tensor};

fn tiny(image_size: usize, window_size: usize) -> SwinConfig {
    SwinConfig {
        image_size,
        window_size,
        width: 8,
        depths: vec![2, 2, 2],
        heads: vec![2, 2, 4],
        mlp_ratio: 2,
        classes: CLASSES,
        ..SwinConfig::default()
    }
}

fn two_stages() -> SwinConfig {
    let window_padding = WindowPadding::BeforeShift;
    SwinConfig { depths: vec![2, 2], heads: vec![2, 4], window_padding, ..tiny(28, 3) }
}

/// Windows do not tile the first two maps, and the last is smaller than a window.
fn model(device: &Device) -> Classifier {
    random_model(NetworkSpec::Swin(tiny(28, 3)), 28, 5, device)
}

fn compare(fixture: &str, config: SwinConfig) {
    let image_size = config.image_size;
    compare_with_library(fixture, NetworkSpec::Swin(config), image_size);
}

#[test]
fn timm() {
    compare("timm_swin", tiny(32, 4));
}

#[test]
fn timm_with_maps_that_windows_do_not_tile() {
    compare("timm_swin_padded", tiny(28, 3));
}

#[test]
fn filling_up_before_and_after_the_shift_are_not_the_same() {
    let config = SwinConfig { window_padding: WindowPadding::BeforeShift, ..tiny(28, 3) };
    let fixture = Fixture::read("timm_swin_padded");
    let differences = differences_from_library(&fixture, card(NetworkSpec::Swin(config), 28));
    assert!(differences.iter().all(|(_, difference)| *difference > 1e-2), "{differences:?}");
}

#[test]
fn microsoft_release() {
    compare("microsoft_swin", tiny(32, 4));
}

#[test]
fn torchvision_with_maps_that_windows_do_not_tile() {
    compare("torchvision_swin", two_stages());
}

#[test]
fn torchvision_arrays_show_which_model_they_are_of() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("swin.safetensors");
    let fixture = Fixture::read("torchvision_swin");
    write_arrays(&path, &fixture.part("state"), Default::default()).unwrap();
    let described = checkpoint::read(&path).unwrap().describe(&ModelRequest::default()).unwrap();
    let NetworkSpec::Swin(found) = described.card.network else { panic!("another architecture") };
    // No array shows the size of the images: the last map is taken for one window.
    assert_eq!(found, SwinConfig { image_size: 24, ..two_stages() });
}

#[test]
fn transformers_with_maps_that_windows_do_not_tile() {
    compare("transformers_swin", two_stages());
    compare("transformers_swin_version_5", two_stages());
}

#[test]
fn a_saved_model_is_read_back_to_the_last_bit() {
    let device = Device::flex();
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("swin.safetensors");
    let images = random_images(&[1, 2], 28, &device);
    let written = model(&device);
    save(&path, &written, &[]).unwrap();
    let read = load(&path, None, &device).unwrap();
    let logits = |model: &Classifier| values(model.logits(images.clone(), &mut Pass::evaluate(&mut ())));
    assert_eq!(logits(&read), logits(&written));
}

#[test]
fn logits_do_not_depend_on_the_batch() {
    let device = Device::flex();
    let numbers: Vec<u64> = (0..64).collect();
    let model = model(&device);
    let logits = |numbers: &[u64]| {
        let images = random_images(numbers, 28, &device);
        values(model.logits(images, &mut Pass::evaluate(&mut ())))
    };
    let together = logits(&numbers);
    for number in [0, 31, 63] {
        let alone = logits(&[number]);
        assert_eq!(alone, together[number as usize * CLASSES..][..CLASSES], "image {number}");
    }
}

/// Keeps every site and shape, and the input of every block.
#[derive(Default)]
struct Recorder {
    attention: Vec<(AttentionSite, Tensor<4>)>,
    heads: Vec<[usize; 4]>,
    inputs: Vec<(TokenSite, Tensor<3>)>,
}

impl Probe for Recorder {
    fn attention(&mut self, site: &AttentionSite, weights: Tensor<4>) -> Tensor<4> {
        self.attention.push((*site, weights.clone()));
        weights
    }
    fn heads(&mut self, _: &AttentionSite, outputs: Tensor<4>) -> Tensor<4> {
        self.heads.push(outputs.dims());
        outputs
    }
    fn tokens(&mut self, site: &TokenSite, tokens: Tensor<3>) -> Tensor<3> {
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
    model(&device).logits(random_images(&[1, 2], 28, &device), &mut Pass::evaluate(&mut seen));
    let padding = WindowPadding::AfterShift;
    let window = |side, shift| Some(Window { size: [side; 2], shift: [shift; 2], padding });
    let sites: Vec<_> = seen.attention.iter().map(|(site, _)| (site.layer, site.grid, site.window)).collect();
    let expected = [
        (0, [7, 7], window(3, 0)),
        (1, [7, 7], window(3, 1)),
        (2, [4, 4], window(3, 0)),
        (3, [4, 4], window(3, 1)),
        (4, [2, 2], window(2, 0)),
        (5, [2, 2], window(2, 0)),
    ];
    assert_eq!(sites, expected);
    let shapes: Vec<_> = seen.attention.iter().map(|(_, weights)| weights.dims()).collect();
    assert_eq!(shapes[1], [2 * 9, 2, 9, 9]);
    assert_eq!(shapes[5], [2, 4, 4, 4]);
    assert_eq!(seen.heads[1], [2, 2, 49, 4]);
    // No weight crosses a region.
    let (site, weights) = &seen.attention[1];
    let regions = site.window.unwrap().regions(site.grid);
    for (index, weight) in values(weights.clone()).into_iter().enumerate() {
        let (window, query, key) = (index / 162 % 9, index / 9 % 9, index % 9);
        let apart = regions[window * 9 + query] != regions[window * 9 + key];
        assert!(!apart || weight < 1e-30, "{weight} from place {query} to {key} of window {window}");
    }
}

#[test]
fn watching_changes_no_bit_and_a_pass_resumes_at_any_block() {
    let device = Device::flex();
    let (model, images) = (model(&device), random_images(&[1, 2], 28, &device));
    let unwatched = values(model.logits(images.clone(), &mut Pass::evaluate(&mut ())));
    let mut seen = Recorder::default();
    let watched = values(model.logits(images, &mut Pass::evaluate(&mut seen)));
    assert_eq!(watched, unwatched);
    assert_eq!(seen.inputs.len(), 6);
    for (layer, (site, input)) in seen.inputs.into_iter().enumerate() {
        let resumed = model.logits_from(layer, input, site.grid, &mut Pass::evaluate(&mut ()));
        assert_eq!(values(resumed), unwatched, "from block {layer}");
    }
}

#[test]
fn training_reaches_every_array_and_drops_whole_branches() {
    let device = Device::flex().autodiff();
    let network = |drop_path| NetworkSpec::Swin(SwinConfig { drop_path, ..tiny(28, 3) });
    let images = random_images(&[1, 2, 3, 4], 28, &device);
    let labels = Tensor::<1, Int>::from_data([0, 1, 2, 3], &device);
    let logits = |rate| {
        let model = random_model(network(rate), 28, 5, &device);
        let mut step = TrainingStep::new(0, 0, vec![1, 2, 3, 4]);
        let logits = model.logits(images.clone(), &mut Pass::train(&mut (), &mut step));
        (model, logits)
    };
    let (model, calm) = logits(0.0);
    let gradients = gradients_by_name(&model, &cross_entropy(calm.clone(), labels).backward());
    for (name, gradient) in &gradients {
        assert!(largest(&gradient.values) > 1e-7, "{name} gets no gradient");
    }
    assert_eq!(gradients.len(), archaeo_models::state_of(&model).len());
    assert!(largest_difference(&values(calm), &values(logits(0.8).1)) > 1e-2);
}

#[test]
fn sizes_that_do_not_fit_get_a_sentence() {
    let refused = |config: SwinConfig| config.validate().unwrap_err().to_string();
    assert_eq!(
        refused(SwinConfig { heads: vec![2, 2, 3], ..tiny(28, 3) }),
        "3 heads do not divide the width of 32 of stage 3"
    );
    let sentence = refused(SwinConfig { heads: vec![2], ..tiny(28, 3) });
    assert_eq!(sentence, "depths and heads need one entry per stage, from 1 to 8 of them, not 3 and 1");
    assert_eq!(refused(tiny(30, 3)), "patches of 4 px do not tile an image of 30 px");
}
