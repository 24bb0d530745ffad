//! The implementation of the architecture contract for CLIP's image tower.

use burn::tensor::Device;
use serde_json::Value;

use super::{ClipConfig, TextConfig, ZeroShot, ZeroShotConfig, names as arrays};
use crate::architectures::vit::VitConfig;
use crate::architectures::{Architecture, Sizes};
use crate::catalogue::Published;
use crate::describe::FromConfig;
use crate::describe::json::{number, text};
use crate::export::TimmModel;
use crate::preprocessing::{CLIP_MOMENTS, Interpolation};
use crate::spec::{SpecError, with_pixels};
use crate::state::State;
use crate::transformer::FeedForward;

/// Image tower, width of the text tower and of the common space, depth of the text tower (Radford et al., 2021, table 20);
/// heads are 64 wide, MLPs four times the width. `micro` is for images of 32 px.
const SIZES: [(&str, usize, usize); 4] = [
    ("vit_micro_patch4", 64, 2),
    ("vit_base_patch32", 512, 12),
    ("vit_base_patch16", 512, 12),
    ("vit_large_patch14", 768, 12),
];

impl Sizes for ZeroShotConfig {
    fn validate(&self) -> Result<(), SpecError> {
        Self::validate(self)
    }

    fn family(&self) -> &'static str {
        "CLIP"
    }

    fn describe(&self) -> String {
        let Self { image: VitConfig { depth, heads, width, patch_size, .. }, embedding, .. } = self;
        format!(
            "Image tower of CLIP: {depth} layers of {heads} heads, width {width}, patches of {patch_size} px, \
             compared with prototypes of {embedding} numbers"
        )
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn set_classes(&mut self, classes: usize) {
        self.classes = classes;
    }

    fn image_size(&self) -> Option<usize> {
        Some(self.image.image_size)
    }

    fn set_image_size(&mut self, image_size: usize) {
        self.image.image_size = image_size;
    }

    fn set_rates(&mut self, drop_path: f64, dropout: f64) {
        self.image.set_rates(drop_path, dropout);
    }

    fn attention_layers(&self) -> usize {
        self.image.depth
    }

    fn classes_are_prompts(&self) -> bool {
        true
    }

    fn patch_size(&self) -> Option<usize> {
        Some(self.image.patch_size)
    }

    /// The text tower runs only once, before any image.
    fn multiply_adds(&self, image_size: usize) -> u64 {
        let Self { image, embedding, classes } = self;
        image.multiply_adds(image_size) + (embedding * (image.features() + classes)) as u64
    }

    fn attention_multiply_adds(&self, image_size: usize) -> u64 {
        self.image.attention_multiply_adds(image_size)
    }

    fn tokens(&self, image_size: usize) -> Option<usize> {
        self.image.tokens(image_size)
    }

    fn values_of_a_block(&self, image_size: usize) -> f64 {
        self.image.values_of_a_block(image_size)
    }

    fn largest_blocks(&self) -> usize {
        self.image.depth
    }

    fn canonical(&self, state: State) -> State {
        arrays::canonical(state, &self.image)
    }

    /// timm has no layer whose logits are cosines.
    fn timm(&self, _name: &str) -> TimmModel {
        TimmModel::of_none("clip_zero_shot")
    }
}

impl Architecture for ZeroShotConfig {
    type Network = ZeroShot;

    const PUBLISHED: &'static [Published] = &[
        ("clip_vit_micro", "", 32, 1.0, Interpolation::Bicubic, CLIP_MOMENTS),
        ("clip", "", 224, 1.0, Interpolation::Bicubic, CLIP_MOMENTS),
    ];
    const MODEL_TYPES: &'static [&'static str] = &["clip"];

    fn build(&self, device: &Device) -> Result<ZeroShot, SpecError> {
        ZeroShot::new(self, device)
    }

    fn names() -> Vec<String> {
        names()
    }

    fn named(name: &str, classes: usize, image_size: usize) -> Option<Self> {
        named(name, image_size).map(|clip| clip.zero_shot(classes))
    }

    fn from_transformers(config: &Value, _: &str) -> Result<FromConfig, String> {
        from_transformers(config)
    }
}

fn names() -> Vec<String> {
    let of_tower = |tower| ["", "_gelu"].map(|ending| format!("clip_{tower}{ending}"));
    SIZES.iter().flat_map(|row| of_tower(row.0)).collect()
}

/// CLIP; OpenAI's with QuickGELU, `_gelu` those of open_clip that are trained with the exact one.
pub(super) fn named(name: &str, image_size: usize) -> Option<ClipConfig> {
    let (name, image_size) = with_pixels(name).unwrap_or((name, image_size));
    let name = name.strip_prefix("clip_")?;
    let (tower, variant) =
        name.strip_suffix("_gelu").map_or((name, "clip_quickgelu"), |tower| (tower, "clip"));
    let &(_, width, depth) = SIZES.iter().find(|row| row.0 == tower)?;
    let image = VitConfig::named(&format!("{tower}_{variant}"), 0, image_size)?;
    let text = TextConfig { width, depth, heads: width / 64, mlp_width: 4 * width };
    Some(ClipConfig { image, text, embedding: width })
}

/// CLIP is identified by the name of its sizes: its head is built from prompts, for which both towers are built again.
fn from_transformers(config: &Value) -> Result<FromConfig, String> {
    let vision = config.get("vision_config").unwrap_or(&Value::Null);
    let [width, patch_size, side] = [("hidden_size", 768), ("patch_size", 32), ("image_size", 224)]
        .map(|(key, usual)| number(vision, key).map(|number| number.unwrap_or(usual)));
    let (width, patch_size, side) = (width?, patch_size?, side?);
    let feed_forward = match text(vision, "hidden_act").unwrap_or("quick_gelu") {
        "quick_gelu" => FeedForward::QuickGelu,
        "gelu" => FeedForward::Gelu,
        other => return Err(format!("its hidden_act, `{other}`, is not known here")),
    };
    let fits = |name: &String| {
        ClipConfig::named(name, side).is_ok_and(|clip| {
            let tower = (clip.image.width, clip.image.patch_size, clip.image.feed_forward);
            tower == (width, patch_size, feed_forward)
        })
    };
    let name = names().into_iter().find(fits);
    let name = name.ok_or_else(|| {
        format!("no CLIP with an image tower of width {width} and patches of {patch_size} px is known here")
    })?;
    let network = named(&name, side).expect("it was found by its name").zero_shot(0).into();
    Ok(FromConfig { network, known_as: Some(name), image_size: Some(side) })
}
