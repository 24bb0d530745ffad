//! Duplicate images and blank images.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::images::few;
use super::split::{Content, Split};

/// Position of an image: that of its split, and its own in it.
type Place = (usize, usize);

/// Notes on the verified splits. Stored bytes are compared, so a re-encoded copy is not found.
pub(super) fn notes(classes: &[String], splits: &BTreeMap<String, Split>) -> Vec<String> {
    // The parts of `all` cover it.
    let divided = splits.len() > 1;
    let mut parts: Vec<(&str, &Split, &[Content])> = splits
        .iter()
        .filter(|(name, _)| !(divided && *name == "all"))
        .filter_map(|(name, split)| Some((name.as_str(), split, split.contents()?)))
        .collect();
    let rank = |name: &str| ["train", "val", "holdout", "test"].iter().position(|known| *known == name);
    parts.sort_by_key(|(name, _, _)| rank(name));

    let mut places: HashMap<[u8; 32], Vec<Place>> = HashMap::new();
    for (part, (_, _, contents)) in parts.iter().enumerate() {
        for (i, content) in contents.iter().enumerate() {
            places.entry(content.digest).or_default().push((part, i));
        }
    }
    let mut copies: Vec<Vec<Place>> = places.into_values().filter(|places| places.len() > 1).collect();
    copies.sort_unstable();
    let name = |(part, i): Place| parts[part].1.identifier(i);
    let mut notes = Vec::new();

    for later in 0..parts.len() {
        for earlier in 0..later {
            let here = |places: &Vec<Place>, part| places.iter().find(|place| place.0 == part).copied();
            let (mut count, mut example) = (0, None);
            for places in &copies {
                let (Some(first), Some(second)) = (here(places, earlier), here(places, later)) else {
                    continue;
                };
                count += places.iter().filter(|place| place.0 == later).count();
                example.get_or_insert((second, first));
            }
            let Some((second, first)) = example else { continue };
            notes.push(format!(
                "{count} {} of `{}` {} also in `{}`, such as {} ({}): scores on {} are not independent of it",
                if count == 1 { "image" } else { "images" },
                parts[later].0,
                if count == 1 { "is" } else { "are" },
                parts[earlier].0,
                name(second),
                name(first),
                if count == 1 { "it" } else { "them" },
            ));
        }
    }
    if !classes.is_empty() {
        let label = |(part, i): Place| parts[part].1.label(i);
        let several = |places: &&Vec<Place>| {
            places.iter().map(|place| label(*place)).collect::<BTreeSet<_>>().len() > 1
        };
        let torn: Vec<_> = copies.iter().filter(several).collect();
        if let Some(first) = torn.first() {
            let other = first.iter().find(|place| label(**place) != label(first[0])).unwrap_or(&first[0]);
            let described = |place: Place| format!("{} (`{}`)", name(place), classes[label(place)]);
            notes.push(format!(
                "{} in more than one class, such as {} and {}: at most one of them can be right",
                if torn.len() == 1 { "1 image is".to_string() } else { format!("{} images are", torn.len()) },
                described(first[0]),
                described(*other)
            ));
        }
    }
    for (part, (split, _, _)) in parts.iter().enumerate() {
        let within =
            |places: &Vec<Place>| places.iter().filter(|place| place.0 == part).count().saturating_sub(1);
        let count: usize = copies.iter().map(within).sum();
        let Some(example) = copies.iter().find(|places| within(places) > 0) else { continue };
        let mut pair = example.iter().filter(|place| place.0 == part);
        let (Some(first), Some(second)) = (pair.next(), pair.next()) else { continue };
        notes.push(format!(
            "{} of `{split}` {} of others in it, such as {} of {}",
            if count == 1 { "1 image".to_string() } else { format!("{count} images") },
            if count == 1 { "is a copy" } else { "are copies" },
            name(*second),
            name(*first)
        ));
    }
    let blank: Vec<String> = (0..parts.len())
        .flat_map(|part| (0..parts[part].2.len()).map(move |i| (part, i)))
        .filter(|&(part, i)| parts[part].2[i].blank)
        .map(name)
        .collect();
    match blank.as_slice() {
        [] => {}
        [one] => notes.push(format!("1 image is of one colour all over: {one}")),
        several => {
            notes.push(format!("{} images are of one colour all over: {}", several.len(), few(several)))
        }
    }
    notes
}
