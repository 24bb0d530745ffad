//! Made-up heads of a known purpose.

use super::class::mutual_information;
use super::*;
use crate::attention::LayerMaps;
use crate::testing::class_token_site;

const SIDE: usize = 6;
const N: usize = SIDE * SIDE + 1;

/// A layer of heads whose weights `of(head, image, query, key)` are known, patches counted from 0, the class token `None`.
fn maps(
    heads: usize,
    images: usize,
    of: impl Fn(usize, usize, Option<usize>, Option<usize>) -> f64,
) -> AttentionMaps {
    let mut values = Vec::new();
    for image in 0..images {
        for head in 0..heads {
            for query in 0..N {
                let row: Vec<f64> =
                    (0..N).map(|key| of(head, image, query.checked_sub(1), key.checked_sub(1))).collect();
                let sum: f64 = row.iter().sum();
                values.extend(row.iter().map(|weight| (weight / sum) as f32));
            }
        }
    }
    let site = class_token_site(0, [SIDE, SIDE]);
    let layer = LayerMaps { site, heads, windows: 1, places: N, values };
    AttentionMaps { images, image_size: [SIDE * 4; 2], layers: vec![layer] }
}

/// Random patches, an object of four patches at a place that depends on the class, half of the patches of each of two colours.
fn content(image: usize) -> PatchContent {
    use rand::RngExt;
    let mut rng = keyed_rng(4, "content", image as u64, 0);
    let mut numbers = || (0..SIDE * SIDE).map(|_| rng.random::<f64>()).collect::<Vec<f64>>();
    let (gradient, orientation, colours) = (numbers(), numbers(), numbers());
    let corner = rng.random_range(0..5) * SIDE + rng.random_range(0..5);
    let mut object = vec![0.0; SIDE * SIDE];
    [0, 1, SIDE, SIDE + 1].iter().for_each(|step| object[corner + step] = 1.0);
    let colour =
        colours.iter().map(|value| if *value > 0.5 { [1.0, 0.0, 0.2] } else { [0.0, 1.0, 0.1] }).collect();
    PatchContent { gradient, orientation, colour, object: Some(object) }
}

#[test]
fn heads_with_a_known_purpose_get_their_label() {
    let images = 24;
    let contents: Vec<PatchContent> = (0..images).map(content).collect();
    let classes: Vec<usize> = (0..images).map(|image| image / 2 % 2).collect();
    let made = maps(7, images, |head, image, query, key| {
        let content = &contents[image];
        let Some(key) = key else { return if head == 1 { 200.0 } else { 1e-3 } };
        match (head, query) {
            (0, _) | (1, _) => 1.0,
            // To the right neighbour.
            (2, Some(query)) => {
                if key == query + 1 && key % SIDE != 0 {
                    1.0
                } else {
                    1e-3
                }
            }
            (3, _) => content.object.as_ref().unwrap()[key] + 1e-2,
            (4, _) => content.gradient[key] * content.gradient[key],
            (5, Some(query)) => {
                if content.colour[key] == content.colour[query] {
                    1.0
                } else {
                    0.05
                }
            }
            // Left or right column, by class.
            (6, None) => {
                if key % SIDE == classes[image] * (SIDE - 1) {
                    1.0
                } else {
                    0.4
                }
            }
            // A permutation that has nothing to do with any image.
            (6, Some(query)) => {
                if (query * query * 31 + key * key * key * 17 + query * key * (image + 5)) % 37 < 3 {
                    0.5
                } else {
                    0.05
                }
            }
            _ => 1.0,
        }
    });
    let ids: Vec<u64> = (0..images as u64).collect();
    let all = heads_on_images(&made, 0, &contents, (3, &ids));
    let halves = |head: usize| {
        [0, 1].map(|half| {
            let of_half = |image: &usize| image % 2 == half;
            let seen: Vec<&HeadOnImage> =
                (0..images).filter(of_half).map(|image| &all[image][head]).collect();
            let classes: Vec<usize> = (0..images).filter(of_half).map(|image| classes[image]).collect();
            HeadHalf::of(&seen, &classes, 1)
        })
    };
    let labels: Vec<HeadLabel> = (0..7).map(|head| label(&halves(head))).collect();
    use HeadLabel::*;
    assert_eq!(labels, [Uniform, Sink, Positional, Object, Edge, Colour, ClassSelective]);
    assert_eq!(all[0][2].offset, [0, 1]);
    let measured = halves(2)[0].criteria;
    assert!(
        measured.positional.value.unwrap() > 0.8 && measured.positional.null.unwrap() < 0.3,
        "{measured:?}"
    );
    // No label where the halves disagree.
    let [edge, colour] = [halves(4)[0], halves(5)[1]];
    assert_eq!(label(&[edge, colour]), Unexplained);
}

#[test]
fn information_and_patches_are_as_by_hand() {
    assert!((mutual_information(&[0, 0, 1, 1], &[5, 5, 2, 2]) - 2f64.ln()).abs() < 1e-12);
    assert!(mutual_information(&[0, 1, 0, 1], &[5, 5, 2, 2]) < 1e-12);
    // Left half black, right half white: the gradient lies across columns, at the border.
    let image: Vec<f32> = (0..3 * 64).map(|i| f32::from(u8::from(i % 8 >= 4))).collect();
    let mask: Vec<bool> = (0..64).map(|i| i % 8 >= 6).collect();
    let found = PatchContent::of(&image, [8, 8], Some(&mask), [2, 4]);
    assert_eq!(found.gradient, [0.0, 0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.0]);
    assert_eq!(found.orientation, found.gradient);
    assert_eq!((found.colour[1], found.colour[2]), ([0.0; 3], [1.0; 3]));
    assert_eq!(found.object.unwrap(), [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
}

/// In shifted windows, even attention is even: the object has its share of what is read, and distance is that of even attention.
#[test]
fn criteria_count_only_what_a_window_allows() {
    use archaeo_models::{AttentionSite, PrefixTokens, ReadOut, Window, WindowPadding};

    for (grid, shifted) in [([8, 8], false), ([8, 8], true), ([7, 7], true)] {
        let window = Window::on(grid, 4, shifted, WindowPadding::default());
        let site = AttentionSite {
            layer: 0,
            grid,
            prefix: PrefixTokens::NONE,
            read_out: ReadOut::MeanOfPatches,
            window: Some(window),
        };
        let places = window.size[0] * window.size[1];
        let windows = window.tokens(grid).len() / places;
        let tokens = window.tokens(grid);
        let regions = window.regions(grid);
        // Of two heads the first is even, and the second looks at the next place of its region.
        let weights = |next: bool| {
            let mut values = vec![0.0; windows * places * places];
            for query in (0..windows * places).filter(|query| tokens[*query].is_some()) {
                let first = query / places * places;
                let keys: Vec<usize> = (0..places)
                    .filter(|key| regions[first + key] == regions[query] && tokens[first + key].is_some())
                    .collect();
                let right = tokens[query].map(|token| token + 1);
                let neighbour = keys
                    .iter()
                    .position(|key| tokens[first + key] == right && !right.unwrap().is_multiple_of(grid[1]));
                for (place, &key) in keys.iter().enumerate() {
                    values[query * places + key] = match (next, neighbour) {
                        (true, Some(neighbour)) => f32::from(u8::from(place == neighbour)),
                        _ => 1.0 / keys.len() as f32,
                    };
                }
            }
            values
        };
        let (even, next) = (weights(false), weights(true));
        let size = places * places;
        let values =
            (0..windows).flat_map(|of| [&even[of * size..][..size], &next[of * size..][..size]].concat());
        let layer = LayerMaps { site, heads: 2, windows, places, values: values.collect() };
        let maps = AttentionMaps { images: 1, image_size: [32; 2], layers: vec![layer] };
        let patches = grid[0] * grid[1];
        let object: Vec<f64> = (0..patches).map(|patch| f64::from(u8::from(patch % 3 == 0))).collect();
        let content = PatchContent {
            gradient: (0..patches).map(|patch| (patch * 7 % 11) as f64).collect(),
            orientation: (0..patches).map(|patch| (patch * 5 % 13) as f64).collect(),
            colour: (0..patches).map(|patch| [(patch * 3 % 7) as f64, 0.0, 0.0]).collect(),
            object: Some(object),
        };
        let found = &heads_on_images(&maps, 0, &[content], (1, &[0]))[0];
        let of = |measure: Measure| (measure.value.unwrap(), measure.null.unwrap());
        let even = found[0].criteria;
        let close =
            |(value, expected): (f64, f64)| assert!((value - expected).abs() < 1e-6, "{value} {expected}");
        close(of(even.object));
        close((even.distance.value.unwrap(), 1.0));
        close(of(even.entropy));
        assert_eq!(even.sink, Measure::default());
        // Where groups differ in size, so do even weights, but no more than shuffled ones.
        assert_eq!(even.positional.value.is_none(), !shifted);
        assert_eq!(even.positional.value, even.positional.null);
        assert_eq!(found[1].offset, [0, 1]);
        let (explained, by_chance) = of(found[1].criteria.positional);
        assert!(explained > 0.5 && explained > 2.0 * by_chance, "{explained} {by_chance}");
    }
}
