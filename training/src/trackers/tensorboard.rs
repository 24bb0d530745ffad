//! TensorBoard event files: the few bytes of them that scalars, pictures and histograms need.
//!
//! A file is a sequence of TFRecords (length, masked CRC-32C of the length, payload, masked CRC-32C of the payload),
//! each holding one `tensorflow.Event` protocol buffer. The fields used are, by their numbers in `event.proto` and
//! `summary.proto`: Event {1 wall_time, 2 step, 3 file_version, 5 summary}, Summary {1 value}, Value {1 tag,
//! 2 simple_value, 4 image, 5 histo}, Image {1 height, 2 width, 3 colorspace, 4 encoded_image_string}, HistogramProto {1 min, 2 max, 3 num, 4 sum,
//! 5 sum_squares, 6 bucket_limit, 7 bucket}.

use super::described::{HEAD_IMPORTANCE, epoch_values, histogram, picture_name};
use super::protobuf::Message;
use super::{Files, Tracker, TrackerKind};
use crate::events::{Event, Happening};
use crate::{Picture, Sight};

const FILE: &str = "events.out.tfevents.archaeo";

pub(super) static TENSORBOARD: TrackerKind = TrackerKind {
    id: "tensorboard",
    title: "a TensorBoard event file of the epochs",
    files: &[(FILE, "")],
    begin: || Box::new(TensorBoard { begun: false }),
};

/// Three channels, in `Image.colorspace`.
const RGB: u64 = 3;

struct TensorBoard {
    /// Whether the file's first record is written.
    begun: bool,
}

impl Tracker for TensorBoard {
    fn log(&mut self, event: &Event, files: &mut Files) {
        if !std::mem::replace(&mut self.begun, true) {
            files.append(FILE, version(event.time));
        }
        match &event.what {
            Happening::Epoch(record) => {
                files.append(FILE, scalars(event.time, record.step, &epoch_values(record)));
            }
            Happening::Sight(sight) => files.append(FILE, seen(event.time, sight, files)),
            _ => {}
        }
    }
}

/// The first record of a file. `time` is in seconds since 1970.
fn version(time: f64) -> Vec<u8> {
    record(event(time, 0).bytes(3, "brain.Event:2").encoded())
}

/// The values of some scalars at a step.
fn scalars(time: f64, step: u64, scalars: &[(&str, f64)]) -> Vec<u8> {
    let value = |(tag, value): &(&str, f64)| Message::default().bytes(1, tag).float(2, *value as f32);
    let add = |summary: Message, scalar| summary.message(1, &value(scalar));
    record(event(time, step).message(5, &scalars.iter().fold(Message::default(), add)).encoded())
}

/// Pictures, and a histogram of the importance of all heads.
fn seen(time: f64, sight: &Sight, files: &Files) -> Vec<u8> {
    let picture = |picture: &Picture| {
        let image = Message::default()
            .integer(1, picture.height as u64)
            .integer(2, picture.width as u64)
            .integer(3, RGB)
            .bytes(4, files.picture(picture)?);
        Some(Message::default().bytes(1, picture_name(picture)).message(4, &image))
    };
    let heads: Vec<f64> = sight.heads.iter().flatten().copied().collect();
    let heads = (!heads.is_empty())
        .then(|| Message::default().bytes(1, HEAD_IMPORTANCE).message(5, &histogram_of(&heads)));
    let values = sight.pictures.iter().filter_map(picture).chain(heads);
    let summary = values.fold(Message::default(), |summary, value| summary.message(1, &value));
    record(event(time, sight.step).message(5, &summary).encoded())
}

/// A `HistogramProto`.
fn histogram_of(values: &[f64]) -> Message {
    let (edges, counts) = histogram(values);
    let packed = |values: Vec<f64>| values.into_iter().flat_map(f64::to_le_bytes).collect::<Vec<u8>>();
    Message::default()
        .double(1, edges[0])
        .double(2, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        .double(3, values.len() as f64)
        .double(4, values.iter().sum())
        .double(5, values.iter().map(|value| value * value).sum())
        .bytes(6, packed(edges[1..].to_vec()))
        .bytes(7, packed(counts.iter().map(|count| *count as f64).collect()))
}

/// An `Event` with the content that its last field holds.
fn event(time: f64, step: u64) -> Message {
    let event = Message::default().double(1, time);
    if step == 0 { event } else { event.integer(2, step) }
}

/// A TFRecord.
fn record(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(payload);
    record.extend(masked_crc(payload).to_le_bytes());
    record
}

/// CRC-32C, rotated and offset, as TFRecord requires, so that checksums of data containing checksums stay sound.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn file() -> Vec<u8> {
        let epochs = [
            scalars(1.7e9 + 1.0, 300, &[("loss/train", 2.25), ("accuracy/validation", 0.5)]),
            scalars(1.7e9 + 2.0, 600, &[("loss/train", 1.125), ("accuracy/validation", 0.75)]),
        ];
        [version(1.7e9), epochs.concat()].concat()
    }

    #[test]
    fn the_bytes_are_those_of_tensorboards_own_writer() {
        assert_eq!(file(), include_bytes!("../../tests/fixtures/events.tfevents"));
    }

    #[test]
    fn tensorboard_reads_it() {
        let python = std::env::var("ARCHAEO_PYTHON").unwrap_or_else(|_| "python3".into());
        let available = Command::new(&python).args(["-c", "import tensorboard"]).output();
        if !available.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: {python} has no tensorboard (set ARCHAEO_PYTHON to one that has)");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(FILE), file()).unwrap();
        let script = "import sys\n\
            from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n\
            events = EventAccumulator(sys.argv[1]); events.Reload()\n\
            for tag in sorted(events.Tags()['scalars']):\n\
            \x20   print(tag, [(e.wall_time, e.step, e.value) for e in events.Scalars(tag)])";
        let output = Command::new(&python).args(["-c", script]).arg(root.path()).output().unwrap();
        let expected = "accuracy/validation [(1700000001.0, 300, 0.5), (1700000002.0, 600, 0.75)]\n\
            loss/train [(1700000001.0, 300, 2.25), (1700000002.0, 600, 1.125)]\n";
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout).replace('\r', ""), expected, "{errors}");
    }
}
