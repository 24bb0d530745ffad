use sha2::{Digest, Sha256};

use super::*;
use crate::Mask;

fn sherds() -> Sherds {
    Sherds::new(SherdsConfig::default()).expect("the defaults are valid")
}

fn uncluttered() -> SherdsConfig {
    SherdsConfig { clutter: 0.0, noise: 0.0, contrast: 0.5, ..SherdsConfig::default() }
}

/// The images of version 2. If this changes, every result on Sherds does: raise [`SHERDS_VERSION`] with it.
#[test]
fn images_are_the_same_everywhere_and_always() {
    let mut hash = Sha256::new();
    for size in [32, 48] {
        let sherds = Sherds::new(SherdsConfig { size, ..SherdsConfig::default() }).expect("valid");
        for split in SherdsSplit::ALL {
            for index in 0..40 {
                let sample = sherds.sample(split, index);
                hash.update(sample.image.pixels());
                hash.update(
                    sample
                        .truth
                        .expect("known")
                        .mask
                        .inside
                        .iter()
                        .map(|&inside| u8::from(inside))
                        .collect::<Vec<_>>(),
                );
            }
        }
    }
    let hash = hex::encode(hash.finalize());
    assert_eq!((SHERDS_VERSION, hash.as_str()), (2, GOLDEN));
}

const GOLDEN: &str = "d164c621e556f289995e4884c217519da4af33233b5ce8275f8fb7a19c6dd65e";

#[test]
fn an_image_depends_on_its_key_and_not_on_the_counts() {
    let few = Sherds::new(SherdsConfig { train: 5, test: 3, ..SherdsConfig::default() }).expect("valid");
    let other = Sherds::new(SherdsConfig { seed: 1, ..SherdsConfig::default() }).expect("valid");
    let pixels = |sherds: &Sherds, split, index| sherds.sample(split, index).image;
    let reference = pixels(&sherds(), SherdsSplit::Train, 4);
    assert_eq!(reference, pixels(&few, SherdsSplit::Train, 4));
    assert_ne!(reference, pixels(&other, SherdsSplit::Train, 4));
    assert_ne!(reference, pixels(&few, SherdsSplit::Train, 14));
    assert_ne!(pixels(&few, SherdsSplit::Val, 4), reference);
}

/// Class balance, and the relation of texture and class that each split promises.
#[test]
fn splits_relate_texture_to_class_as_stated() {
    let sherds = sherds();
    for split in SherdsSplit::ALL {
        let mut table = [[0usize; 10]; 10];
        let count = sherds.len(split) / 90 * 90;
        for index in 0..count {
            let texture = Texture::ALL.iter().position(|texture| *texture == sherds.texture(split, index));
            table[Sherds::label(index)][texture.expect("known")] += 1;
        }
        for (class, row) in table.iter().enumerate() {
            let images = row.iter().sum::<usize>();
            assert_eq!(images, count / 10, "{split:?} is balanced");
            let own = row[class] as f64 / images as f64;
            for (texture, &number) in row.iter().enumerate() {
                let share = number as f64 / images as f64;
                let expected = match split {
                    SherdsSplit::Train | SherdsSplit::Val if texture == class => 0.7,
                    SherdsSplit::Train | SherdsSplit::Val => 0.3 / 9.0,
                    SherdsSplit::Test => 0.1,
                    SherdsSplit::Aligned => f64::from(u8::from(texture == class)),
                    SherdsSplit::Conflict if texture == class => 0.0,
                    SherdsSplit::Conflict => 1.0 / 9.0,
                };
                // Five standard errors where the texture is drawn, one image where it takes turns.
                let drawn = matches!(split, SherdsSplit::Train | SherdsSplit::Val);
                let error = (expected * (1.0 - expected) / images as f64).sqrt();
                let tolerance = if drawn { 5.0 * error } else { 1.0 / images as f64 + 1e-9 };
                assert!(
                    (share - expected).abs() <= tolerance,
                    "{split:?}, class {class}: {share} not {expected} ({own})"
                );
            }
        }
    }
}

/// Without clutter and noise only the object changes the plain background, so the mask can be read off.
#[test]
fn the_mask_is_where_the_object_is() {
    let plain = SherdsConfig { occlusion: 0.0, ..uncluttered() };
    let sherds = Sherds::new(plain).expect("valid");
    for index in 0..200 {
        let sample = sherds.sample(SherdsSplit::Test, index);
        let (image, truth) = (sample.image, sample.truth.expect("known"));
        // The object may reach into a corner, but not into all four: the commonest colour of them is the background's.
        let corners = [(0, 0), (31, 0), (0, 31), (31, 31)].map(|(x, y)| image.pixel(x, y));
        let background =
            corners.into_iter().max_by_key(|a| corners.iter().filter(|b| a == *b).count()).expect("four");
        for y in 0..32 {
            for x in 0..32 {
                let inside = truth.mask.contains(x, y);
                let changed = image.pixel(x, y) != background;
                let neighbours = || {
                    // A thin tip fills less than half of its pixels for some way.
                    (-3i32..=3)
                        .flat_map(|dy| (-3..=3).map(move |dx| (x as i32 + dx, y as i32 + dy)))
                        .filter(|&(x, y)| (0..32).contains(&x) && (0..32).contains(&y))
                        .any(|(x, y)| truth.mask.contains(x as usize, y as usize))
                };
                assert!(
                    !inside || changed || truth.texture == Texture::Gradient,
                    "{index}: the mask covers background"
                );
                assert!(!changed || neighbours(), "{index}: the object reaches beyond its mask");
            }
        }
        let share = truth.mask.area() as f64 / 1024.0;
        assert!((0.04..0.5).contains(&share), "{index}: the object covers {share}");
    }
}

/// What lies in front leaves the mask, and nothing else does: without clutter's colours it paints background over the object.
#[test]
fn what_is_hidden_is_not_in_the_mask() {
    let draw = |occlusion, index| {
        let sherds = Sherds::new(SherdsConfig { occlusion, ..uncluttered() }).expect("valid");
        let sample = sherds.sample(SherdsSplit::Test, index);
        (sample.image, sample.truth.expect("known").mask)
    };
    let (mut whole_area, mut hidden_area) = (0, 0);
    for index in 0..200 {
        let ((whole, whole_mask), (hidden, hidden_mask)) = (draw(0.0, index), draw(0.55, index));
        for (x, y) in (0..32).flat_map(|y| (0..32).map(move |x| (x, y))) {
            let (before, after) = (whole_mask.contains(x, y), hidden_mask.contains(x, y));
            let painted = whole.pixel(x, y) != hidden.pixel(x, y);
            assert!(before || !after, "{index}: the mask has grown at {x}, {y}");
            assert!(
                before == after || painted,
                "{index}: the mask has a hole at {x}, {y} where nothing was painted"
            );
        }
        assert!(hidden_mask.area() >= 20, "{index}: hardly anything is left to see");
        whole_area += whole_mask.area();
        hidden_area += hidden_mask.area();
    }
    let hidden = 1.0 - hidden_area as f64 / whole_area as f64;
    assert!((0.15..0.35).contains(&hidden), "{hidden} of the objects is hidden");
}

/// At eight times the size the mask is the same silhouette: nothing depends on the resolution but detail.
#[test]
fn masks_agree_across_sizes() {
    let at = |size| Sherds::new(SherdsConfig { size, ..SherdsConfig::default() }).expect("valid");
    let (small, large) = (at(32), at(256));
    for index in 0..20 {
        let mask = |sherds: &Sherds| sherds.sample(SherdsSplit::Test, index).truth.expect("known").mask;
        let share = |mask: Mask| mask.area() as f64 / (mask.width * mask.height) as f64;
        let (a, b) = (share(mask(&small)), share(mask(&large)));
        assert!((a - b).abs() < 0.02, "{index}: {a} and {b}");
    }
}

#[test]
fn parameters_are_read_and_refused_by_name() {
    let base = SherdsConfig::default();
    let read = base.with_parameters("size=64, train=500,correlation=0.9,scale=0.3..0.4").expect("valid");
    assert_eq!((read.size, read.train, read.correlation, read.scale), (64, 500, 0.9, (0.3, 0.4)));
    assert_eq!(base.with_parameters("").expect("valid"), base);
    let complaint = |text: &str| base.with_parameters(text).expect_err("an error").to_string();
    assert!(
        complaint("sise=64")
            .starts_with("sherds: there is no parameter `sise`; there are aligned, background")
    );
    assert_eq!(complaint("size"), "sherds: `size` is not of the form parameter=value");
    assert!(complaint("size=big").contains("`size=big` is not a number"));
    assert_eq!(complaint("correlation=2"), "sherds: correlation = 2 must be from 0 to 1");
    assert_eq!(complaint("size=4"), "sherds: size = 4 must be from 8 to 1024");
    assert!(complaint("train=1.5").contains("train=1.5"));
    let smallest = Sherds::new(SherdsConfig { size: 8, ..base.clone() }).expect("valid");
    assert_eq!(smallest.sample(SherdsSplit::Train, 0).image.pixels().len(), 8 * 8 * 3);
}
