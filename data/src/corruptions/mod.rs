//! Natural damage to images: 15 common corruptions and 4 more (Hendrycks and Dietterich, 2019), and patches that change places or are gone
//! (Naseer et al., 2021), each in five severities.
//!
//! Every corruption of Hendrycks and Dietterich computes what its authors' program computes, with their constants: those of ImageNet-C for images whose shorter
//! side has more than 64 pixels, those of CIFAR-10-C for smaller ones. Both sets were made for one size, 224 and 32 px; radii and
//! lengths are in pixels, so that the damage is as meant at these sizes, and only similar at others. Values are computed in 64 bits
//! and truncated to 8, as there.
//!
//! Three differ. `frost` needs photographs that are not ours: its texture is drawn here (`weather.rs`), so that its numbers are not
//! those of published tables. `motion-blur` and `snow` use ImageMagick there; here its definition is computed directly. Glass blur
//! does what the program does, which copies pixels where the paper says that they change places.
//!
//! What is random is keyed by (seed, corruption and severity, image), so that no image depends on another.

mod blur;
mod digital;
mod field;
mod noise;
mod patches;
mod spatter;
#[cfg(test)]
mod tests;
mod weather;

use std::fmt;

use archaeo_random::keyed_rng;
use archaeo_raster::Image;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use self::field::Field;

use patches::{drop_patches, shuffle_patches};

/// How severe a corruption can be, from 1.
pub const SEVERITIES: usize = 5;

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corruption {
    /// Independent normal noise on every value.
    GaussianNoise,
    /// Few photons: Poisson noise.
    ShotNoise,
    /// Values that are black or white.
    ImpulseNoise,
    /// The image convolved with a disk.
    DefocusBlur,
    /// Pixels moved about, as behind frosted glass.
    GlassBlur,
    /// Convolved with one half of a Gaussian along a line.
    MotionBlur,
    /// The mean of enlargements.
    ZoomBlur,
    /// Flakes along a line, and a paler scene.
    Snow,
    /// Ice in front.
    Frost,
    /// A fractal haze.
    Fog,
    /// A higher value in HSV.
    Brightness,
    /// Values closer to the mean of their channel.
    Contrast,
    /// An affine map, and pixels displaced smoothly.
    ElasticTransform,
    /// Made small and large again.
    Pixelate,
    /// Compressed with loss.
    Jpeg,
    /// Noise in proportion to the value.
    SpeckleNoise,
    /// Convolved with a Gaussian.
    GaussianBlur,
    /// Drops of water or mud.
    Spatter,
    /// Another saturation in HSV.
    Saturate,
    /// Patches in a random order.
    PatchShuffle,
    /// Patches replaced by the mean colour.
    PatchDrop,
}

/// The four groups, and what was added to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CorruptionGroup {
    /// Of the sensor.
    Noise,
    /// Of the lens and the hand.
    Blur,
    /// Between lens and scene.
    Weather,
    /// Of the file.
    Digital,
    /// The four that are not among the 15 of the mean corruption error.
    Extra,
    /// Of the image's order or of its parts: what a model that reads patches might stand better.
    Patches,
}

impl fmt::Display for CorruptionGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Noise => "noise",
            Self::Blur => "blur",
            Self::Weather => "weather",
            Self::Digital => "digital",
            Self::Extra => "extra",
            Self::Patches => "patches",
        })
    }
}

/// Which constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    /// Those of CIFAR-10-C, made for 32 px.
    Small,
    /// Those of ImageNet-C, made for 224 px.
    Large,
}

/// Longest shorter side of an image with the constants of CIFAR-10-C.
const SMALL: usize = 64;

impl Scale {
    fn of(image: &Image) -> Self {
        if image.width().min(image.height()) <= SMALL { Self::Small } else { Self::Large }
    }

    /// The constant of a severity from 1.
    fn choose<T: Copy>(self, severity: usize, small: [T; SEVERITIES], large: [T; SEVERITIES]) -> T {
        match self {
            Self::Small => small[severity - 1],
            Self::Large => large[severity - 1],
        }
    }
}

impl Corruption {
    /// All: in the authors' order the 15 and the four more, then those of patches.
    pub const ALL: [Self; 21] = [
        Self::GaussianNoise,
        Self::ShotNoise,
        Self::ImpulseNoise,
        Self::DefocusBlur,
        Self::GlassBlur,
        Self::MotionBlur,
        Self::ZoomBlur,
        Self::Snow,
        Self::Frost,
        Self::Fog,
        Self::Brightness,
        Self::Contrast,
        Self::ElasticTransform,
        Self::Pixelate,
        Self::Jpeg,
        Self::SpeckleNoise,
        Self::GaussianBlur,
        Self::Spatter,
        Self::Saturate,
        Self::PatchShuffle,
        Self::PatchDrop,
    ];

    /// The 15 whose mean is the mean corruption error.
    pub fn common() -> &'static [Self] {
        const COMMON: &[Corruption] = Corruption::ALL.split_at(15).0;
        COMMON
    }

    /// Its name on the command line and in files.
    pub fn id(self) -> &'static str {
        match self {
            Self::GaussianNoise => "gaussian-noise",
            Self::ShotNoise => "shot-noise",
            Self::ImpulseNoise => "impulse-noise",
            Self::DefocusBlur => "defocus-blur",
            Self::GlassBlur => "glass-blur",
            Self::MotionBlur => "motion-blur",
            Self::ZoomBlur => "zoom-blur",
            Self::Snow => "snow",
            Self::Frost => "frost",
            Self::Fog => "fog",
            Self::Brightness => "brightness",
            Self::Contrast => "contrast",
            Self::ElasticTransform => "elastic-transform",
            Self::Pixelate => "pixelate",
            Self::Jpeg => "jpeg",
            Self::SpeckleNoise => "speckle-noise",
            Self::GaussianBlur => "gaussian-blur",
            Self::Spatter => "spatter",
            Self::Saturate => "saturate",
            Self::PatchShuffle => "patch-shuffle",
            Self::PatchDrop => "patch-drop",
        }
    }

    /// The one of that name.
    pub fn named(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|corruption| corruption.id() == id)
    }

    /// Its name in a sentence.
    pub fn title(self) -> String {
        match self {
            Self::Jpeg => "JPEG".into(),
            _ => self.id().replace('-', " ").replace("gaussian", "Gaussian"),
        }
    }

    /// Which group it belongs to.
    pub fn group(self) -> CorruptionGroup {
        match self {
            Self::GaussianNoise | Self::ShotNoise | Self::ImpulseNoise => CorruptionGroup::Noise,
            Self::DefocusBlur | Self::GlassBlur | Self::MotionBlur | Self::ZoomBlur => CorruptionGroup::Blur,
            Self::Snow | Self::Frost | Self::Fog | Self::Brightness => CorruptionGroup::Weather,
            Self::Contrast | Self::ElasticTransform | Self::Pixelate | Self::Jpeg => CorruptionGroup::Digital,
            Self::SpeckleNoise | Self::GaussianBlur | Self::Spatter | Self::Saturate => {
                CorruptionGroup::Extra
            }
            Self::PatchShuffle | Self::PatchDrop => CorruptionGroup::Patches,
        }
    }

    /// The image damaged. `severity` is from 1 to [`SEVERITIES`]; `index` is the image's own, such as its place in the split.
    ///
    /// # Panics
    /// Another severity, or an image with a side shorter than 8 pixels, in which a blur has no room.
    pub fn apply(self, image: &Image, severity: usize, seed: u64, index: u64) -> Image {
        assert!(
            (1..=SEVERITIES).contains(&severity),
            "severities are from 1 to {SEVERITIES}, not {severity}"
        );
        assert!(image.width().min(image.height()) >= 8, "an image of at least 8 pixels a side is needed");
        let scale = Scale::of(image);
        let mut rng = keyed_rng(seed, self.id(), index, severity as u64);
        let rng = &mut rng;
        let (field, c) = (|| Field::of(image), severity);
        match self {
            Self::GaussianNoise => noise::gaussian(field(), noise::deviation(scale, c), rng),
            Self::ShotNoise => noise::shot(field(), noise::photons(scale, c), rng),
            Self::ImpulseNoise => noise::impulse(field(), noise::share(scale, c), rng),
            Self::SpeckleNoise => noise::speckle(field(), noise::speckle_deviation(scale, c), rng),
            Self::GaussianBlur => blur::gaussian(&field(), blur::sigma(scale, c)),
            Self::DefocusBlur => blur::defocus(&field(), blur::disk(scale, c)),
            Self::GlassBlur => blur::glass(&field(), blur::pane(scale, c), rng),
            Self::MotionBlur => blur::motion(&field(), blur::stroke(scale, c), rng),
            Self::ZoomBlur => blur::zoom(&field(), &blur::zooms(scale, c)),
            Self::Snow => weather::snow(&field(), weather::flakes(scale, c), rng),
            Self::Frost => weather::frost(&field(), weather::ice(scale, c), rng),
            Self::Fog => weather::fog(&field(), weather::haze(scale, c), rng),
            Self::Brightness => weather::brightness(&field(), weather::lift(scale, c)),
            Self::Contrast => digital::contrast(&field(), digital::factor(scale, c)),
            Self::ElasticTransform => digital::elastic(&field(), digital::bend(scale, c), rng),
            Self::Pixelate => return digital::pixelate(image, digital::shrunk(scale, c)),
            Self::Jpeg => return digital::jpeg(image, digital::quality(scale, c)),
            Self::Spatter => spatter::spatter(&field(), spatter::drops(scale, c), rng),
            Self::Saturate => digital::saturate(&field(), digital::saturation(scale, c)),
            Self::PatchShuffle => {
                return shuffle_patches(image, patches::shuffled(scale, image, c), seed, index);
            }
            Self::PatchDrop => {
                let (size, share) = patches::dropped(scale, image, c);
                return drop_patches(image, size, share, seed, index);
            }
        }
        .image()
    }
}

/// Normal noise of mean 0, in the order of the values.
fn normal(count: usize, deviation: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| deviation * archaeo_random::standard_normal(rng)).collect()
}
