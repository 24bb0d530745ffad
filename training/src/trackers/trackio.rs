//! Records for trackio, as lines of its inbox: a folder of immutable JSON-lines files that its dashboard imports.
//!
//! One line per step, with what the epoch that ends with it gave. Each has an id of its own, and trackio takes no id twice, so that lines may
//! be delivered again. Nothing of an epoch is written before it is over: its steps may still be repeated.

use serde_json::{Value, json};

use super::described::{Identity, configuration, utc};
use super::points::{Point, Points};
use super::{Files, Tracker, TrackerKind};
use crate::events::{Event, Happening};

/// Name of the file, within the run folder.
pub(super) const FILE: &str = "trackio.jsonl";

pub(super) static TRACKIO: TrackerKind = TrackerKind {
    id: "trackio",
    title: "the inbox of trackio, a local dashboard",
    files: &[(FILE, "")],
    begin: || Box::new(Trackio::default()),
};

#[derive(Default)]
struct Trackio {
    run: Option<Identity>,
    /// The configuration, until a line has it.
    config: Option<Value>,
    configured: bool,
    points: Points,
    /// Points of the present epoch.
    held: Vec<Point>,
}

impl Tracker for Trackio {
    fn log(&mut self, event: &Event, files: &mut Files) {
        let Self { run, config, configured, points, held } = self;
        let run = run.get_or_insert_with(|| Identity::of(event));
        held.extend(points.take(event));
        match &event.what {
            Happening::Started(start) if !std::mem::replace(configured, true) => {
                *config = Some(configuration(start).into());
            }
            Happening::Epoch(_) => {
                for point in held.drain(..) {
                    files.append(FILE, line(run, point, config.take()));
                }
            }
            _ => {}
        }
    }
}

fn line(run: &Identity, point: Point, config: Option<Value>) -> String {
    let Identity { id, name, project, .. } = run;
    let Point { step, time, values, .. } = point;
    let line = json!({
        "v": 1,
        "kind": "metric",
        "project": project,
        "run": name,
        "run_id": id,
        "metrics": values,
        "step": step,
        "timestamp": utc(time, "%Y-%m-%dT%H:%M:%S%.6f+00:00"),
        "config": config,
        "log_id": format!("{id}-{step}"),
    });
    format!("{line}\n")
}
