//! Images that share a name, when there are too many to compare all of them with every line of a list: `0.png` in each of
//! thousands of class folders.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::super::names::is_container;

/// Number of images with one name from which a crowd is used.
pub(super) const MANY: usize = 64;

/// The images of one name, by the folders that they lie in.
pub(super) struct Crowd {
    /// Under their folders, without the containers that these begin with.
    by_folders: HashMap<String, Vec<u32>>,
    /// In the order of their folders, from the last to the first.
    by_end: Vec<u32>,
}

impl Crowd {
    /// The crowd of the `members` among `images`.
    pub(super) fn of(images: &[&str], members: &[u32]) -> Self {
        let mut by_folders: HashMap<String, Vec<u32>> = HashMap::new();
        for &member in members {
            let folders: Vec<&str> = folders(images[member as usize]).collect();
            by_folders.entry(key(&folders)).or_default().push(member);
        }
        let mut by_end = members.to_vec();
        by_end.sort_by(|&a, &b| backwards(images[a as usize]).cmp(backwards(images[b as usize])));
        Crowd { by_folders, by_end }
    }

    /// The images that a text with the folders `wanted` may mean, in a list that lies in the folder `home`. Of many equal
    /// matches, enough are returned to show that there are several.
    pub(super) fn candidates(&self, images: &[&str], wanted: &[&str], home: &str) -> Vec<u32> {
        let from_home: Vec<&str> =
            home.split('/').filter(|folder| !folder.is_empty()).chain(wanted.iter().copied()).collect();
        let ends = (0..=wanted.len()).map(|start| &wanted[start..]);
        let mut found: Vec<u32> = ends
            .chain([from_home.as_slice()])
            .filter_map(|folders| self.by_folders.get(&key(folders)))
            .flat_map(|members| members.iter().take(MANY))
            .copied()
            .collect();
        // Those with further folders before the given ones.
        let order = |member: &u32| -> Ordering {
            let mut have = backwards(images[*member as usize]);
            for folder in wanted.iter().rev() {
                match have.next().map(|have| have.cmp(&folder.to_ascii_lowercase())) {
                    Some(Ordering::Equal) => {}
                    Some(order) => return order,
                    None => return Ordering::Less,
                }
            }
            Ordering::Equal
        };
        let first = self.by_end.partition_point(|member| order(member) == Ordering::Less);
        found.extend(
            self.by_end[first..].iter().take_while(|member| order(member) == Ordering::Equal).take(MANY),
        );
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The folders of a path.
fn folders(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders.split('/').filter(|folder| !folder.is_empty())
}

/// The folders of a path in lower case, the last one first.
fn backwards(path: &str) -> impl Iterator<Item = String> {
    folders(path).rev().map(str::to_ascii_lowercase)
}

/// Folders in lower case without the containers that they begin with.
fn key(folders: &[&str]) -> String {
    let start = folders.iter().take_while(|folder| is_container(folder)).count();
    folders[start..].join("/").to_ascii_lowercase()
}
