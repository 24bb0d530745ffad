//! A scene drawn again differs where its changed factor is, and nowhere else.

use super::changes::{Change, FactorKind};
use super::paint::Canvas;
use super::*;
use crate::Mask;

fn sherds() -> Sherds {
    Sherds::new(SherdsConfig::default()).expect("the defaults are valid")
}

fn noiseless() -> Sherds {
    Sherds::new(SherdsConfig { noise: 0.0, ..SherdsConfig::default() }).expect("valid")
}

const SPLIT: SherdsSplit = SherdsSplit::Test;

/// The pixels that differ.
fn changed(a: &crate::Image, b: &crate::Image) -> Vec<(usize, usize)> {
    let all = (0..a.height()).flat_map(|y| (0..a.width()).map(move |x| (x, y)));
    all.filter(|&(x, y)| a.pixel(x, y) != b.pixel(x, y)).collect()
}

#[test]
fn an_unchanged_scene_is_the_image_bit_for_bit() {
    let sherds = sherds();
    for split in SherdsSplit::ALL {
        for index in 0..30 {
            let (sample, drawn) = (sherds.sample(split, index), sherds.draw_changed(split, index, &[]));
            assert_eq!((sample.image, sample.truth.expect("known").mask), (drawn.image, drawn.mask));
        }
    }
}

/// The noise is not drawn anew: where the noiseless picture stays the same, so does the noisy one. And a removal reaches
/// no farther than the clutter's largest extent from where it is seen.
#[test]
fn pixels_that_a_change_does_not_touch_stay_the_same() {
    let sherds = sherds();
    for index in 0..40 {
        let before = sherds.draw_changed(SPLIT, index, &[]);
        let mut changes = vec![
            Change::WithoutObject,
            Change::Texture(Texture::Zigzag),
            Change::Shape(Shape::Star),
            Change::OnlyUnlike(Shape::Disc),
            Change::Moved { right: 2.5, down: -1.0 },
            Change::Rotated(30.0),
        ];
        changes.extend(sherds.factors(SPLIT, index).into_iter().map(|factor| factor.removal));
        for change in changes {
            let mut scene = sherds.scene(SPLIT, index);
            let untouched = Canvas::new(&scene, false).pixels;
            change.apply(&mut scene);
            let touched = Canvas::new(&scene, false).pixels;
            let after = sherds.draw_changed(SPLIT, index, &[change]);
            for (at, (old, new)) in untouched.iter().zip(&touched).enumerate() {
                let (x, y) = (at % 32, at / 32);
                assert!(
                    old != new || before.image.pixel(x, y) == after.image.pixel(x, y),
                    "{index}: {change:?} changes the noise at {x}, {y}"
                );
            }
        }
    }
}

#[test]
fn what_a_factor_covers_is_where_its_removal_is_seen() {
    let sherds = noiseless();
    for index in 0..60 {
        let before = sherds.draw_changed(SPLIT, index, &[]).image;
        for factor in sherds.factors(SPLIT, index) {
            let after = sherds.draw_changed(SPLIT, index, &[factor.removal]).image;
            let differing = changed(&before, &after);
            let seen = differing.iter().filter(|&&(x, y)| factor.mask.contains(x, y)).count();
            // A texture's mean may round to a pixel's own colour, and clutter may have that of what lies behind it.
            let least = match factor.kind {
                FactorKind::Boundary | FactorKind::Interior => 0.95,
                FactorKind::Texture | FactorKind::Background | FactorKind::Occluder | FactorKind::Clutter => {
                    0.8
                }
            };
            let share = seen as f64 / factor.mask.area() as f64;
            assert!(share >= least || factor.mask.area() < 5, "{index}: {} {share}", factor.name);
            // Anti-aliased rims and the faint outskirts of blobs reach beyond, the background shines through them.
            let near = |(x, y): (usize, usize), reach: usize| {
                let around = (y.saturating_sub(reach)..=(y + reach).min(31))
                    .flat_map(move |y| (x.saturating_sub(reach)..=(x + reach).min(31)).map(move |x| (x, y)));
                around.into_iter().any(|(x, y)| factor.mask.contains(x, y))
            };
            if factor.kind.is_of_object() {
                let far = differing.iter().filter(|&&at| !near(at, 3)).count();
                assert!(far * 20 <= differing.len(), "{index}: {} reaches far", factor.name);
            }
        }
    }
}

#[test]
fn parts_divide_the_image_and_the_objects_parts_are_its_mask() {
    let sherds = sherds();
    for index in 0..60 {
        let truth = sherds.sample(SPLIT, index).truth.expect("known").mask;
        let factors = sherds.factors(SPLIT, index);
        for at in 0..32 * 32 {
            let owners = factors.iter().filter(|factor| factor.kind.is_part() && factor.mask.inside[at]);
            assert_eq!(owners.count(), 1);
            let object = factors.iter().any(|factor| {
                matches!(factor.kind, FactorKind::Boundary | FactorKind::Interior) && factor.mask.inside[at]
            });
            assert_eq!(object, truth.inside[at]);
        }
        let area = |kind| {
            let of_kind = factors.iter().filter(|factor| factor.kind == kind);
            of_kind.map(|factor| factor.mask.area()).sum::<usize>()
        };
        assert_eq!(area(FactorKind::Texture), truth.area());
        assert!(area(FactorKind::Boundary) > 20 && area(FactorKind::Background) > 100);
        let mut names: Vec<&str> = factors.iter().map(|factor| factor.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), factors.len());
    }
}

/// Against scenes that never had what is removed.
#[test]
fn what_is_removed_is_as_if_it_had_never_been() {
    let (sherds, bare) =
        (noiseless(), SherdsConfig { noise: 0.0, occlusion: 0.0, ..SherdsConfig::default() });
    let bare = Sherds::new(bare).expect("valid");
    for index in 0..40 {
        let both = [Change::WithoutOccluder(0), Change::WithoutOccluder(1)];
        assert_eq!(sherds.draw_changed(SPLIT, index, &both), bare.draw_changed(SPLIT, index, &[]));
        // Without a part of the object and without the other, there is none.
        let parts = [Change::WithoutInterior, Change::WithoutBoundary];
        let without = sherds.draw_changed(SPLIT, index, &[Change::WithoutObject]);
        assert_eq!(sherds.draw_changed(SPLIT, index, &parts), without);
        assert_eq!(without.mask.area(), 0);
        let all: Vec<Change> = (0..11).map(Change::WithoutClutter).chain(both).collect();
        let empty = [&all[..], &[Change::WithoutObject, Change::FlatBackground]].concat();
        let image = sherds.draw_changed(SPLIT, index, &empty).image;
        assert!(
            image.pixels().chunks_exact(3).all(|pixel| pixel == &image.pixels()[..3]),
            "one colour is left"
        );
    }
}

#[test]
fn shape_and_texture_are_those_of_another_image_in_the_same_place() {
    let sherds = sherds();
    let texture = sherds.texture(SPLIT, 3);
    let whole = sherds.draw_changed(SPLIT, 3, &[]);
    let (star, stripes) = (Shape::Star, Texture::Stripes);
    let other = sherds.draw_changed(SPLIT, 3, &[Change::Shape(star), Change::Texture(stripes)]);
    assert!(other.mask != sherds.draw_changed(SPLIT, 3, &[Change::Shape(Shape::Ring)]).mask);
    assert_ne!(whole.image, other.image);
    let own = [Change::Shape(Shape::ALL[3]), Change::Texture(texture), Change::Rotated(0.0)];
    assert_eq!(sherds.draw_changed(SPLIT, 3, &own), whole, "its own shape and texture, not turned");
    let round = [Change::Rotated(120.0), Change::Rotated(240.0)];
    let differing = changed(&sherds.draw_changed(SPLIT, 3, &round).image, &whole.image);
    assert!(differing.len() < 20, "three times a third of a turn changes {}", differing.len());
}

/// A moved object on a plain ground is the same object elsewhere.
#[test]
fn a_moved_object_is_the_same_object() {
    let plain = SherdsConfig { clutter: 0.0, noise: 0.0, occlusion: 0.0, ..SherdsConfig::default() };
    let sherds = Sherds::new(SherdsConfig { scale: (0.2, 0.25), ..plain }).expect("valid");
    for index in 0..20 {
        let before = sherds.draw_changed(SPLIT, index, &[]);
        let after = sherds.draw_changed(SPLIT, index, &[Change::Moved { right: 1.0, down: 0.0 }]);
        // Coordinates are rounded differently, so that a sample on an outline may change sides.
        let same = (0..32 * 31)
            .filter(|at| {
                let (x, y) = (at % 31, at / 31);
                before.mask.contains(x, y) == after.mask.contains(x + 1, y)
            })
            .count();
        assert!(same > 32 * 31 - 5, "{index}: {same}");
    }
}

#[test]
fn the_part_unlike_another_shape_is_what_the_other_lacks() {
    let config = SherdsConfig { noise: 0.0, occlusion: 0.0, ..SherdsConfig::default() };
    let sherds = Sherds::new(config).expect("valid");
    for (index, other) in [(1, Shape::Disc), (3, Shape::Disc), (0, Shape::Square), (5, Shape::Square)] {
        let masks = [&[][..], &[Change::OnlyUnlike(other)], &[Change::Shape(other)]];
        let [own, unlike, others] = masks.map(|changes| sherds.draw_changed(SPLIT, index, changes).mask);
        assert!(unlike.area() > 0 && unlike.area() < own.area());
        let outside =
            |mask: &Mask, of: &Mask| mask.inside.iter().zip(&of.inside).filter(|&(&a, &b)| a && !b).count();
        assert_eq!(outside(&unlike, &own), 0);
        assert!(unlike.area() - outside(&unlike, &others) <= 4, "half-covered pixels may belong to both");
    }
    // A shape has nothing that tells it from itself.
    assert_eq!(sherds.draw_changed(SPLIT, 4, &[Change::OnlyUnlike(Shape::Ring)]).mask.area(), 0);
}
