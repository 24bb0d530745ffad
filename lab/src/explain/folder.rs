//! The folder that explanations are written to.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use archaeo_store::StoreError;

use super::pictures::pictures;
use super::{Exhibit, Explained};
use crate::destination::{check_inputs, check_own_folder};
use crate::error::LabError;

/// The file that says what is in the folder, and that it is one of this program.
const RECORD: &str = "explained.json";

/// Characters of the longest name of an image's folder.
const LONGEST: usize = 100;

pub(super) struct Folder {
    path: PathBuf,
    begun: bool,
    /// In lower case: some file systems do not tell the two.
    taken: HashSet<String>,
}

impl Folder {
    /// A folder that is not there, is empty, or holds explanations.
    ///
    /// # Errors
    /// Another one, a file, or one whose record is among what is read.
    pub fn new(path: &Path, inputs: &[&Path]) -> Result<Self, LabError> {
        check_inputs(&path.join(RECORD), inputs)?;
        check_own_folder(path, RECORD, LabError::OtherFolder)?;
        Ok(Self { path: path.to_owned(), begun: false, taken: HashSet::new() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder, the first time; whether it did.
    pub fn begin(&mut self, explained: &Explained) -> Result<bool, LabError> {
        let first = !self.begun;
        if first {
            self.begun = true;
            fs::create_dir_all(&self.path).map_err(StoreError::io("write", &self.path))?;
            self.record(explained)?;
        }
        Ok(first)
    }

    /// A folder's name for an image, which no other image has.
    pub fn name_for(&mut self, image: &str) -> String {
        let plain = plain(image);
        let numbered = (2..).map(|number| format!("{plain}-{number}"));
        let free = |name: &String| !self.taken.contains(&name.to_lowercase());
        let name = [plain.clone()].into_iter().chain(numbered).find(free).expect("there is no last number");
        self.taken.insert(name.to_lowercase());
        name
    }

    /// The pictures of an image.
    pub fn write(&self, explained: &Explained, exhibit: &Exhibit) -> Result<(), LabError> {
        let folder = self.path.join(exhibit.found.folder.as_deref().unwrap_or_default());
        fs::create_dir_all(&folder).map_err(StoreError::io("write", &folder))?;
        for (name, bytes) in pictures(explained, exhibit)? {
            archaeo_store::write(&folder.join(name), &bytes)?;
        }
        Ok(())
    }

    pub fn end(&self, explained: &mut Explained) -> Result<(), LabError> {
        explained.folder = Some(self.path.clone());
        self.record(explained)
    }

    fn record(&self, explained: &Explained) -> Result<(), LabError> {
        let json = serde_json::to_string_pretty(explained).expect("plain data") + "\n";
        Ok(archaeo_store::write(&self.path.join(RECORD), json.as_bytes())?)
    }
}

/// An image's name as a folder's: without its ending and without what a file system may not take.
fn plain(image: &str) -> String {
    const ENDINGS: [&str; 9] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "ppm"];
    let stem = match image.rsplit_once('.') {
        Some((stem, ending)) if ENDINGS.contains(&ending.to_lowercase().as_str()) => stem,
        _ => image,
    };
    let allowed = |character: char| match character {
        character if character.is_alphanumeric() || matches!(character, '.' | '_' | '-') => character,
        _ => '-',
    };
    let name: String = stem.chars().map(allowed).take(LONGEST).collect();
    match name.trim_matches(['.', '-']) {
        "" => "image".into(),
        name => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_are_plain_and_distinct() {
        for (image, expected) in [
            ("photo.JPG", "photo"),
            ("class a/photo.v2.png", "class-a-photo.v2"),
            ("test/17", "test-17"),
            ("../größe.jpeg", "größe"),
            ("…", "image"),
        ] {
            assert_eq!(plain(image), expected);
        }
        let mut folder = Folder { path: "out".into(), begun: false, taken: HashSet::new() };
        let names = ["a.png", "A.jpg", "a.png", "a-2.png"].map(|image| folder.name_for(image));
        assert_eq!(names, ["a", "A-2", "a-3", "a-2-2"]);
    }
}
