//! Sherds, the built-in data set: a scientific instrument, generated from a seed.
//!
//! Each image shows one of ten shapes, filled with one of ten textures, with random colours, position, scale and rotation, on a
//! cluttered background and with two pieces of clutter in front of it. **The class is the shape.** In training the texture
//! follows the class with probability [`SherdsConfig::correlation`], so a model is tempted to learn the texture instead; where
//! clutter hides what distinguishes two shapes, the texture is even the best evidence. The other splits measure how far a model
//! follows it. Every image comes with its shape, its texture and the exact mask of the visible part of its object, so
//! explanations can be checked against the ground truth.
//!
//! | split | texture |
//! |---|---|
//! | `train`, `val` | the class's own with probability `correlation`, else one of the nine others, uniformly |
//! | `test` | all ten equally often in every class: independent of the shape |
//! | `aligned` | always the class's own |
//! | `conflict` | never the class's own, the nine others equally often |
//!
//! An image is a function of (seed, split, index) and of the configuration, the same on every platform: only
//! exactly rounded arithmetic is used, and no library's sampling.

mod caption;
mod changes;
mod paint;
mod scene;
mod shapes;
mod textures;

pub use changes::{Change, Drawn, Factor, FactorKind};
pub use shapes::Shape;
pub use textures::Texture;

use serde::{Deserialize, Serialize};

use super::{DataError, Sample, Truth};
use archaeo_random::{Draw, keyed_rng};
use scene::Scene;

/// Incremented whenever the same configuration would give different images.
pub const SHERDS_VERSION: u32 = 2;

/// Configuration of Sherds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SherdsConfig {
    /// Seed of the images.
    pub seed: u64,
    /// Width and height in pixels.
    pub size: usize,
    /// Images in `train`.
    pub train: usize,
    /// Images in `val`.
    pub val: usize,
    /// Images in `test`.
    pub test: usize,
    /// Images in `aligned`.
    pub aligned: usize,
    /// Images in `conflict`.
    pub conflict: usize,
    /// Probability that a training image's texture is its class's own; 0.1 means no correlation.
    pub correlation: f32,
    /// Smallest and largest radius of the object, as a share of the image's side.
    pub scale: (f32, f32),
    /// Largest rotation of the object, and of its texture, to either side, in degrees; 180 is any.
    pub rotation: f32,
    /// Darkest and lightest value of a channel of the object's first colour.
    pub foreground: (f32, f32),
    /// Least and most of the first colour's light that the texture's second colour has. The darker the second, the easier
    /// the texture is to see, and the harder the outline, which it breaks against the dark background.
    pub shade: (f32, f32),
    /// Darkest and lightest value of a channel of the background's main colour.
    pub background: (f32, f32),
    /// Smallest and largest period of the textures, in pixels of a 32 px image.
    pub period: (f32, f32),
    /// Least distance in the RGB cube (side 1) between the object's first colour and the background's.
    pub contrast: f32,
    /// How far the colours of background and clutter stray from the main one: 0 is a plain background.
    pub clutter: f32,
    /// Half the length of the two fragments that lie in front of the object, as a share of its radius: 0 hides nothing.
    pub occlusion: f32,
    /// Standard deviation of the pixel noise, as a share of the grey range.
    pub noise: f32,
}

/// Images of the largest split: their labels alone take 80 MB, several times over.
const MOST_IMAGES: usize = 10_000_000;

impl Default for SherdsConfig {
    fn default() -> Self {
        SherdsConfig {
            seed: 0,
            size: 32,
            train: 20_000,
            val: 1_000,
            test: 2_000,
            aligned: 1_000,
            conflict: 1_000,
            correlation: 0.7,
            scale: (0.34, 0.42),
            rotation: 30.0,
            foreground: (0.35, 1.0),
            shade: (0.5, 0.7),
            background: (0.1, 0.4),
            period: (3.0, 4.5),
            contrast: 0.6,
            clutter: 1.0,
            occlusion: 0.3,
            noise: 0.05,
        }
    }
}

impl SherdsConfig {
    /// Reads `size=64,train=5000,correlation=0.9` on top of `self`: the part after `sherds:` of a source.
    ///
    /// # Errors
    /// An unknown parameter, or a value that is not a number of the right kind.
    pub fn with_parameters(&self, text: &str) -> Result<Self, DataError> {
        let invalid = |reason: String| DataError::Sherds { reason };
        let mut table = serde_json::to_value(self).map_err(|error| invalid(error.to_string()))?;
        for assignment in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (key, value) = assignment
                .split_once('=')
                .ok_or_else(|| invalid(format!("`{assignment}` is not of the form parameter=value")))?;
            let key = key.trim();
            let slot = table.get_mut(key).ok_or_else(|| {
                invalid(format!("there is no parameter `{key}`; there are {}", parameters()))
            })?;
            *slot = parse_value(value.trim())
                .ok_or_else(|| invalid(format!("`{key}={value}` is not a number, nor two as in 0.3..0.4")))?;
        }
        let config: Self =
            serde_json::from_value(table).map_err(|error| invalid(format!("`{text}`: {error}")))?;
        config.check()?;
        Ok(config)
    }

    /// # Errors
    /// A parameter outside its range, named with the range.
    pub fn check(&self) -> Result<(), DataError> {
        let unit = |x: f32| (0.0..=1.0).contains(&x);
        let ordered = |(low, high): (f32, f32)| low > 0.0 && low <= high;
        let range = |(low, high): (f32, f32)| unit(low) && unit(high) && low <= high;
        let counts = [
            ("train", self.train),
            ("val", self.val),
            ("test", self.test),
            ("aligned", self.aligned),
            ("conflict", self.conflict),
        ];
        let problem = if let Some((split, count)) = counts.iter().find(|(_, count)| *count > MOST_IMAGES) {
            format!("{split} = {count} must be at most {MOST_IMAGES} images")
        } else if !(8..=1024).contains(&self.size) {
            format!("size = {} must be from 8 to 1024", self.size)
        } else if !unit(self.correlation) {
            format!("correlation = {} must be from 0 to 1", self.correlation)
        } else if !ordered(self.scale) || self.scale.1 > 0.5 {
            format!("scale = {:?} must be two ascending shares, at most 0.5", self.scale)
        } else if !(0.0..=180.0).contains(&self.rotation) {
            format!("rotation = {} must be from 0 to 180 degrees", self.rotation)
        } else if ![self.foreground, self.shade, self.background].into_iter().all(range) {
            "foreground, shade and background must be two ascending values from 0 to 1".to_string()
        } else if !ordered(self.period) || self.period.1 > 1e3 {
            format!("period = {:?} must be two ascending lengths in pixels", self.period)
        } else if ![self.contrast, self.occlusion, self.noise].into_iter().all(unit) {
            "contrast, occlusion and noise must be from 0 to 1".to_string()
        } else if !(0.0..=4.0).contains(&self.clutter) {
            format!("clutter = {} must be from 0 to 4", self.clutter)
        } else {
            return Ok(());
        };
        Err(DataError::Sherds { reason: problem })
    }
}

fn parameters() -> String {
    let Ok(serde_json::Value::Object(table)) = serde_json::to_value(SherdsConfig::default()) else {
        return String::new();
    };
    let mut names: Vec<&str> = table.keys().map(String::as_str).collect();
    names.sort_unstable();
    names.join(", ")
}

/// A number, or two as `low..high`.
fn parse_value(text: &str) -> Option<serde_json::Value> {
    if let Some((low, high)) = text.split_once("..") {
        return Some(vec![low.parse::<f64>().ok()?, high.parse::<f64>().ok()?].into());
    }
    match text.parse::<u64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) => text.parse::<f64>().ok().map(Into::into),
    }
}

/// A split of Sherds, defined by the relation of texture and shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SherdsSplit {
    /// Texture correlated with the class.
    Train,
    /// Drawn as `Train`, other images.
    Val,
    /// Texture independent of the class.
    Test,
    /// Texture always the class's own.
    Aligned,
    /// Texture always another class's.
    Conflict,
}

impl SherdsSplit {
    /// All splits.
    pub const ALL: [SherdsSplit; 5] = [Self::Train, Self::Val, Self::Test, Self::Aligned, Self::Conflict];

    /// The split's name in a data set.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
            Self::Aligned => "aligned",
            Self::Conflict => "conflict",
        }
    }
}

/// The generator: a checked configuration.
#[derive(Debug, Clone)]
pub struct Sherds {
    config: SherdsConfig,
}

impl Sherds {
    /// # Errors
    /// A parameter outside its range.
    pub fn new(config: SherdsConfig) -> Result<Self, DataError> {
        config.check()?;
        Ok(Sherds { config })
    }

    /// The configuration in force.
    pub fn config(&self) -> &SherdsConfig {
        &self.config
    }

    /// Number of images in `split`.
    pub fn len(&self, split: SherdsSplit) -> usize {
        match split {
            SherdsSplit::Train => self.config.train,
            SherdsSplit::Val => self.config.val,
            SherdsSplit::Test => self.config.test,
            SherdsSplit::Aligned => self.config.aligned,
            SherdsSplit::Conflict => self.config.conflict,
        }
    }

    /// The class of image `index`: classes take turns, so every split is balanced.
    pub fn label(index: usize) -> usize {
        index % Shape::ALL.len()
    }

    /// The texture of image `index` of `split`.
    ///
    /// Where the split has equal shares, textures take turns as well: the crossing of shape and texture
    /// is then exactly balanced in every run of 100 (test) or 90 (conflict) images.
    pub fn texture(&self, split: SherdsSplit, index: usize) -> Texture {
        let classes = Texture::ALL.len();
        let (class, turn) = (index % classes, index / classes);
        let another = |turn: usize| (class + 1 + turn % (classes - 1)) % classes;
        let texture = match split {
            SherdsSplit::Train | SherdsSplit::Val => {
                let mut rng = keyed_rng(self.config.seed, "sherds/texture", index as u64, split as u64);
                if rng.chance(self.config.correlation) { class } else { another(rng.below(classes - 1)) }
            }
            SherdsSplit::Test => (class + turn) % classes,
            SherdsSplit::Aligned => class,
            SherdsSplit::Conflict => another(turn),
        };
        Texture::ALL[texture]
    }

    /// Draws image `index` of `split`.
    pub fn sample(&self, split: SherdsSplit, index: usize) -> Sample {
        let scene = self.scene(split, index);
        let (image, mask) = paint::paint(&scene);
        let truth = Truth { mask, shape: scene.object.shape, texture: scene.object.pattern.texture };
        Sample { image, label: Self::label(index), truth: Some(truth) }
    }

    fn scene(&self, split: SherdsSplit, index: usize) -> Scene {
        let (shape, texture) = (Shape::ALL[Self::label(index)], self.texture(split, index));
        let mut rng = keyed_rng(self.config.seed, "sherds/scene", index as u64, split as u64);
        Scene::new(&self.config, shape, texture, &mut rng)
    }

    /// Everything that determines the images, as text.
    pub fn description(&self) -> String {
        format!("sherds {SHERDS_VERSION} {:?}", self.config)
    }
}

/// The class names: those of the shapes.
pub fn class_names() -> Vec<String> {
    Shape::ALL.into_iter().map(|shape| shape.name().to_string()).collect()
}

#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod tests;
