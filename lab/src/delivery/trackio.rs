//! trackio's inbox: `TRACKIO_DIR/inbox/WRITER/00000000.jsonl` and on, immutable files that its dashboard imports and removes.
//!
//! Every line has an id that trackio takes once, so that a line which is delivered twice does no harm.

use std::path::{Path, PathBuf};

use archaeo_store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Delivered, DeliveryError, Destination, keep_progress, progress, written};

/// What the tracker writes, and how much of it is delivered.
const LINES: &str = "trackio.jsonl";
const PROGRESS: &str = "trackio.sent.json";

/// The inbox.
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
        Self(folder.join("inbox"))
    }
}

impl Destination for Inbox {
    fn tracker(&self) -> &'static str {
        "trackio"
    }

    fn deliver(&self, folder: &Path) -> Result<Delivered, DeliveryError> {
        let Self(inbox) = self;
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
