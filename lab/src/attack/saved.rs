//! The folder of adversarial images: pictures, a manifest, and the records from which an interrupted attack resumes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use archaeo_analysis::attacks::Outcome;
use archaeo_plot::{Image, save_png};
use archaeo_store::{RecordLog, StoreError};
use serde::{Deserialize, Serialize};

use super::Tried;
use crate::destination::{check_inputs, check_own_folder};
use crate::error::LabError;

/// The file that says what is in the folder, and that it is one of this program.
const MANIFEST: &str = "attacked.json";
const RECORDS: &str = "records.jsonl";
/// The folder of the images before the attack.
const CLEAN: &str = "clean";

const NOTE: &str = "The images have the model's input size: read without another resize or crop (--crop 1 of this program), and \
                    computed in the same precision, they get these answers.";

/// A folder that adversarial images are saved in.
pub(super) struct Saved {
    path: PathBuf,
    /// SHA-256 of the weights that were attacked.
    weights: String,
    log: RecordLog,
    /// By size, stage and image.
    recorded: BTreeMap<(String, usize, usize), Tried>,
    files: BTreeMap<usize, Files>,
}

/// What is saved of one image.
#[derive(Clone, Debug, Serialize)]
struct Files {
    index: usize,
    image: String,
    class: String,
    label: usize,
    clean: String,
    /// By size.
    attacked: BTreeMap<String, Attacked>,
}

#[derive(Clone, Debug, Serialize)]
struct Attacked {
    file: String,
    #[serde(flatten)]
    tried: Tried,
}

#[derive(Serialize, Deserialize)]
struct Record {
    size: String,
    stage: usize,
    index: usize,
    #[serde(flatten)]
    tried: Tried,
}

/// An image that is attacked.
pub(super) struct Subject<'a> {
    pub index: usize,
    pub class: &'a str,
    pub label: usize,
    /// `[height, width]`.
    pub size: [usize; 2],
}

impl Saved {
    /// A folder that is not there, is empty, or is one of attacks; records of the same `question` are kept. `weights` is the hash of those
    /// that are attacked.
    ///
    /// # Errors
    /// Another folder, a file, or one whose manifest is among what is read.
    pub fn open(path: &Path, question: &str, weights: String, inputs: &[&Path]) -> Result<Self, LabError> {
        check_inputs(&path.join(MANIFEST), inputs)?;
        check_own_folder(path, MANIFEST, LabError::OtherAttacks)?;
        fs::create_dir_all(path).map_err(StoreError::io("write", path))?;
        let (log, lines) = RecordLog::open(&path.join(RECORDS), question)?;
        let parsed = lines.iter().filter_map(|line| serde_json::from_str::<Record>(line).ok());
        let recorded =
            parsed.map(|Record { size, stage, index, tried }| ((size, stage, index), tried)).collect();
        let saved = Self { path: path.to_owned(), weights, log, recorded, files: BTreeMap::new() };
        saved.manifest(false)?;
        Ok(saved)
    }

    /// What an earlier run has recorded of an image.
    pub fn recorded(&self, size: &str, stage: usize, index: usize) -> Option<Tried> {
        self.recorded.get(&(size.to_owned(), stage, index)).cloned()
    }

    /// Saves an image before the attack.
    pub fn clean(&mut self, subject: &Subject, identifier: String, values: &[f32]) -> Result<(), LabError> {
        let clean = self.picture(CLEAN, subject, values)?;
        let Subject { index, class, label, .. } = *subject;
        let (image, class, attacked) = (identifier, class.to_owned(), BTreeMap::new());
        self.files.insert(index, Files { index, image, class, label, clean, attacked });
        Ok(())
    }

    /// Saves what an attack of a size made of an image, and records it.
    pub fn attacked(
        &mut self,
        size: &str,
        stage: usize,
        subject: &Subject,
        outcome: &Outcome,
        tried: &Tried,
    ) -> Result<(), LabError> {
        self.picture(size, subject, &outcome.image)?;
        let record = Record { size: size.to_owned(), stage, index: subject.index, tried: tried.clone() };
        Ok(self.log.append(&serde_json::to_string(&record).expect("plain data"))?)
    }

    /// Takes note of what became of an image in the end.
    pub fn note(&mut self, size: &str, index: usize, tried: &Tried) {
        if let Some(files) = self.files.get_mut(&index) {
            let attacked = Attacked { file: file(size, &files.class, index), tried: tried.clone() };
            files.attacked.insert(size.to_owned(), attacked);
        }
    }

    /// Writes the manifest.
    pub fn manifest(&self, complete: bool) -> Result<(), LabError> {
        #[derive(Serialize)]
        struct Manifest<'a> {
            note: &'static str,
            weights_sha256: &'a str,
            complete: bool,
            images: Vec<&'a Files>,
        }
        let images = self.files.values().collect();
        let manifest = Manifest { note: NOTE, weights_sha256: &self.weights, complete, images };
        let json = serde_json::to_string_pretty(&manifest).expect("plain data") + "\n";
        Ok(archaeo_store::write(&self.path.join(MANIFEST), json.as_bytes())?)
    }

    fn picture(&self, folder: &str, subject: &Subject, values: &[f32]) -> Result<String, LabError> {
        let name = file(folder, subject.class, subject.index);
        let path = self.path.join(&name);
        let parent = path.parent().expect("a file is in a folder");
        fs::create_dir_all(parent).map_err(StoreError::io("write", parent))?;
        let [height, width] = subject.size;
        let plane = height * width;
        let pixels = (0..plane).flat_map(|i| [0, 1, 2].map(|channel| values[channel * plane + i]));
        let pixels = pixels.map(|value| (value * 255.0).round().clamp(0.0, 255.0) as u8).collect();
        save_png(&Image::new(width, height, pixels), &path)?;
        Ok(name)
    }
}

/// A picture's file within the folder: in a folder for each class, so that it can be read as data.
fn file(folder: &str, class: &str, index: usize) -> String {
    let allowed = |character: char| match character {
        character if character.is_alphanumeric() || matches!(character, '_' | '-' | ' ') => character,
        _ => '-',
    };
    let class: String = class.chars().map(allowed).collect();
    format!("{folder}/{}/{index:05}.png", class.trim())
}
