//! Matches the paths, names, or names without extension in a list with images.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use super::super::image::{IMAGE_ENDINGS, undecodable_kind};
use super::super::names::{ending, is_container};
use super::crowd::{Crowd, MANY};

/// The images that a list may name, by their names.
pub(crate) struct Index<'a> {
    images: Vec<&'a str>,
    names: HashMap<String, Group>,
    stems: HashMap<String, Group>,
}

/// The images of one name.
#[derive(Default)]
struct Group {
    members: Vec<u32>,
    crowd: OnceLock<Crowd>,
}

impl Group {
    /// The candidates for an image in the folders `wanted`.
    fn candidates(&self, images: &[&str], wanted: &[&str], home: &str) -> Cow<'_, [u32]> {
        match self.members.len() {
            0..=MANY => Cow::Borrowed(&self.members),
            _ => {
                let crowd = self.crowd.get_or_init(|| Crowd::of(images, &self.members));
                Cow::Owned(crowd.candidates(images, wanted, home))
            }
        }
    }
}

/// What a text refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// The image with this index.
    One(usize),
    /// Several images match equally.
    Several,
    None,
}

impl<'a> Index<'a> {
    pub(crate) fn of(images: impl Iterator<Item = &'a str>) -> Self {
        let mut index = Index { images: images.collect(), names: HashMap::new(), stems: HashMap::new() };
        for (i, path) in index.images.iter().enumerate() {
            let name = last(path).to_lowercase();
            index.stems.entry(stem(&name).to_string()).or_default().members.push(i as u32);
            index.names.entry(name).or_default().members.push(i as u32);
        }
        index
    }

    /// The image that `text` means in a list that lies in the folder `home`: a path from there, from the root or from
    /// `images/`, or a common suffix of paths, ignoring case and, if necessary, the extension.
    pub(crate) fn find(&self, text: &str, home: &str) -> Match {
        let text = text.trim().replace('\\', "/");
        let wanted: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let Some(&name) = wanted.last() else { return Match::None };
        let lower = name.to_lowercase();
        let group = self.names.get(&lower).or_else(|| {
            // `im.1` may be the name of im.1.png.
            self.stems.get(&lower).or_else(|| self.stems.get(stem(&lower)))
        });
        let exact = |path: &str, folder: &str| {
            let path = match folder {
                "" => Some(path),
                _ => path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
            };
            // The file's own name fits already.
            let folders = wanted[..wanted.len() - 1].iter().copied();
            path.is_some_and(|path| path.split('/').rev().skip(1).eq(folders.rev()))
        };
        let mut best: Option<((usize, usize, bool), usize)> = None;
        let mut shared = false;
        let Some(group) = group else { return Match::None };
        for &i in group.candidates(&self.images, &wanted[..wanted.len() - 1], home).iter() {
            let path = self.images[i as usize];
            let Some(common) = common_end(path, &wanted) else { continue };
            let place = match path {
                path if exact(path, home) => 3,
                path if exact(path, "") => 2,
                path if exact(path, "images") => 1,
                _ => 0,
            };
            let rank = (place, common, last(path) == name);
            match &best {
                Some((other, _)) if *other > rank => {}
                Some((other, _)) if *other == rank => shared = true,
                _ => {
                    best = Some((rank, i as usize));
                    shared = false;
                }
            }
        }
        match best {
            None => Match::None,
            Some(_) if shared => Match::Several,
            Some((_, i)) => Match::One(i),
        }
    }

    /// Whether the text could name an image, existing or not.
    pub(crate) fn looks_like_name(text: &str) -> bool {
        let ending = ending(&text.replace('\\', "/"));
        ending.is_some_and(|ending| {
            IMAGE_ENDINGS.contains(&ending.as_str()) || undecodable_kind(&[], &ending).is_some()
        })
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The name without an image extension; other dots belong to the name.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, ending))
            if !stem.is_empty()
                && (IMAGE_ENDINGS.contains(&ending) || undecodable_kind(&[], ending).is_some()) =>
        {
            stem
        }
        _ => name,
    }
}

/// Number of trailing folders that both paths share, if that covers one of them, or if the rest of the image's path consists of
/// folders of all classes.
fn common_end(path: &str, wanted: &[&str]) -> Option<usize> {
    let have: Vec<&str> = path.split('/').collect();
    let (have, wanted) = (&have[..have.len() - 1], &wanted[..wanted.len() - 1]);
    let common =
        have.iter().rev().zip(wanted.iter().rev()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    let rest = &have[..have.len() - common];
    (common == wanted.len() || rest.iter().all(|folder| is_container(folder))).then_some(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_found_by_any_of_their_names() {
        let paths = [
            "images/im0.png",
            "images/im1.JPG",
            "part/a/7.png",
            "part/b/7.png",
            "images/im.2.png",
            "test/im9.png",
            "train/im9.png",
            "images/pie/4.png",
            "masks/pie/4.png",
        ];
        let index = Index::of(paths.into_iter());
        for (text, expected) in [
            ("im0.png", Match::One(0)),
            ("images/im0.png", Match::One(0)),
            ("./images/im0.png", Match::One(0)),
            ("images\\im0.png", Match::One(0)),
            ("/home/me/set/images/im0.png", Match::One(0)),
            ("C:\\set\\photos\\im0.png", Match::One(0)),
            ("im0", Match::One(0)),
            ("im0.jpg", Match::One(0)),
            ("IM0.PNG", Match::One(0)),
            ("im1.jpg", Match::One(1)),
            ("im.2", Match::One(4)),
            ("a/7.png", Match::One(2)),
            ("b/7", Match::One(3)),
            ("7.png", Match::Several),
            ("c/7.png", Match::None),
            ("im5.png", Match::None),
            ("im9.png", Match::Several),
            ("test/im9.png", Match::One(5)),
            // In `images/` before anywhere else.
            ("pie/4", Match::One(7)),
            ("", Match::None),
        ] {
            assert_eq!(index.find(text, ""), expected, "{text}");
        }
        assert_eq!(index.find("im9.png", "train"), Match::One(6));
        assert!(Index::looks_like_name("x/gone.JPG") && !Index::looks_like_name("cat"));
    }
    #[test]
    fn a_crowd_of_one_name_is_found_as_a_few_are() {
        let few = [
            "0.png",
            "images/0.png",
            "home/0.png",
            "part/a/0.png",
            "Data/b/0.PNG",
            "images/img/c/0.jpg",
            "x/images/0.png",
        ];
        let texts = [
            "0.png",
            "0",
            "0.jpg",
            "images/0.png",
            "a/0.png",
            "part/a/0",
            "b/0.png",
            "/abs/b/0.png",
            "abs/c/0.jpg",
            "c/0",
            "images/img/c/0.jpg",
            "x/images/0.png",
            "y/images/0.png",
            "home/0.png",
            "gone/0.png",
            "0.PNG",
            "A/0.png",
        ];
        // Others that none of the texts means, so many that the name is a crowd's.
        let others: Vec<String> = (0..2 * MANY).map(|i| format!("other/z{i}/0.png")).collect();
        let crowd = Index::of(few.into_iter().chain(others.iter().map(String::as_str)));
        let compared = Index::of(few.into_iter().chain(others.iter().take(2).map(String::as_str)));
        for (text, home) in texts.into_iter().flat_map(|text| [(text, ""), (text, "home"), (text, "part")]) {
            assert_eq!(crowd.find(text, home), compared.find(text, home), "{text} in {home}");
        }
        assert_eq!(crowd.find("z77/0.png", ""), Match::One(few.len() + 77));
        assert_eq!(crowd.find("other/Z5/0", ""), Match::One(few.len() + 5));
    }
}
