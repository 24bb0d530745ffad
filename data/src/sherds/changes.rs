//! An image drawn again with something changed and everything else, the noise included, the same.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::paint::{Canvas, Owner, paint};
use super::scene::{Form, Scene};
use super::shapes::Shape;
use super::textures::Texture;
use super::{Sherds, SherdsSplit};
use crate::{Image, Mask};

/// One thing about an image that is different. Pixels that it does not touch stay the same bit for bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// No object: what lies behind it is seen.
    WithoutObject,
    /// The object's boundary is not drawn.
    WithoutBoundary,
    /// The object's interior is not drawn.
    WithoutInterior,
    /// Only that part of the object is drawn which an object of this shape would not cover in its place, size and
    /// rotation: what tells the two apart. Empty where it would cover all.
    OnlyUnlike(Shape),
    /// The object has another shape, in the same place, size, rotation, colours and texture.
    Shape(Shape),
    /// The object is filled with the mean of its texture.
    WithoutTexture,
    /// The object has another texture of the same colours, period, phase and rotation.
    Texture(Texture),
    /// The object lies this many pixels to the right and below; what leaves the image is cut off.
    Moved {
        /// To the right.
        right: f32,
        /// Downwards.
        down: f32,
    },
    /// The object, its texture with it, is turned by this many degrees.
    Rotated(f32),
    /// Without this piece of clutter in front of the object; nothing changes where there are fewer.
    WithoutOccluder(usize),
    /// Without this piece of clutter behind the object; nothing changes where there are fewer.
    WithoutClutter(usize),
    /// The background has everywhere the colour that is its mean.
    FlatBackground,
}

impl Change {
    pub(super) fn apply(self, scene: &mut Scene) {
        let object = &mut scene.object;
        match self {
            Change::WithoutObject => (object.without.boundary, object.without.interior) = (true, true),
            Change::WithoutBoundary => object.without.boundary = true,
            Change::WithoutInterior => object.without.interior = true,
            Change::OnlyUnlike(other) => object.without.common = Some(other),
            Change::Shape(shape) => object.shape = shape,
            Change::WithoutTexture => object.flat = true,
            Change::Texture(texture) => object.pattern.texture = texture,
            Change::Moved { right, down } => {
                object.centre = (object.centre.0 + right, object.centre.1 + down);
            }
            Change::Rotated(degrees) => object.rotate(degrees),
            Change::WithoutOccluder(index) => {
                scene.occluders.get_mut(index).into_iter().for_each(|element| element.shown = false);
            }
            Change::WithoutClutter(index) => {
                scene.clutter.get_mut(index).into_iter().for_each(|element| element.shown = false);
            }
            Change::FlatBackground => scene.background.flat = true,
        }
    }
}

/// An image that was drawn again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// The picture.
    pub image: Image,
    /// The visible pixels of the object in it.
    pub mask: Mask,
}

/// What a factor of an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactorKind {
    /// The rim of the object.
    Boundary,
    /// The object without its rim.
    Interior,
    /// The object's texture. It lies in the same pixels as boundary and interior.
    Texture,
    /// A piece of clutter in front of the object.
    Occluder,
    /// A piece of clutter behind the object.
    Clutter,
    /// What nothing lies in front of.
    Background,
}

impl FactorKind {
    /// All kinds.
    pub const ALL: [FactorKind; 6] =
        [Self::Boundary, Self::Interior, Self::Texture, Self::Occluder, Self::Clutter, Self::Background];

    /// Whether it is one of those that divide the image between them: each pixel belongs to exactly one such factor.
    pub fn is_part(self) -> bool {
        self != Self::Texture
    }

    /// Whether it belongs to the object.
    pub fn is_of_object(self) -> bool {
        matches!(self, Self::Boundary | Self::Interior | Self::Texture)
    }
}

impl fmt::Display for FactorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.pad(match self {
            Self::Boundary => "boundary",
            Self::Interior => "interior",
            Self::Texture => "texture",
            Self::Occluder => "occluder",
            Self::Clutter => "clutter",
            Self::Background => "background",
        })
    }
}

/// One thing that an image shows, and can be drawn without.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    /// What it is, unique within its image: `boundary`, `line 2`.
    pub name: String,
    /// Its kind.
    pub kind: FactorKind,
    /// The pixels in which it is seen: where it is the last to cover at least half of the pixel.
    pub mask: Mask,
    /// What draws the image without it.
    pub removal: Change,
}

impl Sherds {
    /// Draws image `index` of `split` again with these changes, applied one after another. Without a change it is the image that
    /// [`Sherds::sample`] draws.
    pub fn draw_changed(&self, split: SherdsSplit, index: usize, changes: &[Change]) -> Drawn {
        let mut scene = self.scene(split, index);
        changes.iter().for_each(|change| change.apply(&mut scene));
        let (image, mask) = paint(&scene);
        Drawn { image, mask }
    }

    /// What image `index` of `split` shows and is seen of it, from the object outwards. Those that are parts
    /// ([`FactorKind::is_part`]) divide the image between them; the texture shares its pixels with the object's parts.
    pub fn factors(&self, split: SherdsSplit, index: usize) -> Vec<Factor> {
        let scene = self.scene(split, index);
        let owners = Canvas::new(&scene, true).owners;
        let mask = |belongs: &dyn Fn(Owner) -> bool| Mask {
            width: scene.size,
            height: scene.size,
            inside: owners.iter().map(|&owner| belongs(owner)).collect(),
        };
        let mut factors = Vec::new();
        let mut add = |name: String, kind, removal, mask: Mask| {
            if mask.area() > 0 {
                factors.push(Factor { name, kind, mask, removal });
            }
        };
        let of_object = |wanted: bool| mask(&|owner| owner == Owner::Object { interior: wanted });
        add("boundary".into(), FactorKind::Boundary, Change::WithoutBoundary, of_object(false));
        add("interior".into(), FactorKind::Interior, Change::WithoutInterior, of_object(true));
        let object = mask(&|owner| matches!(owner, Owner::Object { .. }));
        add("texture".into(), FactorKind::Texture, Change::WithoutTexture, object);
        for index in 0..scene.occluders.len() {
            let seen = mask(&|owner| owner == Owner::Occluder(index));
            let name = format!("occluder {}", index + 1);
            add(name, FactorKind::Occluder, Change::WithoutOccluder(index), seen);
        }
        for (index, element) in scene.clutter.iter().enumerate() {
            let seen = mask(&|owner| owner == Owner::Clutter(index));
            let name = match element.form {
                Form::Blob(_) => "blob",
                Form::Fragment(_) => "fragment",
                Form::Line(_) => "line",
            };
            let alike = |other: &&super::scene::Element| {
                std::mem::discriminant(&other.form) == std::mem::discriminant(&element.form)
            };
            let number = scene.clutter[..=index].iter().filter(alike).count();
            add(format!("{name} {number}"), FactorKind::Clutter, Change::WithoutClutter(index), seen);
        }
        let rest = mask(&|owner| owner == Owner::Background);
        add("background".into(), FactorKind::Background, Change::FlatBackground, rest);
        factors
    }
}
