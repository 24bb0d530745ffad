//! What an image of Sherds shows, in words.

use super::scene::{Colour, Scene};
use super::textures::Texture;
use super::{Sherds, SherdsSplit};

/// Least difference between the channels of a colour that is more than grey.
const COLOURFUL: f32 = 0.15;

/// How far the object's centre is from the image's, as a share of its side, where it counts as off centre.
const OFF_CENTRE: f32 = 1.0 / 16.0;

impl Sherds {
    /// One sentence about the object of image `index` of `split`: size, colour, shape, texture and place, such as "a large yellow star
    /// with stripes at the upper left". It does not mention background and clutter.
    ///
    /// The size is that of the object among all objects of the configuration; the colour is the texture's first.
    pub fn caption(&self, split: SherdsSplit, index: usize) -> String {
        caption(&self.scene(split, index), self.config().scale)
    }
}

/// `scale`: the smallest and the largest radius, as a share of the side.
fn caption(scene: &Scene, scale: (f32, f32)) -> String {
    let object = &scene.object;
    let side = scene.size as f32;
    let size = if 2.0 * object.radius < (scale.0 + scale.1) * side { "small" } else { "large" };
    format!(
        "a {size} {} {} with {} {}",
        colour_name(object.colours[0]),
        object.shape.name(),
        texture_phrase(object.pattern.texture),
        place((object.centre.0 / side, object.centre.1 / side))
    )
}

/// The nearest of six hues, sixty degrees apart, or grey.
fn colour_name([red, green, blue]: Colour) -> &'static str {
    let (largest, smallest) = (red.max(green).max(blue), red.min(green).min(blue));
    if largest - smallest < COLOURFUL {
        return "grey";
    }
    // Two hues that a sixth of the circle divides: the second where the middle channel is nearer to the largest.
    let of = |middle: f32, pure, mixed| if 2.0 * middle < largest + smallest { pure } else { mixed };
    match () {
        () if red == largest && green >= blue => of(green, "red", "yellow"),
        () if red == largest => of(blue, "red", "purple"),
        () if green == largest && red >= blue => of(red, "green", "yellow"),
        () if green == largest => of(blue, "green", "cyan"),
        () if green >= red => of(green, "blue", "cyan"),
        () => of(red, "blue", "purple"),
    }
}

fn texture_phrase(texture: Texture) -> String {
    match texture {
        Texture::Gradient | Texture::Zigzag | Texture::Crosshatch => format!("a {}", texture.name()),
        _ => texture.name().to_owned(),
    }
}

/// Where a point of the unit square lies, y downwards.
fn place((x, y): (f32, f32)) -> String {
    let side = |value: f32, [before, after]: [&'static str; 2]| match value - 0.5 {
        away if away < -OFF_CENTRE => Some(before),
        away if away > OFF_CENTRE => Some(after),
        _ => None,
    };
    match (side(y, ["upper", "lower"]), side(x, ["left", "right"])) {
        (Some(row), Some(column)) => format!("at the {row} {column}"),
        (None, Some(column)) => format!("at the {column}"),
        (Some("upper"), None) => "at the top".to_owned(),
        (Some(_), None) => "at the bottom".to_owned(),
        (None, None) => "in the middle".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sherds::{Change, SherdsConfig};

    fn sherds() -> Sherds {
        Sherds::new(SherdsConfig::default()).unwrap()
    }

    #[test]
    fn captions_name_shape_and_texture_and_differ() {
        let sherds = sherds();
        let captions: Vec<String> = (0..200).map(|index| sherds.caption(SherdsSplit::Test, index)).collect();
        for (index, caption) in captions.iter().enumerate() {
            let shape = crate::sherds::Shape::ALL[Sherds::label(index)].name();
            let texture = sherds.texture(SherdsSplit::Test, index).name();
            let words: Vec<&str> = caption.split(' ').collect();
            assert!(words.contains(&shape) && words.contains(&texture), "{caption}");
        }
        let different: BTreeSet<&String> = captions.iter().collect();
        assert!(different.len() > 190, "{} captions for 200 images", different.len());
    }

    /// The hue of the object as it is drawn without its texture, by the usual formula, is within 30 degrees and a little more of the
    /// one that is named.
    #[test]
    fn colours_are_those_that_are_drawn() {
        let plain = SherdsConfig { noise: 0.0, shade: (1.0, 1.0), occlusion: 0.0, ..SherdsConfig::default() };
        let sherds = Sherds::new(plain).unwrap();
        let mut seen = BTreeSet::new();
        for index in 0..200 {
            let drawn = sherds.draw_changed(SherdsSplit::Test, index, &[Change::WithoutTexture]);
            let inside = (0..drawn.mask.inside.len()).filter(|&place| drawn.mask.inside[place]);
            let pixels: Vec<&[u8]> = inside.map(|place| &drawn.image.pixels()[3 * place..][..3]).collect();
            let median = |channel: usize| {
                let mut values: Vec<u8> = pixels.iter().map(|pixel| pixel[channel]).collect();
                values.sort_unstable();
                f64::from(values[values.len() / 2]) / 255.0
            };
            let [r, g, b] = [0, 1, 2].map(median);
            // Preucil's formula, without a branch.
            let hue = (3f64.sqrt() * (g - b)).atan2(2.0 * r - g - b).to_degrees().rem_euclid(360.0);
            let caption = sherds.caption(SherdsSplit::Test, index);
            let named = caption.split(' ').nth(2).unwrap();
            seen.insert(named.to_owned());
            let chroma = r.max(g).max(b) - r.min(g).min(b);
            if named == "grey" {
                assert!(chroma < 0.17, "{caption}: {r} {g} {b}");
                continue;
            }
            let centre = 60.0
                * ["red", "yellow", "green", "cyan", "blue", "purple"]
                    .iter()
                    .position(|name| *name == named)
                    .unwrap() as f64;
            let away = (hue - centre + 180.0).rem_euclid(360.0) - 180.0;
            assert!(away.abs() < 32.0 + 3.0 / chroma, "{caption}: hue {hue} of {r} {g} {b}");
        }
        assert_eq!(seen.len(), 7, "{seen:?}");
    }

    #[test]
    fn a_moved_object_is_somewhere_else() {
        let sherds = sherds();
        let moved = |right, down| {
            let mut scene = sherds.scene(SherdsSplit::Test, 3);
            scene.object.centre = (16.0, 16.0);
            Change::Moved { right, down }.apply(&mut scene);
            caption(&scene, sherds.config().scale)
        };
        for (right, down, expected) in [
            (0.0, 0.0, " in the middle"),
            (4.0, 0.0, " at the right"),
            (-4.0, 0.0, " at the left"),
            (0.0, 4.0, " at the bottom"),
            (0.0, -4.0, " at the top"),
            (-4.0, -4.0, " at the upper left"),
            (4.0, 4.0, " at the lower right"),
        ] {
            assert!(moved(right, down).ends_with(expected), "{} {expected}", moved(right, down));
        }
    }
}
