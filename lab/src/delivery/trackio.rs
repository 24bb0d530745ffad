//! trackio's inbox: `TRACKIO_DIR/inbox/WRITER/00000000.jsonl` and on, immutable files that its dashboard imports and removes.
//!
//! Every line has an id that trackio takes once, so that a line which is delivered twice does no harm. Pictures that a line points to are in
//! `TRACKIO_DIR/media` before it is in the inbox.

use std::path::{Component, Path, PathBuf};

use archaeo_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Delivered, DeliveryError, Destination, keep_progress, progress, written};

/// What the tracker writes, and how much of it is delivered.
const LINES: &str = "trackio.jsonl";
const MEDIA: &str = "trackio";
const PROGRESS: &str = "trackio.sent.json";

/// The largest picture that is delivered, in bytes.
const LARGEST_PICTURE: u64 = 64 << 20;

/// trackio's folder.
pub(super) struct Inbox(PathBuf);

/// What was delivered of which run, and where.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Progress {
    run: String,
    inbox: PathBuf,
    lines: usize,
    files: usize,
}

impl Inbox {
    /// Where trackio looks for it.
    pub fn from_environment() -> Self {
        let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || std::env::home_dir().unwrap_or_default();
        let cache = || folder("XDG_CACHE_HOME").unwrap_or_else(|| home().join(".cache"));
        let hub = || folder("HF_HOME").unwrap_or_else(|| cache().join("huggingface"));
        Self::in_folder(&folder("TRACKIO_DIR").unwrap_or_else(|| hub().join("trackio")))
    }

    /// That of the trackio whose files are in `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Copies the pictures that these lines point to, of the run in `folder`, to where trackio looks for them.
    fn deliver_pictures(&self, folder: &Path, lines: &[&str]) -> Result<(), StoreError> {
        for path in lines.iter().flat_map(|line| pictures(line)) {
            let source = folder.join(MEDIA).join(&path);
            // One that was removed is missing there, too.
            let Ok(bytes) = archaeo_store::read_bytes(&source, LARGEST_PICTURE) else { continue };
            let target = self.0.join("media").join(&path);
            let parent = target.parent().expect("it lies in a folder");
            std::fs::create_dir_all(parent).map_err(StoreError::io("create", parent))?;
            archaeo_store::write(&target, &bytes)?;
        }
        Ok(())
    }
}

/// The paths of the pictures that a line points to, none of which leads out of the folder of media.
fn pictures(line: &str) -> Vec<PathBuf> {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    let values = line["metrics"].as_object().into_iter().flat_map(|metrics| metrics.values());
    let of_pictures = values.filter(|value| value["_type"] == "trackio.image");
    let paths = of_pictures.filter_map(|value| value["file_path"].as_str().map(PathBuf::from));
    paths.filter(|path| path.components().all(|part| matches!(part, Component::Normal(_)))).collect()
}

impl Destination for Inbox {
    fn tracker(&self) -> &'static str {
        "trackio"
    }

    fn deliver(&self, folder: &Path) -> Result<Delivered, DeliveryError> {
        let inbox = &self.0.join("inbox");
        let text = written(&folder.join(LINES))?;
        let lines: Vec<&str> = text.lines().collect();
        let first = lines.first().and_then(|line| serde_json::from_str::<Value>(line).ok());
        let run = first.and_then(|line| Some(line["run_id"].as_str()?.to_owned())).unwrap_or_default();
        let mut done: Progress = progress(&folder.join(PROGRESS));
        if (&done.run, &done.inbox) != (&run, inbox) || done.lines > lines.len() {
            done = Progress { run: run.clone(), inbox: inbox.clone(), ..Progress::default() };
        }
        let new = &lines[done.lines..];
        if !new.is_empty() {
            self.deliver_pictures(folder, new)?;
            let writer = inbox.join(format!("archaeo-{run}"));
            std::fs::create_dir_all(&writer).map_err(StoreError::io("create", &writer))?;
            let file = writer.join(format!("{:08}.jsonl", done.files));
            archaeo_store::write(&file, (new.join("\n") + "\n").as_bytes())?;
            (done.lines, done.files) = (lines.len(), done.files + 1);
            keep_progress(&folder.join(PROGRESS), &done)?;
        }
        Ok(Delivered {
            tracker: self.tracker(),
            run: folder.to_owned(),
            to: inbox.display().to_string(),
            lines: new.len(),
            left_out: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn lines(count: std::ops::Range<usize>) -> String {
        count.map(|step| format!("{{\"run_id\":\"abc\",\"step\":{step}}}\n")).collect()
    }

    #[test]
    fn each_line_is_delivered_once_in_files_that_do_not_change() {
        let root = tempfile::tempdir().unwrap();
        let (folder, inbox) = (root.path().join("run"), Inbox::in_folder(&root.path().join("trackio")));
        fs::create_dir(&folder).unwrap();
        let deliver = |count| {
            fs::write(folder.join(LINES), lines(0..count)).unwrap();
            inbox.deliver(&folder).unwrap().lines
        };
        let file = |n: usize| root.path().join(format!("trackio/inbox/archaeo-abc/0000000{n}.jsonl"));
        assert_eq!(inbox.deliver(&folder).unwrap().lines, 0, "nothing is written yet");
        assert!(!root.path().join("trackio").exists());
        assert_eq!((deliver(3), deliver(3), deliver(5)), (3, 0, 2));
        assert_eq!(fs::read_to_string(file(0)).unwrap(), lines(0..3));
        assert_eq!(fs::read_to_string(file(1)).unwrap(), lines(3..5));
        // As the dashboard leaves it.
        fs::remove_dir_all(root.path().join("trackio/inbox/archaeo-abc")).unwrap();
        assert_eq!(deliver(6), 1);
        assert!(file(2).exists() && !file(0).exists());
        // Another inbox gets all of it, and so does this one when it is not known what it has.
        let other = Inbox::in_folder(&root.path().join("other"));
        assert_eq!(other.deliver(&folder).unwrap().lines, 6);
        fs::write(folder.join(PROGRESS), "{").unwrap();
        assert_eq!(deliver(6), 6);
    }

    #[test]
    fn pictures_are_there_before_the_line_that_points_to_them() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let (folder, inbox) = (at("run"), Inbox::in_folder(&at("there")));
        fs::create_dir_all(folder.join("trackio/shards/vit seed 0/4")).unwrap();
        let path = "shards/vit seed 0/4/attention-1-abc.png";
        fs::write(folder.join("trackio").join(path), "a picture").unwrap();
        fs::write(at("secret.png"), "not for others").unwrap();
        let picture =
            |path: &str| serde_json::json!({ "_type": "trackio.image", "file_path": path, "caption": "" });
        let line = serde_json::json!({ "run_id": "abc", "metrics": {
            "loss": 0.5,
            "attention/image 1": picture(path),
            "attention/image 2": picture("shards/vit seed 0/4/removed.png"),
            "attention/image 3": picture("../../secret.png"),
        } });
        fs::write(folder.join(LINES), format!("{line}\n")).unwrap();
        // Where pictures cannot be written, the line waits.
        fs::create_dir(at("there")).unwrap();
        fs::write(at("there/media"), "a file").unwrap();
        inbox.deliver(&folder).unwrap_err();
        assert!(!at("there/inbox").exists());
        fs::remove_file(at("there/media")).unwrap();
        assert_eq!(inbox.deliver(&folder).unwrap().lines, 1);
        assert_eq!(fs::read_to_string(at("there/media").join(path)).unwrap(), "a picture");
        assert_eq!(fs::read_dir(at("there/media/shards/vit seed 0/4")).unwrap().count(), 1);
        assert!(at("there/inbox/archaeo-abc/00000000.jsonl").exists() && !at("there/secret.png").exists());
    }

    #[test]
    fn an_inbox_that_cannot_be_written_gets_a_sentence_and_everything_later() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path();
        fs::write(folder.join(LINES), lines(0..2)).unwrap();
        fs::write(folder.join("trackio"), "a file").unwrap();
        let inbox = Inbox::in_folder(&folder.join("trackio"));
        let sentence = inbox.deliver(folder).unwrap_err().to_string();
        assert!(sentence.starts_with("cannot create ") && sentence.contains("archaeo-abc"), "{sentence}");
        fs::remove_file(folder.join("trackio")).unwrap();
        assert_eq!(inbox.deliver(folder).unwrap().lines, 2);
    }
}
