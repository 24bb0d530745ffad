//! Records for trackio, as lines of its inbox: a folder of immutable JSON-lines files that its dashboard imports.
//!
//! One line per step, with what the epoch that ends with it gave. Each has an id of its own, and trackio takes no id twice, so that lines may
//! be delivered again. Nothing of an epoch is written before it is over: its steps may still be repeated. Pictures are files, which lie in a
//! folder as they will lie in trackio's folder of media; a line names them by their paths there.

use serde_json::{Map, Value, json};

use super::described::{HEAD_IMPORTANCE, Identity, configuration, histogram, picture_name, utc};
use super::points::{Point, Points};
use super::{Files, Tracker, TrackerKind};
use crate::Sight;
use crate::events::{Event, Happening};

/// Name of the file, within the run folder.
pub(super) const FILE: &str = "trackio.jsonl";

/// The folder of the pictures, within the run folder.
const MEDIA: &str = "trackio/";

pub(super) static TRACKIO: TrackerKind = TrackerKind {
    id: "trackio",
    title: "the inbox of trackio, a local dashboard",
    files: &[(FILE, ""), (MEDIA, "")],
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
                for mut point in held.drain(..) {
                    if let Some(sight) = point.sight.take() {
                        point.values.extend(show(run, &sight, files));
                    }
                    files.append(FILE, line(run, point, config.take()));
                }
            }
            _ => {}
        }
    }
}

/// Copies pictures to where they are delivered from, and gives what points to them; and the importance of heads.
fn show(run: &Identity, sight: &Sight, files: &mut Files) -> Map<String, Value> {
    let mut shown = Map::new();
    // trackio looks for the media of a run in a folder of its name.
    let folder = run.name.replace(['/', '\\'], "-");
    for picture in &sight.pictures {
        let Some(bytes) = files.picture(picture) else { continue };
        let path = format!(
            "{}/{folder}/{}/{}-{}-{}.png",
            run.project,
            sight.step,
            picture.what,
            picture.image + 1,
            &picture.sha256[..20]
        );
        files.append(&format!("{MEDIA}{path}"), bytes);
        let value = json!({ "_type": "trackio.image", "file_path": path, "caption": picture.caption });
        shown.insert(picture_name(picture), value);
    }
    let heads: Vec<f64> = sight.heads.iter().flatten().copied().collect();
    if !heads.is_empty() {
        let (bins, values) = histogram(&heads);
        let heads = json!({ "_type": "trackio.histogram", "bins": bins, "values": values });
        shown.insert(HEAD_IMPORTANCE.into(), heads);
    }
    shown
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
