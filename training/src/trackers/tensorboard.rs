//! TensorBoard event files: the few bytes of them that scalars need.
//!
//! A file is a sequence of TFRecords (length, masked CRC-32C of the length, payload, masked CRC-32C of the payload),
//! each holding one `tensorflow.Event` protocol buffer. The fields used are, by their numbers in `event.proto` and
//! `summary.proto`: Event {1 wall_time, 2 step, 3 file_version, 5 summary}, Summary {1 value}, Value {1 tag,
//! 2 simple_value}.

use super::{Files, Tracker, TrackerKind};
use crate::EpochRecord;
use crate::events::{Event, Happening};

const FILE: &str = "events.out.tfevents.archaeo";

pub(super) static TENSORBOARD: TrackerKind = TrackerKind {
    id: "tensorboard",
    title: "a TensorBoard event file of the epochs",
    files: &[(FILE, "")],
    begin: || Box::new(TensorBoard { begun: false }),
};

struct TensorBoard {
    /// Whether the file's first record is written.
    begun: bool,
}

impl Tracker for TensorBoard {
    fn log(&mut self, event: &Event, files: &mut Files) {
        if !std::mem::replace(&mut self.begun, true) {
            files.append(FILE, version(event.time));
        }
        let Happening::Epoch(record) = &event.what else { return };
        let EpochRecord { step, learning_rate, train_loss, .. } = *record;
        let EpochRecord { validation_loss, validation_accuracy, images_per_second, .. } = *record;
        let values = [
            ("loss/train", train_loss),
            ("loss/validation", validation_loss),
            ("accuracy/validation", validation_accuracy),
            ("learning_rate", learning_rate),
            ("images_per_second", images_per_second),
        ];
        files.append(FILE, scalars(event.time, step, &values));
    }
}

/// The first record of a file. `time` is in seconds since 1970.
fn version(time: f64) -> Vec<u8> {
    record(&event(time, 0, 3, b"brain.Event:2"))
}

/// The values of some scalars at a step.
fn scalars(time: f64, step: u64, scalars: &[(&str, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in scalars {
        let mut message = Vec::new();
        bytes_field(&mut message, 1, tag.as_bytes());
        message.push(2 << 3 | FIXED32);
        message.extend((*value as f32).to_le_bytes());
        bytes_field(&mut summary, 1, &message);
    }
    record(&event(time, step, 5, &summary))
}

/// Protocol-buffer wire types.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LENGTH_DELIMITED: u8 = 2;
const FIXED32: u8 = 5;

/// An `Event` whose one content field is `field`.
fn event(time: f64, step: u64, field: u8, content: &[u8]) -> Vec<u8> {
    let mut message = vec![1 << 3 | FIXED64];
    message.extend(time.to_le_bytes());
    if step != 0 {
        message.push(2 << 3 | VARINT);
        varint(&mut message, step);
    }
    bytes_field(&mut message, field, content);
    message
}

fn bytes_field(message: &mut Vec<u8>, field: u8, content: &[u8]) {
    message.push(field << 3 | LENGTH_DELIMITED);
    varint(message, content.len() as u64);
    message.extend(content);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
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
