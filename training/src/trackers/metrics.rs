//! One line of JSON per epoch.

use super::{Files, Tracker, TrackerKind};
use crate::events::{Event, Happening};

const FILE: &str = "metrics.jsonl";

pub(super) static METRICS: TrackerKind = TrackerKind {
    id: "metrics",
    title: "JSON lines, one for each epoch",
    files: &[(FILE, "")],
    begin: || Box::new(Metrics),
};

struct Metrics;

impl Tracker for Metrics {
    fn log(&mut self, event: &Event, files: &mut Files) {
        if let Happening::Epoch(record) = &event.what {
            files.append(FILE, serde_json::to_string(record).expect("plain data") + "\n");
        }
    }
}
