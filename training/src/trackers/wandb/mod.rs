//! Offline runs of Weights & Biases: what its own library writes with `WANDB_MODE=offline`, and `wandb sync` sends.
//!
//! A run is a folder `wandb/offline-run-DATE-ID/` with the file `run-ID.wandb`: a sequence of `Record` protocol buffers ([`frames`]).
//! The fields used are, by their numbers in `wandb_internal.proto`: Record {1 num, 2 history, 3 summary, 5 config, 6 files, 17 run, 18 exit, 21 header},
//! HistoryRecord {1 item, 2 step}, SummaryRecord {1 update}, ConfigRecord {1 update}, RunRecord {1 run_id, 3 project, 4 config,
//! 8 display_name, 17 start_time}, RunExitRecord {1 exit_code, 2 runtime}, HeaderRecord {1 version_info}, VersionInfo {1 producer,
//! 2 min_consumer}, FilesRecord {1 files}, FilesItem {1 path}; items and updates {1 key, 16 value_json}.

mod frames;
#[cfg(test)]
mod frames_tests;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::described::{HEAD_IMPORTANCE, Identity, configuration, histogram, number, utc};
use super::points::{Point, Points};
use super::protobuf::Message;
use super::{Files, Tracker, TrackerKind};
use crate::Sight;
use crate::events::{Event, Happening, Start};
use frames::{FILE_HEADER, Frames};

pub(super) static WANDB: TrackerKind = TrackerKind {
    id: "wandb",
    title: "an offline run for Weights & Biases, which `wandb sync` sends",
    files: &[("wandb/", "")],
    begin: || Box::new(Wandb::default()),
};

/// What the library writes that the file was tried with (0.31.0).
const MIN_CONSUMER: &str = "0.70.0";

/// Exit codes: of success, of failure, of an interruption.
const DONE: u64 = 0;
const FAILED: u64 = 1;
const INTERRUPTED: u64 = 255;

#[derive(Default)]
struct Wandb {
    /// `None` before the first event.
    run: Option<Run>,
    /// What is not yet written: nothing is before the first epoch is over, since a training that starts afresh would be another run.
    held: Vec<u8>,
    kept: bool,
}

impl Tracker for Wandb {
    fn log(&mut self, event: &Event, files: &mut Files) {
        let Self { run, held, kept } = self;
        let run = run.get_or_insert_with(|| Run::begin(event, held));
        run.log(event, held, files);
        *kept |=
            matches!(event.what, Happening::Epoch(_) | Happening::Finished { .. } | Happening::Failed { .. });
        if *kept {
            files.append(&run.path, std::mem::take(held));
        }
    }
}

/// One file.
struct Run {
    /// Path within the run folder.
    path: String,
    began: f64,
    frames: Frames,
    /// Records so far.
    records: u64,
    configured: bool,
    points: Points,
    /// Latest value of everything, and the best accuracy.
    summary: Map<String, Value>,
}

impl Run {
    /// The run whose log begins with this event; its first records are added to `file`.
    fn begin(first: &Event, file: &mut Vec<u8>) -> Self {
        let Identity { id, began, name, project } = Identity::of(first);
        let mut run = Self {
            path: format!("wandb/offline-run-{}-{id}/run-{id}.wandb", utc(began, "%Y%m%d_%H%M%S")),
            began,
            frames: Frames::begin(),
            records: 0,
            configured: false,
            points: Points::default(),
            summary: Map::new(),
        };
        file.extend(FILE_HEADER);
        let versions = Message::default()
            .bytes(1, concat!("archaeo ", env!("CARGO_PKG_VERSION")))
            .bytes(2, MIN_CONSUMER);
        run.record(21, &Message::default().message(1, &versions), file);
        let start_time = Message::default().integer(1, began as u64).integer(2, (began.fract() * 1e9) as u64);
        let mut record = Message::default().bytes(1, id).bytes(3, project);
        if let Happening::Started(start) = &first.what {
            record = record.message(4, &run.configuration(start));
        }
        run.record(17, &record.bytes(8, name).message(17, &start_time), file);
        run
    }

    /// The first configuration; a resumed training has the same recipe.
    fn configuration(&mut self, start: &Start) -> Message {
        self.configured = true;
        // The library's own entry, by which the service tells a configuration that is complete.
        let own = ("_wandb".to_owned(), json!({}));
        items(std::iter::once(own).chain(configuration(start)))
    }

    fn log(&mut self, event: &Event, file: &mut Vec<u8>, files: &mut Files) {
        for mut point in self.points.take(event) {
            if let Some(sight) = point.sight.take() {
                point.values.extend(self.show(&sight, file, files));
            }
            self.write(point, file);
        }
        match &event.what {
            Happening::Started(start) if !self.configured => {
                let record = self.configuration(start);
                self.record(5, &record, file);
            }
            Happening::Started(_) | Happening::Note { .. } | Happening::Step(_) | Happening::Sight(_) => {}
            Happening::Epoch(record) => {
                let best = self.summary.get("best_accuracy/validation").and_then(Value::as_f64);
                let best =
                    best.map_or(record.validation_accuracy, |best| best.max(record.validation_accuracy));
                self.summary.insert("best_accuracy/validation".into(), number(best));
                self.write_summary(file);
            }
            Happening::Finished { weights } => {
                self.summary.insert("weights".into(), json!(weights));
                self.exit(DONE, event.time, file);
            }
            Happening::Stopped { .. } => self.exit(INTERRUPTED, event.time, file),
            Happening::Failed { reason } => {
                self.summary.insert("failure".into(), json!(reason));
                self.exit(FAILED, event.time, file);
            }
        }
    }

    /// Copies pictures to where media are, and gives what points to them; and the importance of heads.
    fn show(&mut self, sight: &Sight, file: &mut Vec<u8>, files: &mut Files) -> Map<String, Value> {
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let mut shown = Map::new();
        let mut rest = &sight.pictures[..];
        while let Some(first) = rest.first() {
            let (same, others) =
                rest.split_at(rest.iter().take_while(|picture| picture.what == first.what).count());
            rest = others;
            let (mut names, mut captions) = (Vec::new(), Vec::new());
            for picture in same {
                let Some(bytes) = files.picture(picture) else { continue };
                let name =
                    format!("media/images/{}_{}_{}.png", picture.what, sight.step, &picture.sha256[..20]);
                if !names.contains(&name) {
                    files.append(&format!("{folder}/files/{name}"), bytes);
                    self.record(6, &Message::default().message(1, &Message::default().bytes(1, &name)), file);
                }
                names.push(name);
                captions.push(picture.caption.clone());
            }
            let pictures = json!({
                "_type": "images/separated",
                "format": "png",
                "width": first.width,
                "height": first.height,
                "count": names.len(),
                "filenames": names,
                "captions": captions,
            });
            shown.insert(first.what.clone(), pictures);
        }
        let heads: Vec<f64> = sight.heads.iter().flatten().copied().collect();
        if !heads.is_empty() {
            let (bins, values) = histogram(&heads);
            let heads = json!({ "_type": "histogram", "bins": bins, "values": values });
            shown.insert(HEAD_IMPORTANCE.into(), heads);
        }
        shown
    }

    fn write(&mut self, point: Point, file: &mut Vec<u8>) {
        let Point { step, time, mut values, .. } = point;
        values.insert("_step".into(), json!(step));
        values.insert("_timestamp".into(), json!(time));
        values.insert("_runtime".into(), json!(time - self.began));
        self.summary.extend(values.clone());
        let record = items(values).message(2, &Message::default().integer(1, step));
        self.record(2, &record, file);
    }

    fn write_summary(&mut self, file: &mut Vec<u8>) {
        let record = items(self.summary.clone());
        self.record(3, &record, file);
    }

    fn exit(&mut self, code: u64, time: f64, file: &mut Vec<u8>) {
        if let Some(point) = self.points.rest() {
            self.write(point, file);
        }
        self.write_summary(file);
        let runtime = (time - self.began).max(0.0) as u64;
        self.record(18, &Message::default().integer(1, code).integer(2, runtime), file);
    }

    /// Adds a record that holds one message, under its field number.
    fn record(&mut self, field: u64, content: &Message, file: &mut Vec<u8>) {
        self.records += 1;
        let record = Message::default().integer(1, self.records).message(field, content);
        self.frames.record(record.encoded(), file);
    }
}

/// Items or updates, field 1 of what holds them.
fn items(entries: impl IntoIterator<Item = (String, Value)>) -> Message {
    entries.into_iter().fold(Message::default(), |message, (key, value)| {
        message.message(1, &Message::default().bytes(1, key).bytes(16, value.to_string()))
    })
}
