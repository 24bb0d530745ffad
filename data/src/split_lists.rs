//! Splits of class folders from lists next to them: Food-101's `meta/train.txt`, CUB's `train_test_split.txt`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::images::{Images, few};
use super::listing::Listing;
use super::lists::{self, Index, Match, Table};
use super::names::{Part, ending};
use super::text;

/// Number of rows that decide whether a list names images.
const LOOKED_AT: usize = 50;

/// The split of each image of `images`, `None` for those that no list names; or nothing without such lists. Lists refer to the
/// images in class folders, whose indices are in `placed`.
pub(super) fn splits(
    listing: &Listing,
    images: &Images,
    placed: &[(usize, &'static str, String)],
    notes: &mut Vec<String>,
) -> Option<Vec<Option<&'static str>>> {
    let candidates = lists::candidates(listing);
    if candidates.is_empty() {
        return None;
    }
    let mut paths = vec![""; images.files.len()];
    placed.iter().for_each(|(i, _, _)| paths[*i] = images.files[*i].0);
    let index = Index::of(paths.into_iter());
    let named: Vec<(&str, Vec<Match>)> =
        candidates.iter().filter_map(|path| Some((*path, named_images(listing, &index, path)?))).collect();
    let mut used: Vec<&str> = Vec::new();
    let mut found = None;
    if let Some((flags, paths)) = cub(listing, &named, images.files.len()) {
        found = Some(flags);
        used = paths;
    } else {
        for folder in folders_of(&named) {
            let lists: BTreeMap<Part, &(&str, Vec<Match>)> = named
                .iter()
                .rev()
                .filter(|(path, _)| folder_of(path) == folder)
                // The first of DTD's ten divisions.
                .filter_map(|list| Some((lists::part(list.0)?, list)))
                .collect();
            if let Some(splits) = disjoint(&lists, images.files.len()) {
                used = lists.values().map(|(path, _)| *path).collect();
                found = Some(splits);
                break;
            }
        }
    }
    if let Some(splits) = &found {
        notes.push(match used.as_slice() {
            // CUB's own list is found by the one next to it.
            [images] => format!("the splits are those of train_test_split.txt next to {images}"),
            lists => format!("the splits are those of {}", lists.join(", ")),
        });
        match placed.iter().filter(|(i, _, _)| splits[*i].is_none()).count() {
            0 => {}
            1 => notes.push("1 image is in none of these lists and was passed over".into()),
            n => notes.push(format!("{n} images are in none of these lists and were passed over")),
        }
    }
    let unused: Vec<&str> = named.iter().map(|(path, _)| *path).filter(|path| !used.contains(path)).collect();
    match unused.as_slice() {
        [] => {}
        [one] => notes.push(format!("the list {one} was not used: the classes are those of the folders")),
        several => notes
            .push(format!("the lists {} were not used: the classes are those of the folders", few(several))),
    }
    found
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn folders_of<'a>(lists: &[(&'a str, Vec<Match>)]) -> BTreeSet<&'a str> {
    lists.iter().map(|(path, _)| folder_of(path)).collect()
}

/// What each line of a list means, if it names images.
fn named_images(listing: &Listing, index: &Index, path: &str) -> Option<Vec<Match>> {
    let text = text::read(listing.file(path)?).ok()?.text;
    let table = Table::parse(&text, &ending(path)?).ok()?;
    let find = |(_, row): &(u64, Vec<String>), column| index.find(Table::field(row, column), folder_of(path));
    let is_there = |row: &&(u64, Vec<String>), column| find(row, column) != Match::None;
    let matches =
        |column: &usize| table.rows.iter().take(LOOKED_AT).filter(|row| is_there(row, *column)).count();
    let column = (0..table.columns()).max_by_key(matches).filter(|column| matches(column) > 0)?;
    Some(table.rows.iter().map(|row| find(row, column)).collect())
}

/// The split of each image by lists of train and another part, if all their images exist and are in only one list.
fn disjoint(lists: &BTreeMap<Part, &(&str, Vec<Match>)>, images: usize) -> Option<Vec<Option<&'static str>>> {
    if lists.len() < 2 || !lists.contains_key(&Part::Train) {
        return None;
    }
    let mut splits: Vec<Option<&'static str>> = vec![None; images];
    for (part, (_, named)) in lists {
        for found in named {
            let Match::One(image) = *found else { return None };
            match splits[image] {
                Some(other) if other != part.name() => return None,
                _ => splits[image] = Some(part.name()),
            }
        }
    }
    Some(splits)
}

/// CUB's: `images.txt` numbers the images, `train_test_split.txt` marks training images with a 1.
fn cub<'a>(
    listing: &Listing,
    named: &[(&'a str, Vec<Match>)],
    images: usize,
) -> Option<(Vec<Option<&'static str>>, Vec<&'a str>)> {
    let (path, found) = named.iter().find(|(path, _)| path.rsplit('/').next() == Some("images.txt"))?;
    let beside = |name: &str| match folder_of(path) {
        "" => name.to_string(),
        folder => format!("{folder}/{name}"),
    };
    let numbers = |path: &str| {
        let text = text::read(listing.file(path)?).ok()?.text;
        let table = Table::parse(&text, "txt").ok()?;
        Some(table.rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>())
    };
    let is_train: HashMap<String, bool> = numbers(&beside("train_test_split.txt"))?
        .into_iter()
        .map(|row| match row.as_slice() {
            [number, flag] => Some((number.clone(), flag == "1")),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let mut splits = vec![None; images];
    for (row, found) in numbers(path)?.iter().zip(found) {
        let Match::One(image) = *found else { return None };
        splits[image] = Some(if *is_train.get(row.first()?)? { "train" } else { "test" });
    }
    let both = |split| splits.contains(&Some(split));
    (both("train") && both("test")).then_some((splits, vec![*path]))
}
