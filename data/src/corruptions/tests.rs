//! Against what other programs give (`make_corruptions.py`), statistics of what is random, and what holds for all.

use std::collections::BTreeSet;

use super::*;
use crate::fixture::{Pillow, difference};

/// The numbers of the fixture's script.
fn draw(stream: u64, place: u64) -> f64 {
    let mut z = stream
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(place.wrapping_mul(0xD134_2543_DE82_EF95))
        .wrapping_add(0x632B_E59B_D9B4_E019);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn draws(stream: u64) -> impl FnMut() -> f64 {
    let mut place = 0;
    move || {
        place += 1;
        draw(stream, place - 1)
    }
}

/// The script's normal numbers, which every corruption draws with a mean and deviation of its own.
fn noise(stream: u64, size: usize, mean: f64, deviation: f64) -> Field {
    let mut next = draws(stream);
    let value = || mean + deviation * ((next() + next() + next() + next() - 2.0) * 3f64.sqrt());
    Field::plane(size, size, std::iter::repeat_with(value).take(size * size).collect())
}

fn uniform(stream: u64, size: usize) -> Field {
    let mut next = draws(stream);
    Field::plane(size, size, std::iter::repeat_with(|| 2.0 * next() - 1.0).take(size * size).collect())
}

/// A corruption with the script's numbers where it draws any.
fn with_draws(corruption: Corruption, image: &Image, severity: usize) -> Image {
    let (scale, field, size) = (Scale::of(image), Field::of(image), image.width());
    match corruption {
        Corruption::Fog => {
            let [weight, decay] = weather::haze(scale, severity);
            let mut next = draws(2);
            weather::fogged(&field, &weather::plasma(size, decay, &mut || 2.0 * next() - 1.0), weight)
        }
        Corruption::ElasticTransform => {
            let bend = digital::bend(scale, severity);
            let mut next = draws(3);
            let moved = [(); 3].map(|()| [(); 2].map(|()| (2.0 * next() - 1.0) * bend.affine));
            digital::bent(&field, bend, moved, [&uniform(4, size), &uniform(5, size)])
        }
        Corruption::GlassBlur => {
            let mut next = draws(6);
            blur::shuffled(&field, blur::pane(scale, severity), &mut |count| (next() * count as f64) as usize)
        }
        Corruption::Spatter => {
            let drops = spatter::drops(scale, severity);
            spatter::spattered(&field, &noise(7, size, drops.mean, drops.deviation), drops)
        }
        Corruption::Snow => {
            let flakes = weather::flakes(scale, severity);
            let layer = noise(8, size, flakes.mean, flakes.deviation);
            weather::snowed(&field, &layer, flakes, -77.0)
        }
        Corruption::MotionBlur => blur::along(&field, blur::stroke(scale, severity), 30.0),
        _ => return corruption.apply(image, severity, 0, 0),
    }
    .image()
}

#[test]
fn corruptions_are_those_of_other_programs() {
    let mut golden = Pillow::of("corruptions.npz");
    let (mut compared, mut apart) = (BTreeSet::new(), Vec::new());
    for name in golden.names() {
        let [id, scale, severity] = name.split('/').collect::<Vec<_>>()[..] else { continue };
        let clean = golden.image(&format!("clean/{scale}"));
        let expected = golden.image(&name);
        let corruption = Corruption::named(id).unwrap();
        let found = with_draws(corruption, &clean, severity.parse().unwrap());
        let (largest, equal) = difference(&found, &expected);
        let (most, fewest) = match corruption {
            // OpenCV maps in steps of 1/32 pixel, so that edges differ; elsewhere by rounding alone.
            Corruption::ElasticTransform => (40, 0.5),
            Corruption::Jpeg => (3, 0.8),
            // Its kernel is one of 32 bits there, and sums to less than 1.
            Corruption::DefocusBlur => (1, 0.4),
            // A distance that is truncated to the next level moves an equalised histogram by many.
            Corruption::Spatter => (48, 0.96),
            // Sums that are whole levels but for rounding are truncated to either side.
            _ => (1, 0.8),
        };
        if largest > most || equal < fewest {
            apart.push(format!("{name}: {largest}, {equal}"));
        }
        let (from_clean, _) = difference(&clean, &expected);
        assert!(from_clean > 8, "{name} changes nothing");
        compared.insert(corruption);
    }
    assert!(apart.is_empty(), "{apart:#?}");
    assert_eq!(compared.len(), 14, "{compared:?}");
}

/// Mean and deviation of what a corruption adds to a grey image of value 102, 0.4.
fn added(corruption: Corruption, severity: usize, size: usize) -> [f64; 2] {
    let image = Image::filled(size, size, [102; 3]);
    let mut values = Vec::new();
    for index in 0..40_000 / (size * size) as u64 + 8 {
        values.extend(
            corruption.apply(&image, severity, 5, index).pixels().iter().map(|&v| f64::from(v) / 255.0 - 0.4),
        );
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    [mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt()]
}

#[test]
fn noise_has_the_moments_that_its_constants_say() {
    // Truncation to 8 bits lowers the mean by half a level.
    let half = 0.5 / 255.0;
    let close =
        |found: f64, expected: f64, by: f64| assert!((found - expected).abs() < by, "{found} {expected}");
    type Case = (usize, [f64; 2], [f64; 2], [f64; 2], [f64; 2]);
    let cases: [Case; 2] = [
        (32, [0.04, 0.1], [500.0, 50.0], [0.01, 0.07], [0.06, 0.2]),
        (96, [0.08, 0.38], [60.0, 3.0], [0.03, 0.27], [0.15, 0.6]),
    ];
    for (size, deviations, photons, shares, speckles) in cases {
        for (place, severity) in [1, 5].into_iter().enumerate() {
            let [mean, deviation] = added(Corruption::GaussianNoise, severity, size);
            if deviations[place] <= 0.1 {
                close(deviation, deviations[place], 0.002);
                close(mean, -half, 0.002);
            } else {
                // Cut at 0 and 1 it is narrower, and its mean nearer to the middle.
                assert!(deviation > 0.25 && deviation < deviations[place] && mean > 0.0);
            }
            let [mean, deviation] = added(Corruption::ShotNoise, severity, size);
            if photons[place] >= 50.0 {
                close(deviation, (0.4 / photons[place]).sqrt(), 0.003);
                close(mean, -half, 0.003);
            }
            let [_, deviation] = added(Corruption::SpeckleNoise, severity, size);
            close(deviation, 0.4 * speckles[place], 0.01 + 0.05 * speckles[place]);
            let image = Image::filled(size, size, [102; 3]);
            let counts = (0..60).flat_map(|index| {
                Corruption::ImpulseNoise.apply(&image, severity, 5, index).pixels().to_vec()
            });
            let values: Vec<u8> = counts.collect();
            let share =
                |level| values.iter().filter(|&&value| value == level).count() as f64 / values.len() as f64;
            close(share(0), shares[place] / 2.0, 0.004);
            close(share(255), shares[place] / 2.0, 0.004);
        }
    }
}

#[test]
fn everything_random_is_keyed_and_severity_grows() {
    let mut golden = Pillow::of("corruptions.npz");
    for scale in ["small", "large"] {
        let image = golden.image(&format!("clean/{scale}"));
        for corruption in Corruption::ALL {
            let of = |severity, seed, index| corruption.apply(&image, severity, seed, index);
            assert_eq!(of(3, 1, 2), of(3, 1, 2), "{corruption:?}");
            let random = !matches!(
                corruption,
                Corruption::DefocusBlur
                    | Corruption::ZoomBlur
                    | Corruption::Brightness
                    | Corruption::Contrast
                    | Corruption::Pixelate
                    | Corruption::Jpeg
                    | Corruption::GaussianBlur
                    | Corruption::Saturate
            );
            assert_eq!(of(3, 1, 2) != of(3, 1, 3), random, "{corruption:?}: another image");
            assert_eq!(of(3, 1, 2) != of(3, 2, 2), random, "{corruption:?}: another seed");
            let distance = |severity| {
                let pairs = |index| {
                    let damaged = of(severity, 0, index).into_pixels().into_iter();
                    damaged.zip(image.pixels().to_vec()).map(|(a, b)| f64::from(a.abs_diff(b)).powi(2))
                };
                (0..6).flat_map(pairs).sum::<f64>()
            };
            // Its authors order severities by how they look. Saturation falls and then rises; the elastic transform bends less widely
            // and more finely. Shuffled patches are about as far from the image whatever their size.
            if !matches!(
                corruption,
                Corruption::Saturate | Corruption::ElasticTransform | Corruption::PatchShuffle
            ) {
                assert!(distance(5) > distance(1), "{corruption:?} {scale}");
            }
            assert!(distance(1) > 0.0);
            assert_eq!(Corruption::named(corruption.id()), Some(corruption));
        }
    }
    assert_eq!((Corruption::common().len(), Corruption::named("rain")), (15, None));
}

#[test]
fn images_need_not_be_square() {
    let image = Image::filled(80, 70, [90, 120, 30]);
    for corruption in Corruption::ALL {
        let found = corruption.apply(&image, 5, 0, 0);
        assert_eq!((found.width(), found.height()), (80, 70), "{corruption:?}");
    }
}

#[test]
fn patches_change_places_or_are_gone() {
    let mut image = Image::filled(10, 9, [0; 3]);
    image.pixels_mut().iter_mut().enumerate().for_each(|(place, value)| *value = place as u8);
    let tile = |image: &Image, place: usize| -> Vec<[u8; 3]> {
        let (left, top) = (place % 5 * 2, place / 5 * 2);
        (0..4).map(|pixel| image.pixel(left + pixel % 2, top + pixel / 2)).collect()
    };
    let tiles = |image: &Image| (0..20).map(|place| tile(image, place)).collect::<Vec<_>>();
    let shuffled = shuffle_patches(&image, 2, 1, 7);
    assert_ne!(tiles(&shuffled), tiles(&image));
    assert_eq!(tiles(&shuffled).into_iter().collect::<BTreeSet<_>>(), tiles(&image).into_iter().collect());
    assert!((0..10).all(|x| shuffled.pixel(x, 8) == image.pixel(x, 8)), "what is left over stays");
    assert_ne!(shuffled, shuffle_patches(&image, 2, 1, 8));

    let mean = [0, 1, 2].map(|channel| {
        let values = image.pixels().iter().skip(channel).step_by(3).map(|&value| f64::from(value));
        (values.sum::<f64>() / 90.0).round() as u8
    });
    let gone = |share| {
        let dropped = drop_patches(&image, 2, share, 1, 7);
        (0..20).filter(|&place| tile(&dropped, place) == [mean; 4]).collect::<BTreeSet<usize>>()
    };
    assert_eq!([0.0, 0.5, 1.0].map(|share| gone(share).len()), [0, 10, 20]);
    assert!(gone(0.25).is_subset(&gone(0.5)) && gone(0.25).len() == 5);

    // On the command line: 2 × 2 and 16 × 16 patches of 32 px, a tenth and nine tenths of 8 × 8.
    let mut image = Image::filled(32, 32, [0; 3]);
    image.pixels_mut().iter_mut().enumerate().for_each(|(place, value)| *value = (place % 251) as u8);
    let apply = |corruption: Corruption, severity| corruption.apply(&image, severity, 1, 7);
    assert_eq!(apply(Corruption::PatchShuffle, 1), shuffle_patches(&image, 16, 1, 7));
    assert_eq!(apply(Corruption::PatchShuffle, 5), shuffle_patches(&image, 2, 1, 7));
    assert_eq!(apply(Corruption::PatchDrop, 1), drop_patches(&image, 4, 0.1, 1, 7));
    assert_eq!(apply(Corruption::PatchDrop, 5), drop_patches(&image, 4, 0.9, 1, 7));
}
