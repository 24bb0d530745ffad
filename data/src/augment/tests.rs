use super::*;
use crate::fixture::{Pillow, difference};
use crate::sherds::{Sherds, SherdsConfig, SherdsSplit};

fn picture(index: usize) -> Image {
    let sherds = Sherds::new(SherdsConfig::default()).expect("the defaults are valid");
    sherds.sample(SherdsSplit::Train, index).image
}

fn key(image: u64, epoch: u64) -> AugmentKey {
    AugmentKey { seed: 3, image, epoch }
}

fn everything() -> AugmentConfig {
    AugmentConfig {
        random_resized_crop: Some(RandomResizedCrop::default()),
        pad_crop: 4,
        flip: 0.5,
        rand_augment: Some(RandAugment::default()),
        color_jitter: 0.3,
        erasing: Some(Erasing { probability: 0.5, ..Erasing::default() }),
        mixup: 0.8,
        cutmix: 1.0,
        ..AugmentConfig::default()
    }
}

#[test]
fn nothing_turned_on_changes_nothing() {
    let image = picture(0);
    assert_eq!(augment(&image, &AugmentConfig::default(), 32, key(0, 0)), image);
}

#[test]
fn the_key_alone_decides() {
    let image = picture(0);
    let config = everything();
    let first = augment(&image, &config, 32, key(5, 2));
    assert_eq!(first, augment(&image, &config, 32, key(5, 2)));
    assert_ne!(first, augment(&image, &config, 32, key(5, 3)));
    assert_ne!(first, augment(&image, &config, 32, key(6, 2)));
}

/// Turning one step on leaves the draws of the others as they were.
#[test]
fn steps_have_streams_of_their_own() {
    let image = picture(0);
    let flip_only = AugmentConfig { flip: 0.5, ..AugmentConfig::default() };
    let with_jitter = AugmentConfig { color_jitter: 1e-9, ..flip_only.clone() };
    for epoch in 0..20 {
        let (a, b) = (
            augment(&image, &flip_only, 32, key(0, epoch)),
            augment(&image, &with_jitter, 32, key(0, epoch)),
        );
        assert!(difference(&a, &b).0 <= 1, "epoch {epoch}");
    }
}

#[test]
fn two_flips_are_none_and_one_moves_every_column() {
    let image = picture(1);
    let config = AugmentConfig { flip: 1.0, ..AugmentConfig::default() };
    let once = augment(&image, &config, 32, key(0, 0));
    assert_eq!(once.pixel(0, 7), image.pixel(31, 7));
    assert_eq!(augment(&once, &config, 32, key(0, 0)), image);
}

#[test]
fn pad_crop_shifts_by_at_most_the_padding_and_by_every_amount() {
    let pixels = (0..32 * 32).flat_map(|i| [i as u8, (i >> 8) as u8 + 1, 7]).collect();
    let image = Image::new(32, 32, pixels);
    let config = AugmentConfig { pad_crop: 4, ..AugmentConfig::default() };
    let mut seen = std::collections::BTreeSet::new();
    for epoch in 0..1000 {
        let moved = augment(&image, &config, 32, key(0, epoch));
        // The centre pixel shows where it came from.
        let [low, high, _] = moved.pixel(16, 16);
        let place = i32::from(low) + 256 * (i32::from(high) - 1);
        seen.insert((place % 32 - 16, place / 32 - 16));
        let black = moved.pixels().chunks(3).filter(|pixel| *pixel == [0, 0, 0]).count() as i32;
        let (dx, dy) = (place % 32 - 16, place / 32 - 16);
        assert_eq!(black, 32 * 32 - (32 - dx.abs()) * (32 - dy.abs()));
    }
    assert_eq!(seen.len(), 81);
    assert!(seen.iter().all(|(dx, dy)| dx.abs() <= 4 && dy.abs() <= 4));
}

#[test]
fn a_resized_crop_of_everything_is_a_resize() {
    let image = Pillow::open().image("image");
    let whole = RandomResizedCrop {
        scale: (1.0, 1.0),
        ratio: (61.0 / 45.0, 61.0 / 45.0),
        ..RandomResizedCrop::default()
    };
    let config = AugmentConfig { random_resized_crop: Some(whole), ..AugmentConfig::default() };
    let expected = crate::resize::resize(&image, 32, 32, Interpolation::Bicubic);
    assert_eq!(augment(&image, &config, 32, key(0, 0)), expected);
}

/// A column of the picture holds its own number, so a crop shows its extent; area and shape stay in range.
#[test]
fn resized_crops_have_the_stated_area_and_ratio() {
    let side = 200;
    let pixels = (0..side * side).flat_map(|i| [(i % side) as u8, (i / side) as u8, 0]).collect();
    let image = Image::new(side, side, pixels);
    let config = AugmentConfig {
        random_resized_crop: Some(RandomResizedCrop {
            filter: Interpolation::Bilinear,
            ..Default::default()
        }),
        ..AugmentConfig::default()
    };
    let (mut smallest, mut largest) = (1.0f32, 0.0f32);
    for epoch in 0..300 {
        let part = augment(&image, &config, 64, key(0, epoch));
        // One output step spans width / 64 columns.
        let width = f32::from(part.pixel(63, 0)[0] - part.pixel(0, 0)[0]) * 64.0 / 63.0;
        let height = f32::from(part.pixel(0, 63)[1] - part.pixel(0, 0)[1]) * 64.0 / 63.0;
        let (area, ratio) = (width * height / 40_000.0, width / height);
        assert!((0.07..1.05).contains(&area), "area {area}");
        assert!((0.7..1.43).contains(&ratio), "ratio {ratio}");
        smallest = smallest.min(area);
        largest = largest.max(area);
    }
    assert!(smallest < 0.15 && largest > 0.8, "{smallest} {largest}");
}

/// Pillow's own results: equal, except for a few pixels of geometric operations that differ by one grey level.
#[test]
fn colours_and_movements_agree_with_pillow() {
    use rand_augment::{Operation, affine};
    let mut pillow = Pillow::open();
    let (image, dull) = (pillow.image("image"), pillow.image("dull"));
    let mut compared = 0;
    for name in pillow.names() {
        let (operation, argument) = name.split_once('/').unwrap_or((&name, "0"));
        let number = || argument.parse::<f32>().expect("a number");
        let ours = match operation {
            "brightness" => colour::brightness(&image, number()),
            "contrast" => colour::contrast(&image, number()),
            "saturation" => colour::saturation(&image, number()),
            "sharpness" => colour::sharpness(&image, number()),
            "auto_contrast" => colour::auto_contrast(&dull),
            "equalize" => colour::equalize(&dull),
            "invert" => colour::invert(&image),
            "posterize" => colour::posterize(&image, number() as u32),
            "solarize" => colour::solarize(&image, number() as u16),
            "rotate" => Operation::Rotate.apply(&image, number().abs() / 30.0, number().signum()),
            "shear_x" => affine(&image, [1.0, 0.2, 0.0, 0.0, 1.0, 0.0]),
            "shear_y" => affine(&image, [1.0, 0.0, 0.0, -0.2, 1.0, 0.0]),
            "translate_x" => affine(&image, [1.0, 0.0, 7.3, 0.0, 1.0, 0.0]),
            "translate_y" => affine(&image, [1.0, 0.0, 0.0, 0.0, 1.0, -5.6]),
            _ => continue,
        };
        let (largest, equal) = difference(&ours, &pillow.image(&name));
        println!("{name}: {largest} levels at most, {:.2} % equal", 100.0 * equal);
        let moved = matches!(operation, "rotate" | "shear_x" | "shear_y" | "translate_x" | "translate_y");
        assert!(largest <= u8::from(moved) && equal > 0.99, "{name} differs by {largest}, {equal} are equal");
        compared += 1;
    }
    assert_eq!(compared, 12 + 5 + 6);
}

#[test]
fn every_operation_of_rand_augment_is_idle_or_changes_the_picture_with_strength() {
    use rand_augment::Operation;
    let image = picture(2);
    for operation in Operation::ALL {
        let strong = operation.apply(&image, 0.9, 1.0);
        assert_eq!((strong.width(), strong.height()), (32, 32));
        assert_ne!(strong, image, "{operation:?}");
        let graded = !matches!(
            operation,
            Operation::AutoContrast | Operation::Equalize | Operation::Invert | Operation::Posterize
        );
        if graded {
            assert!(difference(&operation.apply(&image, 0.0, 1.0), &image).0 == 0, "{operation:?}");
        }
    }
}

#[test]
fn erasing_covers_the_stated_area_and_nothing_else() {
    let white = Image::filled(64, 64, [255; 3]);
    let erasing = Erasing { probability: 1.0, area: (0.1, 0.2), fill: Fill::Constant };
    let config = AugmentConfig { erasing: Some(erasing), ..AugmentConfig::default() };
    for epoch in 0..200 {
        let erased = augment(&white, &config, 64, key(0, epoch));
        let grey = erased.pixels().chunks(3).filter(|pixel| *pixel == [128; 3]).count() as f32 / 4096.0;
        let rest = erased.pixels().chunks(3).filter(|pixel| *pixel == [255; 3]).count() as f32 / 4096.0;
        assert!((0.09..0.21).contains(&grey), "{grey}");
        assert_eq!(grey + rest, 1.0);
    }
}

/// Noise has the units it claims: of the model's normalised input, mean 0 and deviation 1, cut at ±1.
#[test]
fn erasing_noise_is_standard_normal_for_the_model() {
    let erasing = Erasing { probability: 1.0, area: (0.2, 0.3), fill: Fill::Noise };
    let config = AugmentConfig { erasing: Some(erasing), ..AugmentConfig::default() };
    let (mut values, black) = (Vec::new(), Image::filled(64, 64, [7, 77, 177]));
    for epoch in 0..60 {
        let erased = augment(&black, &config, 64, key(0, epoch));
        let pixels = erased.pixels().chunks(3).filter(|pixel| *pixel != [7, 77, 177]);
        values.extend(pixels.flatten().map(|&value| (f64::from(value) / 255.0 - 0.5) / 0.5));
    }
    let share =
        |of: &dyn Fn(f64) -> bool| values.iter().filter(|v| of(**v)).count() as f64 / values.len() as f64;
    // Of a standard normal: 15.9 % below −1, 30.9 % below −½, 38.3 % within ±½.
    for (found, expected) in [
        (share(&|v| v <= -0.999), 0.159),
        (share(&|v| v >= 0.999), 0.159),
        (share(&|v| v < -0.5), 0.309),
        (share(&|v| v.abs() < 0.5), 0.383),
    ] {
        assert!((found - expected).abs() < 0.01, "{found}, not {expected}");
    }
}

#[test]
fn colours_are_not_jittered_next_to_rand_augment_unless_forced() {
    let image = picture(3);
    let both = AugmentConfig {
        rand_augment: Some(RandAugment::default()),
        color_jitter: 0.4,
        ..AugmentConfig::default()
    };
    let alone = AugmentConfig { color_jitter: 0.0, ..both.clone() };
    let forced = AugmentConfig { force_color_jitter: true, ..both.clone() };
    let mut differ = 0;
    for epoch in 0..20 {
        let of = |config: &AugmentConfig| augment(&image, config, 32, key(0, epoch));
        assert_eq!(of(&both), of(&alone), "epoch {epoch}");
        differ += usize::from(of(&forced) != of(&alone));
    }
    assert!(differ >= 19, "{differ} of 20");
    assert!(both.note().is_some_and(|note| note.contains("augment.color_jitter")));
    assert!(alone.note().is_none() && forced.note().is_none());
    assert!(AugmentConfig { rand_augment: None, ..both }.note().is_none());
}

#[test]
fn colour_is_removed_as_often_as_is_asked_for() {
    let image = picture(3);
    let config = AugmentConfig { grayscale: 0.3, ..AugmentConfig::default() };
    let grey = |image: &Image| {
        image.pixels().chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2])
    };
    let count = (0..1000).filter(|&epoch| grey(&augment(&image, &config, 32, key(0, epoch)))).count();
    assert!(!grey(&image) && (250..350).contains(&count), "{count} of 1000");
    assert!(AugmentConfig { grayscale: 1.5, ..config.clone() }.check().is_err());
    assert_eq!(
        (config.variants(), AugmentConfig { flip: 0.5, ..AugmentConfig::default() }.variants()),
        (None, Some(2))
    );
    assert_eq!(AugmentConfig::default().variants(), Some(1));
    assert_eq!(AugmentConfig { mixup: 0.2, ..AugmentConfig::default() }.variants(), None);
}

#[test]
fn plans_are_keyed_and_their_targets_sum_to_one() {
    let config = everything();
    let ids: Vec<u64> = (100..132).collect();
    let plan = mix_plan(&config, &ids, (32, 32), 1, 4);
    assert_eq!(plan, mix_plan(&config, &ids, (32, 32), 1, 4));
    assert_ne!(plan, mix_plan(&config, &ids, (32, 32), 1, 5));
    assert!(plan.iter().any(|mix| mix.region.is_some()) && plan.iter().any(|mix| mix.region.is_none()));
    for (place, mix) in plan.iter().enumerate() {
        assert_ne!(mix.partner, place);
        assert!((0.0..=1.0).contains(&mix.weight));
    }
    let labels: Vec<usize> = (0..32).map(|i| i % 10).collect();
    for smoothing in [0.0, 0.1] {
        for row in soft_targets(&labels, 10, smoothing, &plan).chunks(10) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            assert!(row.iter().all(|&p| p >= 0.1 * smoothing - 1e-7));
        }
    }
    let plain = soft_targets(&[1], 4, 0.1, &[]);
    assert!(plain.iter().zip([0.025, 0.925, 0.025, 0.025]).all(|(a, b)| (a - b).abs() < 1e-6));
}

/// The pixels a mixed image takes from its partner are the share that its target gives the partner.
#[test]
fn pixels_and_weights_agree() {
    let images: Vec<Image> = (0..8).map(|i| Image::filled(16, 24, [i * 30; 3])).collect();
    for config in [
        AugmentConfig { mixup: 0.8, ..AugmentConfig::default() },
        AugmentConfig { cutmix: 1.0, ..AugmentConfig::default() },
    ] {
        let plan = mix_plan(&config, &[0, 1, 2, 3, 4, 5, 6, 7], (16, 24), 9, 0);
        for (i, (mixed, mix)) in mix_images(&images, &plan).iter().zip(&plan).enumerate() {
            let mean = mixed.pixels().iter().map(|&value| f32::from(value)).sum::<f32>()
                / mixed.pixels().len() as f32;
            let expected = 30.0 * (mix.weight * i as f32 + (1.0 - mix.weight) * mix.partner as f32);
            assert!((mean - expected).abs() <= 0.51, "{mean} {expected}");
        }
    }
    let off = mix_plan(&AugmentConfig::default(), &[0, 1], (16, 24), 9, 0);
    assert_eq!(mix_images(&images[..2], &off), images[..2]);
}

/// Beta(0.8, 0.8) has mean 1/2 and variance 1 / (4 (2·0.8 + 1)).
#[test]
fn mixup_weights_have_the_moments_of_their_distribution() {
    let config = AugmentConfig { mixup: 0.8, ..AugmentConfig::default() };
    let ids: Vec<u64> = (0..20_000).collect();
    let weights: Vec<f64> =
        mix_plan(&config, &ids, (8, 8), 0, 0).iter().map(|mix| f64::from(mix.weight)).collect();
    let n = weights.len() as f64;
    let mean = weights.iter().sum::<f64>() / n;
    let variance = weights.iter().map(|weight| (weight - mean) * (weight - mean)).sum::<f64>() / n;
    assert!((mean - 0.5).abs() < 0.01 && (variance - 1.0 / 10.4).abs() < 0.003, "{mean} {variance}");
}

#[test]
fn configurations_are_checked_and_unknown_keys_refused() {
    assert!(toml::from_str::<AugmentConfig>("flip = 0.5\npad_crop = 4").is_ok());
    assert!(toml::from_str::<AugmentConfig>("flips = 0.5").is_err());
    assert_eq!(toml::from_str::<AugmentConfig>("").expect("all off"), AugmentConfig::default());
    let wrong = AugmentConfig { flip: 1.5, ..AugmentConfig::default() };
    assert_eq!(wrong.check().unwrap_err().to_string(), "augmentation: flip = 1.5 must be from 0 to 1");
    assert_eq!(everything().check(), Ok(()));
}
