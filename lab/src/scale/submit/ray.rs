//! A driver for Ray: a task per shard, which runs the program.

use std::path::Path;

use serde_json::json;

use super::{File, Submission};

/// The driver, but for what it runs.
const DRIVER: &str = include_str!("ray.py");

pub(super) fn files(submission: &Submission, directory: &Path) -> Vec<File> {
    let Submission { shards, cpus, retries, trains, at_once, .. } = submission;
    let task = json!({
        "record": submission.command(&["--threads", &cpus.to_string()]),
        "merge": submission.merge(&[]),
        "shards": shards,
        "cpus": cpus,
        "retries": retries,
        "trains": trains,
        "at_once": at_once,
        "directory": directory,
    });
    // A string of JSON is a string of Python.
    let task = serde_json::to_string(&task.to_string()).expect("plain data");
    vec![File { name: "shards.py", text: DRIVER.replace("TASK_AS_JSON", &task) }]
}
