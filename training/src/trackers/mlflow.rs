//! Requests for an MLflow server, one per line: the run with its parameters, the metrics and pictures of each epoch, the end.
//!
//! Each line is what a request of MLflow's REST interface takes, without the ids that the server gives out; lines stay within its limits. Nothing
//! of an epoch is written before it is over: its steps may still be repeated, and metrics that were sent cannot be taken back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::described::{HEAD_IMPORTANCE, Identity, flat_configuration, number, picture_name};
use super::points::{Point, Points};
use super::{Files, Tracker, TrackerKind};
use crate::events::{Event, Happening, Start};
use crate::{Picture, Sight};

/// Name of the file, within the run folder.
pub(super) const FILE: &str = "mlflow.jsonl";

/// Most metrics of a request; with four values per step they take about 100 kB of the allowed megabyte.
const MOST_METRICS: usize = 1000;

/// Most parameters of a request.
const MOST_PARAMETERS: usize = 100;

/// Longest value of a parameter, in characters; MLflow allows 6000, its versions before 2.8 allow 500.
const LONGEST_PARAMETER: usize = 500;

pub(super) static MLFLOW: TrackerKind = TrackerKind {
    id: "mlflow",
    title: "an MLflow server, at MLFLOW_TRACKING_URI",
    files: &[(FILE, "")],
    begin: || Box::new(Mlflow::default()),
};

/// One line of `mlflow.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "lowercase")]
pub enum MlflowRequest {
    /// The run.
    Run {
        /// An id that no other run has, by which the run is found again.
        id: String,
        /// Name for people.
        name: String,
        /// The experiment.
        experiment: String,
        /// Milliseconds since 1970.
        start_time: i64,
    },
    /// Some of its parameters.
    Parameters {
        /// Names and values.
        params: Vec<KeyValue>,
    },
    /// Some of the metrics of an epoch.
    Metrics {
        /// The epoch, counted from 1.
        epoch: usize,
        /// Which part of the epoch's metrics, counted from 0.
        part: usize,
        /// The metrics, in the order of their steps.
        metrics: Vec<Metric>,
    },
    /// A picture of the run folder.
    Picture {
        /// What it is called; pictures of one name are shown step by step.
        key: String,
        /// Milliseconds since 1970.
        timestamp: i64,
        /// Optimiser steps so far.
        step: u64,
        /// The file.
        picture: Picture,
    },
    /// The end.
    End {
        /// `FINISHED`, `KILLED` or `FAILED`.
        status: String,
        /// Milliseconds since 1970.
        end_time: i64,
        /// What there is to say of the end: the weights, or the reason.
        tags: Vec<KeyValue>,
    },
}

/// A parameter or a tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyValue {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// A metric at a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name.
    pub key: String,
    /// Its value; `"NaN"`, `"Infinity"` and `"-Infinity"` are texts.
    pub value: Value,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Optimiser steps so far.
    pub step: u64,
}

#[derive(Default)]
struct Mlflow {
    begun: bool,
    configured: bool,
    points: Points,
    /// Points of the present epoch.
    held: Vec<Point>,
    /// The first lines, until an epoch is over.
    head: String,
}

impl Tracker for Mlflow {
    fn log(&mut self, event: &Event, files: &mut Files) {
        if !std::mem::replace(&mut self.begun, true) {
            let Identity { id, began, name, project } = Identity::of(event);
            let run = MlflowRequest::Run { id, name, experiment: project, start_time: milliseconds(began) };
            self.head += &line(&run);
        }
        self.held.extend(self.points.take(event));
        match &event.what {
            Happening::Started(start) if !std::mem::replace(&mut self.configured, true) => {
                self.head.extend(parameters(start).iter().map(line));
            }
            Happening::Epoch(record) => {
                files.append(FILE, std::mem::take(&mut self.head));
                let mut points = std::mem::take(&mut self.held);
                let sights = points.iter_mut().filter_map(seen).collect::<Vec<_>>().concat();
                for request in metrics(record.epoch, &points).chain(sights) {
                    files.append(FILE, line(&request));
                }
            }
            Happening::Finished { weights } => self.end("FINISHED", event.time, ("weights", weights), files),
            Happening::Failed { reason } => self.end("FAILED", event.time, ("failure", reason), files),
            Happening::Stopped { epochs } if *epochs > 0 => {
                self.end("KILLED", event.time, ("epochs_kept", &epochs.to_string()), files);
            }
            Happening::Stopped { .. }
            | Happening::Started(_)
            | Happening::Note { .. }
            | Happening::Step(_)
            | Happening::Sight(_) => {}
        }
    }
}

impl Mlflow {
    fn end(&mut self, status: &str, time: f64, (key, value): (&str, &str), files: &mut Files) {
        files.append(FILE, std::mem::take(&mut self.head));
        let tags = vec![pair(&format!("archaeo.{key}"), value)];
        let end = MlflowRequest::End { status: status.into(), end_time: milliseconds(time), tags };
        files.append(FILE, line(&end));
    }
}

fn line(request: &MlflowRequest) -> String {
    serde_json::to_string(request).expect("plain data") + "\n"
}

fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1e3) as i64
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.into(), value: value.chars().take(LONGEST_PARAMETER).collect() }
}

fn parameters(start: &Start) -> Vec<MlflowRequest> {
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let all: Vec<KeyValue> =
        flat_configuration(start).into_iter().map(|(key, value)| pair(&key, &text(value))).collect();
    let some = |params: &[KeyValue]| MlflowRequest::Parameters { params: params.to_vec() };
    all.chunks(MOST_PARAMETERS).map(some).collect()
}

/// The pictures of a point; the importance of its heads becomes values, since MLflow has no histograms.
fn seen(point: &mut Point) -> Option<Vec<MlflowRequest>> {
    let Sight { pictures, heads, .. } = point.sight.take()?;
    for (layer, heads) in heads.iter().enumerate() {
        for (head, importance) in heads.iter().enumerate() {
            let name = format!("{HEAD_IMPORTANCE}/layer {} head {}", layer + 1, head + 1);
            point.values.insert(name, number(*importance));
        }
    }
    let (step, timestamp) = (point.step, milliseconds(point.time));
    let request = |picture| MlflowRequest::Picture { key: picture_name(&picture), timestamp, step, picture };
    Some(pictures.into_iter().map(request).collect())
}

fn metrics(epoch: usize, points: &[Point]) -> impl Iterator<Item = MlflowRequest> {
    let of_point = |Point { step, time, values, .. }: &Point| -> Vec<Metric> {
        let metric = |(key, value): (&String, &Value)| Metric {
            key: key.clone(),
            value: value.clone(),
            timestamp: milliseconds(*time),
            step: *step,
        };
        values.iter().map(metric).collect()
    };
    let all: Vec<Metric> = points.iter().flat_map(of_point).collect();
    let parts: Vec<Vec<Metric>> = all.chunks(MOST_METRICS).map(<[Metric]>::to_vec).collect();
    let request = move |(part, metrics)| MlflowRequest::Metrics { epoch, part, metrics };
    parts.into_iter().enumerate().map(request)
}
