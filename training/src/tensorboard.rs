//! TensorBoard event files: the few bytes of them that scalars need.
//!
//! A file is a sequence of TFRecords (length, masked CRC-32C of the length, payload, masked CRC-32C of the payload),
//! each holding one `tensorflow.Event` protocol buffer. The fields used are, by their numbers in `event.proto` and
//! `summary.proto`: Event {1 wall_time, 2 step, 3 file_version, 5 summary}, Summary {1 value}, Value {1 tag,
//! 2 simple_value}.

use std::io;
use std::path::Path;

use archaeo_store::{AppendFile, StoreError};

/// An event file that is being written.
#[derive(Debug)]
pub struct EventFile(AppendFile);

impl EventFile {
    /// Goes on with the file at `path` after its first `keep` bytes, dropping the rest; 0 starts it afresh. `time` is
    /// in seconds since 1970.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(path: &Path, keep: u64, time: f64) -> Result<Self, StoreError> {
        let start = record(&event(time, 0, 3, b"brain.Event:2"));
        AppendFile::resume(path, keep, &start).map(Self)
    }

    /// Adds the values of some scalars at a step.
    ///
    /// # Errors
    /// What the file system says.
    pub fn scalars(&mut self, time: f64, step: u64, scalars: &[(&str, f64)]) -> io::Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in scalars {
            let mut message = Vec::new();
            bytes_field(&mut message, 1, tag.as_bytes());
            message.push(2 << 3 | FIXED32);
            message.extend((*value as f32).to_le_bytes());
            bytes_field(&mut summary, 1, &message);
        }
        self.0.append(&record(&event(time, step, 5, &summary)))
    }

    /// Bytes written so far: what to keep when the next run goes on from here.
    pub fn length(&self) -> u64 {
        self.0.length()
    }
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

/// CRC-32C, turned and shifted so that a checksum of data that holds checksums stays sound.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn write(path: &Path) -> EventFile {
        let mut events = EventFile::open(path, 0, 1.7e9).unwrap();
        events.scalars(1.7e9 + 1.0, 300, &[("loss/train", 2.25), ("accuracy/validation", 0.5)]).unwrap();
        events.scalars(1.7e9 + 2.0, 600, &[("loss/train", 1.125), ("accuracy/validation", 0.75)]).unwrap();
        events
    }

    #[test]
    fn the_bytes_are_those_of_tensorboards_own_writer() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("events");
        let events = write(&path);
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes, include_bytes!("../tests/fixtures/events.tfevents"));
        assert_eq!(events.length(), bytes.len() as u64);
    }

    #[test]
    fn what_was_written_after_a_checkpoint_is_dropped() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("events");
        let mut events = EventFile::open(&path, 0, 0.0).unwrap();
        events.scalars(1.0, 1, &[("a", 1.0)]).unwrap();
        let (kept, bytes) = (events.length(), std::fs::read(&path).unwrap());
        events.scalars(2.0, 2, &[("a", 2.0)]).unwrap();
        drop(events);
        assert_eq!(EventFile::open(&path, kept, 9.0).unwrap().length(), kept);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        // A file that has gone missing starts afresh.
        std::fs::remove_file(&path).unwrap();
        let fresh = EventFile::open(&path, kept, 0.0).unwrap().length();
        assert!(fresh > 0 && fresh < kept);
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
        write(&root.path().join("events.out.tfevents.archaeo"));
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
