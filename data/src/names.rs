//! Meaning of folder and file names: splits, images, and auxiliary files.

/// Part of a data set, by one of its common names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Train,
    Val,
    Test,
    /// Images to make predictions for.
    Unlabelled,
}

impl Part {
    /// The split's standard name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Val => "val",
            Part::Test => "test",
            Part::Unlabelled => "unlabelled",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "train" | "training" => Part::Train,
            "val" | "valid" | "validation" | "validate" | "dev" => Part::Val,
            "test" | "testing" => Part::Test,
            "pred" | "predict" | "prediction" | "predictions" | "unlabeled" | "unlabelled" => {
                Part::Unlabelled
            }
            _ => return None,
        })
    }

    /// The part that a name denotes, and the rest of the name: empty for `seg_train`, `TrainingSet` and `val2017`, `cars` for
    /// `cars_test`. A name of two parts denotes neither.
    pub(super) fn of_name(name: &str) -> Option<(Self, String)> {
        let lower = name.to_lowercase();
        let mut part = None;
        let mut besides = Vec::new();
        for word in lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let stem = word.trim_end_matches(|c: char| c.is_ascii_digit());
            // A year, or the number of a first version.
            let stem = if matches!(&word[stem.len()..], "" | "1") || word.len() == stem.len() + 4 {
                stem
            } else {
                word
            };
            let whole = FILLERS.iter().filter_map(|filler| Part::of_word(stem.strip_suffix(filler)?)).next();
            match Part::of_word(stem).or(whole) {
                Some(this) if part.is_none_or(|other| other == this) => part = Some(this),
                Some(_) => return None,
                None if stem.is_empty() || FILLERS.contains(&stem) => {}
                None => besides.push(stem),
            }
        }
        Some((part?, besides.join(" ")))
    }
}

/// Words that do not indicate which images a folder holds.
const FILLERS: [&str; 18] = [
    "set", "sets", "dataset", "data", "images", "image", "imgs", "img", "jpg", "jpeg", "png", "photos",
    "pictures", "split", "folder", "seg", "raw", "ilsvrc",
];

/// `train`, `val` or `test` under their common names.
pub(super) fn split_name(text: &str) -> Option<&'static str> {
    let (part, besides) = Part::of_name(text)?;
    (part != Part::Unlabelled && besides.is_empty()).then(|| part.name())
}

fn plain(name: &str) -> String {
    name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Folders that contain class folders, or images of all classes.
pub(super) fn is_container(name: &str) -> bool {
    matches!(
        plain(name).as_str(),
        "images"
            | "image"
            | "imgs"
            | "img"
            | "data"
            | "dataset"
            | "jpegimages"
            | "jpg"
            | "jpeg"
            | "png"
            | "photos"
            | "pictures"
            | "pics"
            | "classes"
            | "raw"
    )
}

/// Folders of pictures that describe other images.
pub(super) fn is_auxiliary(name: &str) -> bool {
    matches!(
        plain(name).as_str(),
        "masks"
            | "mask"
            | "segmentations"
            | "segmentation"
            | "segmentationclass"
            | "segmentationobject"
            | "trimaps"
            | "annotations"
            | "annotation"
            | "labels"
            | "label"
            | "lists"
            | "meta"
            | "metadata"
            | "parts"
            | "attributes"
            | "imagesets"
            | "bboxes"
            | "boxes"
            | "depth"
            | "thumbnails"
            | "thumbs"
            | "previews"
            | "docs"
            | "figures"
            | "assets"
            | "scripts"
    )
}

/// Whether the folders are numbered parts of one collection of images: `images_001`, `images_002`, …
pub(super) fn are_parts<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    const HEAPS: [&str; 9] =
        ["image", "img", "part", "batch", "chunk", "shard", "archive", "folder", "photo"];
    names.all(|name| {
        let name = name.to_lowercase();
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let mut words = stem.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        stem.len() < name.len()
            && words.next_back().is_some_and(|word| HEAPS.contains(&word.strip_suffix('s').unwrap_or(word)))
    })
}

/// The file extension in lower case, or an empty string.
pub(super) fn ending(path: &str) -> Option<String> {
    let file = path.rsplit('/').next().unwrap_or(path);
    let (stem, ending) = file.rsplit_once('.')?;
    (!stem.is_empty()).then(|| ending.to_lowercase())
}

/// Whether files with this extension are not images and need not be read.
pub(super) fn is_other_ending(ending: &str) -> bool {
    matches!(
        ending,
        "txt"
            | "csv"
            | "tsv"
            | "json"
            | "jsonl"
            | "xml"
            | "md"
            | "rst"
            | "html"
            | "htm"
            | "pdf"
            | "doc"
            | "docx"
            | "xls"
            | "xlsx"
            | "ods"
            | "tex"
            | "yaml"
            | "yml"
            | "toml"
            | "ini"
            | "cfg"
            | "log"
            | "py"
            | "ipynb"
            | "m"
            | "r"
            | "sh"
            | "bat"
            | "js"
            | "css"
            | "c"
            | "h"
            | "cpp"
            | "mat"
            | "npy"
            | "npz"
            | "pkl"
            | "pickle"
            | "pt"
            | "pth"
            | "ckpt"
            | "safetensors"
            | "onnx"
            | "h5"
            | "hdf5"
            | "parquet"
            | "arrow"
            | "feather"
            | "bin"
            | "idx"
            | "db"
            | "sqlite"
            | "zip"
            | "tar"
            | "gz"
            | "tgz"
            | "bz2"
            | "xz"
            | "zst"
            | "7z"
            | "rar"
            | "mp4"
            | "avi"
            | "mov"
            | "mkv"
            | "webm"
            | "mp3"
            | "wav"
            | "lnk"
            | "url"
            | "sha256"
            | "md5"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_go_by_many_names() {
        for (expected, names) in [
            (
                "train",
                "train training Train TRAIN training_set seg_train TrainingSet trainset train-images ILSVRC2012_img_train train2017",
            ),
            ("val", "val valid Validation validation_set dev val2017 images_val"),
            ("test", "test Testing test_set seg_test TestSet test1"),
        ] {
            for name in names.split(' ') {
                assert_eq!(split_name(name), Some(expected), "{name}");
            }
        }
        for name in [
            "cat",
            "trainer",
            "protest",
            "seg_pred",
            "train_val_test",
            "cars_train",
            "test_tube",
            "n01440764",
            "1",
            "",
        ] {
            assert_eq!(split_name(name), None, "{name}");
        }
        assert_eq!(Part::of_name("cars_test"), Some((Part::Test, "cars".into())));
        assert_eq!(Part::of_name("seg_pred"), Some((Part::Unlabelled, String::new())));
    }

    #[test]
    fn numbered_heaps_are_told_from_numbered_classes() {
        assert!(are_parts(["images_001", "images_002"].into_iter()));
        assert!(are_parts(["HAM10000_images_part_1", "HAM10000_images_part_2"].into_iter()));
        assert!(!are_parts(["n01440764", "n01443537"].into_iter()));
        assert!(!are_parts(["0", "1"].into_iter()) && !are_parts(["c0", "c1"].into_iter()));
        assert!(!are_parts(["part_1", "cat"].into_iter()));
    }
}
